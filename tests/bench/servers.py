"""The two sides of the comparison, each on loopback with users user0..63@bench.test and password `pw`.

Postfix -> LMTP -> Dovecot (mdbox) is tuned for throughput: what we print is not a win over a default setting. TLS is
off on both sides, per-client limits are lifted on both.
"""

import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import trio
from outside import Outside

from shared.rpc.store_client import StoreClient
from shared.testing.dnsmasq import free_port
from shared.testing.postfix import MAIL_UID, Postfix
from shared.testing.process import Process
from shared.testing.runner import require
from shared.testing.stack import Stack

DOMAIN = "bench.test"
USERS = 64
PASSWORD = "pw"
LMTP_CONCURRENCY = 4
"""Postfix to Dovecot: 4 was best with a fast disk on two cores; 50 with a slow one."""

_DOVECOT = """\
protocols = imap pop3 lmtp
listen = 127.0.0.1
base_dir = {base}/run
state_dir = {base}/state
instance_name = bench
log_path = {base}/dovecot.log
import_environment = TZ LD_PRELOAD SLOWSYNC_MS
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_cache_size = 1M
passdb {{
  driver = passwd-file
  args = username_format=%u {base}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={uid} home={base}/mail/%n
}}
first_valid_uid = 500
mail_location = mdbox:~/mdbox
default_vsz_limit = 1G
mail_max_userip_connections = 2000
default_client_limit = 5000
namespace inbox {{
  inbox = yes
  separator = /
}}
service lmtp {{
  process_min_avail = 4
  process_limit = 200
  unix_listener lmtp {{
    mode = 0666
  }}
}}
protocol lmtp {{
  postmaster_address = postmaster@{domain}
}}
service imap-login {{
  service_count = 0
  process_min_avail = 2
  process_limit = 4
  client_limit = 2000
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  service_count = 0
  process_min_avail = 2
  process_limit = 4
  client_limit = 2000
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service imap {{
  service_count = 100
  process_min_avail = 2
  process_limit = 2000
}}
service pop3 {{
  service_count = 100
  process_min_avail = 2
  process_limit = 2000
}}
service auth {{
  client_limit = 6000
}}
service anvil {{
  client_limit = 6000
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""


def users() -> list[str]:
    """All addresses."""
    return [f"user{number}@{DOMAIN}" for number in range(USERS)]


def wait_port(address: str, port: int, seconds: float = 20.0) -> None:
    """Return when something greets there."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection((address, port), timeout=5) as connection:
                if connection.recv(1):
                    return
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.01)


class _BenchPostfix(Postfix):
    def __init__(self, lmtp_socket: Path, preload: dict[str, str], outside: Outside) -> None:
        concurrency = str(50 if preload else LMTP_CONCURRENCY)
        super().__init__(
            DOMAIN,
            users=[f"user{number}" for number in range(USERS)],
            settings={
                "maillog_file_prefixes": "/var, /dev/stdout, " + tempfile.gettempdir(),
                "import_environment": "MAIL_CONFIG MAIL_LOGTAG TZ LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME LD_PRELOAD "
                "SLOWSYNC_MS",
                "virtual_transport": f"lmtp:unix:{lmtp_socket}",
                "default_process_limit": "200",
                "initial_destination_concurrency": concurrency,
                "lmtp_destination_concurrency_limit": concurrency,
                "qmgr_message_active_limit": "40000",
                "qmgr_message_recipient_limit": "40000",
                "smtpd_client_connection_count_limit": "0",
                "smtpd_client_connection_rate_limit": "0",
                "smtpd_client_event_limit_exceptions": "127.0.0.0/8",
                "smtpd_tls_security_level": "none",
                "smtputf8_enable": "no",
                "max_use": "1000",
                "max_idle": "300s",
                "minimal_backoff_time": "300s",
                "maximal_backoff_time": "4000s",
                "queue_run_delay": "300s",
                "relayhost": outside.relay,
            },
        )
        self._settings["maillog_file"] = f"{self.base}/maillog"
        self.env.update(preload)

    def wait_started(self) -> None:
        wait_port(self.address, self.port)


