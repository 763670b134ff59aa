"""A real Postfix as the remote mail server, in both directions: receives for its domains, sends to us.

One instance has its own configuration, queue and loopback address, runs in the foreground as our child and logs to
its standard output. It takes mail for `USERS` of `domain` into a Maildir each and refuses other names (550 5.1.1);
mail for anything else that comes from loopback it relays along `transports` (Postfix asks only DNS servers on port 53,
so its way to us is a transport entry; our way to it is MX, see `dnsmasq.py`). TLS is offered, and used where offered.

Needs root: Postfix's queue belongs to several users.
"""

import grp
import itertools
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path

from shared.testing.certificates import make_certificate
from shared.testing.dnsmasq import free_port
from shared.testing.process import Process
from shared.testing.runner import missing, require, require_root

USERS = ("carol", "dave")
MAIL_UID = 5000
"""Owner of the delivered files; needs no entry in /etc/passwd."""

_QUEUE_DIRS = (
    *("active", "bounce", "corrupt", "defer", "deferred", "flush"),
    *("hold", "incoming", "private", "saved", "trace"),
)
_counter = itertools.count()

_MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {base}/spool
data_directory = {base}/data
command_directory = {sbin}
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.{domain}
mydomain = {domain}
myorigin = {domain}
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
inet_interfaces = all
inet_protocols = ipv4
smtp_bind_address = {address}
mynetworks = 127.0.0.0/8
biff = no
maillog_file = /dev/stdout
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
smtp_host_lookup = native
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = texthash:{base}/etc/users
virtual_mailbox_base = {base}/mail
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{uid}
virtual_minimum_uid = 100
virtual_mailbox_limit = 0
message_size_limit = 104857600
transport_maps = texthash:{base}/etc/transports
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_tls_security_level = may
smtpd_tls_cert_file = {base}/cert.pem
smtpd_tls_key_file = {base}/key.pem
smtpd_tls_loglevel = 1
smtp_tls_security_level = may
smtp_tls_loglevel = 1
smtputf8_enable = yes
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
in_flow_delay = 0
"""

_MASTER_CF = """\
{address}:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def loopback_address() -> str:
    """A loopback address of one's own (all of 127.0.0.0/8 is ours): no other process competes for its ports."""
    number = (os.getpid() * 16 + next(_counter)) % (250 * 250)
    return f"127.77.{number // 250 + 1}.{number % 250 + 1}"


