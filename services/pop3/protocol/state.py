"""Which command is allowed when: the table, and nothing but the table.

RFC 1939 §3: AUTHORIZATION, TRANSACTION, UPDATE. AUTHORIZATION is split in two here, because PASS is allowed directly
after a successful USER only. The other states take no commands: in EXCHANGE every line belongs to SASL, in LOGIN, TLS
and UPDATE we owe the client an answer and its further commands wait, CLOSED is the end.
"""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from services.pop3.protocol import replies
from services.pop3.protocol.commands import Verb


class State(Enum):
    """Where a connection is."""

    AUTHORIZATION = "authorization"
    PASSWORD = "authorization, after USER"  # noqa: S105 - the name of a state
    EXCHANGE = "a SASL exchange"
    LOGIN = "the password is being checked"
    TLS = "TLS is being negotiated"
    TRANSACTION = "transaction"
    UPDATE = "messages are being removed"
    CLOSED = "closed"


COMMAND_STATES = (State.AUTHORIZATION, State.PASSWORD, State.TRANSACTION)
"""The states in which a line is a command."""


@frozen
class Cell:
    """One cell: `refusal` is None when the verb is allowed; `after` is the state until the verb's own work changes it."""

    after: State
    refusal: bytes | None = None


def _before_login(own: State) -> dict[Verb, Cell]:
    # anything but PASS makes the server forget the USER before it: RFC 1939 §7, "immediately after"
    cells = {verb: Cell(State.AUTHORIZATION, replies.NOT_LOGGED_IN) for verb in Verb}
    cells[Verb.USER] = Cell(State.PASSWORD)
    cells[Verb.PASS] = Cell(State.LOGIN) if own is State.PASSWORD else Cell(own, replies.USER_FIRST)
    for verb in (Verb.AUTH, Verb.STLS, Verb.CAPA, Verb.UTF8, Verb.LANG):
        cells[verb] = Cell(State.AUTHORIZATION)
    cells[Verb.QUIT] = Cell(State.CLOSED)
    return cells


def _after_login() -> dict[Verb, Cell]:
    cells = {verb: Cell(State.TRANSACTION) for verb in Verb}
    # RFC 6856 §2: UTF8 belongs to the AUTHORIZATION state
    for verb in (Verb.USER, Verb.PASS, Verb.AUTH, Verb.STLS, Verb.UTF8):
        cells[verb] = Cell(State.TRANSACTION, replies.ALREADY_LOGGED_IN)
    cells[Verb.QUIT] = Cell(State.UPDATE)
    return cells


TABLE: dict[State, dict[Verb, Cell]] = {
    State.AUTHORIZATION: _before_login(State.AUTHORIZATION),
    State.PASSWORD: _before_login(State.PASSWORD),
    State.TRANSACTION: _after_login(),
}
