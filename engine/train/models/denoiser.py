"""The denoising network: a small transformer over the latent video, conditioned as LLIA's denoising UNet is.

Each block: self-attention over the frame's own tokens and the reference's bank (appearance ReferenceNet),
cross-attention to the frame's audio tokens (audio layer), attention over time (motion module) and a
feed-forward layer. The class label enters by an embedding added to the time embedding; the face locator
as a mask channel of the reference. Where LLIA publishes no detail, the choice is ours.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from engine.train.models.config import ModelConfig
from engine.train.models.layers import ConvBlock, ResBlock


class AppearanceNet(nn.Module):
    """The reference picture as tokens for the denoiser: LLIA's appearance ReferenceNet in small.

    Premultiplied RGBA [B, 4, 96, 96] -> bank [B, 36, bank_width]; learns with the denoiser.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        a, b, c = config.appearance
        self.net = nn.Sequential(
            nn.PixelUnshuffle(4), ConvBlock(64, a), ConvBlock(a, b, 2), ConvBlock(b, c, 2), ResBlock(c),
            nn.Conv2d(c, config.bank_width, 1),
        )  # fmt: skip
        self.position = nn.Parameter(torch.randn(36, config.bank_width) * 0.02)

    def forward(self, picture: Tensor) -> Tensor:
        bank: Tensor = self.net(picture).flatten(2).transpose(1, 2) + self.position
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
    """x [B, T, N, D] kept; T = motion frames + clip frames, N tokens per frame."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        d, h = config.width, config.heads
        self.norms = nn.ModuleList([nn.LayerNorm(d, elementwise_affine=False) for _ in range(4)])
        self.spatial = Attention(d, d, h)
        self.to_bank = nn.Linear(config.bank_width, 2 * d, bias=False)
        self.audio = Attention(d, config.audio_width, h)
        self.motion = Attention(d, d, h)
        self.mlp = nn.Sequential(nn.Linear(d, 3 * d), nn.ReLU(), nn.Linear(3 * d, d))
        self.modulation = nn.Linear(d, 8 * d)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, cond: Tensor, audio_emb: Tensor, bank: Tensor, bias: Tensor) -> Tensor:
        """Cond [B, T, D], audio_emb [B, F, K, Da], bank [B, L, Db], bias [T, N, D] temporal positions."""
        b, t, n, d = x.shape
        f = audio_emb.shape[1]
        shifts = self.modulation(cond)[:, :, None].chunk(8, dim=-1)

        def mod(i: int, x: Tensor) -> Tensor:
            scaled: Tensor = self.norms[i](x) * (1.0 + shifts[2 * i]) + shifts[2 * i + 1]
            return scaled

        y = mod(0, x).reshape(b * t, n, d)
        heads = self.spatial.heads
        bank_kv = self.to_bank(bank).unflatten(-1, (2, heads, -1)).permute(2, 0, 3, 1, 4)
        bank_kv = bank_kv[:, :, None].expand(-1, -1, t, -1, -1, -1).flatten(1, 2)
        x = x + self.spatial(y, torch.cat([self.spatial.keys_values(y), bank_kv], dim=3)).view(b, t, n, d)

        # Motion frames have no audio of their own: only the clip's frames listen.
        y = mod(1, x)[:, t - f :].reshape(b * f, n, d)
        heard = self.audio(y, self.audio.keys_values(audio_emb.flatten(0, 1))).view(b, f, n, d)
        x = x + torch.cat([torch.zeros_like(x[:, : t - f]), heard], dim=1)

        y = (mod(2, x) + bias).transpose(1, 2).reshape(b * n, t, d)
        moved = self.motion(y, self.motion.keys_values(y)).view(b, n, t, d).transpose(1, 2)
        x = x + moved
        out: Tensor = x + self.mlp(mod(3, x))
        return out


class Denoiser(nn.Module):
    """(x, timestep, audio_emb, state, motion_frames, bank, ref_latent, face) -> x0.

    Shapes: x [B, F, C, h, w]; timestep [B] 0..1; audio_emb [B, F, K, Da]; state [B, F] int64;
    motion_frames [B, M, C, h, w]; bank [B, L, Db]; ref_latent [B, C, h, w]; face [B, 1, h, w], the face
    locator's mask. Returns x0 [B, F, C, h, w].
    """

    MAX_FRAMES = 32

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        c, h, w = config.latent
        d = config.width
        self.config = config
        self.stem = nn.Linear(2 * c + 2, d)
        self.position = nn.Parameter(torch.randn(h * w, d) * 0.02)
        self.time_position = nn.Parameter(torch.randn(self.MAX_FRAMES, 1, d) * 0.02)
        self.time = nn.Sequential(nn.Linear(32, d), nn.ReLU(), nn.Linear(d, d))
        self.state = nn.Embedding(3, d)
        self.past = nn.Parameter(torch.zeros(d))
        self.sound = nn.Linear(config.audio_tokens * config.audio_width, d)
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.blocks)])
        self.out_norm = nn.LayerNorm(d)
        self.out = nn.Linear(d, c)
        nn.init.zeros_(self.out.weight)
        self.register_buffer("frequencies", torch.exp(torch.linspace(0.0, 5.0, 16)))
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
        face: Tensor,
    ) -> Tensor:
        b, f, c, h, w = x.shape
        m = motion_frames.shape[1]
        t = m + f
        latents = torch.cat([motion_frames, x], dim=1)
        still = torch.cat([ref_latent, face], dim=1)[:, None].expand(-1, t, -1, -1, -1)
        is_past = torch.cat([torch.ones_like(motion_frames[:, :, :1]), torch.zeros_like(x[:, :, :1])], dim=1)
        tokens = torch.cat([latents, still, is_past], dim=2).flatten(3).transpose(2, 3)
        y = self.stem(tokens) + self.position
        angles = timestep[:, None] * self.frequencies
        time = self.time(torch.cat([angles.sin(), angles.cos()], dim=1))[:, None]
        now = self.state(state) + self.sound(audio_emb.flatten(2)) + time
        cond = torch.relu(torch.cat([self.past.expand(b, m, -1), now], dim=1))
        bias = self.time_position[:t]
        for block in self.blocks:
            y = block(y, cond, audio_emb, bank, bias)
        out: Tensor = self.out(self.out_norm(y[:, m:])).transpose(2, 3).reshape(b, f, c, h, w)
        # At little noise x is already close to x0: the skip leaves the network the rest.
        skip = torch.cos(timestep * (math.pi / 2)).view(-1, 1, 1, 1, 1)
        return out + skip * x


class LatentDiscriminator(nn.Module):
    """Real or generated? Reads a window of latents and their audio: [B, F, C, h, w], [B, F, K, Da] -> [B, F].

    A small one in latent space, as LLIA trains its consistency model with a discriminator; its form is ours.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        c, h, w = config.latent
        d = config.width
        self.latent = nn.Linear(2 * c * h * w, d)
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
