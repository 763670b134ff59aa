"""A real Exim as the remote mail server, in both directions: receives for its domain, sends to us (by BDAT, where we let it).

Debian's package cannot be installed beside Postfix, and need not be: its files are unpacked into the folder that
PILLARBOX_TEST_CACHE names (or a temporary one), and the daemon runs in a mount namespace of its own, in which the user that is
compiled into it exists. One instance has its own configuration, spool and loopback address, runs in the foreground as our
child and logs to a file. It takes mail for `USERS` of `domain` into a Maildir each and refuses other names (550); mail for
anything else that comes from loopback goes to `next_hop`. Needs root.

What can fail: a machine without apt-get, Exim's libraries or mount namespaces (the test then fails or is skipped, as for a
missing program).
"""

import itertools
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from shared.testing.certificates import make_certificate
from shared.testing.dnsmasq import free_port
from shared.testing.process import Process
from shared.testing.runner import missing, require, require_root

USERS: Final = ("carol", "dave")
PACKAGE: Final = "exim4-daemon-light"
DOWNLOAD_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.03
_USER: Final = "Debian-exim"
_OWNER: Final = "mail"
"""Whose id that user has in the namespace: every Debian knows this one."""
_counter = itertools.count()

_CONFIGURATION = """\
primary_hostname = mx.{domain}
qualify_domain = {domain}
exim_path = {program}
spool_directory = {base}/spool
log_file_path = {base}/log/%s
pid_file_path = {base}/exim.pid
notifier_socket =
keep_environment =
local_interfaces = {address}
daemon_smtp_ports = {port}
deliver_drop_privilege = true
domainlist local_domains = {domain}
acl_smtp_rcpt = rcpt
acl_smtp_data = accept
acl_smtp_mail = accept
acl_smtp_auth = accept
tls_certificate = {base}/cert.pem
tls_privatekey = {base}/key.pem
message_size_limit = 100M
host_lookup =
rfc1413_query_timeout = 0s
smtp_accept_max = 100
log_selector = +tls_cipher +smtp_confirmation +received_recipients +pipelining +8bitmime
{main}

begin acl
rcpt:
  accept domains = +local_domains
         endpass
         verify = recipient
  accept hosts = 127.0.0.0/8
  deny

begin routers
here:
  driver = accept
  domains = +local_domains
  local_parts = {users}
  transport = maildir
elsewhere:
  driver = manualroute
  domains = ! +local_domains
  route_list = * {hop}
  self = send
  transport = smtp

begin transports
maildir:
  driver = appendfile
  directory = {base}/mail/$local_part_data
  maildir_format
  create_directory
smtp:
  driver = smtp
  port = {hop_port}
  allow_localhost
  interface = {address}
{transport}

begin retry
* * F,1h,1s

begin authenticators
{authenticators}
"""


def exim_program(cache: Path) -> Path:
    """Exim's program: that of the machine, or one that is unpacked into a folder of `cache`."""
    if found := shutil.which("exim4", path="/usr/sbin"):
        return Path(found)
    cache = Path(os.environ.get("PILLARBOX_TEST_CACHE", cache))
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / "exim"
    if not folder.exists():
        making = Path(tempfile.mkdtemp(prefix="exim-", dir=cache))
        making.chmod(0o755)  # its processes are another user's
        _unpack(making)
        try:
            making.rename(folder)
        except OSError:  # somebody else was faster
            shutil.rmtree(making)
    return folder / "usr/sbin/exim4"


def _unpack(folder: Path) -> None:
    """Fetch the package from the machine's own registry and unpack it."""
    for program in ("apt-get", "dpkg"):
        require(program)
    command = ["apt-get", "download", "-qq", PACKAGE]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=DOWNLOAD_SECONDS)
    archives = list(folder.glob("*.deb"))
    if done.returncode or not archives:
        shutil.rmtree(folder)
        missing(f"Exim cannot be had: {done.stderr[-500:]}")
    subprocess.run(["dpkg", "-x", str(archives[0]), str(folder)], check=True, capture_output=True)
    archives[0].unlink()
    lacking = subprocess.run(["ldd", str(folder / "usr/sbin/exim4")], capture_output=True, text=True, check=True).stdout
    if "not found" in lacking:
        shutil.rmtree(folder)
        missing(f"Exim lacks libraries: {lacking}")


