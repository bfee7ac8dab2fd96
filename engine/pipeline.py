"""The whole flow: audio pushed in, frames iterated out; clips are denoised while others are decoded."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt
from PIL import Image

from engine.audio import AudioRing
from engine.clips import HISTORY_FRAMES, ClipPlanner, LatentHistory
from engine.compose import Composer
from engine.config import check_bounds
from engine.decode import Decoder
from engine.denoise import Denoiser
from engine.errors import AudioFormatError, ConfigError
from engine.expression import (
    AT_REST,
    LOWEST,
    REST_CONTROLS,
    SPOKEN,
    ExpressionTrack,
    checked_controls,
    edit_reference,
    within_reach,
)
from engine.features import MEL_BINS, SILENCE, WINDOW_FRAMES
from engine.frames import Retimer
from engine.gallery import Gallery
from engine.models import find_pack
from engine.portrait import Portrait
from engine.reader import FrameReader
from engine.runtime.manifest import REF_IMAGE_PX, Manifest, load_manifest
from engine.runtime.session import Graphs, load_graphs
from engine.runtime.stages import Channel, Stage
from engine.runtime.threads import compute_threads, silence_libraries
from engine.steady import SteadyFilter
from engine.types import CONTROL_NAMES, SAMPLE_RATE_HZ, AudioChunk, AvatarState, ClipPlan, VideoFrame

Float = npt.NDArray[np.float32]

_CLOSE_S = 1.0
_DECODED_FRAMES = 8
_QUIET_S = 0.015
"""So long after a clip a live avatar looks ahead: the clip's frames are done by then."""
_NO_SOUND = 1e-4
_PAST_FRAMES = HISTORY_FRAMES + 16
"""Audio is kept as long as latents, and the 320 ms that the oldest of their windows reach back."""


@dataclass(frozen=True)
class _Clip:
    """A denoised clip on its way to the decoder; `before` is the latent of the frame before it."""

    plan: ClipPlan
    latents: Float
    before: Float
    stage_ms: Mapping[str, float]


@dataclass(frozen=True)
class _Foreseen:
    """Latents of a clip that come true if nothing is heard; they are made for this latent at rest."""

    plan: ClipPlan
    rest: Float
    latents: Float
    spent_ms: Mapping[str, float]

    def of(self, plan: ClipPlan, rest: Float) -> tuple[Float, dict[str, float]] | None:
        """The part that is the clip of another plan, with the milliseconds it took; None where it is not."""
        start = plan.first_frame - self.plan.first_frame
        part = slice(start, start + plan.clip_length)
        states = self.plan.states[part] if start >= 0 else self.plan.states[:0]
        if plan.epoch != self.plan.epoch or rest is not self.rest or not np.array_equal(states, plan.states):
            return None
        share = plan.clip_length / self.plan.clip_length
        return self.latents[part], {name: ms * share for name, ms in self.spent_ms.items()}


