"""The one table of commands: in which state each is allowed, and what the server may tell while it runs.

RFC 3501 §3 (states), §6 (commands by state), §7.4.1: EXPUNGE must not be sent while a command that uses message sequence numbers
(FETCH, STORE, SEARCH) is in progress, because the numbers in the client's pipeline would shift. UID FETCH, UID STORE and UID SEARCH
may carry EXPUNGE: they name messages by UID; RFC 3501 §7.4.1 forbids it for the plain ones only.
"""

from enum import Enum, StrEnum, auto
from typing import Final

import attrs


class State(StrEnum):
    """RFC 3501 §3."""

    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    LOGOUT = "logout"


class Updates(Enum):
    """What may be told about the selected mailbox before a command's tagged response."""

    NONE = auto()
    """Nothing: the mailbox is being left or changed."""
    NO_EXPUNGE = auto()
    """EXISTS, RECENT and FETCH."""
    ALL = auto()
    """EXPUNGE too."""


ANY: Final = frozenset({State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED})
BEFORE_LOGIN: Final = frozenset({State.NOT_AUTHENTICATED})
AFTER_LOGIN: Final = frozenset({State.AUTHENTICATED, State.SELECTED})
WHILE_SELECTED: Final = frozenset({State.SELECTED})


@attrs.frozen
class Rule:
    """One row. ``writes``: refused with NO [READ-ONLY] after EXAMINE. ``refresh``: the store is asked for news first.

    ``by_number``: it takes or gives message sequence numbers, and is refused after ENABLE UIDONLY (RFC 9586 §3).
    """

    states: frozenset[State]
    updates: Updates = Updates.ALL
    writes: bool = False
    refresh: bool = False
    by_number: bool = False


COMMANDS: Final[dict[str, Rule]] = {
    # RFC 3501 §6.1: any state
    "CAPABILITY": Rule(ANY),
    "NOOP": Rule(ANY, refresh=True),
    "LOGOUT": Rule(ANY, Updates.NONE),
    "ID": Rule(ANY),  # RFC 2971 §3.1
    # RFC 3501 §6.2: not authenticated
    "STARTTLS": Rule(BEFORE_LOGIN, Updates.NONE),
    "AUTHENTICATE": Rule(BEFORE_LOGIN, Updates.NONE),
    "LOGIN": Rule(BEFORE_LOGIN, Updates.NONE),
    # RFC 3501 §6.3: authenticated
    "SELECT": Rule(AFTER_LOGIN, Updates.NONE),
    "EXAMINE": Rule(AFTER_LOGIN, Updates.NONE),
    "CREATE": Rule(AFTER_LOGIN),
    "DELETE": Rule(AFTER_LOGIN),
    "RENAME": Rule(AFTER_LOGIN),
    "SUBSCRIBE": Rule(AFTER_LOGIN),
    "UNSUBSCRIBE": Rule(AFTER_LOGIN),
    "LIST": Rule(AFTER_LOGIN),
    "LSUB": Rule(AFTER_LOGIN),
    "STATUS": Rule(AFTER_LOGIN),
    "APPEND": Rule(AFTER_LOGIN),
    "NAMESPACE": Rule(AFTER_LOGIN),  # RFC 2342 §5
    "GETACL": Rule(AFTER_LOGIN),  # RFC 4314 §3
    "SETACL": Rule(AFTER_LOGIN),
    "DELETEACL": Rule(AFTER_LOGIN),
    "LISTRIGHTS": Rule(AFTER_LOGIN),
    "MYRIGHTS": Rule(AFTER_LOGIN),
    "GETMETADATA": Rule(AFTER_LOGIN),  # RFC 5464 §4
    "SETMETADATA": Rule(AFTER_LOGIN),
    "GETQUOTA": Rule(AFTER_LOGIN),  # RFC 9208 §4.1
    "GETQUOTAROOT": Rule(AFTER_LOGIN),
    "SETQUOTA": Rule(AFTER_LOGIN),
    "NOTIFY": Rule(AFTER_LOGIN, refresh=True),  # RFC 5465 §3.1: like NOOP
    "ENABLE": Rule(AFTER_LOGIN),  # RFC 5161 §3.1
    "IDLE": Rule(AFTER_LOGIN, refresh=True),  # RFC 2177 §3
    "COMPRESS": Rule(AFTER_LOGIN, Updates.NONE),  # RFC 4978 §5: command-auth
    "UNAUTHENTICATE": Rule(AFTER_LOGIN, Updates.NONE),  # RFC 8437 §3
    # RFC 3501 §6.4: selected
    "CHECK": Rule(WHILE_SELECTED, refresh=True),
    "CLOSE": Rule(WHILE_SELECTED, Updates.NONE),
    "UNSELECT": Rule(WHILE_SELECTED, Updates.NONE),  # RFC 3691 §2
    "EXPUNGE": Rule(WHILE_SELECTED, writes=True, refresh=True),
    "SEARCH": Rule(WHILE_SELECTED, Updates.NO_EXPUNGE, by_number=True),
    "SORT": Rule(WHILE_SELECTED, Updates.NO_EXPUNGE, by_number=True),  # RFC 5256 §3
    "THREAD": Rule(WHILE_SELECTED, Updates.NO_EXPUNGE, by_number=True),
    "ESEARCH": Rule(AFTER_LOGIN, Updates.NO_EXPUNGE),  # RFC 7377 §2: its keys may hold message sequence numbers
    "UID ESEARCH": Rule(AFTER_LOGIN),
    "CANCELUPDATE": Rule(WHILE_SELECTED),  # RFC 5267 §4.3.5
    "FETCH": Rule(WHILE_SELECTED, Updates.NO_EXPUNGE, by_number=True),
    "STORE": Rule(WHILE_SELECTED, Updates.NO_EXPUNGE, writes=True, by_number=True),
    "COPY": Rule(WHILE_SELECTED, by_number=True),
    "MOVE": Rule(WHILE_SELECTED, writes=True, by_number=True),  # RFC 6851 §3.1
    "UID SEARCH": Rule(WHILE_SELECTED),
    "UID SORT": Rule(WHILE_SELECTED),
    "UID THREAD": Rule(WHILE_SELECTED),
    "UID FETCH": Rule(WHILE_SELECTED),
    "UID STORE": Rule(WHILE_SELECTED, writes=True),
    "UID COPY": Rule(WHILE_SELECTED),
    "UID MOVE": Rule(WHILE_SELECTED, writes=True),
    "UID EXPUNGE": Rule(WHILE_SELECTED, writes=True, refresh=True),  # RFC 4315 §2.1
    "REPLACE": Rule(WHILE_SELECTED, writes=True, by_number=True),  # RFC 8508 §3
    "UID REPLACE": Rule(WHILE_SELECTED, writes=True),
}


