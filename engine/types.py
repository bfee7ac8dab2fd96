"""The values that travel through the engine; `engine/README.md` shows the way they take."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import numpy.typing as npt

SAMPLE_RATE_HZ = 16_000
"""The engine's one clock: integer samples of 16 kHz audio."""

CONTROL_NAMES: tuple[str, ...] = (
    "jawOpen",  # 0..1
    "mouthClose",  # 0..1, lips together whatever the jaw does
    "mouthStretch",  # 0..1, wide
    "mouthPucker",  # 0..1, round and narrow
    "mouthSmile",  # 0..1
    "mouthFrown",  # 0..1
    "mouthRollLower",  # 0..1, lower lip under the upper teeth (f, v)
    "tongueUp",  # 0..1, tongue at the teeth (l, th, n); not in ARKit
    "browInnerUp",  # 0..1
    "browOuterUp",  # 0..1
    "browDown",  # 0..1
    "eyeBlinkLeft",  # 0..1, left is the avatar's own left: the right side of the picture
    "eyeBlinkRight",  # 0..1
    "eyeWide",  # 0..1
    "eyeLookX",  # -1..1, positive is towards the picture's right
    "eyeLookY",  # -1..1, positive is down
    "headYaw",  # -1..1, positive turns the nose towards the picture's right
    "headPitch",  # -1..1, positive is down
    "headRoll",  # -1..1
    "headShift",  # -1..1, sideways
    "breath",  # -1..1
)
"""Names of the controls, ARKit's where ARKit has one; ranges are stated beside each."""


class AvatarState(IntEnum):
    """The class label of LLIA (arXiv 2506.05806); the numbers are the model's labels."""

    SPEAKING = 0
    LISTENING = 1
    IDLE = 2


@dataclass(frozen=True)
class AudioChunk:
    """Mono audio on the engine's clock.

    Attributes:
        samples: float32 [T], -1..1, 16 kHz.
        start_samples: absolute index of the first sample on the avatar's clock.
        utterance_id: the utterance this audio belongs to; "" for silence between utterances.
    """

    samples: npt.NDArray[np.float32]
    start_samples: int
    utterance_id: str = ""


@dataclass(frozen=True)
class ClipPlan:
    """What the next call of the denoiser generates.

    Attributes:
        first_frame: index of the first frame on the avatar's clock (frame k shows time k / fps).
        clip_length: number of frames F, one of the manifest's `clip_lengths`.
        states: class label per frame, int64 [F].
        epoch: a barge-in advances it; anything of an older epoch is dropped wherever it is.
    """

    first_frame: int
    clip_length: int
    states: npt.NDArray[np.int64]
    epoch: int


@dataclass(frozen=True)
class VideoFrame:
    """One picture of the avatar.

    Attributes:
        rgba: uint8 [H, W, 4], straight alpha.
        pts_samples: presentation time on the audio clock, 16 kHz samples.
        utterance_id: the utterance heard at that time, "" if none.
        epoch: see `ClipPlan`.
        state: class label the frame was generated with.
        stage_ms: milliseconds each stage spent on this frame's clip, divided by its frames.
        controls: float32 [21], what the face does, by `CONTROL_NAMES`; see there for ranges.
    """

    rgba: npt.NDArray[np.uint8]
    pts_samples: int
    utterance_id: str
    epoch: int
    state: AvatarState
    stage_ms: dict[str, float] = field(default_factory=dict)
    controls: npt.NDArray[np.float32] = field(
        default_factory=lambda: np.zeros(len(CONTROL_NAMES), np.float32)
    )