class Engine:
    """A pack, loaded once per process and shared by its avatars; close it after use."""

    def __init__(
        self, pack: str | Path = "nano", *, threads: int | None = None, provider: str = "auto"
    ) -> None:
        """Loads a pack.

        Args:
            pack: a shipped pack's name, or the folder of one.
            threads: cap on the threads that compute, of all avatars together; None: every core.
            provider: "auto", "CPU", "CUDA", "TensorRT" or "OpenVINO".

        Raises:
            ModelError: the pack is missing, altered or does not fit its manifest.
            ConfigError: the provider is unknown or absent.
        """
        silence_libraries()
        self.manifest: Manifest = load_manifest(find_pack(pack))
        self.graphs: Graphs = load_graphs(self.manifest, provider=provider, threads=threads)
        self.provider: str = self.graphs.provider
        self.threads: int = compute_threads(threads)
        self.pool = ThreadPoolExecutor(self.threads, "llia-compute")
        self._gallery = Gallery(self.graphs, self.manifest)
        together = threading.Barrier(self.threads)
        for warm in [self.pool.submit(self._warm_up, together) for _ in range(self.threads)]:
            warm.result()

    def portrait(self, picture: str | Path | Image.Image | None = None) -> Portrait:
        """An avatar of the pack by name, or a picture by path or value; each is prepared once.

        Raises:
            ModelError: there is no such avatar, the picture cannot be read, or it shows no face.
        """
        return self._gallery.find(picture)

    def _warm_up(self, together: threading.Barrier) -> None:
        """Every thread runs once what it will run per frame, so that the first frame does not wait for it."""
        together.wait()
        for name in ("audio_encoder", "denoiser", "decoder", *self.manifest.patches):
            self.graphs[name].warm_up(F=1)

    def close(self) -> None:
        """Ends the threads; close its avatars before."""
        self.pool.shutdown(cancel_futures=True)

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def avatar(
        self,
        picture: str | Path | Image.Image | None = None,
        *,
        size_px: int = 384,
        fps: int = 25,
        steps: int = 2,
        seed: int | None = None,
        lead_ms: int | None = 640,
        expression: Mapping[str, float] | None = None,
    ) -> AvatarPipeline:
        """Starts an avatar.

        Args:
            picture: see `portrait`; None: the pack's default avatar.
            size_px: side of the frames.
            fps: frames per second, 10..60.
            steps: sampling steps, one of the manifest's.
            seed: of the noise; None: another one each time.
            lead_ms: a live avatar generates from what has arrived, this far ahead of the last frame
                taken. None: a recording; generates as far ahead as its queues hold, in clips that
                depend on the audio alone, so the same seed gives the same frames.
            expression: see `AvatarPipeline.set_expression`.

        Raises:
            ModelError: see `portrait`.
            ConfigError: a value is out of its bounds.
        """
        check_bounds("size_px", size_px)
        check_bounds("fps", fps)
        if steps not in self.manifest.sampling_timesteps:
            known = ", ".join(map(str, sorted(self.manifest.sampling_timesteps)))
            raise ConfigError(f"steps = {steps}: this pack samples in {known} steps")
        checked_controls(expression or {})
        portrait = self.portrait(picture)
        avatar = AvatarPipeline(
            self,
            portrait,
            size_px=size_px,
            fps=fps,
            steps=steps,
            seed=secrets.randbits(32) if seed is None else seed,
            lead_ms=lead_ms,
        )
        if expression:
            avatar.set_expression(expression)
        return avatar

    def decoder(self, portrait: Portrait, size_px: int, *, live: bool = False) -> Decoder:
        """Makes pictures of a portrait at a size, soon and reusing patches if it is live."""
        body_top = max(patch.box[3] for patch in self.manifest.patches.values())
        return Decoder(
            self.graphs,
            self.manifest,
            portrait.banks,
            portrait.ref_picture(REF_IMAGE_PX),
            Composer(portrait.ref_picture(size_px), body_top),
            beside=self.pool if live else None,
        )

    def edited(self, portrait: Portrait, controls: Float) -> Portrait:
        """A portrait whose picture shows other controls [21]; the last few stay prepared."""
        decoder = self.decoder(portrait, REF_IMAGE_PX)
        rgba = edit_reference(self.graphs["expression"], portrait.banks, decoder, controls)
        return self._gallery.prepare(Image.fromarray(rgba), origin="edited picture", align=False)


