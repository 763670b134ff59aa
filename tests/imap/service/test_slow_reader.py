"""A client that asks for much and reads nothing costs a bounded buffer, and is dropped; nobody else notices."""

from pathlib import Path

from shared.testing.imap_client import ImapClient
from shared.testing.stack import PASSWORD, Stack

MESSAGE = b"Subject: x\r\n\r\n" + b"0123456789abcdef" * 8192
BATCHES_OCTETS = 24 * 1024 * 1024
"""More than three batches, much less than what was asked for."""


def resident(pid):
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024


def test_slow_reader(tmp_path):
    settings = {"PILLARBOX_LIMITS__SEND_SECONDS": "1"}
    with Stack(tmp_path / "data", services=("imap",), settings=settings) as stack:
        stack.add_account("a@example.test")
        port = stack.port("imap")
        with ImapClient(port) as slow, ImapClient(port) as other:
            slow.login("a@example.test", PASSWORD)
            other.login("a@example.test", PASSWORD)
            for _ in range(40):
                assert slow.append(b"INBOX", MESSAGE).ok
            slow.ok("SELECT INBOX")
            other.ok("SELECT INBOX")
            before = resident(stack["imap"].pid)
            # twenty times all 40 messages: 100 MiB
            for _ in range(20):
                slow.start(b"FETCH 1:* BODY.PEEK[]")
            assert len(other.ok("FETCH 1:* (UID BODY.PEEK[HEADER])").untagged) == 40
            assert resident(stack["imap"].pid) < before + BATCHES_OCTETS
            # nothing is read, so nothing can be sent: after a second the connection is given up
            stack["imap"].wait_for_log("session ended.*took no data")
            assert other.ok("NOOP").ok