class Exim(Process):
    """One instance; see the head of this file.

    `cache`: where its program may be unpacked; `next_hop`: (host, port) of what is not its own; `main`, `transport`:
    further options of its configuration and of its way out; `authenticators`: lines of that section; `port`: of the
    listener, 0: any.
    """

    def __init__(
        self,
        cache: Path,
        domain: str = "exim.test",
        next_hop: tuple[str, int] = ("127.0.0.1", 9),
        users: Iterable[str] = USERS,
        main: Mapping[str, str] | None = None,
        transport: Mapping[str, str] | None = None,
        authenticators: str = "",
        port: int = 0,
    ) -> None:
        require_root("Exim")
        if subprocess.run([require("unshare"), "--mount", "true"], capture_output=True, check=False).returncode:
            missing("the right to make mount namespaces")
        program = exim_program(cache)
        self.domain = domain
        number = (os.getpid() * 16 + next(_counter)) % (250 * 250)
        self.address = f"127.78.{number // 250 + 1}.{number % 250 + 1}"
        self.port = port or free_port(self.address)
        # Not below pytest's tmp_path: that is closed to other users, and Exim's processes are another user's.
        self.base = Path(tempfile.mkdtemp(prefix="pillarbox-exim-"))
        weakref.finalize(self, shutil.rmtree, self.base, ignore_errors=True)
        # the program, too: the path of the cache may be closed
        shutil.copy(program, self.base / "exim")
        self._configuration = _CONFIGURATION.format(
            domain=domain,
            program=self.base / "exim",
            base=self.base,
            address=self.address,
            port=self.port,
            users=" : ".join(users),
            hop=next_hop[0],
            hop_port=next_hop[1],
            main=_options({"tls_advertise_hosts": "*", "dsn_advertise_hosts": "*", **(main or {})}),
            transport=_options(transport or {}),
            authenticators=authenticators,
        )
        files = {"passwd": self.base / "passwd", "group": self.base / "group"}
        mounts = "".join(f"mount --bind {file} /etc/{name} && " for name, file in files.items())
        start = f"{mounts}exec {self.base}/exim -C {self.base}/exim.conf -bdf -q1s"
        super().__init__("exim", ["unshare", "--mount", "sh", "-c", start])

    def start(self, pass_fds: Iterable[int] = ()) -> None:
        """Lay out the instance, start it and wait until it accepts mail."""
        if not (self.base / "exim.conf").exists():
            self._lay_out()
        super().start(tuple(pass_fds))
        self.wait_logged("daemon started")

    def _lay_out(self) -> None:
        owner = pwd.getpwnam(_OWNER)
        self.base.chmod(0o755)
        (self.base / "exim").chmod(0o755)
        for name in ("spool", "log", "mail"):
            (self.base / name).mkdir()
            os.chown(self.base / name, owner.pw_uid, owner.pw_gid)
        make_certificate(self.base, f"mx.{self.domain}")
        os.chown(self.base / "key.pem", owner.pw_uid, owner.pw_gid)
        (self.base / "exim.conf").write_text(self._configuration)
        (self.base / "passwd").write_text(
            Path("/etc/passwd").read_text() + f"{_USER}:x:{owner.pw_uid}:{owner.pw_gid}::/:/usr/sbin/nologin\n"
        )
        (self.base / "group").write_text(Path("/etc/group").read_text() + f"{_USER}:x:{owner.pw_gid}:\n")

    def close(self) -> None:
        """Stop it and remove its files."""
        self.stop()
        shutil.rmtree(self.base, ignore_errors=True)

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- mail

    @property
    def logged(self) -> str:
        """All that it has logged."""
        file = self.base / "log/main"
        return file.read_text("utf-8", "backslashreplace") if file.exists() else ""

    def wait_logged(self, pattern: str, seconds: float = 20.0) -> "re.Match[str]":
        """The first match in its log, looked for until it is there: its processes write the file each for itself."""
        end = time.monotonic() + seconds
        while (found := re.search(pattern, self.logged)) is None:
            if time.monotonic() > end or not self.running:
                raise self.failure(f"its log has no {pattern!r}:\n{self.logged[-4000:]}")
            time.sleep(POLL_SECONDS)
        return found

    def wait_message(self, user: str, message_id: str, seconds: float = 20.0) -> bytes:
        """The message with that Message-ID (no angle brackets) once it is in the user's Maildir, CRLF line ends."""
        queue_id = self.wait_logged(rf"(\S+) <= [^\n]* id={re.escape(message_id)}\b", seconds)[1]
        self.wait_logged(rf"{queue_id} => {user} ", seconds)
        wanted = f"<{message_id}>".encode()
        for file in (self.base / "mail" / user / "new").iterdir():
            message = file.read_bytes().replace(b"\n", b"\r\n")
            if wanted in message.partition(b"\r\n\r\n")[0]:
                return message
        raise self.failure(f"{message_id} is not in the Maildir of {user}")


def _options(options: Mapping[str, str]) -> str:
    return "\n".join(f"{key} = {value}" for key, value in options.items())
