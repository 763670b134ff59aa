"""Delivery status notifications: the message that tells a sender what became of a message.

A multipart/report of three parts: words for people, message/delivery-status for programs, the header of the original message (or all
of it). Where an address is not ASCII the second and third part take their UTF-8 forms (RFC 6533: message/global-delivery-status,
message/global-headers).

Laws:
- Everything comes in as an argument: no clock, no randomness.
- No argument can begin a field, a line or a part: control characters become spaces, lengths are bounded, a boundary that occurs
  in the original is lengthened until it does not.
- The caller sends it with the null reverse-path, and never answers a message that came with one (RFC 5321 §4.5.5).

RFC 3461 §6, RFC 3464, RFC 6522, RFC 6533, RFC 3834 (Auto-Submitted).
"""

import binascii
import re
from enum import StrEnum
from textwrap import fill
from typing import Final

import attrs

from shared.mail.date import format_date
from shared.mail.dsn_words import WORDS, DsnWords
from shared.mail.encoded_word import encode_words
from shared.mail.header import get_all, header_end
from shared.model.language import Language

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_STATUS: Final = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'+_./=-]{1,60}")
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_MESSAGE_ID: Final = re.compile(rb"<[!-;=?-~]{3,200}>")
_MAX_VALUE_OCTETS: Final = 800
"""In UTF-8: a line of at most 998 octets holds them (RFC 5322 §2.1.1)."""
_MAX_ADDRESS_OCTETS: Final = 330


class DsnAction(StrEnum):
    """RFC 3464 §2.3.3."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


@attrs.frozen
class DsnRecipient:
    """What became of the message for one recipient."""

    address: str
    action: DsnAction
    status: str
    """RFC 3463 code; one that is none becomes 5.0.0, 4.0.0 or 2.0.0 by the action."""
    diagnostic: str = ""
    """The remote server's reply, or our own words where there was none."""
    remote_mta: str = ""
    """Its name, where `diagnostic` is its reply."""
    original_address: str = ""
    """ORCPT as ``type;address`` decoded, where given (RFC 3461 §4.2)."""
    last_attempt: int | None = None
    """Seconds since 1970."""
    will_retry_until: int | None = None
    """Seconds since 1970, for DELAYED."""
    explanation: str = ""
    """In plain words what happened and what the sender can do; stands before the diagnostic, for people only."""


@attrs.frozen
class DsnReport:
    """Everything a DSN says."""

    reporting_mta: str
    """Our host name."""
    from_address: str
    to_address: str
    recipients: tuple[DsnRecipient, ...]
    date: int
    """Seconds since 1970."""
    message_id: str
    """Without angle brackets; unique, made by the caller."""
    boundary: str
    """Unique, made by the caller: letters, digits and ``'+_./=-``, at most 60."""
    original: bytes
    """The original message, or its header block alone."""
    arrival: int | None = None
    """Seconds since 1970."""
    envelope_id: str = ""
    """ENVID, decoded, where given (RFC 3461 §4.4)."""
    deliver_by: int | None = None
    """By when it was to be delivered, where its sender has set that (RFC 2852), seconds since 1970."""
    return_full: bool = False
    """RET=FULL: the whole message instead of its header."""
    offset_minutes: int = 0
    """Zone of the dates shown."""
    language: Language = Language.ENGLISH
    """Of what it says to people; what it says to programs is the same in each."""


_WIDTH: Final = 76
_DEFAULT_STATUS: Final = {DsnAction.FAILED: "5.0.0", DsnAction.DELAYED: "4.0.0"}


def build_dsn(report: DsnReport, max_original_octets: int = 64 * 1024) -> bytes:
    """The message with CRLF line ends, ready to be filed or sent. Raises ValueError where the boundary has other characters.

    Of the original no more than `max_original_octets` are quoted, whole lines; a message that does not fit is quoted by its header.
    """
    if not _BOUNDARY.fullmatch(report.boundary):
        raise ValueError("not a boundary")
    is_global = any(not (one.address + one.original_address).isascii() for one in report.recipients)
    words = _human_part(report)
    status = _status_part(report, utf8=is_global)
    original = _original_part(report, max_original_octets, utf8=is_global)
    boundary = report.boundary.encode("ascii")
    while b"--" + boundary in original or b"--" + boundary in words or b"--" + boundary in status:
        boundary += b"x"
    delimiter = b"--" + boundary
    return b"".join(
        (
            _header(report, boundary),
            b"This is a delivery report in MIME format.\r\n\r\n",
            *(delimiter, b"\r\n", words, b"\r\n", delimiter, b"\r\n", status, b"\r\n"),
            *(delimiter, b"\r\n", original, b"\r\n", delimiter, b"--\r\n"),
        )
    )


