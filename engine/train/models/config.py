"""Sizes of the networks: one dataclass, one instance per preset."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelConfig:
    """Widths and depths; spatial sizes in pixels of the named grid (all sizes are our choice).

    Attributes:
        encoder: channels of each view's trunk in the frame encoder, from a half to a sixteenth of its size.
        reference: channels of the flows' reference features at 48, 24 and 12 px.
        flow_fields: how many fields of motion, found once per picture, the picture's flow is mixed from.
        patch_flow_fields: the same for the patches' flow.
        appearance: channels of the denoiser's reference features at 24, 12 and 6 px.
        mouth, eyes: channels of a patch head at a quarter and at half of the patch size.
        audio: channels of the audio encoder.
        audio_tokens, audio_width: tokens per video frame and their width.
        bank_width: width of the reference tokens that the denoiser attends to.
        width, blocks, heads: the denoiser.
        motion_lags: which clean latents of the past the denoiser is given: so many frames before the clip.
        clip_lengths: clip lengths F the denoiser is trained for.
    """

    encoder: tuple[int, int, int, int] = (32, 48, 80, 96)
    reference: tuple[int, int, int] = (32, 48, 96)
    flow_fields: int = 32
    patch_flow_fields: int = 16
    appearance: tuple[int, int, int] = (32, 48, 64)
    mouth: tuple[int, int] = (56, 28)
    eyes: tuple[int, int] = (48, 24)
    audio: int = 128
    audio_tokens: int = 10
    audio_width: int = 128
    bank_width: int = 128
    width: int = 192
    blocks: int = 5
    heads: int = 4
    motion_lags: tuple[int, ...] = (32, 16, 8, 4, 2, 1)
    clip_lengths: tuple[int, ...] = (1, 2, 4, 8)

    @property
    def motion_frames(self) -> int:
        """How many motion frames there are."""
        return len(self.motion_lags)


NANO = ModelConfig()
TOY = ModelConfig(
    encoder=(4, 4, 4, 4),
    reference=(4, 4, 4),
    flow_fields=4,
    patch_flow_fields=4,
    appearance=(4, 4, 4),
    mouth=(4, 4),
    eyes=(4, 4),
    audio=8,
    bank_width=8,
    width=8,
    blocks=1,
    heads=2,
)
"""For tests: the same code, a few kilobytes of weights."""

PRESETS = {"nano": NANO, "toy": TOY}
