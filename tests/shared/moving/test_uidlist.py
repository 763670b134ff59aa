"""dovecot-uidlist: what Dovecot writes, and everything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.moving import uidlist as module
from shared.moving.uidlist import Uidlist, UidlistError, UidRecord, base_name, build_uidlist, parse_uidlist

REAL = b"""\
3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1
25006 :1276528487.M364837P9451.host,S=1355,W=1394:2,
25017 W2481 Pold-uidl :1276533073.M242911P3632.host:2,F
25030 G0123 P1:2 :1276533074.M1P1.host
"""
GUID = "3085f01b7f11094c501100008c4a11c1"


def test_what_dovecot_writes():
    assert parse_uidlist(REAL.splitlines(keepends=True)) == Uidlist(
        1275660208,
        # appended records are above the header's number
        25031,
        GUID,
        (
            UidRecord(25006, b"1276528487.M364837P9451.host,S=1355,W=1394"),
            UidRecord(25017, b"1276533073.M242911P3632.host", "old-uidl", 2481),
            UidRecord(25030, b"1276533074.M1P1.host", "1:2", 0, "0123"),
        ),
    )


def test_version_1():
    found = parse_uidlist([b"1 12 9\n", b"3 a b.host:2,S\n"])
    assert found == Uidlist(12, 9, "", (UidRecord(3, b"a b.host"),))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "line 1 is not a header"),
        ([b"2 V1 N1"], "line 1 is not a header"),
        ([b"3 V1"], "lacks"),
        ([b"3 V0 N1"], "out of bounds"),
        ([b"3 V1 N4294967296"], "out of bounds"),
        ([b"3 V1 N1", b"x"], "line 2 is not a record"),
        ([b"3 V1 N1", b"1 :"], "line 2 is not a record"),
        ([b"3 V1 N1", b"1 ::2,S"], "line 2 is not a record"),
        ([b"3 V1 N1", b"0 :a"], "line 2: UIDs do not ascend"),
        ([b"3 V1 N1", b"4294967296 :a"], "line 2: UIDs do not ascend"),
        ([b"3 V1 N1", b"2 :a", b"2 :b"], "line 3: UIDs do not ascend"),
        ([b"3 V1 N1", b"2 :a", b"3 :a:2,S"], "line 3: a file for the second time"),
        ([b"3 V1 N1", b"2 :" + b"a" * 9000], "line 2 is too long"),
        ([b"3 V1 N1", b"2 :a", b"\n"], "line 3 is not a record"),
    ],
)
def test_what_is_no_list(lines, words):
    with pytest.raises(UidlistError, match=words):
        parse_uidlist(lines)


def test_the_number_of_records_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "MAX_RECORDS", 2)
    lines = [b"3 V1 N1", b"1 :a", b"2 :b"]
    assert len(parse_uidlist(lines).records) == 2
    with pytest.raises(UidlistError, match="more than 2 records"):
        parse_uidlist([*lines, b"3 :c"])


@given(st.lists(st.binary(max_size=60) | st.sampled_from(REAL.splitlines()), max_size=6))
def test_any_octets_are_a_list_or_a_typed_error(lines):
    try:
        found = parse_uidlist(lines)
    except UidlistError:
        return
    assert [record.uid for record in found.records] == sorted({record.uid for record in found.records})
    assert all(record.uid < found.uid_next or record.uid == 2**32 - 1 for record in found.records)


names = st.binary(min_size=1, max_size=40).filter(lambda name: not {0, 10, 47, 58} & set(name))
uidls = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=":"), max_size=70)


@given(
    st.integers(1, 2**32 - 1),
    st.lists(st.tuples(names, uidls, st.integers(0, 10**9)), max_size=8, unique_by=lambda each: each[0]),
)
def test_what_is_written_is_read_again(uidvalidity, rows):
    records = tuple(UidRecord(uid, name, uidl, octets) for uid, (name, uidl, octets) in enumerate(rows, 1))
    given_list = Uidlist(uidvalidity, len(rows) + 1, GUID, records)
    assert parse_uidlist(build_uidlist(given_list)) == given_list


def test_base_names():
    assert base_name(b"1.M1.host,S=1:2,FS") == b"1.M1.host,S=1"
