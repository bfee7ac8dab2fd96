"""The denoising network: a small transformer over the latent video, conditioned as LLIA's denoising UNet is.

Each block: attention to the reference's bank (appearance ReferenceNet), to the frame's audio tokens (audio
layer), over time (motion module), and a feed-forward layer. The class label enters by an embedding added to
the time embedding; the face locator as a mask of the reference. Where LLIA publishes no detail, the choice
is ours.
"""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.train.models.audio_encoder import (
    MOUTH_CONTROLS,
    PRESSED_AT,
    READINGS,
    MouthHead,
    PhoneHead,
)
from engine.train.models.config import ModelConfig
from engine.train.models.latent_space import LATENT_SHAPE, LatentSpace
from engine.train.models.layers import ConvBlock, ResBlock
from engine.types import CONTROL_NAMES, AvatarState

PRESSED_SLOPE = 4.0
"""How steeply lips press about `PRESSED_AT`: log-odds that are an eighth more or less are sure."""


class MotionPrior(nn.Module):
    """What a clip looks like before any sound is heard: a linear forecast from the motion frames.

    Each latent number is forecast on its own by least squares; what the forecast misses has a covariance over
    the clip's frames. Its Cholesky factor makes white noise into motion as smooth as the data's, so the
    denoiser works on innovations: white, of unit variance, whatever the pace of the motion. Diffusion of
    what a regression leaves is CorrDiff's (Mardani et al. 2023, arXiv 2309.15214), noise that is correlated
    in time PYoCo's (Ge et al. 2023, arXiv 2305.10474); the two together are our choice.
    """

    FLOOR = 0.01
    """Least deviation of an innovation, in deviations of a control."""
    forecast: Tensor
    factor: Tensor
    inverse: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        c, f, m = LATENT_SHAPE[0], max(config.clip_lengths), config.motion_frames
        self.register_buffer("forecast", torch.zeros(c, m + 1, f))
        self.register_buffer("factor", torch.eye(f).repeat(c, 1, 1))
        self.register_buffer("inverse", torch.eye(f).repeat(c, 1, 1))

    @torch.no_grad()
    def fit(self, clips: Tensor, motion_frames: Tensor) -> None:
        """Sets the forecast from clips [N, F, C, 1, 1] of the longest length and their motion frames."""
        past = motion_frames.flatten(2).permute(2, 0, 1).double()
        past = torch.cat([past, torch.ones_like(past[:, :, :1])], dim=2)
        z = clips.flatten(2).permute(2, 0, 1).double()
        gram = past.transpose(1, 2) @ past + 1e-4 * len(clips) * torch.eye(past.shape[2], device=past.device)
        forecast = torch.linalg.solve(gram, past.transpose(1, 2) @ z)
        missed = z - past @ forecast
        size = z.shape[2]
        floor = self.FLOOR**2 * torch.eye(size, device=past.device)
        factor = torch.linalg.cholesky(missed.transpose(1, 2) @ missed / len(clips) + floor)
        self.forecast.copy_(forecast)
        self.factor.copy_(factor)
        self.inverse.copy_(torch.linalg.inv(factor))

    def expected(self, motion_frames: Tensor, length: int) -> Tensor:
        """The forecast of a clip, latents [B, F, C, 1, 1]."""
        b, c, m = int(motion_frames.shape[0]), self.forecast.shape[0], self.forecast.shape[1] - 1
        past = F.pad(motion_frames.reshape(b, m, c).transpose(1, 2), (0, 1), value=1.0)[:, :, None]
        with torch.autocast(motion_frames.device.type, enabled=False):  # half precision is too coarse here
            z = past.float() @ self.forecast[:, :, :length]
        return z[:, :, 0].transpose(1, 2)[..., None, None]

    def deviation(self, innovations: Tensor) -> Tensor:
        """What innovations [B, F, C, 1, 1] add to the forecast: latents of the same shape."""
        b, f, c = int(innovations.shape[0]), innovations.shape[1], self.factor.shape[0]
        with torch.autocast(innovations.device.type, enabled=False):
            w = innovations.float().reshape(b, -1, c).transpose(1, 2)[:, :, None]
            z = w @ self.factor[:, :f, :f].transpose(1, 2)
        return z[:, :, 0].transpose(1, 2)[..., None, None]

    def latents(self, innovations: Tensor, motion_frames: Tensor) -> Tensor:
        """Innovations [B, F, C, 1, 1] -> latents of the same shape."""
        return self.expected(motion_frames, innovations.shape[1]) + self.deviation(innovations)

    def innovations(self, latents: Tensor, motion_frames: Tensor) -> Tensor:
        """The other way."""
        f = latents.shape[1]
        with torch.autocast(latents.device.type, enabled=False):
            z = (latents.float() - self.expected(motion_frames, f)).flatten(2).transpose(1, 2)[:, :, None]
            w = z @ self.inverse[:, :f, :f].transpose(1, 2)
        return w[:, :, 0].transpose(1, 2)[..., None, None]


