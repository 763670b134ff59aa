"""`pillarbox up --demo` from a copy of the tree: what a person sees after one command, and that it ends when told."""

import imaplib
import re
import shutil
import sys
from pathlib import Path

from shared.testing.clients import HOST
from shared.testing.process import PORT_SETTINGS, ROOT, Process, clean_environment, default_settings
from shared.testing.world import unverified

PARTS = ("services", "shared", "deploy")


def test_up_demo_from_a_copy_of_the_tree(tmp_path: Path) -> None:
    copy = tmp_path / "clone"
    copy.mkdir()
    for part in PARTS:
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__", "testing"))
    env = clean_environment() | default_settings(*PORT_SETTINGS) | {"PYTHONPATH": str(copy), "PYTHONUNBUFFERED": "1"}
    del env["PILLARBOX_AUTH__PLAINTEXT_NETWORKS"]  # as it comes: no password without TLS
    argv = [sys.executable, "-m", "shared.cli.main", "up", "--demo", "--data", str(tmp_path / "data")]
    with Process("pillarbox up", argv, env, copy) as up:
        (ready,) = up.wait_for_log("^ready: ", 30)
        ports = {name: int(port) for name, port in re.findall(r"(\w+) 127\.0\.0\.1:(\d+)", ready)}
        assert set(ports) == {"smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s"}
        up.wait_for_log("sees it by IMAP")
        up.wait_for_log("sees it by POP3")
        up.wait_for_log("settings for a mail")
        assert "failed:" not in up.log
        (line,) = up.wait_for_log("account bob@example.test password")
        # the password that was shown is Bob's, and the message is there
        with imaplib.IMAP4_SSL(HOST, ports["imaps"], ssl_context=unverified(), timeout=20) as client:
            client.login("bob@example.test", line.split()[-1])
            assert client.select("INBOX", readonly=True) == ("OK", [b"1"])
        assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
        assert up.stop() == 0
