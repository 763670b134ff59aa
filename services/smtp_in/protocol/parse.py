"""Command lines become verbs and arguments. Total: any bytes give a value or `Refused`, which carries the reply to send.

RFC 5321 §4.1.1 (commands), RFC 1870 (SIZE), RFC 6152 (BODY), RFC 6531 (SMTPUTF8), RFC 4954 (AUTH);
`notifications` has those of RFC 3461, `way` those of RFC 8689, 4865 and 2852. `split_verb` looks at the
first word only, so that the table of states can refuse a command before its arguments are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from attrs import evolve

from services.smtp_in.protocol import grammar, notifications, replies, way
from services.smtp_in.protocol.commands import Auth, Body, Chunk, Mail, Rcpt, Verb
from services.smtp_in.protocol.grammar import InvalidPath, Mailbox
from services.smtp_in.protocol.limits import Limits
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.protocol.way import NOTHING_ASKED, Asked
from shared.mail.srs import MAX_LOCAL_OCTETS as SRS_LOCAL_OCTETS
from shared.mail.srs import is_srs

_VERBS: dict[bytes, Verb] = {
    verb.value.encode(): verb
    for verb in Verb
    if verb not in (Verb.NOT_IMPLEMENTED, Verb.HTTP, Verb.UNKNOWN)
}
# RFC 5321 Appendix F.1 and F.6 (TURN, SEND, SOML, SAML), RFC 1985 (ETRN), and others in use.
_VERBS |= dict.fromkeys(
    (b"TURN", b"SEND", b"SOML", b"SAML", b"ETRN", b"ATRN", b"BURL", b"XFORWARD"),
    Verb.NOT_IMPLEMENTED,
)
_VERBS |= dict.fromkeys((b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"CONNECT", b"HOST:", b"USER-AGENT:"), Verb.HTTP)

_T = TypeVar("_T")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_FROM = re.compile(rb"FROM:[ \t]*", re.IGNORECASE)
_TO = re.compile(rb"TO:[ \t]*", re.IGNORECASE)
# RFC 1870 §4: size-value = 1*20DIGIT
_SIZE = re.compile(rb"[0-9]{1,20}")
# RFC 3030 §2: bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ] CR LF
_CHUNK = re.compile(rb"([0-9]{1,20})(?:[ \t]+(LAST))?", re.IGNORECASE)


class Refused(Exception):
    """A command whose arguments are wrong; `reply` says how."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


def split_verb(line: bytes) -> tuple[Verb, bytes]:
    """The verb of a line (any case) and its argument without surrounding space."""
    word, _, argument = line.partition(b" ")
    return _VERBS.get(word.upper(), Verb.UNKNOWN), argument.strip()


def has_control_characters(line: bytes) -> bool:
    """Control characters have no place in a command (RFC 5321 §4.1.2); a bare CR would be one. TAB passes as space."""
    return _CONTROL.search(line) is not None


def parse_host(argument: bytes) -> str:
    """The argument of EHLO or HELO: a domain, an address literal, or what passes for a host name in the wild."""
    words = argument.split(maxsplit=1)
    if not words:
        raise Refused(replies.NEEDS_ARGUMENT)
    host = words[0]
    if not grammar.is_host_like(host):
        raise Refused(replies.BAD_HOST)
    return host.decode("utf-8", "replace")


def parse_mail(argument: bytes, limits: Limits) -> Mail:
    """The argument of MAIL. Raises Refused."""
    prefix = _FROM.match(argument)
    if prefix is None:
        raise Refused(replies.BAD_MAIL)
    path, rest = _split_path(argument[prefix.end() :], replies.BAD_MAIL)
    sender: Mailbox | None = None
    if path != b"<>":
        if len(path) > limits.path_octets:
            raise Refused(replies.SENDER_TOO_LONG)
        sender = _mailbox(
            path, limits.sender_local_part_octets, limits, replies.BAD_SENDER, replies.SENDER_TOO_LONG
        )
    mail = _with_parameters(sender, rest) if rest else Mail(sender)
    if sender is not None and not mail.smtputf8 and not sender.is_ascii:
        raise Refused(replies.SENDER_NEEDS_SMTPUTF8)
    return mail


def parse_rcpt(argument: bytes, limits: Limits, *, smtputf8: bool) -> Rcpt:
    """The argument of RCPT in a transaction with or without SMTPUTF8. Raises Refused."""
    prefix = _TO.match(argument)
    if prefix is None:
        raise Refused(replies.BAD_RCPT)
    path, rest = _split_path(argument[prefix.end() :], replies.BAD_RCPT)
    if len(path) > limits.path_octets:
        raise Refused(replies.PATH_TOO_LONG)
    if grammar.is_postmaster(path):
        recipient = Mailbox("postmaster", "")
    else:
        # the bounce of a message that an alias sent on comes to an address that holds the sender's
        octets = SRS_LOCAL_OCTETS if is_srs(path[1:].decode("utf-8", "replace")) else limits.local_part_octets
        recipient = _mailbox(path, octets, limits, replies.BAD_RECIPIENT, replies.PATH_TOO_LONG)
    rcpt = _with_rcpt_parameters(recipient, rest, smtputf8=smtputf8) if rest else Rcpt(recipient)
    if not smtputf8 and not recipient.is_ascii:
        raise Refused(replies.RECIPIENT_NEEDS_SMTPUTF8)
    return rcpt


