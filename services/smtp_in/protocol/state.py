"""The rule of the dialogue: verb x state -> allowed (and the next state), or the reply that refuses it.

Laws: this table is the only place that knows the order of commands (RFC 5321 §4.1.4); every cell is there; a refused
command changes nothing. What depends on the connection's other sides (TLS, authentication, the kind of port) is not here but in
`connection`, which asks for it after this table allowed the verb.

RFC 5321 §4.1.4, §3.3 (503 or 554 for DATA without recipients); RFC 3207 §4; RFC 4954 §4 (AUTH never inside a transaction).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, StrEnum

from attrs import frozen

from services.smtp_in.protocol import replies
from services.smtp_in.protocol.commands import Verb
from services.smtp_in.protocol.replies import Reply


class State(StrEnum):
    """Where the dialogue is. While content, a TLS handshake or an AUTH exchange is under way no command is read at all."""

    START = "before EHLO"
    READY = "between transactions"
    MAIL = "sender given"
    RCPT = "at least one recipient accepted"
    CHUNKS = "some chunks of the content are here"


class Mode(Enum):
    """What the next bytes are."""

    COMMANDS = 1
    AUTH = 2
    CONTENT = 3
    TLS = 4
    CLOSED = 5


@frozen
class Rule:
    """One cell: `refusal`, or None and the state after success (`then` None: the state stays)."""

    refusal: Reply | None = None
    then: State | None = None


_STAY = Rule()


def _refuse(reply: Reply) -> Rule:
    return Rule(refusal=reply)


def _everywhere(rule: Rule) -> dict[State, Rule]:
    return dict.fromkeys(State, rule)


_S = State
_TO_START = Rule(then=State.START)
_TO_READY = Rule(then=State.READY)
# RFC 5321 §4.1.1.5: RSET ends a transaction, and before EHLO it is as good as NOOP.
_RESET = {_S.START: _STAY, _S.READY: _STAY, _S.MAIL: _TO_READY, _S.RCPT: _TO_READY, _S.CHUNKS: _TO_READY}

_ROWS: dict[Verb, dict[State, Rule]] = {
    # RFC 5321 §4.1.4: EHLO later in the session resets as RSET does.
    Verb.EHLO: _everywhere(_TO_READY),
    Verb.HELO: _everywhere(_TO_READY),
    # RFC 2033 §4.1: as EHLO, and in its place
    Verb.LHLO: _everywhere(_TO_READY),
    Verb.MAIL: {
        _S.START: _refuse(replies.NEED_EHLO),
        _S.READY: Rule(then=_S.MAIL),
        _S.MAIL: _refuse(replies.NESTED_MAIL),
        _S.RCPT: _refuse(replies.NESTED_MAIL),
        _S.CHUNKS: _refuse(replies.CHUNKS_UNDER_WAY),
    },
    Verb.RCPT: {
        _S.START: _refuse(replies.NEED_EHLO),
        _S.READY: _refuse(replies.NEED_MAIL),
        _S.MAIL: Rule(then=_S.RCPT),
        _S.RCPT: Rule(then=_S.RCPT),
        _S.CHUNKS: _refuse(replies.CHUNKS_UNDER_WAY),
    },
    Verb.DATA: {
        _S.START: _refuse(replies.NEED_EHLO),
        _S.READY: _refuse(replies.NEED_MAIL),
        _S.MAIL: _refuse(replies.NO_RECIPIENTS),
        _S.RCPT: _TO_READY,
        # RFC 3030 §2: DATA and BDAT cannot be used in the same transaction
        _S.CHUNKS: _refuse(replies.CHUNKS_UNDER_WAY),
    },
    # Refusals are `connection`'s: the octets of a chunk come whether it is allowed or not (RFC 3030 §2).
    Verb.BDAT: {
        _S.START: _STAY,
        _S.READY: _STAY,
        _S.MAIL: _STAY,
        _S.RCPT: Rule(then=_S.CHUNKS),
        _S.CHUNKS: Rule(then=_S.CHUNKS),
    },
    Verb.RSET: _RESET,
    Verb.NOOP: _everywhere(_STAY),
    Verb.VRFY: _everywhere(_STAY),
    Verb.EXPN: _everywhere(_refuse(replies.NOT_IMPLEMENTED)),
    Verb.HELP: _everywhere(_STAY),
    Verb.QUIT: _everywhere(_STAY),
    Verb.STARTTLS: {
        _S.START: _refuse(replies.NEED_EHLO),
        # RFC 3207 §4.2: the state after the handshake is that of a new connection.
        _S.READY: _TO_START,
        _S.MAIL: _refuse(replies.IN_TRANSACTION),
        _S.RCPT: _refuse(replies.IN_TRANSACTION),
        _S.CHUNKS: _refuse(replies.IN_TRANSACTION),
    },
    Verb.AUTH: {
        _S.START: _refuse(replies.NEED_EHLO),
        _S.READY: _STAY,
        _S.MAIL: _refuse(replies.IN_TRANSACTION),
        _S.RCPT: _refuse(replies.IN_TRANSACTION),
        _S.CHUNKS: _refuse(replies.IN_TRANSACTION),
    },
    # Postfix, XCLIENT_README: at any time but inside a transaction; what follows is a new session.
    Verb.XCLIENT: {
        _S.START: _TO_START,
        _S.READY: _TO_START,
        _S.MAIL: _refuse(replies.IN_TRANSACTION),
        _S.RCPT: _refuse(replies.IN_TRANSACTION),
        _S.CHUNKS: _refuse(replies.IN_TRANSACTION),
    },
    Verb.NOT_IMPLEMENTED: _everywhere(_refuse(replies.NOT_IMPLEMENTED)),
    Verb.HTTP: _everywhere(_refuse(replies.HTTP_REFUSED)),
    Verb.UNKNOWN: _everywhere(_refuse(replies.UNKNOWN_COMMAND)),
}

TABLE: Mapping[tuple[Verb, State], Rule] = {
    (verb, state): rule for verb, row in _ROWS.items() for state, rule in row.items()
}
"""Every verb in every state."""

IN_TRANSACTION = frozenset({State.MAIL, State.RCPT, State.CHUNKS})
CHUNK_REFUSALS = {State.START: replies.NEED_EHLO, State.READY: replies.NEED_MAIL, State.MAIL: replies.NO_RECIPIENTS}
"""Where BDAT is refused once its octets are out of the stream."""