class AppearanceNet(nn.Module):
    """The reference picture as tokens for the denoiser: LLIA's appearance ReferenceNet in small.

    Premultiplied RGBA [B, 4, 96, 96] and the face locator's mask [B, 1, 6, 6] -> bank [B, 36, bank_width];
    learns with the denoiser.
    """

    GRID = (6, 6)

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        a, b, c = config.appearance
        self.net = nn.Sequential(
            nn.PixelUnshuffle(4), ConvBlock(64, a), ConvBlock(a, b, 2), ConvBlock(b, c, 2), ResBlock(c),
        )  # fmt: skip
        self.out = nn.Conv2d(c + 1, config.bank_width, 1)
        self.position = nn.Parameter(torch.randn(36, config.bank_width) * 0.02)

    def forward(self, picture: Tensor, face: Tensor) -> Tensor:
        features = self.out(torch.cat([self.net(picture), face], dim=1))
        bank: Tensor = features.flatten(2).transpose(1, 2) + self.position
        return bank


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017), a base of the two kinds below.

    A graph of few nodes runs fastest, and sizes that are constants of it need none: so either the batch is
    one (that of the example it is exported with) or the numbers of queries and keys are.
    """

    def __init__(self, width: int, heads: int, tokens: tuple[int, int] | None) -> None:
        """`tokens`: how many queries and keys there always are; None: any."""
        super().__init__()
        self.width, self.heads = width, heads
        self.queries = None if tokens is None else tokens[0]
        self.keys = None if tokens is None else tokens[1]
        self.to_out = nn.Linear(width, width)
        nn.init.zeros_(self.to_out.weight)

    def split(self, x: Tensor, parts: int, tokens: int | None) -> Tensor:
        """[B, N, parts * D] -> [B, parts * heads, N, d]."""
        batch, tokens = (int(x.shape[0]), -1) if tokens is None else (-1, tokens)
        return x.reshape(batch, tokens, parts * self.heads, self.width // self.heads).transpose(1, 2)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """[B, heads, N, d], [B, heads, L, d] twice -> [B, N, D]."""
        weights = torch.softmax(q @ k.transpose(-1, -2) * ((self.width // self.heads) ** -0.5), dim=-1)
        batch, tokens = (int(q.shape[0]), -1) if self.queries is None else (-1, self.queries)
        out: Tensor = self.to_out((weights @ v).transpose(1, 2).reshape(batch, tokens, self.width))
        return out


class CrossAttention(Attention):
    """Attention of the denoiser's tokens to a context [B, L, Dc]."""

    def __init__(
        self, width: int, context_width: int, heads: int, tokens: tuple[int, int] | None = None
    ) -> None:
        super().__init__(width, heads, tokens)
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_kv = nn.Linear(context_width, 2 * width, bias=False)

    def keys_values(self, context: Tensor) -> Tensor:
        """[B, L, Dc] -> [B, 2 * heads, L, d]: keys, then values."""
        return self.split(self.to_kv(context), 2, self.keys)

    def forward(self, x: Tensor, keys_values: Tensor) -> Tensor:
        k, v = keys_values.split(self.heads, dim=1)
        return self.attend(self.split(self.to_q(x), 1, self.queries), k, v)


