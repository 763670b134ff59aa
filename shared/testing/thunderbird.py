"""Thunderbird on a screen of its own (Xvfb), driven by keys and clicks as a person would: one IMAP account, made by preferences.

It asks for the password in a dialog, loads every message of the INBOX for offline use into a file that can be read here,
idles, and does what a click or a key does. What can fail: ClientFailed when a window or a change does not come in time.
"""

import os
import re
import subprocess
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from shared.testing.clients import HOST, ClientFailed, Login
from shared.testing.process import Process
from shared.testing.runner import require

START_SECONDS: Final = 90.0
STEP_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.2
"""Between two looks at something outside of our control: a window, a file of Thunderbird's."""
FIRST_MESSAGE: Final = (420, 125)
"""Where the first row of the message list is on the screen of 1280 x 900."""

_PREFERENCES: Final = {
    "mail.accountmanager.accounts": "account1",
    "mail.accountmanager.defaultaccount": "account1",
    "mail.account.account1.server": "server1",
    "mail.account.account1.identities": "id1",
    "mail.identity.id1.fullName": "Bob",
    "mail.identity.id1.valid": True,
    "mail.server.server1.type": "imap",
    "mail.server.server1.hostname": HOST,
    "mail.server.server1.socketType": 0,
    "mail.server.server1.authMethod": 3,
    "mail.server.server1.login_at_startup": True,
    "mail.server.server1.check_new_mail": True,
    "mail.server.server1.offline_download": True,
    "mail.server.server1.autosync_offline_stores": True,
    "mail.rights.version": 1,
    "mail.shell.checkDefaultClient": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.spotlight.firstRunDone": True,
    "mail.biff.show_alert": False,
    "mailnews.start_page.enabled": False,
    "app.update.enabled": False,
    "app.donation.eoy.version.viewed": 999,
    "datareporting.policy.dataSubmissionEnabled": False,
    "datareporting.policy.dataSubmissionPolicyBypassNotification": True,
    "toolkit.telemetry.enabled": False,
    "extensions.update.enabled": False,
    "browser.safebrowsing.downloads.remote.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.dns.disabled": True,
}


class Thunderbird:
    """One running Thunderbird with one account, without TLS: `port` is the plaintext one."""

    def __init__(self, port: int, login: Login) -> None:
        self._login = login
        self._profile = login.home / "thunderbird"
        self._profile.mkdir(parents=True)
        preferences = {
            **_PREFERENCES,
            "mail.server.server1.port": port,
            "mail.server.server1.userName": login.address,
            "mail.identity.id1.useremail": login.address,
        }
        lines = [f'user_pref("{name}", {_literal(value)});\n' for name, value in preferences.items()]
        (self._profile / "user.js").write_text("".join(lines))
        self._screen: Process | None = None
        self._program: Process | None = None
        self._environment: dict[str, str] = {}

    def __enter__(self) -> Self:
        reading, writing = os.pipe()
        argv = [require("Xvfb"), "-displayfd", str(writing), "-screen", "0", "1280x900x24", "-nolisten", "tcp"]
        self._screen = Process("xvfb", argv, dict(os.environ))
        try:
            self._screen.start(pass_fds=(writing,))
            os.close(writing)
            with os.fdopen(reading) as file:
                number = file.readline().strip()
            if not number:
                raise self._screen.failure("no display")
            home = str(self._login.home)
            self._environment = {**os.environ, "DISPLAY": f":{number}", "HOME": home, "TZ": "UTC", "LC_ALL": "C.UTF-8"}
            argv = [require("thunderbird"), "--profile", str(self._profile), "--no-remote"]
            self._program = Process("thunderbird", argv, self._environment)
            self._program.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in (self._program, self._screen):
            if process is not None and process.popen is not None:
                process.stop()

    def _do(self, *words: str) -> str:
        """One step of xdotool; what it printed (nothing when it found nothing)."""
        done = subprocess.run(
            [require("xdotool"), *words], env=self._environment, capture_output=True, text=True, check=False, timeout=20
        )
        return done.stdout.strip()

    def wait_until(self, what: str, true: Callable[[], object], seconds: float = STEP_SECONDS) -> None:
        """Return when something outside is so. Raises ClientFailed with `what` when it is not in time."""
        if not self.comes_true(true, seconds):
            raise ClientFailed(f"Thunderbird: no {what} within {seconds} s")

    def comes_true(self, true: Callable[[], object], seconds: float) -> bool:
        """Whether something outside is so before the time is over."""
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOOK_SECONDS)
        return True

    def log_in(self) -> None:
        """Wait for the dialog that asks for the password, and answer it."""
        title = "Enter your password"
        found: list[str] = []

        def dialog() -> bool:
            found[:] = self._do("search", "--onlyvisible", "--name", title).split()
            return bool(found)

        self.wait_until("password dialog", dialog, START_SECONDS)

        def gone() -> bool:
            # keys that come before the dialog takes them are lost: clear and type again
            self._do("windowfocus", found[0])
            self._do("key", "--window", found[0], "ctrl+a")
            self._do("type", "--window", found[0], self._login.password)
            self._do("key", "--window", found[0], "Return")
            time.sleep(_LOOK_SECONDS)
            return not dialog()

        self.wait_until("end of the password dialog", gone)

    def loaded(self, mailbox: str = "INBOX") -> bytes:
        """The file with the messages that were loaded of a mailbox."""
        path = self._profile / "ImapMail" / HOST / mailbox
        return path.read_bytes() if path.exists() else b""

    def wait_loaded(self, *texts: bytes, mailbox: str = "INBOX") -> None:
        """Return when texts are in what was loaded."""
        wanted = [re.compile(re.escape(text)) for text in texts]
        self.wait_until(
            f"{texts!r} in {mailbox}",
            lambda: all(pattern.search(self.loaded(mailbox)) for pattern in wanted),
        )

    def click(self, place: tuple[int, int] = FIRST_MESSAGE) -> None:
        """Click somewhere on the screen."""
        self._do("mousemove", str(place[0]), str(place[1]), "click", "1")

    def key(self, name: str) -> None:
        """Press a key, by xdotool's name, in the window that has the focus."""
        self._do("key", name)


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else f'"{value}"'
