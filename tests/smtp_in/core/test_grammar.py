"""The grammar of paths, literals and parameters: each character class over all 256 octets, lengths, equivalent spellings."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.smtp_in.protocol import grammar
from services.smtp_in.protocol.grammar import InvalidPath, Mailbox


def parse(path: bytes) -> Mailbox:
    return grammar.parse_mailbox(path, max_local_part_octets=64, max_domain_octets=255)


def accepts(path: bytes) -> bool:
    try:
        parse(path)
    except InvalidPath:
        return False
    return True


ATEXT = set((string.ascii_letters + string.digits + "!#$%&'*+-/=?^_`{|}~").encode())
LET_DIG = set((string.ascii_letters + string.digits).encode())


def test_atext_over_all_octets() -> None:
    assert {octet for octet in range(128) if accepts(b"<a%cb@x.test>" % octet)} == ATEXT | {ord(".")}
    # Above 127 only whole UTF-8 sequences pass.
    assert not any(accepts(b"<a%cb@x.test>" % octet) for octet in range(128, 256))
    assert accepts("<한글@x.test>".encode())


def test_quoted_string_over_all_octets() -> None:
    plain = {octet for octet in range(128) if accepts(b'<"a%cb"@x.test>' % octet)}
    # A backslash takes the next character with it: "a\b".
    assert plain == (set(range(32, 127)) - {ord('"')})
    paired = {octet for octet in range(128) if accepts(b'<"a\\%cb"@x.test>' % octet)}
    assert paired == set(range(32, 127))


def test_domain_over_all_octets() -> None:
    assert {octet for octet in range(128) if accepts(b"<u@a%cb.test>" % octet)} == LET_DIG | set(b"-.")
    assert {octet for octet in range(128) if accepts(b"<u@%cb.test>" % octet)} == LET_DIG
    assert {octet for octet in range(128) if accepts(b"<u@a%c.test>" % octet)} == LET_DIG
    assert accepts("<u@한글.test>".encode())


def test_parameter_over_all_octets() -> None:
    values = {octet for octet in range(128) if grammar.split_parameters(b"K=%c" % octet) is not None}
    assert values == set(range(33, 127)) - {ord("=")}
    keywords = {octet for octet in range(256) if grammar.split_parameters(b"%c" % octet) not in (None, [])}
    assert keywords == LET_DIG


def test_xtext_over_all_octets() -> None:
    assert {octet for octet in range(256) if grammar.is_xtext(bytes([octet]))} == set(range(33, 127)) - set(b"+=")
    assert grammar.is_xtext(b"a+3Db")
    assert not grammar.is_xtext(b"a+3db")
    assert not grammar.is_xtext(b"")


@pytest.mark.parametrize(
    ("path", "address"),
    [
        (b"<alice@example.test>", "alice@example.test"),
        (b'<"alice"@example.test>', "alice@example.test"),
        (b'<"al\\ice"@example.test>', "alice@example.test"),
        (b'<"al ice"@example.test>', '"al ice"@example.test'),
        (b'<"al\\ ice"@example.test>', '"al ice"@example.test'),
        (b'<"a@b"@example.test>', '"a@b"@example.test'),
        (b'<"a>b"@example.test>', '"a>b"@example.test'),
        (b'<"a\\"b"@example.test>', '"a\\"b"@example.test'),
        (b'<"a\\\\b"@example.test>', '"a\\\\b"@example.test'),
        (b'<""@example.test>', '""@example.test'),
        (b'<".a"@example.test>', '".a"@example.test'),
        (b"<Joe\\,Smith@x.test>", None),
        (b'<"Joe\\,Smith"@x.test>', '"Joe,Smith"@x.test'),
        (b"<@hosta.test,@jkl.test:userc@d.test>", "userc@d.test"),
        (b"<@hosta.test:userc@d.test>", "userc@d.test"),
        (b"<@hosta.test,userc@d.test>", None),
        (b"<@hosta.test@jkl.test:userc@d.test>", None),
        (b"<u@[127.0.0.1]>", "u@[127.0.0.1]"),
        (b"<u@[256.0.0.1]>", None),
        (b"<u@[1.2.3]>", None),
        (b"<u@[1.2.3.4.5]>", None),
        (b"<u@[IPv6:::1]>", "u@[IPv6:::1]"),
        (b"<u@[ipv6:2001:db8::1]>", "u@[ipv6:2001:db8::1]"),
        (b"<u@[IPv6:1:2:3:4:5:6:7:8]>", "u@[IPv6:1:2:3:4:5:6:7:8]"),
        (b"<u@[IPv6:1:2:3:4:5:6:7:8:9]>", None),
        (b"<u@[IPv6:::ffff:1.2.3.4]>", "u@[IPv6:::ffff:1.2.3.4]"),
        (b"<u@[IPv6:fe80::1%25eth0]>", None),
        (b"<u@[x400:abc]>", "u@[x400:abc]"),
        (b"<u@[nonsense]>", None),
        (b"<u@[]>", None),
        (b"<u@>", None),
        (b"<@x.test>", None),
        (b"<u>", None),
        (b"<u@x.test.>", None),
        (b"<u@.x.test>", None),
        (b"<u@x..test>", None),
        (b"<.u@x.test>", None),
        (b"<u.@x.test>", None),
        (b"<u..v@x.test>", None),
        (b"<u v@x.test>", None),
        (b"<u@x y.test>", None),
        (b"<u@x_y.test>", None),
        (b"< u@x.test>", None),
        (b"<u@x.test >", None),
        (b"<u@v@x.test>", None),
        (b"<u%v@x.test>", "u%v@x.test"),
        (b"<v!u@x.test>", "v!u@x.test"),
        (b"<>", None),
    ],
)
def test_paths(path: bytes, address: str | None) -> None:
    if address is None:
        assert not accepts(path)
    else:
        assert parse(path).address == address
        # What we pass on is a fixed point.
        assert parse(b"<" + address.encode() + b">").address == address


@pytest.mark.parametrize(
    ("path", "too_long"),
    [
        (b"<" + b"a" * 64 + b"@x.test>", False),
        (b"<" + b"a" * 65 + b"@x.test>", True),
        (b"<u@" + b"a" * 63 + b".test>", False),
        (b"<u@" + b"a" * 64 + b".test>", True),
        (b"<u@" + b".".join([b"a" * 62] * 4) + b".abc>", False),
        (b"<u@" + b".".join([b"a" * 62] * 4) + b".abcd>", True),
        (b"<u@" + b".".join([b"a" * 63] * 4) + b">", False),
        (b"<u@" + b".".join([b"a" * 62] * 4) + b".abcde>", True),
    ],
)
def test_lengths(path: bytes, too_long: bool) -> None:
    if not too_long:
        parse(path)
        return
    with pytest.raises(InvalidPath) as caught:
        parse(path)
    assert caught.value.too_long


local_parts = st.text(st.sampled_from(string.ascii_letters + string.digits + ' .@"\\<>()!%+'), min_size=1, max_size=20)


@given(local_parts)
@settings(deadline=None)
def test_every_printable_local_part_can_be_quoted_and_comes_back(local: str) -> None:
    quoted = '"' + "".join(f"\\{character}" for character in local) + '"'
    first = parse(f"<{quoted}@x.test>".encode())
    assert parse(f"<{first.address}>".encode()) == first
    inner = first.local_part
    if inner.startswith('"'):
        inner = inner[1:-1].replace("\\\\", "\0").replace('\\"', '"').replace("\0", "\\")
    assert inner == local


@given(st.binary(max_size=80))
@settings(deadline=None)
def test_arbitrary_bytes(data: bytes) -> None:
    accepts(data)
    accepts(b"<" + data + b"@x.test>")
    grammar.path_extent(data)
    grammar.split_parameters(data)
    grammar.is_host_like(data)


def test_host_names() -> None:
    assert grammar.is_host_like(b"my_pc")
    assert not grammar.is_host_like(b"two words")
    assert not grammar.is_host_like(b"a" * 256)


def test_no_expression_backtracks_badly() -> None:
    # Each of these took seconds with a careless expression; a line is bounded, so this is the worst case.
    tails = (b"a" * 2000, b"a." * 1000 + b"@", b"u@" + b"a-" * 1000, b'"' + b"\\a" * 1000, b"@" + b"a," * 1000)
    for evil in (b"<" + tail for tail in tails):
        assert not accepts(evil)
        grammar.path_extent(evil)
