"""Writes an account's mailboxes out: as a Maildir++ that Dovecot goes on with, or as one mbox for each mailbox.

A Maildir keeps all that an import reads; its lists are written behind its messages. An mbox keeps flags in the fields Status, X-Status and
X-Keywords, as other programs read them, and loses UIDs.
"""

import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import attrs
import trio

from shared.contract.types import MailboxState
from shared.moving import mbox
from shared.moving.account import Account, Stored
from shared.moving.keywords import LETTERS, build_keywords, letters_of
from shared.moving.names import folder_octets
from shared.moving.subscriptions import build_subscriptions
from shared.moving.uidlist import Uidlist, UidRecord, build_uidlist
from shared.moving.worker import with_crlf

GROUP_OCTETS: Final = 4 * 1024 * 1024
"""Written in one go."""
Progress = Callable[[int, int], None]


class LeaveError(Exception):
    """The place cannot be written to, or holds something."""


@attrs.frozen
class Leaving:
    """A mailbox that is to be written."""

    state: MailboxState
    messages: tuple[Stored, ...]

    @property
    def octets(self) -> int:
        """Of all messages."""
        return sum(each.octets for each in self.messages)


async def look(account: Account) -> list[Leaving]:
    """All mailboxes with what is known of their messages, INBOX first."""
    found = []
    for info in sorted(await account.mailboxes(), key=lambda info: (info.name != "INBOX", info.name)):
        state = await account.state(info.name)
        if state is not None:
            messages, _ = await account.stored(state)
            found.append(Leaving(state, tuple(messages)))
    return found


def make_place(path: Path) -> None:
    """An empty folder, made if need be. Raises LeaveError."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise LeaveError(f"{path} is not empty")
    except OSError as error:
        raise LeaveError(f"{path}: {error.strerror}") from None


def folder_names(names: Sequence[str]) -> dict[str, bytes]:
    """The folder of each mailbox; INBOX is at the root. Names that differ in nothing but dots get a ``_`` more."""
    folders: dict[str, bytes] = {"INBOX": b""}
    taken: set[bytes] = set()
    for name in names:
        if name == "INBOX":
            continue
        folder = folder_octets(name)
        while folder in taken:
            folder += b"_"
        taken.add(folder)
        folders[name] = folder
    return folders


@attrs.frozen
class MaildirFile:
    """A message as it is written."""

    name: bytes
    data: bytes = attrs.field(repr=False)
    came: int
    record: UidRecord


def maildir_file(stored: Stored, content: bytes, mailbox_id: int, letters: dict[str, str]) -> MaildirFile:
    """Line ends as Unix has them; both sizes are in the name."""
    data = content.replace(b"\r\n", b"\n")
    octets = len(with_crlf(data))
    # a number that is below 0 would be no time to those who sort by it
    base = f"{max(stored.internal_date, 0)}.M{stored.uid}P{mailbox_id}.pillarbox,S={len(data)},W={octets}".encode()
    name = base + b":2," + letters_of(stored.flags, letters).encode()
    return MaildirFile(name, data, stored.internal_date, UidRecord(stored.uid, base, stored.uidl, octets))


class MaildirWriter:
    """Writes one mailbox after the other below an empty folder."""

    def __init__(self, account: Account, root: Path, progress: Progress) -> None:
        self._account = account
        self._root = os.fsencode(root)
        self._progress = progress

    async def write(self, leaving: Leaving, folder: bytes) -> int:
        """Keywords that have no letter. Raises StoreError, OSError."""
        path = os.path.join(self._root, folder)
        keywords = sorted({flag for each in leaving.messages for flag in each.flags if not flag.startswith("\\")})
        letters = dict(zip(keywords, LETTERS, strict=False))
        await trio.to_thread.run_sync(_make_folder, path, folder != b"")
        records: list[UidRecord] = []
        group: list[MaildirFile] = []
        octets = 0
        async for stored, content in self._account.contents(leaving.state.mailbox_id, leaving.messages):
            group.append(maildir_file(stored, content, leaving.state.mailbox_id, letters))
            octets += len(content)
            if octets >= GROUP_OCTETS:
                await self._flush(path, group, records, octets)
                group, octets = [], 0
        await self._flush(path, group, records, octets)
        uidlist = Uidlist(leaving.state.uidvalidity, leaving.state.uid_next, secrets.token_hex(16), tuple(records))
        _write(os.path.join(path, b"dovecot-uidlist"), b"".join(build_uidlist(uidlist)))
        if letters:
            _write(os.path.join(path, b"dovecot-keywords"), build_keywords({at: name for name, at in letters.items()}))
        return len(keywords) - len(letters)

    async def _flush(self, path: bytes, group: list[MaildirFile], records: list[UidRecord], octets: int) -> None:
        await trio.to_thread.run_sync(_write_files, os.path.join(path, b"cur"), group)
        records += [file.record for file in group]
        self._progress(len(group), octets)

    def write_subscriptions(self, names: Sequence[str], folders: dict[str, bytes]) -> None:
        """Raises OSError."""
        lines = tuple(b"INBOX" if name == "INBOX" else folders.get(name, folder_octets(name))[1:] for name in names)
        _write(os.path.join(self._root, b"subscriptions"), build_subscriptions(lines))


def _make_folder(path: bytes, below: bool) -> None:
    os.makedirs(path, mode=0o700, exist_ok=True)
    for part in (b"cur", b"new", b"tmp"):
        os.mkdir(os.path.join(path, part), 0o700)
    if below:
        _write(os.path.join(path, b"maildirfolder"), b"")


def _write_files(path: bytes, files: Sequence[MaildirFile]) -> None:
    for file in files:
        at = os.path.join(path, file.name)
        _write(at, file.data)
        os.utime(at, (file.came, file.came))


def _write(path: bytes, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)


class MboxWriter:
    """Writes ``NAME.mbox`` for each mailbox below an empty folder, levels as folders."""

    def __init__(self, account: Account, root: Path, progress: Progress) -> None:
        self._account = account
        self._root = root
        self._progress = progress

    async def write(self, leaving: Leaving) -> None:
        """Raises StoreError, OSError."""
        path = self._root / f"{leaving.state.name}.mbox"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            async for stored, content in self._account.contents(leaving.state.mailbox_id, leaving.messages):
                entry = mbox.build_entry(content, stored.internal_date, stored.flags)
                await trio.to_thread.run_sync(file.write, entry)
                self._progress(1, len(content))
