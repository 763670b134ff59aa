"""Real clients send, read and fetch; a message with everything that breaks on the way arrives byte for byte."""

import shutil
import smtplib
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.testing import clients
from shared.testing.clients import Login, Security
from shared.testing.mail_samples import assert_intact, korean_message, plain_message
from shared.testing.world import World

Sender = Callable[[World, Login, str, bytes], object]


def by_swaks(listener: str, security: Security) -> Sender:
    def send(world: World, login: Login, to: str, message: bytes) -> object:
        who = None if listener == "smtp" else login
        sender = "someone@remote.test" if listener == "smtp" else login.address
        return clients.swaks(world.stack.port(listener), sender, to, message, login.home, security, who)

    return send


def by_smtplib(listener: str, security: Security) -> Sender:
    def send(world: World, login: Login, to: str, message: bytes) -> object:
        who = None if listener == "smtp" else login
        with world.smtp(who, security, listener) as client:
            return client.sendmail(login.address if who else "someone@remote.test", [to], message)

    return send


def by_curl(listener: str, security: Security) -> Sender:
    return lambda world, login, to, message: clients.curl_send(world.stack.port(listener), to, message, login, security)


def by_msmtp(listener: str, security: Security) -> Sender:
    return lambda world, login, to, message: clients.msmtp(world.stack.port(listener), to, message, login, security)


WAYS_IN = {
    "swaks-25": by_swaks("smtp", Security.NONE),
    "swaks-25-starttls": by_swaks("smtp", Security.STARTTLS),
    "swaks-587-starttls": by_swaks("submission", Security.STARTTLS),
    "swaks-465": by_swaks("submissions", Security.TLS),
    "smtplib-25": by_smtplib("smtp", Security.NONE),
    "smtplib-587-starttls": by_smtplib("submission", Security.STARTTLS),
    "smtplib-465": by_smtplib("submissions", Security.TLS),
    "curl-587-starttls": by_curl("submission", Security.STARTTLS),
    "curl-465": by_curl("submissions", Security.TLS),
    "msmtp-587-starttls": by_msmtp("submission", Security.STARTTLS),
    "msmtp-465": by_msmtp("submissions", Security.TLS),
}


@pytest.mark.parametrize("way", WAYS_IN)
def test_every_way_in_keeps_every_byte(world: World, alice: Login, way: str) -> None:
    sent = korean_message(f"{way}@example.test", alice.address, alice.address)
    WAYS_IN[way](world, alice, alice.address, sent)
    (arrived,) = world.imap_messages(alice)
    assert_intact(arrived, sent)
    (fetched,) = world.pop3_messages(alice)
    assert fetched == arrived


Reader = Callable[[World, Login], list[bytes]]


def curl_imap(listener: str, security: Security) -> Reader:
    def read(world: World, login: Login) -> list[bytes]:
        port = world.stack.port(listener)
        return [clients.curl_imap(port, f"INBOX;UID={uid}", login, security=security) for uid in (1, 2, 3)]

    return read


def curl_pop3(listener: str, security: Security) -> Reader:
    def read(world: World, login: Login) -> list[bytes]:
        port = world.stack.port(listener)
        return [clients.curl_pop3(port, str(number), login, security) for number in (1, 2, 3)]

    return read


def mbsync(listener: str, security: Security) -> Reader:
    return lambda world, login: clients.maildir(clients.mbsync(world.stack.port(listener), login, security) / "INBOX")


def mutt(listener: str, security: Security) -> Reader:
    return lambda world, login: clients.mutt_save(world.stack.port(listener), login, 3, security=security)


def fetchmail(listener: str, security: Security, protocol: str = "pop3") -> Reader:
    return lambda world, login: clients.fetchmail(
        world.stack.port(listener), login, protocol=protocol, security=security
    )


WAYS_OUT: dict[str, Reader] = {
    "imaplib": lambda world, login: world.imap_messages(login),
    "poplib": lambda world, login: world.pop3_messages(login),
    "curl-imaps": curl_imap("imaps", Security.TLS),
    "curl-imap-starttls": curl_imap("imap", Security.STARTTLS),
    "curl-pop3s": curl_pop3("pop3s", Security.TLS),
    "curl-pop3-stls": curl_pop3("pop3", Security.STARTTLS),
    "mbsync-imaps": mbsync("imaps", Security.TLS),
    "mbsync-imap-starttls": mbsync("imap", Security.STARTTLS),
    "mutt-imaps": mutt("imaps", Security.TLS),
    "mutt-imap-starttls": mutt("imap", Security.STARTTLS),
    "fetchmail-pop3s": fetchmail("pop3s", Security.TLS),
    "fetchmail-pop3-stls": fetchmail("pop3", Security.STARTTLS),
    "fetchmail-imaps": fetchmail("imaps", Security.TLS, "imap"),
}


