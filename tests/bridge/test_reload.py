"""Settings that change while the daemon runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge import reload
from bridge.config import LogSettings, Settings
from bridge.config_reader import read_settings
from bridge.errors import SettingError
from bridge.reload import Reloader


class Reloading:
    """A file, what reads it, and what was put in force."""

    def __init__(self, folder: Path, text: str = "") -> None:
        self.file = folder / "my.toml"
        self.file.write_text(text)
        self.applied: list[LogSettings] = []
        self.reloader = Reloader(self._read(), self._read, self.file)
        self.reloader.register("log", self.applied.append)

    def _read(self) -> Settings:
        return read_settings(self.file, {}, environment={})


def test_what_can_change_does_and_the_rest_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "bridge")
    reloading = Reloading(tmp_path, "[engine]\nfps = 30\n")
    reloading.file.write_text("[log]\nlevel = 'info'\n[page]\nport = 1\n[engine]\nfps = 30\nsize_px = 512\n")
    reloading.reloader.reload()
    assert reloading.applied == [LogSettings(level="info")]
    assert caplog.messages == [
        "in force now: log.level = 'info'",
        "needs a restart: engine.size_px, page.port",
    ]
    assert reloading.reloader.settings.log.level == "info"
    assert (reloading.reloader.settings.page.port, reloading.reloader.settings.engine.fps) == (5580, 30)
    caplog.clear()
    reloading.reloader.reload()
    assert len(reloading.applied) == 1
    assert caplog.messages == ["needs a restart: engine.size_px, page.port"]


@pytest.mark.parametrize("text", ["[log]\nlevel = 'loud'\n", "[engine]\nfps = 0\n", "[", None])
def test_a_wrong_file_changes_nothing_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str | None
) -> None:
    reloading = Reloading(tmp_path)
    if text is None:
        reloading.file.unlink()
    else:
        reloading.file.write_text("[log]\nformat = 'json'\n" + text)
    reloading.reloader.reload()
    assert not reloading.applied and reloading.reloader.settings == Settings()
    (message,) = caplog.messages
    assert message.startswith(f"the settings stay as they were: {reloading.file}: ")


def test_what_fails_to_change_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    reloading = Reloading(tmp_path, "[log]\nlevel = 'info'\n")

    def fail(log: LogSettings) -> None:
        raise SettingError("log.file = '/no': cannot be written")

    reloading.reloader.register("log", fail)
    reloading.file.write_text("[log]\nlevel = 'error'\n")
    reloading.reloader.reload()
    assert reloading.reloader.settings.log.level == "info"
    assert caplog.messages == ["the section log stays as it was: log.file = '/no': cannot be written"]


def test_a_changed_file_is_noticed_where_that_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "WATCH_S", 0.0)
    for watch in (False, True):
        reloading = Reloading(tmp_path, f"[daemon]\nwatch_config = {str(watch).lower()}\n")
        assert not reloading.reloader.file_changed()
        other = tmp_path / "new.toml"
        other.write_text(reloading.file.read_text() + "[log]\n")
        os.replace(other, reloading.file)
        assert reloading.reloader.file_changed() == watch
        assert not reloading.reloader.file_changed()
        reloading.file.unlink()
        assert not reloading.reloader.file_changed()


def test_the_file_is_not_looked_at_all_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload, "WATCH_S", 3_600.0)
    reloading = Reloading(tmp_path, "[daemon]\nwatch_config = true\n")
    reloading.file.write_text("")
    assert not reloading.reloader.file_changed()
