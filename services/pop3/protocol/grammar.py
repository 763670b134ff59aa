"""One line becomes one command.

RFC 2449 §3:

    command = keyword *(SP param) CRLF   ;255 octets maximum
    keyword = 3*4VCHAR
    param   = 1*VCHAR

Keywords come in any case (RFC 1939 §3). Beyond the grammar we take: spaces at the end of a line (many clients), UTF-8
in USER and PASS, and spaces in PASS, which RFC 1939 §7 allows. Never taken: control characters, a sign or anything but
digits in a number.

What can fail: `Malformed`, with the reply to give. Its text never repeats what the client sent.
"""

from __future__ import annotations

import re

from services.pop3.protocol import replies
from services.pop3.protocol.commands import ARGUMENTS, Arguments, Command, Verb

MAX_LINE_OCTETS = 255
"""RFC 2449 §4: the longest command, CRLF included. A line of a SASL exchange has a bound of its own."""

MAX_NUMBER_DIGITS = 10
"""More digits than any maildrop needs; a longer number is refused before it is converted."""

_VERBS = {verb.value: verb for verb in Verb}
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_MECHANISM = re.compile(rb"[A-Za-z0-9_-]{1,20}")  # RFC 4422 §3.1 sasl-mech, in any case
# RFC 4647 §2.1 language-range
_LANGUAGE_RANGE = re.compile(rb"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*|\*")
_PLAIN_COMMANDS = {verb: Command(verb) for verb, form in ARGUMENTS.items() if form is not Arguments.TEXT}


class Malformed(Exception):
    """The line is no command; `reply` says so."""

    def __init__(self, reply: bytes) -> None:
        super().__init__(reply.decode("ascii").strip())
        self.reply = reply


def parse_command(line: bytes) -> Command:
    """The command on a line that comes without its line end. Raises Malformed."""
    keyword, _, rest = line.partition(b" ")
    verb = _VERBS.get(keyword) or _VERBS.get(keyword.upper())
    if verb is None:
        raise Malformed(replies.UNKNOWN_COMMAND)
    form = ARGUMENTS[verb]
    if form is Arguments.NUMBER:
        return Command(verb, _number(rest.rstrip(b" ")))
    if form is Arguments.TEXT:
        return Command(verb, text=_text(rest))
    rest = rest.rstrip(b" ")
    if not rest:
        if form is Arguments.NUMBER_AND_LINES:
            raise Malformed(replies.ARGUMENTS_WANTED)
        return _PLAIN_COMMANDS[verb]
    if form is Arguments.NONE:
        raise Malformed(replies.NO_ARGUMENTS)
    if form is Arguments.OPTIONAL_NUMBER:
        return Command(verb, _number(rest))
    if form is Arguments.NUMBER_AND_LINES:
        number, _, lines = rest.partition(b" ")
        return Command(verb, _number(number), _number(lines))
    if form is Arguments.LANGUAGE:
        if not _LANGUAGE_RANGE.fullmatch(rest):
            raise Malformed(replies.ARGUMENTS_WANTED)
        return Command(verb, language=rest.decode("ascii"))
    return _auth(rest)


def _number(digits: bytes) -> int:
    # bytes.isdigit is true for ASCII digits only, and false for nothing
    if not digits.isdigit() or len(digits) > MAX_NUMBER_DIGITS:
        raise Malformed(replies.ARGUMENTS_WANTED if not digits else replies.NOT_A_NUMBER)
    return int(digits)


def _text(rest: bytes) -> str:
    if not rest:
        raise Malformed(replies.ARGUMENTS_WANTED)
    if _CONTROL.search(rest):
        raise Malformed(replies.CONTROL_CHARACTER)
    try:
        return rest.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed(replies.NOT_UTF8) from None


def _auth(rest: bytes) -> Command:
    mechanism, space, initial = rest.partition(b" ")
    if not _MECHANISM.fullmatch(mechanism) or b" " in initial:
        raise Malformed(replies.ARGUMENTS_WANTED)
    return Command(Verb.AUTH, mechanism=mechanism.decode("ascii").upper(), initial=initial if space else None)
