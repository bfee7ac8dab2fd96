"""Log-mel windows -> audio tokens, one set per video frame; streaming: a window is all it sees."""

from __future__ import annotations

from torch import Tensor, nn

from engine.features import MEL_BINS
from engine.train.models.config import ModelConfig

MOUTH_CONTROLS = (
    "jawOpen",
    "mouthClose",
    "mouthStretch",
    "mouthPucker",
    "mouthRollLower",
    "tongueUp",
)
"""Controls that the sound decides; the head that predicts them teaches the encoder and is not exported."""


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


class MouthHead(nn.Module):
    """audio_emb [N, K, D] -> the mouth controls and, last, the aperture: [N, 7]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(config.audio_tokens * config.audio_width, 192),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Linear(192, len(MOUTH_CONTROLS) + 1),
        )

    def forward(self, audio_emb: Tensor) -> Tensor:
        controls: Tensor = self.net(audio_emb)
        return controls


class PhoneHead(nn.Module):
    """audio_emb [N, K, D] -> scores of the phones at every token [N, K, phones]; training only."""

    def __init__(self, config: ModelConfig, phones: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.ReLU(), nn.Linear(config.audio_width, phones))

    def forward(self, audio_emb: Tensor) -> Tensor:
        scores: Tensor = self.net(audio_emb)
        return scores
