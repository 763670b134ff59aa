"""What the first start leaves in the data directory, and what a second store is told."""

import os
import stat
from pathlib import Path

import pytest

from shared.testing.process import ProcessFailed, RunningService
from shared.testing.stack import Stack


def modes(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): stat.S_IMODE(path.lstat().st_mode) for path in root.rglob("*")}


def test_layout_and_modes(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with RunningService("store", data):
        found = modes(data)
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        for name, mode in found.items():
            assert mode == (0o700 if (data / name).is_dir() else 0o600), name
        assert stat.S_ISSOCK((data / "run/store.sock").stat().st_mode)
        for role in ("smtp_in", "smtp_out", "imap", "pop3", "admin"):
            assert len((data / f"keys/{role}/key").read_bytes()) == 32
        for name in ("tls/cert.pem", "tls/key.pem", "store/pillarbox.db", "store/packs/00000001.pack", "keys/store/grants"):
            assert name in found
    assert not (data / "run/store.sock").exists()


def test_second_start_keeps_everything(tmp_path: Path) -> None:
    data = tmp_path / "data"
    kept = ("keys/imap/key", "keys/store/grants", "tls/cert.pem", "tls/key.pem")
    with RunningService("store", data):
        first = [(data / name).read_bytes() for name in kept]
    with RunningService("store", data):
        assert [(data / name).read_bytes() for name in kept] == first


def test_second_store_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with RunningService("store", data) as first:
        second = RunningService("store", data)
        with pytest.raises(ProcessFailed):
            second.start()
        second.stop()
        assert "another store runs" in second.log
        assert first.running


def test_stale_socket_is_replaced(tmp_path: Path) -> None:
    data = tmp_path / "data"
    store = RunningService("store", data)
    store.start()
    store.kill()
    assert (data / "run/store.sock").exists()
    with Stack(data, services=()) as stack:
        stack.add_account("alice@example.test")


def test_path_longer_than_a_socket_name_holds(tmp_path: Path) -> None:
    data = tmp_path / ("d" * 80) / ("e" * 80) / "data"
    data.parent.mkdir(parents=True)
    assert len(os.fsencode(str(data / "run/store.sock"))) > 160
    with Stack(data, services=()) as stack:
        stack.add_account("alice@example.test")