class AvatarPipeline:
    """One avatar: push its audio, iterate its frames. Made by `Engine.avatar`; close it after use.

    Attributes:
        fps: frames per second.
        size_px: side of the frames.
        portrait: whose avatar it is.
        reader: measures what its frames show.
        watched: False while nobody looks: time, states and controls go on, but no picture is decoded and
            frames bear the last one that was.
    """

    def __init__(
        self,
        engine: Engine,
        portrait: Portrait,
        *,
        size_px: int,
        fps: int,
        steps: int,
        seed: int,
        lead_ms: int | None,
    ) -> None:
        """Starts the threads; arguments as for `Engine.avatar`."""
        manifest, graphs = engine.manifest, engine.graphs
        self._engine = engine
        self.fps, self.size_px, self.portrait = fps, size_px, portrait
        self.reader = FrameReader(graphs["reader"], portrait, size_px)
        self.watched = True
        self._kept = threading.Lock()
        self._last_rgba: npt.NDArray[np.uint8] | None = None
        self._frame_samples, self._model_fps = manifest.frame_samples, manifest.fps
        self._control_mean = np.array(manifest.control_mean, np.float32)
        self._control_std = np.array(manifest.control_std, np.float32)
        self._audio_encoder = graphs["audio_encoder"]
        self._foreseen: _Foreseen | None = None  # the denoising stage's own
        self._calm = False  # likewise: the last clip heard nothing
        self._denoiser = Denoiser(
            graphs["denoiser"],
            portrait.banks,
            manifest.sampling_timesteps[steps],
            manifest.noise_scale,
            seed,
        )
        self._decoder = engine.decoder(portrait, size_px, live=lead_ms is not None)
        # Everything below, down to the channels, is guarded by this condition.
        self._changed = threading.Condition()
        self._audio = AudioRing()
        self._planner = ClipPlanner(
            manifest.clip_lengths, manifest.frame_samples, whole_clips=lead_ms is None
        )
        self._history = LatentHistory(
            portrait.banks["ref_latent"], manifest.motion_lags, manifest.reanchor_every_frames
        )
        # What was shown: the same latents, steadied; clips follow what was generated.
        self._steady = SteadyFilter(self._control_std, manifest.fps)
        self._shown = LatentHistory(portrait.banks["ref_latent"], manifest.motion_lags, None)
        self._expression = ExpressionTrack()
        self._rest: Float = portrait.banks["ref_latent"]
        self._state: AvatarState | None = None
        self._lead_samples = None if lead_ms is None else lead_ms * SAMPLE_RATE_HZ // 1000
        self._taken_samples = 0
        self._closed = False
        # A channel asks `_admit_*` under its own lock: never touch a channel while holding `_changed`.
        self._clips: Channel[_Clip] = Channel(1, self._admit_clip)
        # As many frames are under way as threads compute; they come out in their order.
        self._decoding: Channel[Future[VideoFrame | None]] = Channel(engine.threads)
        self._frames: Channel[VideoFrame] = Channel(_DECODED_FRAMES, self._admit_frame)
        self._stages = (
            Stage("denoise", self._denoised(), self._clips),
            Stage("decode", self._decoded(), self._decoding, source=self._clips),
            Stage("order", self._ordered(), self._frames, source=self._decoding),
        )
        for stage in self._stages:
            stage.start()

    @property
    def epoch(self) -> int:
        """Number of barge-ins so far."""
        with self._changed:
            return self._planner.epoch

    def push_audio(self, chunk: AudioChunk) -> None:
        """Adds the next audio, silence between utterances too; never blocks.

        Raises:
            AudioFormatError: it is empty, not finite, does not start where the last one ended, or
                follows `finish()`.
        """
        with self._changed:
            if self._audio.finished:
                raise AudioFormatError("audio was pushed after finish(); start another avatar")
            self._audio.append(chunk)
            self._changed.notify_all()

    def set_state(self, state: AvatarState | None) -> None:
        """Sets the class label from the next clip on, which is a short one.

        Args:
            state: None: SPEAKING where the audio has an utterance, else IDLE.
        """
        with self._changed:
            if state != self._state:
                self._state = state
                self._planner.restart()

    def set_expression(self, expression: Mapping[str, float]) -> None:
        """Sets the expression from the next clip on, blended over 200 ms; takes some 100 ms itself.

        Args:
            expression: controls by name. A smile, a frown, brows and wide eyes replace those of the picture
                at rest; others are added to what the avatar does. Those not named are the picture's own.

        Raises:
            ConfigError: a name is unknown or a value out of its range.
        """
        named = checked_controls(expression)
        own = self._control_mean + self._control_std * self.portrait.banks["ref_latent"].ravel()
        wanted, added = own.clip(LOWEST, 1.0), np.zeros_like(own)
        for index, name in enumerate(CONTROL_NAMES):
            if name in named and AT_REST[index]:
                wanted[index] = named[name]
            elif name in named:
                added[index] = named[name]
        changed = np.where(AT_REST, wanted, own)
        rest: Float = ((changed - self._control_mean) / self._control_std).astype(np.float32)
        rest = rest.reshape(self.portrait.banks["ref_latent"].shape)
        banks = dict(self.portrait.banks)
        if any(name in REST_CONTROLS for name in named):
            banks |= self._engine.edited(self.portrait, wanted).banks
        with self._changed:
            jump = self._control_std * (rest - self._rest).ravel()
            self._denoiser.condition({**banks, "ref_latent": rest})
            self._history.shift(rest)
            self._shown.shift(rest)
            self._rest = rest
            self._expression.change(self._planner.next_frame * self._frame_samples, jump, added)
            self._planner.restart()

    def finish(self) -> None:
        """Says that the recording is over: `frames()` ends after its last frame."""
        with self._changed:
            self._audio.finished = True
            self._changed.notify_all()

    def clear(self, at_samples: int) -> int:
        """Barge-in: drops audio and frames from a time on; new audio goes on from there.

        Frames from there on follow a silent past with the mouth at rest, so that it shuts at once.
        Frames before that time still come, marked with the new epoch. The next clip is a short one
        and follows the last latents before that time.

        Returns:
            The new epoch.

        Raises:
            AudioFormatError: the time is further back than what is kept (20 s).
        """
        with self._changed:
            self._audio.cut(at_samples)
            self._audio.hush()
            epoch = self._planner.clear(at_samples)
            for history in (self._history, self._shown):
                history.cut(self._planner.first_frame_from(at_samples))
                history.settle(SPOKEN)
            self._expression.cut(self._planner.next_frame * self._frame_samples)
            self._taken_samples = min(self._taken_samples, at_samples)
            self._changed.notify_all()
        self._clips.sift()
        self._frames.sift()
        return epoch

    def frames(self) -> Iterator[VideoFrame]:
        """Yields frames in order of pts, waiting for them; ends after `finish()` or `close()`.

        Raises:
            EngineError: a stage failed.
        """
        for frame in self._frames:
            with self._changed:
                self._taken_samples = frame.pts_samples + SAMPLE_RATE_HZ // self.fps
                self._changed.notify_all()
            yield frame

    def close(self) -> None:
        """Stops and joins the threads within 1 s; a second call does nothing."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._clips.close()
        self._decoding.close()
        self._frames.close()
        deadline_s = time.monotonic() + _CLOSE_S
        for stage in self._stages:
            stage.join(max(0.0, deadline_s - time.monotonic()))

    def __enter__(self) -> AvatarPipeline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _state_of(self, frame: int) -> AvatarState:
        if self._state is not None:
            return self._state
        speaking = self._audio.utterance_at(frame * self._frame_samples)
        return AvatarState.SPEAKING if speaking else AvatarState.IDLE

    def _has_lead(self) -> bool:
        """Whether the next clip would still lie near enough to what is shown."""
        if self._lead_samples is None:
            return True
        clip_samples = self._planner.due_length * self._frame_samples
        ahead_samples = self._planner.next_frame * self._frame_samples - self._taken_samples
        return ahead_samples + clip_samples <= max(self._lead_samples, clip_samples)

    def _next_clip(self) -> tuple[ClipPlan, Float, Float, Float, float] | None:
        """Waits for the next plan: mel windows, motion frames, latent at rest, milliseconds."""
        quiet_s = time.monotonic() + _QUIET_S
        while True:
            with self._changed:
                if self._closed:
                    return None
                ready = self._audio.frames_ready(self._frame_samples)
                finished = self._audio.finished
                if finished and self._planner.next_frame >= ready:
                    return None
                plan = None
                if self._has_lead():
                    plan = self._planner.plan(ready, finished=finished, state_of=self._state_of)
                if plan is not None:
                    start_s = time.perf_counter()
                    first = plan.first_frame
                    mel = self._audio.mel_windows(first, plan.clip_length, self._frame_samples)
                    self._audio.discard_before((first - _PAST_FRAMES) * self._frame_samples)
                    motion_frames = self._history.motion_frames(plan)
                    spent_ms = (time.perf_counter() - start_s) * 1000.0
                    return plan, mel, motion_frames, self._rest, spent_ms
                foresee = self._calm and not self._has_foreseen()
                left_s = quiet_s - time.monotonic()
                if not foresee or left_s > 0.0:
                    self._changed.wait(left_s if foresee else None)
                    continue
            self._foresee()

    def _has_foreseen(self) -> bool:
        """Whether the next frame is among those foreseen."""
        known = self._foreseen.plan if self._foreseen is not None else None
        return known is not None and self._planner.next_frame < known.first_frame + known.clip_length

    def _foresee(self) -> None:
        """Makes the clip that follows if nothing is heard: a long one costs a fifth of eight short ones."""
        with self._changed:
            first, epoch, rest = self._planner.next_frame, self._planner.epoch, self._rest
            length = self._engine.manifest.clip_lengths[-1]
            states = np.array([self._state_of(first + i) for i in range(length)], np.int64)
            plan = ClipPlan(first, length, states, epoch)
            motion_frames = self._history.motion_frames(plan)
        silence = np.full((length, WINDOW_FRAMES, MEL_BINS), SILENCE, np.float32)
        latents, spent_ms = self._engine.pool.submit(self._generate, plan, silence, motion_frames).result()
        self._foreseen = _Foreseen(plan, rest, latents, spent_ms)

    def _made(
        self, plan: ClipPlan, mel_windows: Float, motion_frames: Float, rest: Float
    ) -> tuple[Float, dict[str, float]]:
        """A clip's latents, foreseen or new, and the milliseconds that each stage took."""
        silent = bool(mel_windows.max() <= SILENCE + _NO_SOUND)
        self._calm = silent and self._lead_samples is not None
        known = self._foreseen.of(plan, rest) if silent and self._foreseen is not None else None
        if known is not None:
            return known
        self._foreseen = None
        return self._engine.pool.submit(self._generate, plan, mel_windows, motion_frames).result()

    def _denoised(self) -> Iterator[_Clip]:
        while (job := self._next_clip()) is not None:
            plan, mel_windows, motion_frames, rest, features_ms = job
            latents, spent_ms = self._made(plan, mel_windows, motion_frames, rest)
            spent_ms["features"] = features_ms
            stage_ms = {name: ms / plan.clip_length for name, ms in spent_ms.items()}
            with self._changed:
                first, jump = plan.first_frame, self._rest - rest
                before, before_that = (self._shown.at(first - lag) - jump[0] for lag in (1, 2))
                clip = self._admit_clip(_Clip(plan, latents, before, stage_ms))
                if clip is not None:  # and an expression set meanwhile is the past's as well
                    shown = self._steady.filter(clip.latents, before, before_that)
                    self._history.store(first, clip.latents + jump)
                    self._shown.store(first, shown + jump)
                    clip = replace(clip, latents=shown)
                    if clip.plan.epoch != plan.epoch:  # a barge-in meanwhile: its past is at rest
                        self._history.settle(SPOKEN)
                        self._shown.settle(SPOKEN)
            if clip is not None:
                yield clip

    def _generate(
        self, plan: ClipPlan, mel_windows: Float, motion_frames: Float
    ) -> tuple[Float, dict[str, float]]:
        """A clip's latents, and the milliseconds that each stage took."""
        start_s = time.perf_counter()
        audio_emb = self._audio_encoder.run({"mel_windows": mel_windows})["audio_emb"]
        encoded_s = time.perf_counter()
        latents = self._denoiser.generate(plan, audio_emb, motion_frames)
        ended_s = time.perf_counter()
        spent_ms = {
            "audio_encoder": (encoded_s - start_s) * 1000.0,
            "denoise": (ended_s - encoded_s) * 1000.0,
        }
        return latents, spent_ms

    def _decoded(self) -> Iterator[Future[VideoFrame | None]]:
        submit = self._engine.pool.submit
        retimer, epoch, last = Retimer(self._model_fps, self.fps), 0, None
        for clip in self._clips:
            plan, last = clip.plan, clip
            with self._changed:
                cut = self._planner.cut_between(epoch, plan.epoch)
            if cut is not None:
                retimer.rewind(cut)
            epoch = plan.epoch
            for pts, index, latent in retimer.take(clip.before, clip.latents, plan.first_frame):
                yield submit(self._picture, clip, pts, index, latent)
        with self._changed:
            end_samples = self._audio.end_samples if self._audio.finished and not self._closed else 0
        if last is not None:
            for pts in retimer.hold(end_samples):
                yield submit(self._picture, last, pts, -1, last.latents[-1])

    def _ordered(self) -> Iterator[VideoFrame]:
        for future in self._decoding:
            if (frame := future.result()) is not None:
                yield frame

    def _picture(self, clip: _Clip, pts_samples: int, index: int, latent: Float) -> VideoFrame | None:
        """Decodes a frame; None where a barge-in has made it worthless: decoding takes longest."""
        with self._changed:
            cut = self._planner.cut_between(clip.plan.epoch, self._planner.epoch)
            if cut is not None and pts_samples >= cut:
                return None
            utterance_id = self._audio.utterance_at(pts_samples)
            added = self._expression.at(max(pts_samples, clip.plan.first_frame * self._frame_samples))
        start_s = time.perf_counter()
        controls = self._control_mean + self._control_std * latent.ravel() + added
        shown = within_reach(controls)
        if added.any() or (shown != controls).any():
            latent = ((shown - self._control_mean) / self._control_std).reshape(latent.shape)
        if self.watched:
            rgba = self._last_rgba = self._decoder.decode(latent)
        else:
            with self._kept:  # frames are decoded beside each other, but the one to keep only once
                if self._last_rgba is None:
                    self._last_rgba = self._decoder.decode(latent)
                rgba = self._last_rgba
        stage_ms = {**clip.stage_ms, "decode": (time.perf_counter() - start_s) * 1000.0}
        state = AvatarState(int(clip.plan.states[index]))
        return VideoFrame(rgba, pts_samples, utterance_id, clip.plan.epoch, state, stage_ms, shown)

    def _admit_clip(self, clip: _Clip) -> _Clip | None:
        """Drops the frames that barge-ins since have cleared; what is left gets the new epoch."""
        plan = clip.plan
        with self._changed:
            epoch = self._planner.epoch
            cut = self._planner.cut_between(plan.epoch, epoch)
            if cut is None:
                return clip
            keep = min(plan.clip_length, self._planner.first_frame_from(cut) - plan.first_frame)
        if keep < 1:
            return None
        plan = replace(plan, clip_length=keep, states=plan.states[:keep], epoch=epoch)
        return replace(clip, plan=plan, latents=clip.latents[:keep])

    def _admit_frame(self, frame: VideoFrame) -> VideoFrame | None:
        """Drops a frame that barge-ins since have cleared; others get the new epoch."""
        with self._changed:
            epoch = self._planner.epoch
            cut = self._planner.cut_between(frame.epoch, epoch)
        if cut is None:
            return frame
        return replace(frame, epoch=epoch) if frame.pts_samples < cut else None
