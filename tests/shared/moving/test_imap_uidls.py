"""POP3's messages beside IMAP's; Dovecot's formats the other way round."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.moving.imap.pop3 import Dropped
from shared.moving.imap.responses import FetchedRow
from shared.moving.imap.uidls import SAMPLES, by_header, header_digest, samples_of, side_by_side
from shared.moving.uidl import DEFAULT_FORMAT, UidlFormat


def rows(*octets: int) -> list[FetchedRow]:
    return [FetchedRow(10 * number, (), each, 0) for number, each in enumerate(octets, 1)]


def dropped(*octets: int) -> list[Dropped]:
    return [Dropped(number, each, f"u{number}") for number, each in enumerate(octets, 1)]


def test_side_by_side():
    assert {uid: each.uidl for uid, each in (side_by_side(dropped(5, 6), rows(5, 6)) or {}).items()} == {10: "u1", 20: "u2"}
    assert side_by_side(dropped(5, 6), rows(6, 5)) is None
    assert side_by_side(dropped(5), rows(5, 6)) is None


def test_samples_are_of_those_that_could_be_mistaken():
    assert samples_of(rows(1, 2, 3)) == []
    assert samples_of(rows(1, 2, 1)) == [10, 30]
    many = samples_of(rows(*[7] * 1000))
    assert SAMPLES <= len(many) <= SAMPLES + 1
    assert {10, 10_000} <= set(many)


def test_by_header():
    theirs = {1: b"b", 2: b"a", 3: b"a", 4: b"gone"}
    assert by_header(theirs, {10: b"a", 20: b"b", 30: b"a", 40: b"new"}) == {10: 2, 20: 1, 30: 3}
    # more here than there: the rest has none
    assert by_header({1: b"a"}, {10: b"a", 20: b"a"}) == {10: 1}


def test_headers_are_alike_whatever_ends_them():
    assert header_digest(b"a: b\r\nc: d\r\n\r\n") == header_digest(b"a: b\nc: d\n") != header_digest(b"a: b\r\n")


@pytest.mark.parametrize("text", [DEFAULT_FORMAT, "%v-%u", "%u", "%u.%v", "x%%%Xu", "%20u%v", "%08Xv%08Xu", "%u-%u"])
def test_uidls_the_other_way_round(text):
    uidl_format = UidlFormat(text)

    @given(st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1))
    def check(uid, uidvalidity):
        uidl = uidl_format.of(uid, uidvalidity, b"", "")
        if uidl:
            assert uidl_format.uid_of(uidl, uidvalidity) == uid
        assert uidl_format.uid_of(uidl + "x", uidvalidity) == 0

    check()


def test_another_mailboxes_uidl():
    uidl_format = UidlFormat(DEFAULT_FORMAT)
    assert uidl_format.uid_of("0000000100000002", 2) == 1
    assert uidl_format.uid_of("0000000100000002", 3) == 0
    assert uidl_format.uid_of("000000010000000A", 10) == 0
    assert UidlFormat("%g").uid_of("x", 1) == 0
    assert UidlFormat("%g").needs_files
    assert not uidl_format.needs_files