class Postfix(Process):
    """One instance; see the head of this file.

    `transports`: domain -> (host, port) of the next hop; `settings`: further or other lines of main.cf.
    """

    def __init__(
        self,
        domain: str = "remote.test",
        transports: Mapping[str, tuple[str, int]] | None = None,
        users: Iterable[str] = USERS,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        require_root("Postfix")
        sbin = Path(require("postfix")).parent
        self.domain = domain
        self.users = tuple(users)
        self.transports = dict(transports or {})
        self.address = loopback_address()
        self.port = free_port(self.address)
        self._settings = dict(settings or {})
        self._sbin = sbin
        self._daemons = _daemon_directory(sbin)
        # Not below pytest's tmp_path: that is closed to other users, and Postfix's processes are other users.
        self.base = Path(tempfile.mkdtemp(prefix="pillarbox-postfix-"))
        weakref.finalize(self, shutil.rmtree, self.base, ignore_errors=True)
        super().__init__("postfix", [str(self._daemons / "master"), "-s", "-c", str(self.base / "etc")])

    def start(self, pass_fds: Iterable[int] = ()) -> None:
        """Lay out the instance, start it and wait until it accepts mail."""
        if not (self.base / "etc").exists():
            self._lay_out()
        self.configure()
        super().start(tuple(pass_fds))
        self.wait_started()

    def wait_started(self) -> None:
        """Return when the listener is there."""
        self.wait_for_log("daemon started")

    def configure(self) -> None:
        """Write the configuration again (after a change of `transports`)."""
        values = {
            "base": self.base,
            "sbin": self._sbin,
            "daemons": self._daemons,
            "domain": self.domain,
            "address": self.address,
            "port": self.port,
            "uid": MAIL_UID,
        }
        lines = _MAIN_CF.format_map(values).splitlines()
        main_cf = dict(line.split(" =", 1) for line in lines) | self._settings
        (self.base / "etc/main.cf").write_text("".join(f"{key} = {value.strip()}\n" for key, value in main_cf.items()))
        (self.base / "etc/master.cf").write_text(_MASTER_CF.format_map(values))
        # Postfix reads a file again and again until its last change is two seconds old
        for name in ("main.cf", "master.cf"):
            os.utime(self.base / "etc" / name, (0, 0))
        users = (f"{user}@{self.domain} {user}/\n" for user in self.users)
        (self.base / "etc/users").write_text("".join(users))
        transports = (f"{name} smtp:[{host}]:{port}\n" for name, (host, port) in self.transports.items())
        (self.base / "etc/transports").write_text("".join(transports))

    def close(self) -> None:
        """Stop it and remove its files."""
        self.stop()
        shutil.rmtree(self.base, ignore_errors=True)

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- mail

    def delivered(self, user: str) -> list[bytes]:
        """The messages in the user's Maildir, CRLF line ends as on the wire, in the order of arrival."""
        files = sorted((self.base / "mail" / user / "new").glob("*"), key=lambda path: path.stat().st_mtime_ns)
        return [path.read_bytes().replace(b"\n", b"\r\n") for path in files]

    def wait_message(self, user: str, message_id: str, seconds: float = 20.0) -> bytes:
        """The message with that Message-ID (no angle brackets) once it is in the user's Maildir; the log says when."""
        self.wait_messages(user, [message_id], seconds)
        wanted = f"<{message_id}>".encode()
        found = [message for message in self.delivered(user) if wanted in message.partition(b"\r\n\r\n")[0]]
        if not found:
            raise self.failure(f"{message_id} is not in the Maildir of {user}")
        return found[0]

    def wait_messages(self, user: str, message_ids: Iterable[str], seconds: float = 20.0) -> None:
        """Return when the log has seen every one of these messages into the user's Maildir."""
        delivered = re.compile(rf"(\w+): to=<{user}@{re.escape(self.domain)}>.*status=sent \(delivered")
        named = re.compile(r"(\w+): message-id=<([^>]*)>")
        wanted = set(message_ids)

        def done(lines: Iterable[str]) -> list[str]:
            names: dict[str, str] = {}  # by queue id, which is used again after a while
            arrived: set[str] = set()
            for line in lines:
                if found := named.search(line):
                    names[found[1]] = found[2]
                elif found := delivered.search(line):
                    arrived.add(names.get(found[1], ""))
            return ["all"] if wanted <= arrived else []

        self.wait_for_lines(done, f"{sorted(wanted)[:3]}... ({len(wanted)}) do not all arrive for {user}", seconds)

    # -- layout

    def _lay_out(self) -> None:
        owner = pwd.getpwnam("postfix")
        drop = grp.getgrnam("postdrop").gr_gid
        base = self.base
        base.chmod(0o755)
        for name in ("etc", "spool", "data", "mail"):
            (base / name).mkdir(mode=0o755)
        os.chown(base / "data", owner.pw_uid, owner.pw_gid)
        os.chown(base / "mail", MAIL_UID, MAIL_UID)
        spool = base / "spool"
        (spool / "pid").mkdir(mode=0o755)
        for name in _QUEUE_DIRS:
            (spool / name).mkdir(mode=0o700)
            os.chown(spool / name, owner.pw_uid, -1)
        for name, mode in (("public", 0o710), ("maildrop", 0o730)):
            (spool / name).mkdir()
            os.chown(spool / name, owner.pw_uid, drop)
            (spool / name).chmod(mode)
        (base / "etc/dynamicmaps.cf").write_text("")
        make_certificate(base, f"mx.{self.domain}")


def _daemon_directory(sbin: Path) -> Path:
    command = [str(sbin / "postconf"), "-d", "-h", "daemon_directory"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    directory = Path(told.stdout.strip() or "-")
    if not (directory / "master").exists():
        missing("Postfix's master daemon")
    return directory