def _main_action(report: DsnReport) -> DsnAction:
    """What the subject speaks of: the worst of it."""
    actions = {one.action for one in report.recipients}
    return next((action for action in DsnAction if action in actions), DsnAction.FAILED)


# RFC 3464 §2, RFC 6522 §3
def _header(report: DsnReport, boundary: bytes) -> bytes:
    words = WORDS[report.language]
    lines = [
        b"From: " + encode_words(words.from_name) + b" <" + _address(report.from_address).encode("utf-8", "replace") + b">",
        b"To: <" + _address(report.to_address).encode("utf-8", "replace") + b">",
        b"Subject: " + encode_words(words.subjects[_main_action(report)]),
        b"Date: " + format_date(report.date, report.offset_minutes).encode("ascii"),
        b"Message-ID: <" + _address(report.message_id).encode("ascii", "replace") + b">",
    ]
    original_id = get_all(report.original, 0, header_end(report.original, 0, len(report.original)), b"message-id")
    if original_id and _MESSAGE_ID.fullmatch(original_id[0]):
        lines.append(b"In-Reply-To: " + original_id[0])
        lines.append(b"References: " + original_id[0])
    lines += [
        # RFC 3834 §5
        b"Auto-Submitted: auto-replied",
        b"MIME-Version: 1.0",
        b'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="' + boundary + b'"',
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _human_part(report: DsnReport) -> bytes:
    words = WORDS[report.language]
    paragraphs = []
    for action in DsnAction:
        group = [one for one in report.recipients if one.action is action]
        if not group:
            continue
        paragraphs.append(fill(words.openings[action], words.width))
        paragraphs.extend(_recipient_words(one, words, report.offset_minutes) for one in group)
        if action in words.closings:
            paragraphs.append(words.closings[action])
    paragraphs.append(words.message_attached if report.return_full else words.header_attached)
    paragraphs.append(words.from_system.format(host=_clean(report.reporting_mta)))
    text = "\n\n".join(paragraphs) + "\n"
    # RFC 3282 §2
    tag = b"Content-Language: " + report.language.value.encode("ascii") + b"\r\n"
    if text.isascii():
        head = b"Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n"
        return head + tag + b"\r\n" + text.replace("\n", "\r\n").encode("ascii")
    head = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n"
    encoded = binascii.b2a_qp(text.encode("utf-8", "replace"), istext=True)
    return head + tag + b"\r\n" + _LINE_END.sub(b"\r\n", encoded)


def _recipient_words(one: DsnRecipient, words: DsnWords, offset_minutes: int) -> str:
    lines = [f"  <{_address(one.address)}>"]
    if one.explanation:
        lines.append(_indented(_clean(one.explanation), words))
    diagnostic = _clean(one.diagnostic)
    if diagnostic:
        said = words.said.format(host=_clean(one.remote_mta), text=diagnostic) if one.remote_mta else diagnostic
        lines.append(_indented(said, words))
    if one.action is DsnAction.DELAYED and one.will_retry_until is not None:
        lines.append(_indented(words.tried_until.format(date=words.date(one.will_retry_until, offset_minutes)), words))
    return "\n".join(lines)


def _indented(text: str, words: DsnWords) -> str:
    # what a server said in plain letters takes the whole line in any language
    indent = " " * 4
    return "\n".join(
        fill(line, _WIDTH if line.isascii() else words.width, initial_indent=indent, subsequent_indent=indent)
        for line in text.split("\n")
    )


# RFC 3464 §2.1, RFC 6533 §4.1
def _status_part(report: DsnReport, *, utf8: bool) -> bytes:
    encoding = "8bit" if utf8 else "7bit"
    subtype = "global-delivery-status" if utf8 else "delivery-status"
    lines = [f"Content-Type: message/{subtype}", f"Content-Transfer-Encoding: {encoding}", ""]
    # RFC 3464 §2.2
    if report.envelope_id:
        lines.append(f"Original-Envelope-Id: {_clean(report.envelope_id)}")
    lines.append(f"Reporting-MTA: dns; {_clean(report.reporting_mta)}")
    if report.arrival is not None:
        lines.append(f"Arrival-Date: {format_date(report.arrival, report.offset_minutes)}")
    if report.deliver_by is not None:
        # RFC 2852: deliver-by-date-field
        lines.append(f"Deliver-By-Date: {format_date(report.deliver_by, report.offset_minutes)}")
    for one in report.recipients:
        lines += ["", *_recipient_fields(one, report.offset_minutes)]
    text = "\r\n".join(lines) + "\r\n"
    return text.encode("utf-8" if utf8 else "ascii", "replace")


# RFC 3464 §2.3
def _recipient_fields(one: DsnRecipient, offset_minutes: int) -> list[str]:
    fields = []
    if one.original_address:
        fields.append(f"Original-Recipient: {_typed(one.original_address)}")
    fields.append(f"Final-Recipient: {_typed(one.address)}")
    fields.append(f"Action: {one.action.value}")
    status = one.status if _STATUS.fullmatch(one.status) else _DEFAULT_STATUS.get(one.action, "2.0.0")
    fields.append(f"Status: {status}")
    if one.remote_mta:
        fields.append(f"Remote-MTA: dns; {_clean(one.remote_mta)}")
    if one.diagnostic:
        # RFC 3464 §2.3.6: smtp where it is a reply of the remote server
        kind = "smtp" if one.remote_mta else "x-pillarbox"
        fields.append(f"Diagnostic-Code: {kind}; {_clean(one.diagnostic)}")
    if one.last_attempt is not None:
        fields.append(f"Last-Attempt-Date: {format_date(one.last_attempt, offset_minutes)}")
    if one.will_retry_until is not None and one.action is DsnAction.DELAYED:
        fields.append(f"Will-Retry-Until: {format_date(one.will_retry_until, offset_minutes)}")
    return fields


# RFC 3464 §2.1.2, RFC 6533 §3
def _typed(address: str) -> str:
    """``rfc822;a@b``, or ``utf-8;a@b``; an address that has its type keeps it."""
    kind, semicolon, rest = address.partition(";")
    if semicolon and kind.isascii() and kind.replace("-", "").isalnum():
        return f"{kind};{_address(rest)}"
    return f"{'rfc822' if address.isascii() else 'utf-8'};{_address(address)}"


def _original_part(report: DsnReport, max_octets: int, *, utf8: bool) -> bytes:
    original = report.original
    whole = report.return_full and len(original) <= max_octets
    if not whole:
        original = original[: header_end(original, 0, len(original))]
        if len(original) > max_octets:
            original = original[: original.rfind(b"\n", 0, max_octets) + 1]
    original = _LINE_END.sub(b"\r\n", original.replace(b"\0", b""))
    encoding = b"7bit" if original.isascii() else b"8bit"
    if whole:
        kind = b"message/global" if utf8 else b"message/rfc822"
    else:
        # RFC 6522 §4, RFC 6533 §4.3
        kind = b"message/global-headers" if utf8 else b"text/rfc822-headers"
        original = original.rstrip(b"\r\n") + b"\r\n"
    return b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + original


def _clean(text: str) -> str:
    return _bounded(_CONTROL.sub(" ", text).strip(), _MAX_VALUE_OCTETS)


def _address(text: str) -> str:
    """An address for angle brackets and status fields: no control characters, no brackets."""
    return _bounded(_CONTROL.sub("", text).replace("<", "").replace(">", "").strip(), _MAX_ADDRESS_OCTETS)


def _bounded(text: str, octets: int) -> str:
    """As many whole characters as fit."""
    return text.encode("utf-8", "replace")[:octets].decode("utf-8", "ignore")
