"""A real Dovecot as the reference for what IMAP clients are used to: one instance, one account, mail in a Maildir.

It has its own configuration, state and loopback port, runs in the foreground as our child and logs to its standard
error. `append` and the reading of answers are `imap_client`'s: both servers are asked the same octets.

Needs root: Dovecot's processes belong to several users.
"""

import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path

from shared.testing.dnsmasq import free_port
from shared.testing.process import Process
from shared.testing.runner import require, require_root

USER = "reference"
PASSWORD = "pw"
MASTER = "chief"
MASTER_PASSWORD = "master-pw"
MAIL_UID = 5000
"""Owner of the mail; needs no entry in /etc/passwd."""

_CONFIGURATION = """\
protocols = imap pop3
listen = 127.0.0.1
base_dir = {base}/run
state_dir = {base}/state
instance_name = reference
log_path = /dev/stderr
ssl = {ssl}
disable_plaintext_auth = no
auth_mechanisms = {mechanisms}
auth_master_user_separator = *
passdb {{
  driver = static
  master = yes
  args = password={master_password}
}}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={uid} home={base}/mail/%n
}}
first_valid_uid = 500
mail_location = {location}{options}
mail_max_userip_connections = 30
mail_fsync = never
namespace inbox {{
  inbox = yes
  separator = /
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3_port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service auth {{
  inet_listener {{
    address = 127.0.0.1
    port = {auth_port}
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""


class Dovecot(Process):
    """One instance; see the head of this file."""

    def __init__(
        self,
        options: str = "",
        mechanisms: str = "plain",
        *,
        location: str = "maildir:~/Maildir",
        tls: tuple[Path, Path] | None = None,
        settings: str = "",
    ) -> None:
        """``options`` of its mail_location: ``:LAYOUT=fs``. ``mechanisms`` that its port for Postfix's AUTH (``auth_port``) offers.

        ``tls``: certificate and key. ``settings``: more of them.
        """
        program = require("dovecot")
        require_root("Dovecot")
        self.base = Path(tempfile.mkdtemp(prefix="pillarbox-dovecot-"))
        weakref.finalize(self, shutil.rmtree, self.base, ignore_errors=True)
        self.base.chmod(0o755)
        self.port = free_port("127.0.0.1")
        self.pop3_port = free_port("127.0.0.1")
        self.auth_port = free_port("127.0.0.1")
        """Where Postfix may ask about passwords."""
        self.tls_port = free_port("127.0.0.1") if tls is not None else 0
        for name in ("run", "state", "mail"):
            (self.base / name).mkdir(mode=0o755)
        os.chown(self.base / "mail", MAIL_UID, MAIL_UID)
        shutil.chown(self.base / "state", "dovecot")
        config = self.base / "dovecot.conf"
        config.write_text(
            _CONFIGURATION.format(
                base=self.base,
                password=PASSWORD,
                master_password=MASTER_PASSWORD,
                uid=MAIL_UID,
                port=self.port,
                pop3_port=self.pop3_port,
                auth_port=self.auth_port,
                mechanisms=mechanisms,
                options=options,
                location=location,
                tls_port=self.tls_port,
                ssl="no" if tls is None else f"yes\nssl_cert = <{tls[0]}\nssl_key = <{tls[1]}",
            )
            + settings,
            "ascii",
        )
        super().__init__("dovecot", [program, "-F", "-c", str(config)])

    @property
    def maildir(self) -> Path:
        """The account's mail."""
        return self.base / "mail" / USER / "Maildir"

    def start(self, pass_fds: Sequence[int] = ()) -> None:
        """Start it and wait until it accepts connections."""
        super().start(pass_fds)
        self.wait_for_log(re.escape("starting up for imap"))