class SelfAttention(Attention):
    """Attention of the denoiser's tokens to each other."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads, None)
        self.to_qkv = nn.Linear(width, 3 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.attend(*self.split(self.to_qkv(x), 3, None).split(self.heads, dim=1))


class Block(nn.Module):
    """x [B, T, D] kept, a token per frame; T = motion frames + clip frames."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        d, h = config.width, config.heads
        self.width, self.motion_frames = d, config.motion_frames
        self.norms = nn.ModuleList([nn.LayerNorm(d, elementwise_affine=False) for _ in range(4)])
        self.appearance = CrossAttention(d, config.bank_width, h)
        self.audio = CrossAttention(d, config.audio_width, h, (1, config.audio_tokens))
        self.motion = SelfAttention(d, h)
        self.mlp = nn.Sequential(nn.Linear(d, 3 * d), nn.ReLU(), nn.Linear(3 * d, d))
        self.modulation = nn.Linear(d, 8 * d)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(
        self, x: Tensor, past: Tensor, now: Tensor, audio_emb: Tensor, keys_values: Tensor, position: Tensor
    ) -> Tensor:
        """One block.

        Args:
            x: [B, T, D].
            past: condition of the motion frames [1, 1, D].
            now: condition of the clip's frames [B, F, D].
            audio_emb: [B * F, K, Da].
            keys_values: of the reference, `CrossAttention.keys_values` of `appearance`.
            position: temporal positions [T, D].
        """
        b, m = int(x.shape[0]), self.motion_frames
        # Motion frames are all conditioned alike: once is enough.
        before = self.modulation(past).expand(b, m, -1)
        shifts = torch.cat([before, self.modulation(now)], dim=1).split(self.width, dim=2)

        def mod(i: int, x: Tensor) -> Tensor:
            scaled: Tensor = self.norms[i](x) * (1.0 + shifts[2 * i]) + shifts[2 * i + 1]
            return scaled

        x = x + self.appearance(mod(0, x), keys_values)

        # Motion frames have no audio of their own: only the clip's frames listen.
        y = mod(1, x)[:, m:].reshape(-1, 1, self.width)
        heard = self.audio(y, self.audio.keys_values(audio_emb)).reshape(b, -1, self.width)
        x = x + F.pad(heard, (0, 0, m, 0))

        x = x + self.motion(mod(2, x) + position)
        out: Tensor = x + self.mlp(mod(3, x))
        return out


