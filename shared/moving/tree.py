"""A Maildir on the disk: its folders, and the messages of a folder.

Nothing outside of the tree is ever read: symbolic links are passed over, and told of. Names are octets throughout.
"""

import os
import stat
from pathlib import Path
from typing import Final

import attrs

from shared.moving.keywords import MAX_KEYWORDS_OCTETS, KeywordsError, parse_keywords
from shared.moving.names import FileName, FolderNameError, Layout, folder_name, parse_file_name
from shared.moving.subscriptions import MAX_SUBSCRIPTIONS_OCTETS, SubscriptionsError, parse_subscriptions
from shared.moving.uidlist import MAX_LINE_OCTETS, Uidlist, UidlistError, parse_uidlist

MAX_FOLDERS: Final = 100_000
MAX_FILES: Final = 5_000_000
"""In a folder."""
MAX_LEVELS: Final = 20
_PARTS: Final = (b"cur", b"new")
_OWN: Final = frozenset({b"cur", b"new", b"tmp"})


class TreeError(ValueError):
    """Not a Maildir, or beyond a bound."""


@attrs.frozen
class Folder:
    path: bytes
    name: str
    """Of the mailbox."""


@attrs.define
class Found:
    """INBOX first, then by name."""

    folders: list[Folder] = attrs.field(factory=list)
    problems: list[str] = attrs.field(factory=list)
    """What was passed over."""
    notes: list[str] = attrs.field(factory=list)
    """Folders that get another name."""


@attrs.frozen
class MessageFile:
    part: bytes
    """cur or new"""
    name: bytes
    parsed: FileName
    octets: int
    """On the disk."""
    came: int | None
    """Its time; None: it is not there any more."""


@attrs.frozen
class FolderContent:
    uidlist: Uidlist | None
    keywords: dict[str, str]
    """By letter."""
    files: dict[bytes, MessageFile]
    """By their names without flags."""
    problems: tuple[str, ...]


def shown(octets: bytes) -> str:
    """A name for people."""
    return octets.decode("utf-8", "backslashreplace")


def find_folders(root: Path, layout: Layout) -> Found:
    """Raises TreeError, OSError."""
    top = os.fsencode(root)
    found = Found()
    if _is_mailbox(top):
        found.folders.append(Folder(top, "INBOX"))
    problems = found.problems
    names = _maildir_folders(top, problems) if layout is Layout.MAILDIR else _nested_folders(top, b"", 1, problems)
    for octets in names:
        if _is_mailbox(os.path.join(top, octets)):
            _add_folder(found, top, octets, layout)
        if len(found.folders) > MAX_FOLDERS:
            raise TreeError(f"more than {MAX_FOLDERS} folders")
    if not found.folders:
        raise TreeError(f"{root} is not a Maildir: it has neither cur nor folders that have one")
    return found


def _is_mailbox(path: bytes) -> bool:
    return any(_is_directory(os.path.join(path, part)) for part in _PARTS)


def _add_folder(found: Found, top: bytes, octets: bytes, layout: Layout) -> None:
    try:
        named = folder_name(octets, layout)
    except FolderNameError as error:
        found.problems.append(f"folder {shown(octets)} is left out: {error}")
        return
    if named.changed:
        found.notes.append(f"folder {shown(octets)} becomes {named.name}")
    found.folders.append(Folder(os.path.join(top, octets), named.name))


