"""`pillarbox up --demo`: two accounts, one message between them, and the settings for a mail client.

Run again on the same data it sets new passwords (they are shown once and stored nowhere) and sends one more message.
The mail clients here are Python's own, in a thread, over TLS that is verified against the server's certificate.
"""

import imaplib
import poplib
import secrets
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Final

import attrs
import trio

from shared.cli.store_access import admin_client
from shared.errors import AlreadyExists, StoreError
from shared.rpc.store_client import StoreClient
from shared.supervisor.worker import Listeners

DOMAIN: Final = "example.test"
ALICE: Final = f"alice@{DOMAIN}"
BOB: Final = f"bob@{DOMAIN}"
TIMEOUT_SECONDS: Final = 30.0
TEXT: Final = "Hello Bob,\n\nthis went in through submission, and out through IMAP and POP3.\n\nAlice\n"


@attrs.frozen
class Place:
    """Where a client on this machine finds a listener."""

    host: str
    port: int


def place_of(listeners: Listeners, name: str) -> Place:
    """The first address of a listener; the unspecified one is reached by loopback."""
    host, port = listeners[name][0]
    return Place({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port)


def certificate_context(data: Path) -> ssl.SSLContext:
    """Trusts exactly the server's own certificate; its name is not ours to check on loopback."""
    context = ssl.create_default_context(cafile=str(data / "tls" / "cert.pem"))
    context.check_hostname = False
    return context


async def run_demo(data: Path, listeners: Listeners) -> None:
    """Accounts, a message, the proof, the settings. A failure is printed; the server stays up."""
    passwords = {ALICE: secrets.token_urlsafe(12), BOB: secrets.token_urlsafe(12)}
    try:
        async with trio.open_nursery() as nursery:
            store = StoreClient(admin_client(data))
            await nursery.start(store.run)
            await make_accounts(store, passwords)
            nursery.cancel_scope.cancel()
        proof = await trio.to_thread.run_sync(show_mail, data, listeners, passwords, abandon_on_cancel=True)
        # All at once and last, so that the log's lines are not in between.
        accounts = [f"account {address} password {password}" for address, password in passwords.items()]
        say(*accounts, *proof, *client_settings(listeners))
    except* (StoreError, OSError, smtplib.SMTPException, imaplib.IMAP4.error, poplib.error_proto) as group:
        say(f"failed: {leaf(group)}")


def say(*lines: str) -> None:
    """Lines of the demonstration."""
    print("\n".join(f"demo: {line}" for line in lines), flush=True)


def leaf(error: BaseException) -> BaseException:
    """The first real error of nested groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def make_accounts(store: StoreClient, passwords: dict[str, str]) -> None:
    """Domain and accounts, or new passwords for them."""
    try:
        await store.admin.domain_add(DOMAIN)
    except AlreadyExists:
        pass
    for address, password in passwords.items():
        try:
            await store.admin.account_add(address, password)
        except AlreadyExists:
            await store.admin.account_passwd(address, password)


def show_mail(data: Path, listeners: Listeners, passwords: dict[str, str]) -> list[str]:
    """Send from Alice, read as Bob by IMAP and by POP3. Raises what Python's mail clients raise."""
    context = certificate_context(data)
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = ALICE, BOB, "Hello from Pillarbox"
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=DOMAIN)
    message.set_content(TEXT)
    submission, imaps, pop3s = (place_of(listeners, name) for name in ("submission", "imaps", "pop3s"))
    with smtplib.SMTP(submission.host, submission.port, timeout=TIMEOUT_SECONDS) as smtp:
        smtp.starttls(context=context)
        smtp.login(ALICE, passwords[ALICE])
        smtp.send_message(message)
    lines = [f"{ALICE} sent a message to {BOB} through submission with STARTTLS"]
    with imaplib.IMAP4_SSL(imaps.host, imaps.port, ssl_context=context, timeout=TIMEOUT_SECONDS) as imap:
        imap.login(BOB, passwords[BOB])
        imap.select("INBOX", readonly=True)
        _, found = imap.uid("SEARCH", "HEADER", "Message-ID", message["Message-ID"])
        numbers = found[0].split()
        if not numbers:
            raise OSError("IMAP does not show the message")
        lines.append(f"{BOB} sees it by IMAP over TLS: UID {numbers[0].decode()} in INBOX")
    pop3 = poplib.POP3_SSL(pop3s.host, pop3s.port, context=context, timeout=TIMEOUT_SECONDS)
    try:
        pop3.user(BOB)
        pop3.pass_(passwords[BOB])
        count, octets = pop3.stat()
        _, top, _ = pop3.top(count, 0)
        if message["Message-ID"].encode() not in b"\n".join(top):
            raise OSError("POP3 does not show the message last")
        lines.append(f"{BOB} sees it by POP3 over TLS: number {count} of {count}, {octets} octets in all")
    finally:
        pop3.quit()
    return lines


def client_settings(listeners: Listeners) -> list[str]:
    """What to type into a mail program."""
    ports = {name: place_of(listeners, name).port for name in ("submissions", "submission", "imaps", "imap", "pop3s")}
    return [
        "settings for a mail program (accept the self-signed certificate):",
        f"  user name   {ALICE} or {BOB}, with the passwords above",
        f"  incoming    IMAP, this machine's address, port {ports['imaps']} with TLS ({ports['imap']} with STARTTLS)",
        f"  or          POP3, port {ports['pop3s']} with TLS",
        f"  outgoing    SMTP, port {ports['submissions']} with TLS ({ports['submission']} with STARTTLS)",
        "stop with Ctrl-C",
    ]
