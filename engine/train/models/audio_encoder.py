"""Log-mel windows -> audio tokens, one set per video frame; streaming: a window is all it sees."""

from __future__ import annotations

from torch import Tensor, nn

from engine.features import MEL_BINS
from engine.train.data.coarticulation import PHONES
from engine.train.models.config import ModelConfig

MOUTH_CONTROLS = (
    "jawOpen",
    "mouthClose",
    "mouthStretch",
    "mouthPucker",
    "mouthRollLower",
    "tongueUp",
)
"""Controls that the sound decides; the head that predicts them teaches the encoder."""


class AudioEncoder(nn.Module):
    """mel_windows [N, 40, 40] (time, mel) -> audio_emb [N, K=10, D=128]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        c = config.audio
        self.net = nn.Sequential(
            nn.Conv1d(MEL_BINS, c, 5, 1, 2), nn.BatchNorm1d(c), nn.ReLU(),
            nn.Conv1d(c, c, 5, 2, 2), nn.BatchNorm1d(c), nn.ReLU(),
            nn.Conv1d(c, c, 5, 1, 2), nn.BatchNorm1d(c), nn.ReLU(),
            nn.Conv1d(c, c, 5, 2, 2), nn.BatchNorm1d(c), nn.ReLU(),
            nn.Conv1d(c, c, 3, 1, 1), nn.BatchNorm1d(c), nn.ReLU(),
            nn.Conv1d(c, config.audio_width, 3, 1, 1),
        )  # fmt: skip

    def forward(self, windows: Tensor) -> Tensor:
        tokens: Tensor = self.net(windows.transpose(1, 2)).transpose(1, 2)
        return tokens


PRESSED_AT = -0.75
"""Lips press together where the log-odds of p, b and m are beyond this (our choice, docs/experiments.md)."""
NEXT_SHARE = 0.375
"""What the token of 40 ms later counts in these odds; the frame's own token is the rest."""
MOST_ODDS = 11.5
"""Log-odds of one token count up to this, for and against."""
BILABIALS = [PHONES.index(name) for name in "pbm"]
OTHERS = [index for index, name in enumerate(PHONES) if name not in "pbm"]
READINGS = len(MOUTH_CONTROLS) + 1
"""What `MouthHead` reads: the controls, and the aperture that they leave."""


class MouthHead(nn.Module):
    """audio_emb [N, K, D] -> the mouth controls and, last, the aperture: [N, READINGS]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(config.audio_tokens * config.audio_width, 192),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Linear(192, READINGS),
        )

    def forward(self, audio_emb: Tensor) -> Tensor:
        readings: Tensor = self.net(audio_emb)
        return readings


class PhoneHead(nn.Module):
    """audio_emb [N, K, D] -> scores of the phones at every token [N, K, phones]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.ReLU(), nn.Linear(config.audio_width, len(PHONES)))

    def forward(self, audio_emb: Tensor) -> Tensor:
        scores: Tensor = self.net(audio_emb)
        return scores

    def bilabial(self, audio_emb: Tensor) -> Tensor:
        """Log-odds that p, b or m is said: [N, 1].

        Of the frame's time and of 40 ms later, as long as a frame stands: one glimpse of a closure may be a
        t or n, two seldom are. Tokens are 40 ms apart, and the last but one is the frame's own.
        """
        scores = self(audio_emb[:, -2:])
        odds = scores[:, :, BILABIALS].logsumexp(dim=2) - scores[:, :, OTHERS].logsumexp(dim=2)
        odds = odds.clamp(-MOST_ODDS, MOST_ODDS)
        both: Tensor = (1.0 - NEXT_SHARE) * odds[:, :1] + NEXT_SHARE * odds[:, 1:]
        return both