class PostfixDovecot:
    """The peer."""

    name = "Postfix + Dovecot"
    readers = ("dovecot/imap", "dovecot/imap-login")
    """What the polling for "visible" costs is not the delivery's."""

    def __init__(self, preload: dict[str, str], outside: Outside) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="pillarbox-dovecot-"))
        self.base.chmod(0o755)
        self._postfix = _BenchPostfix(self.base / "run/lmtp", preload, outside)
        config = self.base / "dovecot.conf"
        self._dovecot = Process("dovecot", [require("dovecot"), "-F", "-c", str(config)], {**os.environ, **preload})
        self.imap, self.pop3 = free_port("127.0.0.1"), free_port("127.0.0.1")
        for name in ("run", "state", "mail"):
            (self.base / name).mkdir(mode=0o755)
        os.chown(self.base / "mail", MAIL_UID, MAIL_UID)
        shutil.chown(self.base / "state", "dovecot")
        (self.base / "users").write_text("".join(f"{user}:{{PLAIN}}{PASSWORD}::::::\n" for user in users()))
        values = {"base": self.base, "uid": MAIL_UID, "domain": DOMAIN, "imap": self.imap, "pop3": self.pop3}
        config.write_text(_DOVECOT.format_map(values))

    def __enter__(self) -> Self:
        self._dovecot.start()
        wait_port("127.0.0.1", self.imap)
        self._postfix.start()
        self.smtp = self.submission = (self._postfix.address, self._postfix.port)
        self.roots = {"postfix": self._postfix.pid, "dovecot": self._dovecot.pid}
        return self

    def settle(self) -> None:
        """Nothing of what it was given is left to be done in the background."""

    def __exit__(self, *_: object) -> None:
        self._postfix.close()
        self._dovecot.stop()
        shutil.rmtree(self.base, ignore_errors=True)


def profiled(directory: Path) -> Callable[[str], list[str]]:
    """Start a service under cProfile."""
    script = Path(__file__).with_name("profiled.py")
    return lambda name: [sys.executable, str(script), str(directory.absolute()), f"services.{name}"]


class Pillarbox:
    """Our five services as five processes."""

    name = "Pillarbox"
    readers = ("imap/python", "imap/python3")

    def __init__(self, preload: dict[str, str], outside: Outside, profile: Path | None = None) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="pillarbox-bench-"))
        settings = {
            "PILLARBOX_DNS__RESOLVERS": outside.resolver,
            "PILLARBOX_SMTP_OUT__ALLOW_PRIVATE": "true",
            "PILLARBOX_SMTP_OUT__MTA_STS": "false",
            "PILLARBOX_SMTP_OUT__MX_PORT": str(outside.port),
            "PILLARBOX_LIMITS__EXEMPT_NETWORKS": "127.0.0.0/8",
            "PILLARBOX_STORE__SEARCH_WAIT_SECONDS": "1",
            **preload,
        }
        self._stack = Stack(self.base, settings=settings, domain=DOMAIN, argv=profiled(profile) if profile else None)

    def __enter__(self) -> Self:
        for name, service in self._stack.services.items():
            service.output = self.base / f"{name}.log"
        self._stack.start()
        self._stack.add_accounts(dict.fromkeys(users(), PASSWORD))
        self.smtp = ("127.0.0.1", self._stack.port("smtp"))
        self.submission = ("127.0.0.1", self._stack.port("submission"))
        self.imap, self.pop3 = self._stack.port("imap"), self._stack.port("pop3")
        self.roots = {name: service.pid for name, service in self._stack.services.items()}
        return self

    def settle(self) -> None:
        """Return when the indexer rests: what it was given is in the search index."""

        async def wait(store: StoreClient) -> None:
            while (status := await store.admin.search_status()).tail or status.running:
                await trio.sleep(0.1)

        self._stack.administer(wait, seconds=600)

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        shutil.rmtree(self.base, ignore_errors=True)
