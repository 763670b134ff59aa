"""All of it: our five services, a Postfix for remote.test, and the DNS that leads from us to it.

What a test of the whole needs besides: fresh accounts, and mail as the standard library's clients see it.
"""

import contextlib
import imaplib
import itertools
import poplib
import re
import smtplib
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from shared.testing.clients import HOST, Login, Security
from shared.testing.dnsmasq import Dnsmasq
from shared.testing.postfix import Postfix
from shared.testing.stack import DOMAIN, PASSWORD, Stack

CONNECT_SECONDS = 20.0
_MESSAGE_ID = re.compile(rb"(?im)^message-id:\s*<([^>\r\n]*)>")


class World:
    """Start order: the DNS, our services with it, Postfix with the way to us. `settings` go to our services."""

    def __init__(self, directory: Path, settings: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self.postfix = Postfix()
        self.dns = Dnsmasq({"remote.test": ["mx.remote.test"]}, {"mx.remote.test": self.postfix.address})
        self.stack = Stack(
            directory / "data",
            settings={
                "PILLARBOX_DNS__RESOLVERS": self.dns.resolver,
                "PILLARBOX_SMTP_OUT__MX_PORT": str(self.postfix.port),
                "PILLARBOX_SMTP_OUT__ALLOW_PRIVATE": "true",
                "PILLARBOX_SMTP_OUT__FIRST_RETRY_SECONDS": "0.2",
                "PILLARBOX_LIMITS__EXEMPT_NETWORKS": "127.0.0.0/8",
                "PILLARBOX_SERVER__HOSTNAME": "localhost",  # what clients verify the certificate against
                **(settings or {}),
            },
        )
        self._cleanup = contextlib.ExitStack()
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as cleanup:
            cleanup.enter_context(self.dns)
            cleanup.enter_context(self.stack)
            self.postfix.transports[DOMAIN] = (HOST, self.stack.port("smtp"))
            cleanup.enter_context(self.postfix)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def new_user(self, name: str = "user") -> Login:
        """A fresh account, with a home directory for its clients."""
        number = next(self._numbers)
        address = f"{name}{number}@{DOMAIN}"
        self.stack.add_account(address)
        return Login(address, PASSWORD, self.directory / f"home{number}", self.stack.certificate)

    # -- the standard library's clients, logged in

    @contextlib.contextmanager
    def smtp(
        self, login: Login | None, security: Security = Security.NONE, listener: str = "smtp"
    ) -> Iterator[smtplib.SMTP]:
        """A connection to an SMTP port, authenticated unless `login` is None."""
        port = self.stack.port(listener)
        client: smtplib.SMTP
        if security is Security.TLS:
            client = smtplib.SMTP_SSL(HOST, port, timeout=CONNECT_SECONDS, context=unverified())
        else:
            client = smtplib.SMTP(HOST, port, timeout=CONNECT_SECONDS)
        with client:
            if security is Security.STARTTLS:
                client.starttls(context=unverified())
            if login is not None:
                client.login(login.address, login.password)
            yield client

    def deliver(self, to: str, *messages: bytes, sender: str = "someone@remote.test") -> None:
        """Hand messages to port 25 as another server would."""
        with self.smtp(None) as client:
            for message in messages:
                client.sendmail(sender, [to], message)

    def submit(self, login: Login, to: str | list[str], message: bytes) -> None:
        """Send as an account, on the TLS submission port."""
        with self.smtp(login, Security.TLS, "submissions") as client:
            client.sendmail(login.address, to, message)

    @contextlib.contextmanager
    def imap(self, login: Login, security: Security = Security.TLS) -> Iterator[imaplib.IMAP4]:
        """A logged-in IMAP connection."""
        if security is Security.TLS:
            client: imaplib.IMAP4 = imaplib.IMAP4_SSL(
                HOST, self.stack.port("imaps"), ssl_context=unverified(), timeout=CONNECT_SECONDS
            )
        else:
            client = imaplib.IMAP4(HOST, self.stack.port("imap"), timeout=CONNECT_SECONDS)
        try:
            if security is Security.STARTTLS:
                client.starttls(unverified())
            client.login(login.address, login.password)
            yield client
            client.logout()
        finally:
            # imaplib leaves its socket open when the server is gone
            with contextlib.suppress(OSError):
                client.shutdown()

    @contextlib.contextmanager
    def pop3(self, login: Login, security: Security = Security.TLS) -> Iterator[poplib.POP3]:
        """A logged-in POP3 connection; leaving the block says QUIT."""
        if security is Security.TLS:
            client: poplib.POP3 = poplib.POP3_SSL(
                HOST, self.stack.port("pop3s"), context=unverified(), timeout=CONNECT_SECONDS
            )
        else:
            client = poplib.POP3(HOST, self.stack.port("pop3"), timeout=CONNECT_SECONDS)
        try:
            if security is Security.STARTTLS:
                client.stls(unverified())
            client.user(login.address)
            client.pass_(login.password)
            yield client
            client.quit()
        finally:
            client.close()

    # -- what is there

    def imap_messages(self, login: Login, mailbox: str = "INBOX") -> list[bytes]:
        """All messages of a mailbox by IMAP, in the order of their UIDs."""
        with self.imap(login) as client:
            return fetch_all(client, mailbox)

    def imap_ids(self, login: Login, mailbox: str = "INBOX") -> list[str]:
        """The Message-IDs of a mailbox by IMAP, in the order of their UIDs."""
        with self.imap(login) as client:
            return fetch_ids(client, mailbox)

    def pop3_messages(self, login: Login) -> list[bytes]:
        """All messages of the maildrop by POP3."""
        with self.pop3(login) as client:
            count, _ = client.stat()
            return [b"\r\n".join([*client.retr(number)[1], b""]) for number in range(1, count + 1)]

    def pop3_ids(self, login: Login) -> list[str]:
        """The Message-IDs of the maildrop by POP3."""
        return [message_id(message) for message in self.pop3_messages(login)]

    def wait_messages(self, login: Login, count: int, mailbox: str = "INBOX", seconds: float = 20.0) -> list[bytes]:
        """Wait, in IDLE, until the mailbox holds `count` messages; them."""
        wait_for_count(self, login, count, mailbox, seconds)
        return self.imap_messages(login, mailbox)


def unverified() -> ssl.SSLContext:
    """A client's TLS that takes our self-signed certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def message_id(message: bytes) -> str:
    """The Message-ID without its angle brackets; empty when there is none."""
    found = _MESSAGE_ID.search(message)
    return found.group(1).decode() if found else ""


def fetch_all(client: imaplib.IMAP4, mailbox: str = "INBOX") -> list[bytes]:
    """All messages of a mailbox, whole."""
    return _fetch(client, mailbox, "BODY.PEEK[]")


def fetch_ids(client: imaplib.IMAP4, mailbox: str = "INBOX") -> list[str]:
    """All Message-IDs of a mailbox."""
    fields = _fetch(client, mailbox, "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]")
    return [message_id(field) for field in fields]


def _fetch(client: imaplib.IMAP4, mailbox: str, what: str) -> list[bytes]:
    status, (count, *_) = client.select(f'"{mailbox}"', readonly=True)
    assert status == "OK", count
    if int(count or b"0") == 0:
        return []
    status, data = client.fetch("1:*", f"({what})")
    assert status == "OK", data
    return [item[1] for item in data if isinstance(item, tuple)]


def message_in_inbox(port: int, address: str, wanted: str) -> bytes:
    """The one message of an account's INBOX with that Message-ID (no angle brackets), by IMAP in clear."""
    with imaplib.IMAP4(HOST, port, timeout=CONNECT_SECONDS) as client:
        client.login(address, PASSWORD)
        (found,) = [message for message in fetch_all(client) if message_id(message) == wanted]
        return found


class Idle:
    """An IMAP connection in IDLE (imaplib has none): `wait` returns the next untagged line that holds a word."""

    def __init__(self, client: imaplib.IMAP4, mailbox: str = "INBOX") -> None:
        status, data = client.select(f'"{mailbox}"', readonly=True)
        assert status == "OK", data
        self.exists = int(data[0] or b"0")
        self._client = client
        self._begin()

    def _begin(self) -> None:
        self._client.send(b"idle1 IDLE\r\n")
        while not (line := self._line()).startswith(b"+"):
            self._note(line)

    def _line(self) -> bytes:
        line: bytes = self._client.readline()
        if not line:
            raise EOFError("the IMAP connection was closed in IDLE")
        return line

    def _note(self, line: bytes) -> None:
        words = line.split()
        if len(words) >= 3 and words[2] == b"EXISTS":
            self.exists = int(words[1])

    def wait(self, done: Callable[["Idle"], bool], seconds: float = 20.0) -> None:
        """Read what the server says until `done(self)`; TimeoutError when it is silent."""
        deadline = time.monotonic() + seconds
        while not done(self):
            self._client.sock.settimeout(max(0.01, deadline - time.monotonic()))
            self._note(self._line())
        self._client.sock.settimeout(CONNECT_SECONDS)

    def end(self) -> None:
        """DONE; the connection is then free for other commands."""
        self._client.send(b"DONE\r\n")
        while not (line := self._line()).startswith(b"idle1 "):
            self._note(line)
        assert line.startswith(b"idle1 OK"), line


def wait_for_count(world: World, login: Login, count: int, mailbox: str, seconds: float = 20.0) -> None:
    """Return when the mailbox holds `count` messages or more; TimeoutError otherwise."""
    with world.imap(login) as client:
        idle = Idle(client, mailbox)
        idle.wait(lambda seen: seen.exists >= count, seconds)
        idle.end()
