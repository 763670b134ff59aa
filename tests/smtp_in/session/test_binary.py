"""What came as BINARYMIME becomes lines before it is stored, in memory and in the file."""

from pathlib import Path

from services.smtp_in.binary import to_lines
from services.smtp_in.protocol import replies
from services.smtp_in.protocol.commands import Body, Mail
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.spool import MemoryBudget, Spool, Spooled, SpoolLimits
from services.smtp_in.transaction import Client, Transaction
from shared.mail.transfer import make_decoder
from shared.testing.runner import trio_test

HEAD = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: "
OCTETS = bytes(range(256))


async def stored(directory: Path, content: bytes, body: Body = Body.BINARY_MIME) -> bytes | Reply:
    transaction = Transaction("t", Client("192.0.2.1", submission=False), Mail(None, body=body))
    spool = Spool(SpoolLimits(directory, 256 * 1024, 512 * 1024, MemoryBudget(1 << 30)), lambda head, _: head)
    try:
        for start in range(0, len(content), 50_000):
            if spool.add(content[start : start + 50_000]):
                await spool.flush()
        spooled = await spool.finish()
        assert isinstance(spooled, Spooled)
        assert spool.on_disk == (len(content) > 256 * 1024)
        lines = await to_lines(transaction, spool, spooled)
        if isinstance(lines, Reply):
            return lines
        assert lines.header == spooled.header
        return lines.data[:]
    finally:
        spool.close()


@trio_test
async def test_octets_become_base64(tmp_path: Path) -> None:
    for count in (1, 5000):
        found = await stored(tmp_path, HEAD + b"binary\r\n\r\n" + OCTETS * count)
        assert isinstance(found, bytes)
        assert found.startswith(HEAD + b"base64\r\n")
        assert found.count(b"\n") == found.count(b"\r") == found.count(b"\r\n")
        decoder = make_decoder("base64")
        assert decoder is not None
        assert decoder.feed(found.partition(b"\r\n\r\n")[2]) + decoder.finish() == OCTETS * count
        assert list(tmp_path.iterdir()) == []


@trio_test
async def test_what_is_lines_stays(tmp_path: Path) -> None:
    for content in (b"Subject: x\r\n\r\n" + "한글\r\n".encode() * count for count in (1, 100_000)):
        assert await stored(tmp_path, content) == content
        assert await stored(tmp_path, HEAD + b"binary\r\n\r\n" + OCTETS, Body.EIGHT_BIT_MIME) == HEAD + b"binary\r\n\r\n" + OCTETS


@trio_test
async def test_what_cannot_be_stored(tmp_path: Path) -> None:
    assert await stored(tmp_path, b"Subject: x\ny\r\n\r\n") == replies.BARE_NEWLINE
    signed = b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n%b\0\r\n--b--\r\n"
    for padding in (b"", b"x" * 300_000):
        found = await stored(tmp_path, signed % padding)
        assert isinstance(found, Reply)
        assert found.wire == (
            b"554 5.6.3 Binary content cannot be converted: it is signed, and a conversion would break the signature\r\n"
        )
