"""Mail that keeps coming while something is killed, with an exact record of what was acknowledged.

Every message has a Message-ID of its own and is sent once: a sender that is not told how it ended takes a new message.
So at the end each acknowledged one must be there exactly once, each other one at most once.
"""

import collections
import imaplib
import smtplib
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from shared.testing.clients import Login, Security
from shared.testing.mail_samples import plain_message
from shared.testing.world import World

RECONNECT_SECONDS = 0.02
"""Between two attempts to reach a service that is away."""


class Load:
    """Senders in threads, from `with Load(...)` to the end of the block.

    `acknowledged` and `tried`: Message-IDs by the name of the way they went ("smtp", "append", "remote"); `lost`: how
    often a connection of a way broke; `deferred`: temporary refusals.
    """

    def __init__(self, world: World, login: Login, *, smtp: int = 3, append: int = 1, remote: int = 1) -> None:
        self.acknowledged: dict[str, list[str]] = collections.defaultdict(list)
        self.tried: dict[str, list[str]] = collections.defaultdict(list)
        self.lost: collections.Counter[str] = collections.Counter()
        self.deferred: collections.Counter[str] = collections.Counter()
        self.errors: list[BaseException] = []
        self._world = world
        self._login = login
        self._stop = threading.Event()
        self._told = threading.Condition()
        ways: list[tuple[str, Callable[[Iterator[str]], None]]] = [
            *[("smtp", self._smtp)] * smtp,
            *[("append", self._append)] * append,
            *[("remote", self._remote)] * remote,
        ]
        self._ways = {way for way, _ in ways}
        self._threads = [
            threading.Thread(target=self._run, args=(way, number, session), daemon=True)
            for number, (way, session) in enumerate(ways)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if error is None and self.errors:
            raise self.errors[0]

    def stop(self) -> None:
        """Let every sender finish the message it is at."""
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(40)

    def wait_more(self, count: int, seconds: float = 30.0) -> None:
        """Return when every way had `count` further messages acknowledged."""
        with self._told:
            goal = {way: len(self.acknowledged[way]) + count for way in self._ways}
            deadline = time.monotonic() + seconds
            while not all(len(self.acknowledged[way]) >= goal[way] for way in goal):
                left = deadline - time.monotonic()
                assert left > 0, f"stuck: {self.summary()}, wanted {goal}"
                assert not self.errors, self.errors
                self._told.wait(min(left, 1.0))

    def summary(self) -> str:
        """Figures for a message."""
        acknowledged = {way: len(ids) for way, ids in self.acknowledged.items()}
        return f"acknowledged {acknowledged}, lost {dict(self.lost)}, deferred {dict(self.deferred)}"

    # -- inside the threads

    def _run(self, way: str, number: int, session: Callable[[Iterator[str]], None]) -> None:
        name = self._login.address.partition("@")[0]
        ids = (f"{way}{number}.{count}.{name}@load.test" for count in range(1_000_000))
        try:
            while not self._stop.is_set():
                try:
                    session(ids)
                except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused) as error:
                    if not _is_temporary(error):
                        raise
                    self.deferred[way] += 1
                except (OSError, EOFError, smtplib.SMTPException, imaplib.IMAP4.error):
                    self.lost[way] += 1
                    self._stop.wait(RECONNECT_SECONDS)
        except BaseException as error:
            self.errors.append(error)

    def _take(self, way: str, ids: Iterator[str]) -> str:
        identity = next(ids)
        self.tried[way].append(identity)
        return identity

    def _acknowledge(self, way: str, identity: str) -> None:
        with self._told:
            self.acknowledged[way].append(identity)
            self._told.notify_all()

    def _smtp(self, ids: Iterator[str]) -> None:
        with self._world.smtp(None) as client:
            while not self._stop.is_set():
                identity = self._take("smtp", ids)
                client.sendmail("someone@remote.test", [self._login.address], plain_message(identity))
                self._acknowledge("smtp", identity)

    def _append(self, ids: Iterator[str]) -> None:
        with self._world.imap(self._login, Security.NONE) as client:
            while not self._stop.is_set():
                identity = self._take("append", ids)
                status, said = client.append("INBOX", "", "", plain_message(identity))
                if status == "OK":
                    self._acknowledge("append", identity)
                elif b"UNAVAILABLE" in said[0]:
                    self.deferred["append"] += 1
                else:
                    raise AssertionError(f"APPEND: {said}")

    def _remote(self, ids: Iterator[str]) -> None:
        with self._world.smtp(self._login, Security.TLS, "submissions") as client:
            while not self._stop.is_set():
                identity = self._take("remote", ids)
                message = plain_message(identity, "carol@remote.test", self._login.address)
                client.sendmail(self._login.address, ["carol@remote.test"], message)
                self._acknowledge("remote", identity)


def _is_temporary(error: smtplib.SMTPException) -> bool:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(400 <= code < 500 for code, _ in error.recipients.values())
    return isinstance(error, smtplib.SMTPResponseException) and 400 <= error.smtp_code < 500