def _is_directory(path: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _maildir_folders(top: bytes, problems: list[str]) -> list[bytes]:
    found = []
    with os.scandir(top) as entries:
        for entry in entries:
            if not entry.name.startswith(b"."):
                continue
            if entry.is_symlink():
                problems.append(f"folder {shown(entry.name)} is left out: a symbolic link")
            elif entry.is_dir(follow_symlinks=False):
                found.append(entry.name)
    return sorted(found)


def _nested_folders(top: bytes, below: bytes, level: int, problems: list[str]) -> list[bytes]:
    found: list[bytes] = []
    if level > MAX_LEVELS:
        problems.append(f"folders below {shown(below)} are left out: too many levels")
        return found
    with os.scandir(os.path.join(top, below)) as scanned:
        entries = sorted(scanned, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name in _OWN or entry.name.startswith(b"."):
            continue
        path = os.path.join(below, entry.name)
        if entry.is_symlink():
            problems.append(f"folder {shown(path)} is left out: a symbolic link")
        elif entry.is_dir(follow_symlinks=False):
            found.append(path)
            found += _nested_folders(top, path, level + 1, problems)
    return found


def read_folder(folder: Folder, *, new_uids: bool, control: bytes = b"") -> FolderContent:
    """``new_uids``: without its list of UIDs; ``control``: where its lists are, if not with it. Raises TreeError, OSError."""
    control = control or folder.path
    problems: list[str] = []
    try:
        uidlist = None if new_uids else _uidlist(os.path.join(control, b"dovecot-uidlist"))
        data = read_bounded(os.path.join(control, b"dovecot-keywords"), MAX_KEYWORDS_OCTETS)
        keywords = parse_keywords(data or b"")
    except (UidlistError, KeywordsError) as error:
        raise TreeError(f"dovecot-uidlist or dovecot-keywords: {error}") from None
    files: dict[bytes, MessageFile] = {}
    links = 0
    # a message on its way from new to cur is seen where it arrives
    for part in reversed(_PARTS):
        path = os.path.join(folder.path, part)
        if not _is_directory(path):
            continue
        with os.scandir(path) as entries:
            for entry in entries:
                parsed = parse_file_name(entry.name)
                if parsed is None:
                    continue
                if not entry.is_file(follow_symlinks=False):
                    links += 1
                    continue
                try:
                    known = entry.stat(follow_symlinks=False)
                    octets, came = known.st_size, int(known.st_mtime)
                except FileNotFoundError:
                    # renamed meanwhile: it is looked for when it is read
                    octets, came = parsed.size, None
                files[parsed.base] = MessageFile(part, entry.name, parsed, octets, came)
                if len(files) > MAX_FILES:
                    raise TreeError(f"more than {MAX_FILES} files")
    if links:
        problems.append(f"{folder.name}: {links} left out that are no files (symbolic links)")
    return FolderContent(uidlist, keywords, files, tuple(problems))


def control_of(folder: Folder, root: Path, control: Path, layout: Layout) -> bytes:
    """Where a folder's lists are below Dovecot's CONTROL; those of the root are in one of INBOX's name."""
    below = os.path.relpath(folder.path, os.fsencode(root))
    if below == b".":
        below = b".INBOX" if layout is Layout.MAILDIR else b"INBOX"
    return os.path.join(os.fsencode(control), below)


def read_subscriptions(root: Path, layout: Layout) -> tuple[str, ...]:
    """Raises TreeError, OSError."""
    try:
        data = read_bounded(os.path.join(os.fsencode(root), b"subscriptions"), MAX_SUBSCRIPTIONS_OCTETS)
        return parse_subscriptions(data or b"", b"." if layout is Layout.MAILDIR else b"/")
    except SubscriptionsError as error:
        raise TreeError(f"subscriptions: {error}") from None


def open_file(path: bytes) -> int:
    """A regular file, not through a symbolic link; None of its octets are waited for. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileNotFoundError(path)
    return fd


def read_bounded(path: bytes, octets: int) -> bytes | None:
    """A file's octets, one more than ``octets`` at most; None where there is none. Raises OSError."""
    try:
        fd = open_file(path)
    except FileNotFoundError:
        return None
    with os.fdopen(fd, "rb") as file:
        return file.read(octets + 1)


def _uidlist(path: bytes) -> Uidlist | None:
    try:
        fd = open_file(path)
    except FileNotFoundError:
        return None
    with os.fdopen(fd, "rb") as file:
        return parse_uidlist(iter(lambda: file.readline(MAX_LINE_OCTETS + 2), b""))

