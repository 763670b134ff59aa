"""Binary content on its whole way: in by BDAT as BINARYMIME, out by IMAP, by POP3 and by SMTP to a Postfix, the same octets everywhere."""

import email
import smtplib
from email.message import Message

from shared.testing.clients import Login, Security
from shared.testing.imap_client import ImapClient
from shared.testing.world import World

OCTETS = bytes(range(256)) * 500 + b"\r\n.\r\n\n.\n\0"


def sent(client: smtplib.SMTP, sender: str, recipients: list[str], content: bytes) -> None:
    """By two chunks."""
    client.ehlo()
    assert client.has_extn("binarymime")
    assert client.mail(sender, ["BODY=BINARYMIME"])[0] == 250
    assert [client.rcpt(one)[0] for one in recipients] == [250] * len(recipients)
    assert client.docmd("DATA")[0] == 503
    sock = client.sock
    assert sock is not None
    for piece, end in ((content[:70_000], b""), (content[70_000:], b" LAST")):
        sock.sendall(b"BDAT %d%b\r\n" % (len(piece), end) + piece)
        assert client.getreply()[0] == 250


def binary_part(content: bytes) -> bytes:
    message: Message = email.message_from_bytes(content)
    part = message.get_payload(1)
    assert isinstance(part, Message)
    found = part.get_payload(decode=True)
    assert isinstance(found, bytes)
    return found


def test_binary_content_reaches_every_reader(world: World, alice: Login, bob: Login) -> None:
    content = (
        f"From: <{alice.address}>\r\nTo: {bob.address}\r\nSubject: binary\r\nMessage-ID: <binary@example.test>\r\n"
        "Date: Sat, 28 Nov 2026 14:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        "--b\r\n\r\ntext\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    ).encode() + OCTETS + b"\r\n--b--\r\n"  # fmt: skip
    with world.smtp(alice, Security.TLS, "submissions") as client:
        sent(client, alice.address, [bob.address, "carol@remote.test"], content)
    with world.imap(bob) as imap:
        imap.select("INBOX")
        whole = imap.fetch("1", "(BODY.PEEK[])")[1][0]
        assert isinstance(whole, tuple)
    assert binary_part(whole[1]) == OCTETS
    with world.pop3(bob) as pop3:
        assert b"\r\n".join(pop3.retr(1)[1]) + b"\r\n" == whole[1]
    assert binary_part(world.postfix.wait_message("carol", "binary@example.test")) == OCTETS
    with ImapClient(world.stack.port("imaps"), tls=True) as raw:
        raw.login(bob.address, bob.password)
        raw.ok("SELECT INBOX")
        (answer,) = raw.ok("FETCH 1 BINARY.PEEK[2]").of(b"FETCH")
    # RFC 3516 §4.3
    assert b"BINARY[2] ~{%d}\r\n%b" % (len(OCTETS), OCTETS) in answer
