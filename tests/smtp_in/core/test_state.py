"""Every cell of the table of states, written out a second time as codes, and walked through a real connection."""

from collections.abc import Callable
from typing import Any

import pytest

from services.smtp_in.protocol.commands import Verb
from services.smtp_in.protocol.state import TABLE, State

S, R, M, T, C = State.START, State.READY, State.MAIL, State.RCPT, State.CHUNKS

# verb: (code in START, READY, MAIL, RCPT, CHUNKS), (state after it in each; None = unchanged)
EXPECTED: dict[Verb, tuple[tuple[str, ...], tuple[State, ...]]] = {
    Verb.EHLO: (("250", "250", "250", "250", "250"), (R, R, R, R, R)),
    Verb.HELO: (("250", "250", "250", "250", "250"), (R, R, R, R, R)),
    Verb.LHLO: (("250", "250", "250", "250", "250"), (R, R, R, R, R)),
    Verb.MAIL: (("503 5.5.1", "250 2.1.0", "503 5.5.1", "503 5.5.1", "503 5.5.1"), (S, M, M, T, C)),
    Verb.RCPT: (("503 5.5.1", "503 5.5.1", "250 2.1.5", "250 2.1.5", "503 5.5.1"), (S, R, T, T, C)),
    Verb.DATA: (("503 5.5.1", "503 5.5.1", "554 5.5.1", "354", "503 5.5.1"), (S, R, M, R, C)),
    Verb.BDAT: (("503 5.5.1", "503 5.5.1", "554 5.5.1", "250 2.0.0", "250 2.0.0"), (S, R, M, C, C)),
    Verb.RSET: (("250 2.0.0", "250 2.0.0", "250 2.0.0", "250 2.0.0", "250 2.0.0"), (S, R, R, R, R)),
    Verb.NOOP: (("250 2.0.0", "250 2.0.0", "250 2.0.0", "250 2.0.0", "250 2.0.0"), (S, R, M, T, C)),
    Verb.VRFY: (("252 2.5.0", "252 2.5.0", "252 2.5.0", "252 2.5.0", "252 2.5.0"), (S, R, M, T, C)),
    Verb.EXPN: (("502 5.5.1", "502 5.5.1", "502 5.5.1", "502 5.5.1", "502 5.5.1"), (S, R, M, T, C)),
    Verb.HELP: (("214 2.0.0", "214 2.0.0", "214 2.0.0", "214 2.0.0", "214 2.0.0"), (S, R, M, T, C)),
    Verb.QUIT: (("221 2.0.0", "221 2.0.0", "221 2.0.0", "221 2.0.0", "221 2.0.0"), (S, S, S, S, S)),
    Verb.STARTTLS: (("503 5.5.1", "220 2.0.0", "503 5.5.1", "503 5.5.1", "503 5.5.1"), (S, S, M, T, C)),
    Verb.AUTH: (("503 5.5.1", "235 2.7.0", "503 5.5.1", "503 5.5.1", "503 5.5.1"), (S, R, M, T, C)),
    Verb.XCLIENT: (("220", "220", "503 5.5.1", "503 5.5.1", "503 5.5.1"), (S, S, M, T, C)),
    Verb.NOT_IMPLEMENTED: (("502 5.5.1", "502 5.5.1", "502 5.5.1", "502 5.5.1", "502 5.5.1"), (S, R, M, T, C)),
    Verb.HTTP: (("421 4.7.0", "421 4.7.0", "421 4.7.0", "421 4.7.0", "421 4.7.0"), (S, R, M, T, C)),
    Verb.UNKNOWN: (("500 5.5.2", "500 5.5.2", "500 5.5.2", "500 5.5.2", "500 5.5.2"), (S, R, M, T, C)),
}

LINES = {
    Verb.EHLO: b"EHLO c.test",
    Verb.HELO: b"HELO c.test",
    Verb.LHLO: b"LHLO c.test",
    Verb.MAIL: b"MAIL FROM:<a@b.test>",
    Verb.RCPT: b"RCPT TO:<c@d.test>",
    Verb.VRFY: b"VRFY someone",
    Verb.AUTH: b"AUTH PLAIN AGEAc2VjcmV0",
    Verb.BDAT: b"BDAT 0",
    Verb.XCLIENT: b"XCLIENT ADDR=192.0.2.7",
    Verb.NOT_IMPLEMENTED: b"BURL x",
    Verb.HTTP: b"GET / HTTP/1.1",
    Verb.UNKNOWN: b"FROB",
}

PATHS = {
    S: b"",
    R: b"EHLO c.test\r\n",
    M: b"EHLO c.test\r\nMAIL FROM:<a@b.test>\r\n",
    T: b"EHLO c.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n",
    C: b"EHLO c.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nBDAT 3\r\nabc",
}


def test_every_cell_is_there() -> None:
    assert set(TABLE) == {(verb, state) for verb in Verb for state in State}
    assert set(EXPECTED) == set(Verb)


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("verb", list(Verb))
def test_cell(verb: Verb, state: State, drive: Callable[..., Any]) -> None:
    codes, states = EXPECTED[verb]
    column = list(State).index(state)
    line = LINES.get(verb, verb.value.encode()) + b"\r\n"
    # AUTH lives on the submission port, where MAIL needs it first: log in on the way, except for AUTH itself.
    if verb is Verb.AUTH:
        if state in (M, T, C):
            log_in = b"EHLO c.test\r\nAUTH PLAIN AGEAc2VjcmV0\r\n"
            outcome = drive(log_in + PATHS[state].partition(b"\r\n")[2] + line, "trusted")
        else:
            outcome = drive(PATHS[state] + line, "trusted")
    elif verb is Verb.LHLO:
        outcome = drive(PATHS[state].replace(b"EHLO", b"LHLO") + line, "lmtp")
    else:
        outcome = drive(PATHS[state] + line, "front" if verb is Verb.XCLIENT else "relay")
    assert outcome.codes[-1] == codes[column]
    if verb is Verb.DATA and state is T:
        # The state changes when the content has ended.
        outcome = drive(PATHS[T] + b"DATA\r\n.\r\n")
    assert outcome.connection.state == states[column]
    rule = TABLE[verb, state]
    assert (rule.refusal is None) == (codes[column][0] in "23" or verb is Verb.BDAT)
    if rule.refusal is not None:
        assert rule.then is None
