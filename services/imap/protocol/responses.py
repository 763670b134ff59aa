"""Replies as data: status responses and the untagged lines that hold no message data.

RFC 3501 §7, response codes of RFC 5530 §3, RFC 4315 §3 (APPENDUID, COPYUID), RFC 7162 §3.1 (HIGHESTMODSEQ, MODIFIED, NOMODSEQ).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import attrs

from services.imap.protocol.encode import build_flag_list, build_mailbox, build_nstring
from services.imap.protocol.sequence_set import compact
from shared import errors
from shared.model.flags import MAX_KEYWORDS, SYSTEM_FLAG_NAMES
from shared.model.rights import Rights, permitted_names


@attrs.frozen
class Reply:
    """A tagged status response. ``code`` without its brackets. The text is for people and never holds what they typed."""

    status: str
    text: str
    code: str = ""

    def render(self, tag: bytes) -> bytes:
        code = f"[{self.code}] " if self.code else ""
        return b"%b %b %b\r\n" % (tag, self.status.encode(), (code + self.text).encode("ascii", "replace"))


def build_ok(text: str, code: str = "") -> Reply:
    return Reply("OK", text, code)


def build_no(text: str, code: str = "") -> Reply:
    return Reply("NO", text, code)


def build_bad(text: str, code: str = "") -> Reply:
    return Reply("BAD", text, code)


def build_untagged(status: str, text: str, code: str = "") -> bytes:
    """``* OK [CODE] text``, also BYE and NO."""
    return Reply(status, text, code).render(b"*")


CONTINUE: Final = b"+ OK\r\n"

# RFC 5530 §3; TRYCREATE: RFC 3501 §7.1
_STORE_REPLIES: Final[dict[type[errors.StoreError], Reply]] = {
    errors.Unavailable: Reply("NO", "The mail store is not reachable now, try again", "UNAVAILABLE"),
    errors.DeadlineExceeded: Reply("NO", "The mail store took too long, try again", "UNAVAILABLE"),
    errors.Overloaded: Reply("NO", "Too busy, try again", "UNAVAILABLE"),
    errors.Internal: Reply("NO", "Internal error", "SERVERBUG"),
    errors.NoSuchUpload: Reply("NO", "The transfer was interrupted, try again", "UNAVAILABLE"),
    errors.BadRequest: Reply("NO", "That cannot be done", "CANNOT"),
    errors.Forbidden: Reply("NO", "Not allowed", "NOPERM"),
    errors.GrantExpired: Reply("NO", "The login has expired", "EXPIRED"),
    errors.AuthenticationFailed: Reply("NO", "User name or password is wrong", "AUTHENTICATIONFAILED"),
    errors.Banned: Reply("NO", "Too many failed logins, try again later", "UNAVAILABLE"),
    errors.NoSuchMailbox: Reply("NO", "No such mailbox", "NONEXISTENT"),
    errors.NoPermission: Reply("NO", "You have no right to do that", "NOPERM"),
    errors.MailboxExists: Reply("NO", "The mailbox exists already", "ALREADYEXISTS"),
    errors.InvalidMailboxName: Reply("NO", "Not a possible mailbox name", "CANNOT"),
    errors.CannotChangeMailbox: Reply("NO", "This mailbox cannot be changed that way", "CANNOT"),
    errors.NoSuchMessage: Reply("NO", "The message is gone", "EXPUNGEISSUED"),
    errors.OverQuota: Reply("NO", "The account is full", "OVERQUOTA"),
    errors.LimitExceeded: Reply("NO", "A limit was reached", "LIMIT"),
    errors.TooLarge: Reply("NO", "Too large", "TOOBIG"),
    errors.OutOfSpace: Reply("NO", "The mail store's disk is full", "UNAVAILABLE"),
}


def reply_for_error(error: errors.StoreError) -> Reply:
    """The answer to a command that the store refused."""
    return _STORE_REPLIES.get(type(error), _STORE_REPLIES[errors.Internal])


def build_capability(names: Iterable[str]) -> bytes:
    return b"* CAPABILITY " + " ".join(names).encode("ascii") + b"\r\n"


def build_flags(names: Sequence[str]) -> bytes:
    """RFC 3501 §7.2.6."""
    return b"* FLAGS " + build_flag_list(names) + b"\r\n"


def build_permanent_flags(names: Sequence[str], text: str) -> bytes:
    """RFC 3501 §7.1 PERMANENTFLAGS."""
    return build_untagged("OK", text, f"PERMANENTFLAGS {build_flag_list(names).decode('ascii')}")


def describe_flags(keywords: Sequence[str], rights: Rights, *, read_only: bool) -> bytes:
    """FLAGS and PERMANENTFLAGS of a mailbox, as the session's rights are (RFC 4314 §5.1.1)."""
    flags = [*SYSTEM_FLAG_NAMES, *keywords]
    if read_only:
        return build_flags(flags) + build_permanent_flags((), "Nothing can be changed")
    kept = permitted_names(flags, rights)
    # RFC 3501 §7.1: "\*" says that new keywords can be made
    more = ("\\*",) if len(keywords) < MAX_KEYWORDS and rights & Rights.WRITE else ()
    return build_flags(flags) + build_permanent_flags([*kept, *more], "Flags that are kept")


