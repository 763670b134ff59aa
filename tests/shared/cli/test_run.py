"""`pillarbox run SERVICE` and the health check: what a container does."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.cli.invocation import CommandFailed
from shared.cli.run import wait_for_store_files
from shared.config.load import load_settings
from shared.testing.process import ROOT, Process, RunningService


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunningService]:
    """A store on a fresh data directory."""
    with RunningService("store", tmp_path / "data", {"PILLARBOX_OBSERVE__STORE_PORT": "0"}) as running:
        yield running


def command(store: RunningService, *words: str, **more: str) -> Process:
    """A command in the environment of a container that shares the store's volumes."""
    # store.env names the ready pipe of the store's process: a number that means another file here, or none, and must do no harm
    ports = {"PILLARBOX_POP3__PORT": "0", "PILLARBOX_POP3__TLS_PORT": "0", "PILLARBOX_OBSERVE__POP3_PORT": "0"}
    return Process(words[-1], [sys.executable, "-P", *words], {**store.env, **ports, **more})


def test_one_worker_becomes_the_service(store: RunningService) -> None:
    with command(store, "-m", "shared.cli.main", "run", "pop3") as process:
        process.wait_for_log("ready")
        words = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
        assert words[1:4] == [b"-P", b"-m", b"services.pop3"]
        assert process.stop() == 0


def test_several_workers_are_supervised(store: RunningService) -> None:
    with RunningService("pop3", store.data_dir) as probe:
        port = str(probe.port("pop3"))
    variables = {"PILLARBOX_POP3__WORKERS": "2", "PILLARBOX_POP3__PORT": port}
    with command(store, "-m", "shared.cli.main", "run", "pop3", **variables) as process:
        process.wait_for_log(r"^pop3\.1 \| .*ready")
        process.wait_for_log(r"^pop3\.2 \| .*ready")
        assert process.stop() == 0


def test_waits_for_what_the_store_makes_first(tmp_path: Path) -> None:
    settings = load_settings(None, {"PILLARBOX_DATA": str(tmp_path)})
    with pytest.raises(CommandFailed, match="keys/imap/key is not there"):
        wait_for_store_files(settings, "imap", 0.0)
    for name in ("imap", "smtp_out"):
        (tmp_path / "keys" / name).mkdir(parents=True)
        (tmp_path / "keys" / name / "key").write_bytes(bytes(32))
    with pytest.raises(CommandFailed, match=r"tls/cert\.pem is not there"):
        wait_for_store_files(settings, "imap", 0.0)
    wait_for_store_files(settings, "smtp_out", 0.0)
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "cert.pem").touch()
    (tmp_path / "tls" / "key.pem").touch()
    wait_for_store_files(settings, "imap", 0.0)


def health(environment: dict[str, str], *services: str) -> "subprocess.CompletedProcess[str]":
    """One health check."""
    argv = [sys.executable, "-P", "-m", "shared.cli.healthcheck", *services]
    return subprocess.run(argv, env={**environment, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=30)


def test_the_health_check_tells_well_from_gone(store: RunningService) -> None:
    _, port = store.metrics_address()
    environment = {**store.env, "PILLARBOX_OBSERVE__STORE_PORT": str(port)}
    assert health(environment, "store").returncode == 0
    store.stop()
    gone = health(environment, "store")
    assert gone.returncode == 1
    assert gone.stdout.startswith("store: ")
    assert health(environment).returncode == 2
    assert health(environment, "web").returncode == 2


def test_the_health_check_imports_little() -> None:
    code = "import sys, shared.cli.healthcheck; print(*sys.modules)"
    env = {"PYTHONPATH": str(ROOT)}
    loaded = subprocess.run([sys.executable, "-P", "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert not {"trio", "msgpack", "sqlalchemy", "ssl"} & set(loaded.split())
