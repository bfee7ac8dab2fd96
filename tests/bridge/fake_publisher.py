"""Remembers which avatars it was told of."""

from __future__ import annotations

from bridge.avatar import AvatarSession


class FakePublisher:
    def __init__(self) -> None:
        self.offered: list[str] = []

    def add(self, session: AvatarSession) -> None:
        self.offered.append(session.avatar_id)

    def remove(self, avatar_id: str) -> None:
        self.offered.remove(avatar_id)
