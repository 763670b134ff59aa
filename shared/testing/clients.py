"""The mail clients of the machine, run as a person's would be: send one message, or fetch all of a mailbox.

Every function runs one program to its end with a home directory of its own and returns what it fetched or printed.
A client that fails raises ClientFailed with what it said. Ports are those of 127.0.0.1.
"""

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

import attrs

from shared.testing.runner import require

CLIENT_SECONDS = 30.0
HOST = "127.0.0.1"


class ClientFailed(AssertionError):
    """A client ended with an error; the text holds its output."""


class Security(Enum):
    """How a client protects its connection."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


@attrs.frozen
class Login:
    """Whose mail, where the client may put its files, and the server's certificate."""

    address: str
    password: str
    home: Path
    certificate: Path | None = None

    def file(self, name: str, text: str) -> Path:
        """A configuration file in the home directory, readable by its owner only (fetchmail insists)."""
        self.home.mkdir(parents=True, exist_ok=True)
        path = self.home / name
        path.write_text(text)
        path.chmod(0o600)
        return path


def run(
    argv: Sequence[str], home: Path, data: bytes = b"", seconds: float = CLIENT_SECONDS, ok: Sequence[int] = (0,)
) -> bytes:
    """Run a client; its standard output. Raises ClientFailed unless its status is one of `ok`."""
    home.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "HOME": str(home), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    try:
        done = subprocess.run(
            [require(argv[0]), *argv[1:]],
            input=data,
            capture_output=True,
            env=env,
            cwd=home,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        said = f"{(error.stdout or b'').decode('utf-8', 'replace')}{(error.stderr or b'').decode('utf-8', 'replace')}"
        raise ClientFailed(f"{argv[0]} hung for {seconds} s\n{said[-4000:]}") from None
    if done.returncode not in ok:
        said = (done.stdout + done.stderr).decode("utf-8", "replace")
        raise ClientFailed(f"{argv[0]} ended with {done.returncode}\n{said[-4000:]}")
    return done.stdout


# -- send


def swaks(
    port: int,
    sender: str,
    to: str,
    message: bytes,
    home: Path,
    security: Security = Security.NONE,
    login: Login | None = None,
    *,
    options: Sequence[str] = (),
) -> bytes:
    """Send with swaks; its transcript. The message goes out as it is."""
    home.mkdir(parents=True, exist_ok=True)
    source = home / "message.eml"
    # swaks puts a line end of its own between the message and the final dot
    source.write_bytes(message.removesuffix(b"\r\n"))
    argv = [
        "swaks",
        "--server",
        HOST,
        "--port",
        str(port),
        "--helo",
        "client.example.net",
        "--from",
        sender,
        "--to",
        to,
    ]
    argv += ["--data", f"@{source}", "--suppress-data", *options]
    argv += {Security.NONE: [], Security.STARTTLS: ["--tls"], Security.TLS: ["--tls-on-connect"]}[security]
    if login is not None:
        argv += ["--auth", "PLAIN", "--auth-user", login.address, "--auth-password", login.password]
    return run(argv, home)


def curl_send(port: int, to: str, message: bytes, login: Login, security: Security = Security.TLS) -> None:
    """Submit with curl."""
    scheme = "smtps" if security is Security.TLS else "smtp"
    argv = ["curl", "-sS", "-k", f"{scheme}://{HOST}:{port}/client.example.net", "--mail-from", login.address]
    argv += ["--mail-rcpt", to, "--user", f"{login.address}:{login.password}", "--upload-file", "-"]
    run(argv + (["--ssl-reqd"] if security is Security.STARTTLS else []), login.home, message)


def msmtp(
    port: int,
    to: str,
    message: bytes,
    login: Login,
    security: Security = Security.STARTTLS,
    *,
    mechanism: str = "plain",
    options: Sequence[str] = (),
) -> None:
    """Submit with msmtp; its other mechanisms come from GNU SASL."""
    argv = ["msmtp", "-C", "/dev/null", f"--host={HOST}", f"--port={port}", f"--auth={mechanism}", f"--user={login.address}"]
    argv += ["--passwordeval=cat password", f"--from={login.address}", "--tls=on", "--tls-certcheck=off"]
    argv += [f"--tls-starttls={'off' if security is Security.TLS else 'on'}", *options, "--", to]
    login.file("password", login.password)
    # msmtp reads a Unix file and makes the line ends itself
    run(argv, login.home, message.replace(b"\r\n", b"\n"))


# -- read by IMAP


def curl_imap(
    port: int, path: str, login: Login, request: str | None = None, security: Security = Security.TLS
) -> bytes:
    """One IMAP request with curl: a `path` like "INBOX;UID=1", or "INBOX" with a command of one's own."""
    scheme = "imaps" if security is Security.TLS else "imap"
    argv = ["curl", "-sS", "-k", f"{scheme}://{HOST}:{port}/{path}", "--user", f"{login.address}:{login.password}"]
    argv += ["-X", request] if request is not None else []
    return run(argv + (["--ssl-reqd"] if security is Security.STARTTLS else []), login.home)


def mbsync(port: int, login: Login, security: Security = Security.TLS, mechanisms: str = "PLAIN LOGIN") -> Path:
    """Synchronise all mailboxes both ways into Maildirs; the directory that holds them (INBOX, Sent, ...)."""
    kind = {Security.NONE: "None", Security.STARTTLS: "STARTTLS", Security.TLS: "IMAPS"}[security]
    certificate = (
        f"CertificateFile {login.certificate}\n" if login.certificate and security is not Security.NONE else ""
    )
    mail = login.home / "mail"
    mail.mkdir(parents=True, exist_ok=True)
    config = login.file(
        "mbsyncrc",
        # what it keeps need not survive a power cut
        f"FSync no\nIMAPAccount us\nHost localhost\nPort {port}\nUser {login.address}\nPass {login.password}\n"
        f"SSLType {kind}\n{certificate}AuthMechs {mechanisms}\n\n"
        "IMAPStore far\nAccount us\n\n"
        f"MaildirStore near\nPath {mail}/\nInbox {mail}/INBOX\nSubFolders Verbatim\n\n"
        "Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n",
    )
    run(["mbsync", "-c", str(config), "-a", "-V"], login.home)
    return mail


def offlineimap(port: int, login: Login) -> Path:
    """Synchronise all mailboxes both ways into Maildirs with offlineimap, over TLS; the directory that holds them."""
    mail = login.home / "offline"
    mail.mkdir(parents=True, exist_ok=True)
    config = login.file(
        "offlineimaprc",
        f"[general]\naccounts = us\nui = basic\nmetadata = {login.home}/offlineimap\n\n"
        "[Account us]\nlocalrepository = near\nremoterepository = far\n\n"
        f"[Repository near]\ntype = Maildir\nlocalfolders = {mail}\nsep = /\n\n"
        f"[Repository far]\ntype = IMAP\nremotehost = localhost\nremoteport = {port}\nremoteuser = {login.address}\n"
        f"remotepass = {login.password}\nssl = yes\nauth_mechanisms = PLAIN\nsslcacertfile = {login.certificate}\n"
        "ssl_version = tls1_2\ntls_level = tls_compat\nusecompression = yes\n",
    )
    run(["offlineimap", "-c", str(config), "-o", "-1"], login.home, seconds=60.0)
    return mail


def maildir(path: Path) -> list[bytes]:
    """The messages of a Maildir in the order of the UIDs that mbsync writes into their names, CRLF line ends."""
    files = sorted([*(path / "cur").glob("*"), *(path / "new").glob("*")], key=_uid)
    return [re.sub(rb"(?m)^X-TUID: .*\r\n", b"", _crlf(file.read_bytes())) for file in files]  # mbsync's own mark


def _uid(file: Path) -> int:
    uid = re.search(r",U=(\d+)", file.name)
    return int(uid[1]) if uid else 0


def mutt_save(
    port: int,
    login: Login,
    count: int,
    mailbox: str = "INBOX",
    security: Security = Security.TLS,
    *,
    qresync: bool = False,
    program: str = "mutt",
    settings: str = "",
) -> list[bytes]:
    """Open a mailbox with mutt (or neomutt) on a terminal and copy its first `count` messages, each into a Maildir of its own; them.

    mutt gives the files of a Maildir random names, so their order would be lost in a common one. ``qresync``: it remembers
    what it has seen, and goes on from there the next time (RFC 7162 §3.2.5).
    """
    scheme = "imaps" if security is Security.TLS else "imap"
    # without it mutt asks whether to make it, and takes our first key for the answer
    (login.home / "Mail").mkdir(exist_ok=True)
    run = sum(1 for _ in login.home.glob("saved*-1"))
    saved = [login.home / f"saved{run}-{number}" for number in range(1, count + 1)]
    cache = login.home / "headers"
    cache.mkdir(exist_ok=True)
    for target in saved:
        for name in ("cur", "new", "tmp"):
            (target / name).mkdir(parents=True, exist_ok=True)
    config = login.file(
        "muttrc",
        f'set imap_user="{login.address}" imap_pass="{login.password}" ssl_force_tls={_yes(security is not Security.NONE)}\n'
        f'set certificate_file="{login.certificate or ""}" ssl_verify_host=no ssl_verify_dates=no mbox_type=Maildir\n'
        f"set ssl_starttls={_yes(security is Security.STARTTLS)} confirmcreate=no confirmappend=no copy=no quit=yes\n"
        "set sort=mailbox-order resolve=no delete=no beep=no wait_key=no sleep_time=0 read_inc=0 write_inc=0\n"
        f'set header_cache="{cache if qresync else ""}" imap_condstore={_yes(qresync)} imap_qresync={_yes(qresync)}\n'
        'set message_cachedir="" timeout=5 connect_timeout=10\n' + settings,
    )
    keys = "".join(f"{number}<enter><copy-message>{target}<enter>" for number, target in enumerate(saved, start=1))
    _on_terminal(
        [program, "-F", str(config), "-f", f"{scheme}://{HOST}:{port}/{mailbox}", "-e", f'push "{keys}<exit>"'],
        login.home,
    )
    return [_without_mutt_status(message) for target in saved for message in maildir(target)]


def _without_mutt_status(message: bytes) -> bytes:
    """mutt writes its own status fields into the copy."""
    head, separator, body = message.partition(b"\r\n\r\n")
    return re.sub(rb"\r\n(Status|X-Status|Content-Length|Lines): [^\r\n]*(?=\r\n|$)", b"", head) + separator + body


def _on_terminal(argv: Sequence[str], home: Path, seconds: float = CLIENT_SECONDS) -> None:
    """Run a full-screen program on a terminal of its own until it ends."""
    master, slave = pty.openpty()
    env = {**os.environ, "HOME": str(home), "TERM": "vt100", "LC_ALL": "C.UTF-8", "LINES": "24", "COLUMNS": "80"}
    child = subprocess.Popen(
        [require(argv[0]), *argv[1:]],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=env,
        cwd=home,
        start_new_session=True,
    )
    os.close(slave)
    screen = b""
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            if not select.select([master], [], [], 0.5)[0]:
                if child.poll() is not None:
                    break
                continue
            try:
                shown = os.read(master, 65536)
            except OSError:  # EIO: the last process on the terminal ended
                break
            if not shown:
                break
            screen += shown
        else:
            raise ClientFailed(f"{argv[0]} hung for {seconds} s\n{screen[-3000:].decode('utf-8', 'replace')}")
        if child.wait(5):
            raise ClientFailed(f"{argv[0]} ended with {child.returncode}\n{screen[-3000:].decode('utf-8', 'replace')}")
    finally:
        os.close(master)
        if child.poll() is None:
            child.kill()
            child.wait()


# -- fetch by POP3


def curl_pop3(port: int, path: str, login: Login, security: Security = Security.TLS) -> bytes:
    """One POP3 request with curl: path "1" retrieves message 1, "" lists."""
    scheme = "pop3s" if security is Security.TLS else "pop3"
    argv = ["curl", "-sS", "-k", f"{scheme}://{HOST}:{port}/{path}", "--user", f"{login.address}:{login.password}"]
    return run(argv + (["--ssl-reqd"] if security is Security.STARTTLS else []), login.home)


def fetchmail(
    port: int, login: Login, *, keep: bool = True, protocol: str = "pop3", security: Security = Security.TLS
) -> list[bytes]:
    """Fetch all with fetchmail, by POP3 or IMAP; the messages, CRLF line ends, in the order it took them."""
    into = login.home / "fetched"
    into.mkdir(parents=True, exist_ok=True)
    deliver = login.file("deliver", 'n=$(ls "$1" | wc -l)\ncat > "$1/$(printf %06d "$n")"\n')
    wrap = {Security.NONE: "sslproto ''", Security.STARTTLS: "sslproto tls1.2+", Security.TLS: "ssl"}[security]
    config = login.file(
        "fetchmailrc",
        f"set no bouncemail\npoll {HOST} protocol {protocol} port {port} no envelope\n"
        f'  user "{login.address}" password "{login.password}" {wrap} no sslcertck\n'
        f"  {'keep' if keep else 'no keep'} fetchall no rewrite no mimedecode stripcr\n"
        f'  mda "/bin/sh {deliver} {into}"\n',
    )
    argv = ["fetchmail", "-f", str(config), "--invisible", "--nodetach", "--nosyslog"]
    run([*argv, "--pidfile", str(login.home / "fetchmail.pid")], login.home, ok=(0, 1))  # 1: there was no mail
    return [_crlf(file.read_bytes()) for file in sorted(into.glob("*"))]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _crlf(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