class Denoiser(nn.Module):
    """(x, timestep, audio_emb, state, motion_frames, bank, ref_latent) -> x0, both as innovations.

    Shapes: x [B, F, C, 1, 1]; timestep [B] 0..1; audio_emb [B, F, K, Da]; state [B, F] int64;
    motion_frames [B, M, C, 1, 1]; bank: `keys_values` of the appearance; ref_latent [B, C, 1, 1].
    Returns x0 [B, F, C, 1, 1]; `latents` makes latents of it. `mouth` and `phones` are the audio encoder's
    teachers (stage `audio`), frozen.
    """

    MAX_FRAMES = 32

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        c, d = LATENT_SHAPE[0], config.width
        self.config = config
        self.prior = MotionPrior(config)
        self.mouth = MouthHead(config)
        self.phones = PhoneHead(config)
        self.stem = nn.Linear(3 * c + 1 + READINGS, d)
        self.still = nn.Linear(c, d, bias=False)
        self.time_position = nn.Parameter(torch.randn(self.MAX_FRAMES, d) * 0.02)
        self.time = nn.Sequential(nn.Linear(32, d), nn.ReLU(), nn.Linear(d, d))
        self.state = nn.Embedding(3, d)
        self.past = nn.Parameter(torch.zeros(d))
        self.sound = nn.Linear(config.audio_tokens * config.audio_width, d)
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.blocks)])
        self.out_norm = nn.LayerNorm(d)
        self.out = nn.Linear(d, c)
        self.skip = nn.Linear(d, c)
        for layer in (self.out, self.skip):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.register_buffer("frequencies", torch.exp(torch.linspace(0.0, 5.0, 16)), persistent=False)
        self.frequencies: Tensor
        self.space = LatentSpace()
        places = torch.tensor([[float(m == n) for n in CONTROL_NAMES] for m in MOUTH_CONTROLS])
        self.register_buffer("places", places, persistent=False)
        self.register_buffer("spoken", places.sum(0), persistent=False)
        self.places: Tensor
        self.spoken: Tensor

    def keys_values(self, appearance: Tensor) -> Tensor:
        """What every block looks up in the reference's tokens [B, L, Db]: [B, blocks * 2 * heads, L, d].

        It depends on the picture alone, so it is found once per picture.
        """
        blocks = [cast(Block, block) for block in self.blocks]
        return torch.cat([block.appearance.keys_values(appearance) for block in blocks], dim=1)

    def forward(
        self,
        x: Tensor,
        timestep: Tensor,
        audio_emb: Tensor,
        state: Tensor,
        motion_frames: Tensor,
        bank: Tensor,
        ref_latent: Tensor,
        readings: Tensor | None = None,
    ) -> Tensor:
        b, f, m = int(x.shape[0]), x.shape[1], self.config.motion_frames
        c, d = LATENT_SHAPE[0], self.config.width
        tokens = self.config.audio_tokens
        # What the sound alone says of the mouth: the audio encoder's own reading, learned before.
        spoken = (self.readings(audio_emb) if readings is None else readings)[:, :, :READINGS]
        expected = self.prior.expected(motion_frames, f)
        noisy = (expected + self.prior.deviation(x)).reshape(b, -1, c)
        x, past, expected = (z.reshape(b, -1, c) for z in (x, motion_frames, expected))
        audio_emb = audio_emb.reshape(-1, tokens, self.config.audio_width)
        now = torch.cat([F.pad(torch.cat([x, noisy, expected], dim=2), (0, 1), value=1.0), spoken], dim=2)
        before = F.pad(torch.cat([past, past], dim=2), (c, 1 + READINGS))
        y = self.stem(torch.cat([before, now], dim=1)) + self.still(ref_latent.reshape(b, 1, c))
        angles = timestep[:, None] * self.frequencies
        time = self.time(torch.cat([angles.sin(), angles.cos()], dim=1))[:, None]
        sound = self.sound(audio_emb.reshape(-1, tokens * self.config.audio_width)).view(b, -1, d)
        cond = torch.relu(self.state(state) + sound + time)
        gone = torch.relu(self.past)[None, None]
        position = self.time_position[: m + f]
        banks = bank.split(2 * self.config.heads, dim=1)
        for block, keys_values in zip(self.blocks, banks, strict=True):
            y = block(y, gone, cond, audio_emb, keys_values, position)
        out: Tensor = self.out(self.out_norm(y[:, m:]))
        # At little noise x is already close to x0; and what nothing foretells may be taken from the noise.
        skip: Tensor = torch.cos(timestep * (math.pi / 2))[:, None, None] + self.skip(torch.relu(time))
        return (out + skip * x)[..., None, None]

    def readings(self, audio_emb: Tensor) -> Tensor:
        """What the audio encoder's heads read off audio_emb [B, F, K, Da]: [B, F, READINGS + 1].

        Last are the log-odds of p, b and m.
        """
        tokens = audio_emb.reshape(-1, self.config.audio_tokens, self.config.audio_width)
        read = torch.cat([self.mouth(tokens), self.phones.bilabial(tokens)], dim=1)
        return read.view(int(audio_emb.shape[0]), -1, READINGS + 1)

    def latents(self, x0: Tensor, readings: Tensor, state: Tensor, motion_frames: Tensor) -> Tensor:
        """The latents of a clip [B, F, C, 1, 1] from its innovations; `readings` as of the method.

        While the avatar speaks its lips are what the audio encoder reads off the sound: a sample misses more
        closures than the mean, and the fewer frames a clip has the more. Whether they are pressed together is
        decided by the phones: a mean of pressed and open lips is neither.
        """
        z = self.prior.latents(x0, motion_frames)
        read, bilabial = readings.split([READINGS, 1], dim=2)
        jaw, close, rest, _ = read.clamp(0.0, 1.0).split([1, 1, len(MOUTH_CONTROLS) - 2, 1], dim=2)
        pressed = ((bilabial - PRESSED_AT) * PRESSED_SLOPE + 0.5).clamp(0.0, 1.0)
        # Of a jaw that is shut anyway the lips are only as close as they are read.
        sure = ((jaw - 0.05) * 10.0).clamp(0.0, 1.0)
        close = close + sure * (pressed - close)
        lips = self.space(torch.cat([jaw, close, rest], dim=2) @ self.places).reshape(z.shape)
        speaking = (state == int(AvatarState.SPEAKING)).to(z.dtype)[..., None, None, None]
        made: Tensor = z + speaking * self.spoken[:, None, None] * (lips - z)
        return made


class LatentDiscriminator(nn.Module):
    """Real or generated? Reads a window of latents and their audio: [B, F, C, 1, 1], [B, F, K, Da] -> [B, F].

    A small one in latent space, as LLIA trains its consistency model with a discriminator; its form is ours.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        d = config.width
        self.latent = nn.Linear(2 * LATENT_SHAPE[0], d)
        self.audio = nn.Linear(config.audio_tokens * config.audio_width, d)
        self.state = nn.Embedding(3, d)
        self.net = nn.Sequential(
            nn.LeakyReLU(0.2), nn.Conv1d(d, d, 3, 1, 1), nn.LeakyReLU(0.2), nn.Conv1d(d, d, 3, 1, 1),
            nn.LeakyReLU(0.2), nn.Conv1d(d, 1, 1),
        )  # fmt: skip

    def forward(self, latents: Tensor, audio_emb: Tensor, state: Tensor, ref_latent: Tensor) -> Tensor:
        ref = ref_latent[:, None].expand_as(latents)
        joined = torch.cat([latents, ref], dim=2).flatten(2)
        y = self.latent(joined) + self.audio(audio_emb.flatten(2)) + self.state(state)
        scores: Tensor = self.net(y.transpose(1, 2))[:, 0]
        return scores
