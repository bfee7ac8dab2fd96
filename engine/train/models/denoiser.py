"""The denoising network: a small transformer over the latent video, conditioned as LLIA's denoising UNet is.

Each block: attention to the reference's bank (appearance ReferenceNet), to the frame's audio tokens (audio
layer), over time (motion module), and a feed-forward layer. The class label enters by an embedding added to
the time embedding; the face locator as a mask of the reference. Where LLIA publishes no detail, the choice
is ours.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from engine.train.models.audio_encoder import MOUTH_CONTROLS, MouthHead
from engine.train.models.config import ModelConfig
from engine.train.models.latent_space import LATENT_SHAPE
from engine.train.models.layers import ConvBlock, ResBlock


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

    def _expected(self, motion_frames: Tensor, length: int) -> Tensor:
        past = motion_frames.flatten(2).transpose(1, 2)
        past = torch.cat([past, torch.ones_like(past[:, :, :1])], dim=2)[:, :, None]
        return past @ self.forecast[:, :, :length]

    def latents(self, innovations: Tensor, motion_frames: Tensor) -> Tensor:
        """Innovations [B, F, C, 1, 1] -> latents of the same shape."""
        f = innovations.shape[1]
        with torch.autocast(innovations.device.type, enabled=False):  # half precision is too coarse here
            w = innovations.float().flatten(2).transpose(1, 2)[:, :, None]
            z = self._expected(motion_frames, f) + w @ self.factor[:, :f, :f].transpose(1, 2)
        return z[:, :, 0].transpose(1, 2)[..., None, None]

    def innovations(self, latents: Tensor, motion_frames: Tensor) -> Tensor:
        """The other way."""
        f = latents.shape[1]
        with torch.autocast(latents.device.type, enabled=False):
            z = latents.flatten(2).transpose(1, 2)[:, :, None] - self._expected(motion_frames, f)
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
    """Multi-head attention of queries [B, N, D] to a context [B, L, Dc] (Vaswani et al. 2017)."""

    def __init__(self, width: int, context_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_kv = nn.Linear(context_width, 2 * width, bias=False)
        self.to_out = nn.Linear(width, width)
        nn.init.zeros_(self.to_out.weight)

    def keys_values(self, context: Tensor) -> Tensor:
        """[B, L, Dc] -> [2, B, heads, L, D / heads]."""
        both: Tensor = self.to_kv(context).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return both

    def forward(self, x: Tensor, keys_values: Tensor) -> Tensor:
        q = self.to_q(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k, v = keys_values[0], keys_values[1]
        weights = torch.softmax(q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5), dim=-1)
        out: Tensor = self.to_out((weights @ v).transpose(1, 2).flatten(2))
        return out


class Block(nn.Module):
    """x [B, T, D] kept, a token per frame; T = motion frames + clip frames."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        d, h = config.width, config.heads
        self.norms = nn.ModuleList([nn.LayerNorm(d, elementwise_affine=False) for _ in range(4)])
        self.appearance = Attention(d, config.bank_width, h)
        self.audio = Attention(d, config.audio_width, h)
        self.motion = Attention(d, d, h)
        self.mlp = nn.Sequential(nn.Linear(d, 3 * d), nn.ReLU(), nn.Linear(3 * d, d))
        self.modulation = nn.Linear(d, 8 * d)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, cond: Tensor, audio_emb: Tensor, bank: Tensor, bias: Tensor) -> Tensor:
        """Cond [B, T, D], audio_emb [B, F, K, Da], bank [B, L, Db], bias [T, D] temporal positions."""
        b, t, d = x.shape
        f = audio_emb.shape[1]
        shifts = self.modulation(cond).chunk(8, dim=-1)

        def mod(i: int, x: Tensor) -> Tensor:
            scaled: Tensor = self.norms[i](x) * (1.0 + shifts[2 * i]) + shifts[2 * i + 1]
            return scaled

        x = x + self.appearance(mod(0, x), self.appearance.keys_values(bank))

        # Motion frames have no audio of their own: only the clip's frames listen.
        y = mod(1, x)[:, t - f :].reshape(b * f, 1, d)
        heard = self.audio(y, self.audio.keys_values(audio_emb.flatten(0, 1))).view(b, f, d)
        x = x + torch.cat([torch.zeros_like(x[:, : t - f]), heard], dim=1)

        y = mod(2, x) + bias
        x = x + self.motion(y, self.motion.keys_values(y))
        out: Tensor = x + self.mlp(mod(3, x))
        return out


class Denoiser(nn.Module):
    """(x, timestep, audio_emb, state, motion_frames, bank, ref_latent) -> x0, both as innovations.

    Shapes: x [B, F, C, 1, 1]; timestep [B] 0..1; audio_emb [B, F, K, Da]; state [B, F] int64;
    motion_frames [B, M, C, 1, 1]; bank [B, L, Db]; ref_latent [B, C, 1, 1]. Returns x0 [B, F, C, 1, 1];
    `prior.latents` makes latents of it. `mouth` is the audio encoder's teacher (stage `audio`), frozen.
    """

    MAX_FRAMES = 32

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        c, d = LATENT_SHAPE[0], config.width
        self.config = config
        self.prior = MotionPrior(config)
        self.mouth = MouthHead(config)
        self.stem = nn.Linear(4 * c + 1 + len(MOUTH_CONTROLS) + 1, d)
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

    def forward(
        self,
        x: Tensor,
        timestep: Tensor,
        audio_emb: Tensor,
        state: Tensor,
        motion_frames: Tensor,
        bank: Tensor,
        ref_latent: Tensor,
    ) -> Tensor:
        f, m = x.shape[1], motion_frames.shape[1]
        noisy = self.prior.latents(x, motion_frames).flatten(2)
        expected = self.prior.latents(torch.zeros_like(x), motion_frames).flatten(2)
        x, past = x.flatten(2), motion_frames.flatten(2)
        still = ref_latent.flatten(1)[:, None]
        # What the sound alone says of the mouth: the audio encoder's own reading, learned before.
        spoken = self.mouth(audio_emb.flatten(0, 1)).view(*x.shape[:2], -1)
        silent = torch.zeros_like(spoken[:, :1]).expand(-1, m, -1)
        ones = torch.ones_like(x[:, :, :1])
        now = torch.cat([x, noisy, expected, still.expand(-1, f, -1), ones, spoken], dim=2)
        gone = torch.zeros_like(past)
        before = torch.cat([gone, past, past, still.expand(-1, m, -1), gone[:, :, :1], silent], dim=2)
        y = self.stem(torch.cat([before, now], dim=1))
        angles = timestep[:, None] * self.frequencies
        time = self.time(torch.cat([angles.sin(), angles.cos()], dim=1))[:, None]
        heard = self.state(state) + self.sound(audio_emb.flatten(2)) + time
        cond = torch.relu(torch.cat([self.past.expand(len(x), m, -1), heard], dim=1))
        for block in self.blocks:
            y = block(y, cond, audio_emb, bank, self.time_position[: m + f])
        out: Tensor = self.out(self.out_norm(y[:, m:]))
        # At little noise x is already close to x0; and what nothing foretells may be taken from the noise.
        skip: Tensor = torch.cos(timestep * (math.pi / 2))[:, None, None] + self.skip(torch.relu(time))
        return (out + skip * x)[..., None, None]


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
