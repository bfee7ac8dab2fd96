"""What an avatar's listeners are told: states and utterances, found from what is fed and shown. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.protocol.messages import Cancelled, Event, Finished, FirstFrame, StateChanged, UtteranceStarted
from engine.types import AvatarState, VideoFrame


@dataclass
class _Span:
    utterance_id: str
    start_samples: int
    turn_ns: int
    end_samples: int | None = None
    shown: bool = False


class SpeechTracker:
    """Follows utterances from the feeder to the presented frame. Not thread-safe.

    Attributes:
        state: state of the frame shown last.
        first_frame_ms: latency of the newest utterance's first frame, -1 before the first.
    """

    def __init__(self, avatar_id: str) -> None:
        self.state = AvatarState.IDLE
        self.first_frame_ms = -1.0
        self._avatar_id = avatar_id
        self._spans: list[_Span] = []

    def started(self, utterance_id: str, pts_samples: int, turn_ns: int) -> Event:
        """The utterance's first sample, whose turn came at `turn_ns`, got its place on the clock."""
        self._spans.append(_Span(utterance_id, pts_samples, turn_ns))
        return UtteranceStarted(avatar_id=self._avatar_id, utterance_id=utterance_id, pts_samples=pts_samples)

    def ended(self, utterance_id: str, pts_samples: int) -> None:
        """The utterance's last sample lies right before `pts_samples`."""
        for span in self._spans:
            if span.utterance_id == utterance_id and span.end_samples is None:
                span.end_samples = pts_samples

    def cancelled(self, waiting_ids: list[str], at_samples: int) -> list[Event]:
        """A barge-in: everything not finished yet is dropped, and what waits in the queue too."""
        ids = [span.utterance_id for span in self._spans]
        ids += [utterance_id for utterance_id in waiting_ids if utterance_id not in ids]
        self._spans.clear()
        return [Cancelled(avatar_id=self._avatar_id, utterance_id=i, pts_samples=at_samples) for i in ids]

    def shown(self, frame: VideoFrame, now_ns: int) -> list[Event]:
        """A frame was published; returns what it began and ended."""
        events: list[Event] = []
        if frame.state != self.state:
            self.state = frame.state
            events.append(
                StateChanged(
                    avatar_id=self._avatar_id, state=frame.state.name.lower(), pts_samples=frame.pts_samples
                )
            )
        for span in self._spans:
            if not span.shown and frame.pts_samples >= span.start_samples:
                span.shown = True
                self.first_frame_ms = (now_ns - span.turn_ns) / 1e6
                events.append(
                    FirstFrame(
                        avatar_id=self._avatar_id,
                        utterance_id=span.utterance_id,
                        pts_samples=frame.pts_samples,
                        latency_ms=self.first_frame_ms,
                    )
                )
            if span.end_samples is not None and frame.pts_samples >= span.end_samples:
                events.append(
                    Finished(
                        avatar_id=self._avatar_id,
                        utterance_id=span.utterance_id,
                        pts_samples=frame.pts_samples,
                    )
                )
        self._spans = [s for s in self._spans if s.end_samples is None or frame.pts_samples < s.end_samples]
        return events
