"""What lies between the socket and the commands: compression, and logging in more than once."""

import zlib

from services.imap.protocol.capability import capabilities
from shared.testing.imap_client import ImapClient
from shared.testing.stack import PASSWORD

MESSAGE = b"Subject: x\r\n\r\n" + b"The same line over and over again.\r\n" * 2000


def test_compress(connect):
    client = connect()
    assert b"COMPRESS=DEFLATE" in client.ok("CAPABILITY").untagged[0].split()
    assert client.command("COMPRESS LZMA").tagged.startswith(b"BAD")
    client.compress()
    assert b"COMPRESS=DEFLATE" not in client.ok("CAPABILITY").untagged[0].split()
    # RFC 4978 §3: not twice
    assert client.command("COMPRESS DEFLATE").tagged.startswith(b"BAD [COMPRESSIONACTIVE]")
    assert client.append(b"INBOX", MESSAGE).ok
    client.ok("SELECT INBOX")
    before = client.octets_received
    assert MESSAGE in client.ok("FETCH 1 BODY.PEEK[]").untagged[0]
    assert client.octets_received - before < len(MESSAGE) // 10
    client.ok("STORE 1 +FLAGS (\\Seen)")


def test_idle_goes_through_compression(connect):
    client, other = connect(), connect()
    client.compress()
    client.ok("SELECT INBOX")
    tag = client.idle()
    assert other.append(b"INBOX", MESSAGE).ok
    assert client.read_response() == b"* 1 EXISTS"
    assert client.done(tag).ok


def test_what_is_not_deflate_ends_the_connection(connect):
    client = connect()
    client.compress()
    client.send_raw(b"a NOOP\r\n" * 40)
    assert client.read_response().startswith(b"* BYE")
    assert client.at_end()


def test_a_bomb_is_skipped_as_any_line(stack, connect):
    client, other = connect(), connect()
    client.compress()
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(b"x NOOP " + b"0" * 20_000_000 + b"\r\n") + packer.flush(zlib.Z_FULL_FLUSH)
    client.send_raw(bomb)
    assert client.read_response() == b"x BAD Line too long"
    assert other.ok("NOOP").ok


def test_unauthenticate_gives_everything_up(stack, account, connect):
    client = connect()
    client.ok("ENABLE CONDSTORE")
    client.ok("SELECT INBOX")
    assert client.append(b"INBOX", b"x" * 100_000).ok
    assert client.ok("UNAUTHENTICATE").untagged == ()
    for command in ("NOOP", "CAPABILITY"):
        client.ok(command)
    assert client.command("UNAUTHENTICATE").tagged.startswith(b"BAD")
    assert client.command("SELECT INBOX").tagged.startswith(b"BAD Log in")
    # the limits are those before login again
    assert client.command(b"NOOP " + b"x" * 10_000).tagged.startswith(b"BAD Line too long")
    client.login(account, PASSWORD)
    assert client.command("FETCH 1 FLAGS").tagged.startswith(b"BAD Select")
    client.ok("SELECT INBOX")
    assert b"MODSEQ" not in client.ok("FETCH 1 FLAGS").untagged[0]  # nothing is enabled any more


def test_another_account_pipelined(stack, account, connect):
    # RFC 8437 §3
    client = connect()
    other = "other-" + account
    stack.add_account(other)
    client.send(f"a UNAUTHENTICATE\r\nb LOGIN {other} {PASSWORD}\r\nc STATUS INBOX (MESSAGES)\r\n".encode())
    answers = [client.read_response() for _ in range(4)]
    assert [answer[:4] for answer in answers] == [b"a OK", b"b OK", b"* ST", b"c OK"]


def test_unauthenticate_ends_compression(account, connect):
    client = connect()
    client.compress()
    # RFC 8437 §4.1: the client's layer ends behind the command, the server's behind its OK
    client.send(b"a UNAUTHENTICATE\r\n")
    client.end_compression()
    client.send(f"b LOGIN {account} {PASSWORD}\r\n".encode())
    assert client.read_response().startswith(b"a OK")
    assert client.read_response().startswith(b"b OK [CAPABILITY ")
    client.compress()
    client.ok("NOOP")


def test_the_place_of_the_account_is_free_again(stack, connect):
    clients = [connect() for _ in range(3)]
    for client in clients:
        client.ok("UNAUTHENTICATE")
    with ImapClient(stack.port("imap")) as client:
        assert client.ok("NOOP").ok


def test_the_capability_line_in_each_situation():
    def names(**situation):
        usual = {
            "logged_in": False,
            "tls": False,
            "starttls": True,
            "passwords": False,
            "message_limit": 1000,
            "append_limit": 1,
        }
        return set(capabilities(**{**usual, **situation}))

    assert {"STARTTLS", "LOGINDISABLED", "LITERAL+", "SASL-IR"} <= names()
    assert "AUTH=PLAIN" not in names()
    assert "LOGINDISABLED" not in names(tls=True, passwords=True)
    assert "STARTTLS" not in names(tls=True, passwords=True)
    assert {"AUTH=PLAIN", "AUTH=SCRAM-SHA-256", "STARTTLS"} <= names(passwords=True)
    assert "AUTH=SCRAM-SHA-256-PLUS" not in names(passwords=True)
    assert "AUTH=SCRAM-SHA-256-PLUS" in names(passwords=True, tls=True, binding=True)
    assert not {name for name in names() if name.startswith("AUTH=")}
    after = names(logged_in=True, passwords=True)
    assert {"COMPRESS=DEFLATE", "UNAUTHENTICATE"} <= after
    assert not {name for name in after if name.startswith("AUTH=") or name in ("STARTTLS", "LOGINDISABLED")}
    assert "COMPRESS=DEFLATE" not in names(logged_in=True, compressed=True)
    assert not names() & {"COMPRESS=DEFLATE", "UNAUTHENTICATE"}