def is_chunk(line: bytes) -> bool:
    """Whether a line that cannot be read is a BDAT, behind which octets follow."""
    return line[:5].upper().rstrip() == b"BDAT"


def parse_chunk(argument: bytes) -> Chunk:
    """The argument of BDAT. Raises Refused."""
    match = _CHUNK.fullmatch(argument)
    if match is None:
        raise Refused(replies.BAD_CHUNK)
    return Chunk(int(match.group(1)), match.group(2) is not None)


def parse_auth(argument: bytes) -> Auth:
    """The argument of AUTH: mechanism, then at most one initial response. Raises Refused."""
    words = argument.split()
    if not 1 <= len(words) <= 2:
        raise Refused(replies.NEEDS_ARGUMENT)
    return Auth(words[0].decode("ascii", "replace"), words[1] if len(words) == 2 else None)


def _split_path(text: bytes, refusal: Reply) -> tuple[bytes, bytes]:
    """The path and the parameters behind it, which a space separates."""
    end = grammar.path_extent(text)
    rest = text[end:]
    if end == 0 or (rest and rest[:1] not in b" \t"):
        raise Refused(refusal)
    return text[:end], rest.strip()


def _mailbox(path: bytes, max_local_part_octets: int, limits: Limits, bad: Reply, too_long: Reply) -> Mailbox:
    try:
        return grammar.parse_mailbox(
            path, max_local_part_octets=max_local_part_octets, max_domain_octets=limits.domain_octets
        )
    except InvalidPath as error:
        raise Refused(too_long if error.too_long else bad) from None


def _parameters(text: bytes, bad: Reply) -> list[tuple[bytes, bytes | None]]:
    parameters = grammar.split_parameters(text)
    if parameters is None:
        raise Refused(bad)
    # RFC 3461 §4.5, and no other may be repeated either
    if len({keyword for keyword, _ in parameters}) != len(parameters):
        raise Refused(replies.REPEATED_PARAMETER)
    return parameters


def _valid(value: _T | None) -> _T:
    if value is None:
        raise Refused(replies.BAD_PARAMETER)
    return value


def _with_rcpt_parameters(recipient: Mailbox, text: bytes, *, smtputf8: bool) -> Rcpt:
    notify = 0
    orcpt = ""
    for keyword, value in _parameters(text, replies.BAD_RCPT):
        if keyword == b"NOTIFY":
            notify = _valid(notifications.parse_notify(value))
        elif keyword == b"ORCPT":
            orcpt = _valid(notifications.parse_orcpt(value, smtputf8=smtputf8))
        else:
            raise Refused(replies.UNKNOWN_PARAMETER)
    return Rcpt(recipient, notify, orcpt)


def _with_parameters(sender: Mailbox | None, text: bytes) -> Mail:
    size: int | None = None
    body = Body.SEVEN_BIT
    smtputf8 = False
    envelope_id = ret = ""
    asked = NOTHING_ASKED
    for keyword, value in _parameters(text, replies.BAD_MAIL):
        if keyword == b"SIZE":
            size = _size(value)
        elif keyword == b"BODY":
            body = _body(value)
        elif keyword == b"SMTPUTF8":
            # RFC 6531 §3.4: the parameter has no value.
            if value is not None:
                raise Refused(replies.BAD_PARAMETER)
            smtputf8 = True
        elif keyword == b"AUTH":
            # RFC 4954 §5: understood, and treated as AUTH=<>: we vouch for nobody else's word.
            if value is None or not (value == b"<>" or grammar.is_xtext(value)):
                raise Refused(replies.BAD_PARAMETER)
        elif keyword == b"ENVID":
            envelope_id = _valid(notifications.parse_envid(value))
        elif keyword == b"RET":
            ret = _valid(notifications.parse_ret(value))
        elif keyword in _WAY:
            asked = _WAY[keyword](asked, value)
        else:
            raise Refused(replies.UNKNOWN_PARAMETER)
    return Mail(sender, size, body, smtputf8, envelope_id, ret, asked)


def _require_tls(asked: Asked, value: bytes | None) -> Asked:
    # RFC 8689 §2: the parameter has no value
    if value is not None:
        raise Refused(replies.BAD_PARAMETER)
    return evolve(asked, require_tls=True)


def _by(asked: Asked, value: bytes | None) -> Asked:
    seconds, mode, trace = _valid(way.parse_by(value))
    return evolve(asked, by_seconds=seconds, by_mode=mode, by_trace=trace)


_WAY: dict[bytes, Callable[[Asked, bytes | None], Asked]] = {
    b"REQUIRETLS": _require_tls,
    b"HOLDFOR": lambda asked, value: evolve(asked, hold_seconds=_valid(way.parse_hold_for(value))),
    b"HOLDUNTIL": lambda asked, value: evolve(asked, hold_until=_valid(way.parse_hold_until(value))),
    b"BY": _by,
}


def _size(value: bytes | None) -> int:
    if value is None or not _SIZE.fullmatch(value):
        raise Refused(replies.BAD_PARAMETER)
    return int(value)


def _body(value: bytes | None) -> Body:
    # RFC 6152 §3, RFC 3030 §3; values compare without case (RFC 5321 §2.4)
    try:
        return Body((value or b"").decode("ascii", "replace").upper())
    except ValueError:
        raise Refused(replies.BAD_PARAMETER) from None
