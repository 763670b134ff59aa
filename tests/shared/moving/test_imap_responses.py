"""What servers say, as they say it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.moving.imap.framing import ServerViolation
from shared.moving.imap.remembered import _uids
from shared.moving.imap.responses import (
    Continuation,
    Data,
    FetchedRow,
    Listed,
    Namespaces,
    Status,
    build_string,
    build_uid_set,
    known_flags,
    parse_content,
    parse_listed,
    parse_namespaces,
    parse_response,
    parse_row,
)
from shared.moving.imap.values import Atom, parse_values


def data(*pieces: bytes) -> Data:
    found = parse_response(pieces)
    assert isinstance(found, Data)
    return found


def test_status_responses():
    assert parse_response([b"* OK [UIDVALIDITY 12] UIDs valid"]) == Status("", "OK", "UIDVALIDITY", b"12", "UIDs valid")
    assert parse_response([b"p7 no [UNAVAILABLE] later"]) == Status("p7", "NO", "UNAVAILABLE", b"", "later")
    assert parse_response([b"p7 OK"]) == Status("p7", "OK")
    assert parse_response([b"* BYE"]) == Status("", "BYE")
    assert parse_response([b"+ cGFzcw=="]) == Continuation(b"cGFzcw==")


@pytest.mark.parametrize("line", [b"", b"*", b"nothing", b"* ", b"* 12", b"p1 MAYBE", b"\xff OK", b"* FETCH (", b"* 1 FETCH )"])
def test_what_is_no_response(line):
    with pytest.raises(ServerViolation):
        parse_row(parse_response([line]))


def test_values():
    text = b'(a "b\\"\\\\c" NIL (x) BODY[HEADER.FIELDS (A B)] "" '
    assert parse_values([text, b"lit)eral", b" ())"]) == [
        [Atom(b"a"), b'b"\\c', None, [Atom(b"x")], Atom(b"BODY[HEADER.FIELDS (A B)]"), b"", b"lit)eral", []]
    ]
    with pytest.raises(ServerViolation, match="too deep"):
        parse_values([b"(" * 20])


def test_rows():
    row = data(b'* 3 FETCH (FLAGS (\\seen \\Recent $Forwarded Junk \\Odd) UID 9 RFC822.SIZE 77 INTERNALDATE " 2-Mar-2019 10:00:00 +0900")')
    assert parse_row(row) == FetchedRow(9, ("\\Seen", "$Forwarded", "Junk"), 77, 1551488400)
    gmail = data(b'* 3 FETCH (X-GM-MSGID 1278455344230334865 UID 9 RFC822.SIZE 77 INTERNALDATE "nonsense" FLAGS () MODSEQ (7))')
    assert parse_row(gmail) == FetchedRow(9, (), 77, None, 1278455344230334865)
    # a change that somebody else made
    assert parse_row(data(b"* 3 FETCH (FLAGS (\\Seen))")) is None
    with pytest.raises(ServerViolation):
        parse_row(data(b"* 3 FETCH (UID 4294967296 FLAGS () RFC822.SIZE 1)"))


def test_contents():
    assert parse_content(data(b"* 3 FETCH (UID 9 BODY[] ", b"abc", b")")) == (9, b"abc")
    assert parse_content(data(b'* 3 FETCH (BODY[] "abc" UID 9)')) == (9, b"abc")
    assert parse_content(data(b"* 3 FETCH (UID 9 BODY[] NIL)")) is None
    assert parse_content(data(b"* 3 FETCH (FLAGS ())")) is None
    assert parse_content(data(b"* 3 FETCH (UID 9 BODY[HEADER] ", b"h", b")"), b"BODY[HEADER]") == (9, b"h")


def test_mailboxes():
    assert parse_listed(data(b'* LIST (\\HasNoChildren \\Sent) "/" "Sent Items"')) == Listed(
        b"Sent Items", b"/", frozenset({"\\hasnochildren", "\\sent"})
    )
    assert parse_listed(data(b"* LSUB () NIL ", b"a\\b", b"")) == Listed(b"a\\b", b"", frozenset())
    spaces = data(b'* NAMESPACE (("INBOX." ".")) (("user." ".")) (("shared." ".")("" "."))')
    assert parse_namespaces(spaces) == Namespaces(b"INBOX.", (b"user.", b"shared."))
    assert parse_namespaces(data(b'* NAMESPACE NIL NIL NIL')) == Namespaces()
    for broken in (b"* LIST () NIL", b"* LIST a b c", b'* LIST () "/" ()'):
        with pytest.raises(ServerViolation):
            parse_listed(data(broken))


def test_strings_and_flags():
    assert build_string(b'a"b\\') == b'"a\\"b\\\\"'
    assert build_string("ä".encode()) is None
    assert build_string(b"a\r\n") is None
    assert known_flags([b"\\*", b"\\RECENT", b"\\DELETED", b"b", b"a", b"\xff", b"x" * 201]) == ("\\Deleted", "a", "b")


@given(st.sets(st.integers(1, 300)))
def test_uid_sets(uids):
    assert list(_uids(build_uid_set(sorted(uids)).decode())) == sorted(uids)