def build_list_line(
    word: bytes,
    attributes: Sequence[str],
    name: str,
    extended: Sequence[bytes] = (),
    delimiter: bytes = b'"/"',
    *,
    utf8: bool = False,
) -> bytes:
    """RFC 3501 §7.2.2, §7.2.3; extended data: RFC 5258 §6."""
    more = b" (" + b" ".join(extended) + b")" if extended else b""
    return b"* %b (%b) %b %b%b\r\n" % (
        word,
        " ".join(attributes).encode(),
        delimiter,
        build_mailbox(name, utf8=utf8),
        more,
    )


def build_old_name(name: str, old_name: str, *, utf8: bool, attributes: Sequence[str] = ()) -> bytes:
    """RFC 9051 §6.3.9.7: the mailbox that was called otherwise is called so."""
    old = b'"OLDNAME" (%b)' % build_mailbox(old_name, utf8=utf8)
    return build_list_line(b"LIST", attributes, name, (old,), utf8=utf8)


def build_status(name: str, values: Sequence[tuple[str, int | str]], *, utf8: bool = False) -> bytes:
    """RFC 3501 §7.2.4."""
    items = " ".join(f"{item} {value}" for item, value in values).encode()
    return b"* STATUS %b (%b)\r\n" % (build_mailbox(name, utf8=utf8), items)


VANISHED_LINE_OCTETS: Final = 8000
"""A line of VANISHED ends soon after this: RFC 7162 §4 reckons with lines of 8192 octets."""


def vanished_lines(ranges: Iterable[tuple[int, int]], *, earlier: bool = False) -> Iterator[bytes]:
    """RFC 7162 §3.2.10, in as many responses as it takes; the ranges of UIDs are inclusive and ascend."""
    word = b"* VANISHED (EARLIER) " if earlier else b"* VANISHED "
    pieces: list[bytes] = []
    octets = 0
    for low, high in ranges:
        piece = b"%d" % low if low == high else b"%d:%d" % (low, high)
        pieces.append(piece)
        octets += len(piece) + 1
        if octets >= VANISHED_LINE_OCTETS:
            yield word + b",".join(pieces) + b"\r\n"
            pieces.clear()
            octets = 0
    if pieces:
        yield word + b",".join(pieces) + b"\r\n"


def build_id(fields: Sequence[tuple[str, str]]) -> bytes:
    """RFC 2971 §3.2."""
    pairs = b" ".join(build_nstring(text.encode()) for pair in fields for text in pair)
    return b"* ID (" + pairs + b")\r\n"


def code_append_uids(uidvalidity: int, uids: Iterable[int]) -> str:
    """RFC 4315 §3; of several messages (RFC 3502) a set of UIDs, in the order of the messages, which is ascending."""
    return f"APPENDUID {uidvalidity} {compact(uids).decode()}"


def mailbox_object_id(mailbox_id: int) -> str:
    """RFC 8474 §4: MAILBOXID. The store never gives a number to a second mailbox, and a renamed one keeps its own."""
    return f"F{mailbox_id:08x}"


def code_copy_uid(uidvalidity: int, sources: Iterable[int], targets: Iterable[int]) -> str:
    """RFC 4315 §3."""
    return f"COPYUID {uidvalidity} {compact(sources).decode()} {compact(targets).decode()}"


def code_modified(numbers: Iterable[int]) -> str:
    """RFC 7162 §3.1.3."""
    return f"MODIFIED {compact(numbers).decode()}"
