"""A line becomes a command, or the reply that says why not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.pop3.protocol import replies
from services.pop3.protocol.commands import ARGUMENTS, Arguments, Command, Verb
from services.pop3.protocol.grammar import MAX_NUMBER_DIGITS, Malformed, parse_command

GOOD = {
    b"QUIT": Command(Verb.QUIT),
    b"quit": Command(Verb.QUIT),
    b"QuIt  ": Command(Verb.QUIT),
    b"LIST": Command(Verb.LIST),
    b"LIST ": Command(Verb.LIST),
    b"LIST 2": Command(Verb.LIST, 2),
    b"list 007": Command(Verb.LIST, 7),
    b"RETR 0": Command(Verb.RETR, 0),
    b"RETR 9999999999": Command(Verb.RETR, 9999999999),
    b"UIDL 3 ": Command(Verb.UIDL, 3),
    b"DELE 1": Command(Verb.DELE, 1),
    b"TOP 1 0": Command(Verb.TOP, 1, 0),
    b"Top 12 10 ": Command(Verb.TOP, 12, 10),
    b"USER alice@example.test": Command(Verb.USER, text="alice@example.test"),
    "USER 앨리스@example.test".encode(): Command(Verb.USER, text="앨리스@example.test"),
    # RFC 1939 §7: spaces belong to the password, also at its ends
    b"PASS  two  words ": Command(Verb.PASS, text=" two  words "),
    b"AUTH": Command(Verb.AUTH),
    b"AUTH plain": Command(Verb.AUTH, mechanism="PLAIN"),
    b"AUTH PLAIN AGEAYg==": Command(Verb.AUTH, mechanism="PLAIN", initial=b"AGEAYg=="),
    b"AUTH PLAIN =": Command(Verb.AUTH, mechanism="PLAIN", initial=b"="),
    b"AUTH SCRAM-SHA-256": Command(Verb.AUTH, mechanism="SCRAM-SHA-256"),
}

BAD = {
    b"": replies.UNKNOWN_COMMAND,
    b" ": replies.UNKNOWN_COMMAND,
    b" QUIT": replies.UNKNOWN_COMMAND,
    b"QUITX": replies.UNKNOWN_COMMAND,
    b"QUIT\t": replies.UNKNOWN_COMMAND,
    b"NOOP\rQUIT": replies.UNKNOWN_COMMAND,
    b"APOP mrose c4c9334bac560ecc979e58001b3e22fb": replies.UNKNOWN_COMMAND,
    b"GET / HTTP/1.1": replies.UNKNOWN_COMMAND,
    "ＱＵＩＴ".encode(): replies.UNKNOWN_COMMAND,
    b"QUIT now": replies.NO_ARGUMENTS,
    b"STAT 1": replies.NO_ARGUMENTS,
    b"RETR": replies.ARGUMENTS_WANTED,
    b"RETR ": replies.ARGUMENTS_WANTED,
    b"RETR -1": replies.NOT_A_NUMBER,
    b"RETR +1": replies.NOT_A_NUMBER,
    b"RETR 1.0": replies.NOT_A_NUMBER,
    b"RETR 1 2": replies.NOT_A_NUMBER,
    b"RETR  1": replies.NOT_A_NUMBER,
    b"RETR 1_0": replies.NOT_A_NUMBER,
    "RETR ١".encode(): replies.NOT_A_NUMBER,
    b"RETR 1\x00": replies.NOT_A_NUMBER,
    b"RETR " + b"1" * (MAX_NUMBER_DIGITS + 1): replies.NOT_A_NUMBER,
    b"TOP 1": replies.ARGUMENTS_WANTED,
    b"TOP": replies.ARGUMENTS_WANTED,
    b"TOP 1 -1": replies.NOT_A_NUMBER,
    b"TOP 1 1 1": replies.NOT_A_NUMBER,
    b"USER": replies.ARGUMENTS_WANTED,
    b"PASS ": replies.ARGUMENTS_WANTED,
    b"PASS a\x00b": replies.CONTROL_CHARACTER,
    b"PASS a\rb": replies.CONTROL_CHARACTER,
    b"USER \xff": replies.NOT_UTF8,
    b"AUTH PLAIN a b": replies.ARGUMENTS_WANTED,
    b"AUTH  PLAIN": replies.ARGUMENTS_WANTED,
    b"AUTH PLA\xcfN": replies.ARGUMENTS_WANTED,
}


@pytest.mark.parametrize("line", GOOD)
def test_commands(line: bytes) -> None:
    assert parse_command(line) == GOOD[line]


@pytest.mark.parametrize("line", BAD)
def test_what_is_no_command(line: bytes) -> None:
    with pytest.raises(Malformed) as malformed:
        parse_command(line)
    assert malformed.value.reply == BAD[line]


@pytest.mark.parametrize("octet", range(256))
def test_every_octet_as_a_digit_and_in_a_text(octet: int) -> None:
    line = b"RETR 1" + bytes([octet])
    if 48 <= octet <= 57:
        assert parse_command(line).number == 10 + octet - 48
    elif octet == 32:
        assert parse_command(line).number == 1
    else:
        with pytest.raises(Malformed):
            parse_command(line)
    password = b"PASS x" + bytes([octet]) + b"y"
    if 32 <= octet < 127:
        assert parse_command(password).text == f"x{chr(octet)}y"
    else:
        with pytest.raises(Malformed):
            parse_command(password)


def test_no_repr_shows_a_secret() -> None:
    assert "hunter2" not in repr(parse_command(b"PASS hunter2"))
    assert "AGEAYg" not in repr(parse_command(b"AUTH PLAIN AGEAYg=="))


def test_every_verb_has_its_arguments() -> None:
    assert set(ARGUMENTS) == set(Verb)
    assert all(isinstance(form, Arguments) for form in ARGUMENTS.values())


def parsed(line: bytes) -> Command | bytes:
    """The command, or the reply."""
    try:
        return parse_command(line)
    except Malformed as malformed:
        return malformed.reply


@given(st.binary(max_size=300))
def test_any_line_is_a_command_or_malformed(line: bytes) -> None:
    result = parsed(line)
    assert isinstance(result, Command) or result.startswith(b"-ERR ")


@given(st.sampled_from(list(Verb)), st.binary(max_size=300))
def test_any_argument_is_taken_or_malformed(verb: Verb, argument: bytes) -> None:
    result = parsed(verb.value + b" " + argument)
    assert result.verb is verb if isinstance(result, Command) else result.startswith(b"-ERR ")