@pytest.fixture(scope="module")
def reader(world: World) -> tuple[Login, list[bytes]]:
    """An account with three messages, for clients that change nothing."""
    login = world.new_user("reader")
    sent = [
        plain_message("first@example.test", login.address),
        korean_message("second@example.test", login.address),
        b"From: a@remote.test\r\nMessage-ID: <third@example.test>\r\nSubject: no body\r\n\r\n",
    ]
    world.deliver(login.address, *sent)
    return login, sent


@pytest.mark.parametrize("way", WAYS_OUT)
def test_every_way_out_keeps_every_byte(
    world: World, reader: tuple[Login, list[bytes]], tmp_path: Path, way: str
) -> None:
    login, sent = reader
    got = WAYS_OUT[way](world, Login(login.address, login.password, tmp_path, login.certificate))
    assert len(got) == len(sent)
    for arrived, original in zip(got, sent, strict=True):
        # mail programs put no empty line behind a header without a body
        assert_intact(arrived.rstrip(b"\r\n"), original.rstrip(b"\r\n"))


def test_fetchmail_that_keeps_nothing_empties_the_maildrop(world: World, bob: Login) -> None:
    sent = [plain_message(f"gone{number}@example.test", bob.address) for number in range(5)]
    world.deliver(bob.address, *sent)
    assert len(clients.fetchmail(world.stack.port("pop3s"), bob, keep=False)) == 5
    assert world.imap_messages(bob) == []
    assert world.pop3_messages(bob) == []


def test_mbsync_synchronises_both_ways(world: World, bob: Login) -> None:
    world.deliver(bob.address, plain_message("one@example.test", bob.address), plain_message("two@example.test"))
    port = world.stack.port("imaps")
    mail = clients.mbsync(port, bob)
    assert {path.name for path in mail.iterdir()} >= {"INBOX", "Sent", "Drafts", "Junk", "Trash", "Archive"}
    files = sorted((mail / "INBOX/new").iterdir(), key=lambda path: b"<two@" in path.read_bytes())
    # one is read and flagged here, the other moved to Archive, a draft is written
    shutil.move(files[0], mail / "INBOX/cur" / (files[0].name.split(":")[0] + ":2,FS"))
    shutil.move(files[1], mail / "Archive/cur/moved:2,S")
    draft = korean_message("draft@example.test", bob.address)
    (mail / "Drafts/cur/draft:2,DS").write_bytes(draft.replace(b"\r\n", b"\n"))
    clients.mbsync(port, bob)
    with world.imap(bob) as client:
        client.select("INBOX")
        _, data = client.fetch("1:*", "(FLAGS)")
    assert len(data) == 1
    assert b"\\Seen" in data[0]
    assert b"\\Flagged" in data[0]
    assert world.imap_ids(bob, "Archive") == ["two@example.test"]
    (stored,) = world.imap_messages(bob, "Drafts")
    lines = [line for line in stored.split(b"\r\n") if not line.startswith(b"X-TUID:")]  # mbsync marks what it uploads
    assert b"\r\n".join(lines) == draft


def test_a_wrong_password_is_refused_by_every_port(world: World, bob: Login) -> None:
    wrong = Login(bob.address, "wrong", bob.home)
    with pytest.raises(smtplib.SMTPAuthenticationError), world.smtp(wrong, Security.TLS, "submissions"):
        pass
    with pytest.raises(Exception, match="AUTHENTICATIONFAILED"), world.imap(wrong):
        pass
    with pytest.raises(Exception, match="AUTH"), world.pop3(wrong):
        pass


def test_strangers_may_not_relay_nor_write_to_nobody(world: World) -> None:
    with world.smtp(None) as client, pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        client.sendmail("a@remote.test", ["carol@remote.test", "nobody@example.test"], b"Subject: x\r\n\r\nx\r\n")
    replies = refused.value.recipients
    assert replies["carol@remote.test"][0] == 550
    assert replies["carol@remote.test"][1].startswith(b"5.7.1")
    assert replies["nobody@example.test"][0] == 550
    assert replies["nobody@example.test"][1].startswith(b"5.1.1")


def test_a_sender_must_be_ones_own(world: World, alice: Login, bob: Login) -> None:
    with world.smtp(alice, Security.TLS, "submissions") as client, pytest.raises(smtplib.SMTPException):
        client.sendmail(bob.address, [bob.address], plain_message("forged@example.test"))
    assert world.imap_ids(bob) == []
