"""Names of files and folders, keywords, subscriptions, UIDLs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.moving.keywords import KeywordsError, build_keywords, flags_of, letters_of, parse_keywords
from shared.moving.names import (
    FileName,
    FolderNameError,
    Layout,
    arrival_key,
    folder_name,
    folder_octets,
    parse_file_name,
)
from shared.moving.subscriptions import SubscriptionsError, build_subscriptions, parse_subscriptions
from shared.moving.uidl import UidlFormat, UidlFormatError

MAILDIR, FS = Layout.MAILDIR, Layout.FS


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        (b"1.M1P1.host,S=10,W=12:2,FSab", FileName(b"1.M1P1.host,S=10,W=12", "FSab", 12, 10)),
        (b"1.host", FileName(b"1.host", "", 0)),
        (b"1.host:2,", FileName(b"1.host", "", 0)),
        (b"1.host:1,S", FileName(b"1.host", "", 0)),
        (b"1.host,S=1:2,S", FileName(b"1.host,S=1", "S", 0, 1)),
        (b"a\nb\xff:2,S", FileName(b"a\nb\xff", "S", 0)),
        (b".hidden", None),
        (b":2,S", None),
        (b"", None),
        (b"a" * 256, None),
    ],
)
def test_file_names(name, parsed):
    assert parse_file_name(name) == parsed


@given(st.binary(max_size=300))
def test_any_file_name(name):
    parsed = parse_file_name(name)
    assert parsed is None or name.startswith(parsed.base)
    arrival_key(name)


def test_files_as_they_came():
    names = [b"10.M2.h", b"9.M5.h", b"10.M10.h", b"x", b"10.h"]
    assert sorted(names, key=arrival_key) == [b"9.M5.h", b"10.h", b"10.M2.h", b"10.M10.h", b"x"]


@pytest.mark.parametrize(
    ("octets", "layout", "name", "changed"),
    [
        (b".Projects.2024", MAILDIR, "Projects/2024", False),
        (b".&vPSwuA-.a&-b", MAILDIR, "보낸/a&b", False),
        (".보낸".encode(), MAILDIR, "보낸", False),
        (b".R&D", MAILDIR, "R&D", False),
        (b".caf\xe9", MAILDIR, "café", True),
        (b".a*b%c\nd/e", MAILDIR, "a_b_c_d_e", True),
        (b"a.b/c", FS, "a.b/c", False),
        (b"a/..", FS, "a/__", True),
    ],
)
def test_folder_names(octets, layout, name, changed):
    found = folder_name(octets, layout)
    assert (found.name, found.changed) == (name, changed)


@pytest.mark.parametrize("octets", [b".", b"..a", b".a..b", b".a."])
def test_folders_that_are_none(octets):
    with pytest.raises(FolderNameError):
        folder_name(octets, MAILDIR)


@given(st.binary(min_size=1, max_size=80), st.sampled_from(Layout))
def test_any_folder_name(octets, layout):
    try:
        name = folder_name(octets, layout).name
    except FolderNameError:
        return
    assert all(name.split("/"))
    assert name.isprintable() or not name.isascii()
    assert not set("*%\n\r\0") & set(name)


def test_folders_that_are_written():
    assert folder_octets("보낸/v1.2") == b".&vPSwuA-.v1_2"
    assert folder_name(folder_octets("a&b/c d"), MAILDIR).name == "a&b/c d"


def test_keywords():
    found = parse_keywords(b"0 $Forwarded\n2 Junk\n30 beyond\n3 not one\n")
    assert found == {"a": "$Forwarded", "c": "Junk"}
    assert flags_of("TSRcza?", found) == ("\\Answered", "\\Seen", "\\Deleted", "$Forwarded", "Junk")
    assert parse_keywords(build_keywords(found)) == found
    assert letters_of(("\\Seen", "Junk", "other", "\\Flagged"), {"Junk": "c"}) == "FSc"
    assert flags_of("", found) == ()


@pytest.mark.parametrize("data", [b"x\n", b"1\n", b"-1 a\n", b"0 " + b"a" * 300_000])
def test_what_are_no_keywords(data):
    with pytest.raises(KeywordsError):
        parse_keywords(data)


@given(st.binary(max_size=100))
def test_any_keywords(data):
    try:
        found = parse_keywords(data)
    except KeywordsError:
        return
    assert all(name.isascii() and " " not in name for name in found.values())


def test_subscriptions():
    assert parse_subscriptions(b"INBOX\nProjects.2024\n\nProjects.2024\n..\n&vPSwuA-\n") == (
        "INBOX", "Projects/2024", "보낸",
    )  # fmt: skip
    assert parse_subscriptions(b"V\t2\n\nProjects\t2024\na\x01tb\tc.d\x011\n") == ("Projects/2024", "a_b/c.d_")
    assert parse_subscriptions(b"a/b.c\n", b"/") == ("a/b.c",)
    assert parse_subscriptions(b"") == ()
    assert build_subscriptions((b"a", b"b")) == b"a\nb\n"
    with pytest.raises(SubscriptionsError):
        parse_subscriptions(b"a" * (4 * 1024 * 1024 + 1))


@given(st.binary(max_size=100), st.booleans())
def test_any_subscriptions(data, tabs):
    for name in parse_subscriptions((b"V\t2\n" if tabs else b"") + data):
        assert all(name.split("/"))


def test_uidls():
    # as a Dovecot 2.3 makes them
    assert UidlFormat().of(1, 0x6B0AC012, b"n", "") == "000000016b0ac012"
    assert UidlFormat("%v-%u").of(7, 12, b"n", "") == "12-7"
    assert UidlFormat("UID%u-%v%%").of(7, 12, b"n", "") == "UID7-12%"
    assert UidlFormat("%f").of(7, 12, b"1.M1.host,S=3", "") == "1.M1.host,S=3"
    assert UidlFormat("%g").of(7, 12, b"name", "guid") == "guid"
    assert UidlFormat("%g").of(7, 12, b"name", "") == "name"
    # what POP3 cannot say
    assert UidlFormat("%f").of(7, 12, b"a b", "") == ""
    assert UidlFormat("%f").of(7, 12, b"a" * 71, "") == ""
    assert UidlFormat("%4u").of(7, 12, b"a", "") == ""
    for wrong in ("", "%v", "%q%u", "%", "%Xm"):
        with pytest.raises(UidlFormatError):
            UidlFormat(wrong)
