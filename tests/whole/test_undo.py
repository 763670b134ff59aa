"""Mail sent too soon: taken back by the command line while it waits, and heard of by IDLE when nobody takes it back."""

import os
import subprocess
import sys
import time
from pathlib import Path

from shared.testing.clients import Security
from shared.testing.mail_samples import plain_message
from shared.testing.process import ROOT
from shared.testing.world import Idle, World, message_id

HOLD_SECONDS = 8
"""Enough for the command line to start on a busy machine."""


def pillarbox(data: Path, *words: str) -> str:
    argv = [sys.executable, "-P", "-m", "shared.cli.main", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PILLARBOX_DATA": str(data)}
    return subprocess.run(argv, capture_output=True, env=environment, timeout=40, check=True, text=True).stdout


def test_what_was_sent_is_taken_back_or_comes_later(tmp_path: Path) -> None:
    with World(tmp_path, {"PILLARBOX_SMTP_IN__HOLD_SECONDS": str(HOLD_SECONDS)}) as world:
        alice, bob = world.new_user("alice"), world.new_user("bob")
        traces = []
        with world.smtp(alice, Security.STARTTLS, "submission") as client:
            for name in ("oops", "fine"):
                client.mail(alice.address)
                client.rcpt(bob.address)
                code, text = client.data(plain_message(f"{name}@undo.test", bob.address, alice.address))
                assert code == 250
                traces.append(text.decode().rpartition(" ")[2])
        sent = time.monotonic()
        data = world.stack.data_dir
        assert pillarbox(data, "queue", "recall", traces[0]) == "1 entry taken back\n"
        with world.imap(bob) as client:
            idle = Idle(client)
            assert idle.exists == 0
            idle.wait(lambda seen: seen.exists == 1)
            assert time.monotonic() >= sent + HOLD_SECONDS - 1
            idle.end()
        assert [message_id(message) for message in world.imap_messages(bob)] == ["fine@undo.test"]
        assert "taken back before it went to" in pillarbox(data, "trace", traces[0])
        assert "filed for" in pillarbox(data, "trace", traces[1])
