from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
import zmq

from bridge.cli import main
from bridge.errors import KeyFileError
from bridge.keys import admit_as_client, make_keys, server_keys


def test_keys_are_made_once_and_for_the_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    made = make_keys(folder, "unity")
    assert [str(file.relative_to(folder)) for file in made] == [
        "server.key", "server.key_secret", "clients/unity.key", "clients/unity.key_secret",
    ]  # fmt: skip
    keys = server_keys(folder)
    assert len(keys.public) == len(keys.secret) == 40
    assert [file.name for file in make_keys(folder, "obs")] == ["obs.key", "obs.key_secret"]
    assert server_keys(folder) == keys
    if sys.platform != "win32":
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in folder.rglob("*.key_secret")} == {0o600}


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    make_keys(tmp_path, "unity")
    before = (tmp_path / "clients" / "unity.key_secret").read_text()
    with pytest.raises(KeyFileError, match="exists"):
        make_keys(tmp_path, "unity")
    assert (tmp_path / "clients" / "unity.key_secret").read_text() == before


@pytest.mark.parametrize("name", ["", "../evil", "a/b", ".hidden", "x" * 65, "a b"])
def test_names_are_plain(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyFileError, match="no name"):
        make_keys(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_missing_and_damaged_keys_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="llia keys"):
        server_keys(tmp_path)
    for text in ("", "not a key", 'curve\n    public-key = "short"\n'):
        (tmp_path / "server.key_secret").write_text(text)
        with pytest.raises(KeyFileError, match="no ZeroMQ key file"):
            server_keys(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(KeyFileError, match="cannot be written"):
        make_keys(tmp_path / "file", "unity")
    context = zmq.Context[zmq.Socket[bytes]]()
    with context.socket(zmq.DEALER) as socket, pytest.raises(KeyFileError, match="no client's keys"):
        admit_as_client(socket, tmp_path)
    context.term()


def test_the_command_says_what_to_do_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:

    assert main(["keys", str(tmp_path / "keys"), "--client", "unity"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("made") == 4 and "sockets.keys=" in shown and "unity.key_secret" in shown
    assert main(["keys", str(tmp_path / "keys"), "--client", "unity"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
