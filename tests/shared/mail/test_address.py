"""Address lists: the examples of RFC 5322, obsolete forms, and what is seen in the wild."""

import email.utils

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail.address import GROUP_END, AddressEntry, parse_addresses

TABLE = [
    (b"a@b", [(None, None, b"a", b"b")]),
    (b"  a@b  ", [(None, None, b"a", b"b")]),
    (b"John Doe <jdoe@machine.example>", [(b"John Doe", None, b"jdoe", b"machine.example")]),
    (b'"Joe Q. Public" <john.q.public@example.com>', [(b"Joe Q. Public", None, b"john.q.public", b"example.com")]),
    (
        b'Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>, <boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>',
        [
            (b"Mary Smith", None, b"mary", b"x.test"),
            (None, None, b"jdoe", b"example.org"),
            (b"Who?", None, b"one", b"y.test"),
            (None, None, b"boss", b"nil.test"),
            (b'Giant; "Big" Box', None, b"sysservices", b"example.net"),
        ],
    ),
    (
        b"A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
        [
            (None, None, b"A Group", None),
            (b"Ed Jones", None, b"c", b"a.test"),
            (None, None, b"joe", b"where.test"),
            (b"John", None, b"jdoe", b"one.test"),
            GROUP_END,
        ],
    ),
    (b"Undisclosed recipients:;", [(None, None, b"Undisclosed recipients", None), GROUP_END]),
    (
        b"(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;",
        [(None, None, b"Hidden recipients", None), GROUP_END],
    ),
    (
        b"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
        [(b"Pete", None, b"pete", b"silly.test")],
    ),
    (b"Joe Q. Public <john.q.public@example.com>", [(b"Joe Q. Public", None, b"john.q.public", b"example.com")]),
    (
        b"Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
        [(b"Mary Smith", b"@node.test", b"mary", b"example.net"), (None, None, b"jdoe", b"test.example")],
    ),
    (b"<@a.example,@b.example:jd@example.com>", [(None, b"@a.example,@b.example", b"jd", b"example.com")]),
    (b'"a b"@example.com', [(None, None, b"a b", b"example.com")]),
    (b'"a \\" b"@example.com', [(None, None, b'a " b', b"example.com")]),
    (b'<"a b"@example.com>', [(None, None, b"a b", b"example.com")]),
    (b"john@[192.0.2.5]", [(None, None, b"john", b"[192.0.2.5]")]),
    (b"J <john@[IPv6:2001:db8::1]>", [(b"J", None, b"john", b"[IPv6:2001:db8::1]")]),
    (b"jd@example.com (John (JD) Doe)", [(b"John (JD) Doe", None, b"jd", b"example.com")]),
    (b"=?utf-8?B?7ZmN6ri464+Z?= <g@example.kr>", [(b"=?utf-8?B?7ZmN6ri464+Z?=", None, b"g", b"example.kr")]),
    ("홍길동 <길동@예시.한국>".encode(), [("홍길동".encode(), None, "길동".encode(), "예시.한국".encode())]),
    (b"alice@example.com <alice@example.com>", [(b"alice@example.com", None, b"alice", b"example.com")]),
    (b"root", [(None, None, b"root", b"")]),
    (b"no address here", [(b"no address here", None, b"", b"")]),
    (b'"" <>', [(None, None, b"", b"")]),
    (b"broken <no-at-sign", [(b"broken", None, b"no-at-sign", b"")]),
    (b"broken <a@b, next@c", [(b"broken", None, b"a", b"b"), (None, None, b"next", b"c")]),
    # RFC 7103 §7.1
    (b"<@example.net:fran@example.com>", [(None, b"@example.net", b"fran", b"example.com")]),
    (b"<<<user2@example.org>>>", [(None, None, b"user2", b"example.org")]),
    (b"<another@example.net", [(None, None, b"another", b"example.net")]),
    (b"second@example.org>", [(None, None, b"second", b"example.org")]),
    (b"(Testing <fran@example.com>", [(b"Testing", None, b"fran", b"example.com")]),
    (b"(Testing <fran@example.com> (c), d@e", [(b"Testing", None, b"fran", b"example.com"), (None, None, b"d", b"e")]),
    (b"Testing) <sam@example.com>", [(b"Testing)", None, b"sam", b"example.com")]),
    (
        b"<third@example.net, fourth@example.net>",
        [(None, None, b"third", b"example.net"), (None, None, b"fourth", b"example.net")],
    ),
    (b'"Joe <joe@example.com>', [(b"Joe", None, b"joe", b"example.com")]),
    (b"Joe", [(None, None, b"Joe", b"")]),
    (b",,a@b,,", [(None, None, b"a", b"b")]),
    (b"a@b; c@d", [(None, None, b"a", b"b"), (None, None, b"c", b"d")]),
    (b"(only a comment)", []),
    (b"", []),
    (b"g: a@b", [(None, None, b"g", None), (None, None, b"a", b"b"), GROUP_END]),
    (b"g: h: a@b;;", [(None, None, b"g", None), (None, None, b"ha", b"b"), GROUP_END]),
    (b"a@", [(None, None, b"a", b"")]),
    (b"@b", [(None, None, b"", b"b")]),
]


@pytest.mark.parametrize(("value", "expected"), TABLE, ids=[repr(value)[:50] for value, _ in TABLE])
def test_table(value: bytes, expected: list[AddressEntry]) -> None:
    assert parse_addresses(value, 100) == expected


def test_limit() -> None:
    assert len(parse_addresses(b"a@b," * 1000, 10)) == 10
    assert len(parse_addresses(b"(x) a@b," * 1000, 10)) == 10


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet='ab1.@<>()[]",;:\\ \té', max_size=60).map(lambda text: text.encode("latin-1")))
def test_any_value_gives_balanced_groups(value: bytes) -> None:
    entries = parse_addresses(value, 50)
    opened = False
    for name, route, mailbox, host in entries:
        if host is None:
            assert name is None
            assert route is None
            assert (mailbox is not None) is not opened
            opened = not opened
    assert not opened


ATOM = st.text(alphabet="abcXYZ019-_+", min_size=1, max_size=8)
NAME = st.text(alphabet='abc XYZ."\\,;:()<>@', max_size=20).map(str.strip)
HOST = st.lists(ATOM, min_size=1, max_size=3).map(".".join)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(NAME, ATOM, HOST), min_size=1, max_size=5))
def test_what_the_standard_library_writes_is_read(people: list[tuple[str, str, str]]) -> None:
    value = ", ".join(email.utils.formataddr((name, f"{local}@{host}")) for name, local, host in people).encode()
    assert parse_addresses(value, 100) == [
        (name.encode() or None, None, local.encode(), host.encode()) for name, local, host in people
    ]