class Verdict(Enum):
    """What the table says about a command in a state."""

    ALLOWED = auto()
    UNKNOWN = auto()
    NEEDS_LOGIN = auto()
    ALREADY_LOGGED_IN = auto()
    NEEDS_MAILBOX = auto()
    READ_ONLY = auto()
    UID_REQUIRED = auto()
    OVER = auto()


def judge(name: str, state: State, *, read_only: bool, uidonly: bool = False) -> Verdict:
    """Whether a command may run now."""
    if state is State.LOGOUT:
        return Verdict.OVER
    rule = COMMANDS.get(name)
    if rule is None:
        return Verdict.UNKNOWN
    if state not in rule.states:
        if state is State.NOT_AUTHENTICATED:
            return Verdict.NEEDS_LOGIN
        return Verdict.ALREADY_LOGGED_IN if rule.states == BEFORE_LOGIN else Verdict.NEEDS_MAILBOX
    if rule.by_number and uidonly:
        return Verdict.UID_REQUIRED
    if rule.writes and read_only and state is State.SELECTED:
        return Verdict.READ_ONLY
    return Verdict.ALLOWED


REFUSALS: Final[dict[Verdict, tuple[str, str]]] = {
    Verdict.UNKNOWN: ("BAD", "Unknown command"),
    Verdict.NEEDS_LOGIN: ("BAD", "Log in first"),
    Verdict.ALREADY_LOGGED_IN: ("BAD", "Already logged in"),
    Verdict.NEEDS_MAILBOX: ("BAD", "Select a mailbox first"),
    # RFC 5530 §3 has no code for this; READ-ONLY is what Dovecot's clients know from SELECT
    Verdict.READ_ONLY: ("NO", "[READ-ONLY] The mailbox is open read-only"),
    # RFC 9586 §3
    Verdict.UID_REQUIRED: ("BAD", "[UIDREQUIRED] Message sequence numbers are off after ENABLE UIDONLY"),
    Verdict.OVER: ("BAD", "The session is over"),
}
