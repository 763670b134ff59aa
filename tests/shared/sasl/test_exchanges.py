"""SASL exchanges: RFC 4616 and RFC 4954 examples, refusals, client against server, nothing secret in errors."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.sasl.client import ClientSession, ranked
from shared.sasl.credentials import Credentials, ExchangeCancelled, MalformedExchange
from shared.sasl.server import SERVER_MECHANISMS, ServerSession, UnknownMechanism
from shared.wire import base64


def test_rfc4616_examples() -> None:
    # RFC 4616 §4
    session = ServerSession("PLAIN")
    assert session.start() == b""
    assert session.feed(base64.encode(b"\0tim\0tanstaaftanstaaf")) == Credentials("tim", "tanstaaftanstaaf")
    second = ServerSession("plain").start(base64.encode(b"Ursel\0Kurt\0xipj3plmq"))
    assert second == Credentials("Kurt", "xipj3plmq", "Ursel")
    assert isinstance(second, Credentials)
    assert second.acts_as_other


def test_rfc4954_example() -> None:
    # RFC 4954 §4.1
    assert ServerSession("PLAIN").start(b"dGVzdAB0ZXN0ADEyMzQ=") == Credentials("test", "1234", "test")


def test_login_with_and_without_initial_response() -> None:
    session = ServerSession("LOGIN")
    assert session.start() == b"VXNlcm5hbWU6"
    assert session.feed(b"YWxpY2U=") == b"UGFzc3dvcmQ6"
    assert session.feed(b"c2VjcmV0") == Credentials("alice", "secret")
    session = ServerSession("LOGIN")
    assert session.start(b"YWxpY2U=") == b"UGFzc3dvcmQ6"
    assert session.feed(b"c2VjcmV0") == Credentials("alice", "secret")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"alice",
        b"alice\0secret",
        b"\0alice\0secret\0",
        b"\0\0secret",
        b"\0alice\0",
        b"\0\xff\0x",
        b"\0" + b"a" * 1025 + b"\0x",
    ],
)
def test_malformed_plain(message: bytes) -> None:
    session = ServerSession("PLAIN")
    session.start()
    with pytest.raises(MalformedExchange) as caught:
        session.feed(base64.encode(message))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("line", [b"not base64", b"QQ", b"=", b"QQ==\r", b"A" * 9000])
def test_malformed_lines(line: bytes) -> None:
    for name in SERVER_MECHANISMS:
        session = ServerSession(name)
        session.start()
        with pytest.raises(MalformedExchange):
            session.feed(line)


def test_empty_initial_response() -> None:
    # "=" is present and empty: not the same as absent.
    with pytest.raises(MalformedExchange):
        ServerSession("PLAIN").start(b"=")


def test_cancel() -> None:
    for name in SERVER_MECHANISMS:
        session = ServerSession(name)
        session.start()
        with pytest.raises(ExchangeCancelled):
            session.feed(b"*")


def test_unknown_mechanism() -> None:
    with pytest.raises(UnknownMechanism):
        ServerSession("GSSAPI")


def test_password_is_not_in_repr() -> None:
    assert "hunter2" not in repr(Credentials("a", "hunter2"))


words = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1, max_size=50)


@given(words, words, st.sampled_from(["PLAIN", "LOGIN"]), st.booleans())
@settings(deadline=None)
def test_our_client_logs_in_to_our_server(user: str, password: str, name: str, initial: bool) -> None:
    client, server = ClientSession(name, user, password), ServerSession(name)
    answer = server.start(client.initial() if initial else None)
    while isinstance(answer, bytes):
        answer = server.feed(client.respond(answer))
    assert answer == Credentials(user, password)


def test_client_reads_plain_words_as_login_challenges() -> None:
    client = ClientSession("LOGIN", "u", "p")
    assert client.respond(b"Username:") == b"dQ=="
    assert client.respond(b"UGFzc3dvcmQ6") == b"cA=="
    with pytest.raises(MalformedExchange):
        client.respond(b"")


def test_client_refuses_strange_challenges() -> None:
    with pytest.raises(MalformedExchange):
        ClientSession("PLAIN", "u", "p").respond(b"QQ==")
    with pytest.raises(MalformedExchange):
        ClientSession("PLAIN", "u", "p").respond(b"?")


def test_the_strongest_comes_first_and_cram_md5_last() -> None:
    assert ranked(["login", "plain"]) == ("PLAIN", "LOGIN")
    assert ranked(["CRAM-MD5", "LOGIN", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]) == ("SCRAM-SHA-256", "LOGIN", "CRAM-MD5")
    assert ranked(["PLAIN", "SCRAM-SHA-256-PLUS"], bound=True) == ("SCRAM-SHA-256-PLUS", "PLAIN")
    assert ranked(["GSSAPI", "XOAUTH2"]) == ()


def test_rfc2195_example() -> None:
    # RFC 2195 §2
    client = ClientSession("CRAM-MD5", "tim", "tanstaaftanstaaf")
    assert client.initial() is None
    answer = client.respond(base64.encode(b"<1896.697170952@postoffice.reston.mci.net>"))
    assert base64.decode(answer, 100) == b"tim b913a602c7eda7a495b4e6e7334d3890"
    client.succeeded(b"2.7.0 welcome")
    with pytest.raises(MalformedExchange):
        client.respond(b"")


@given(st.lists(st.binary(max_size=40), max_size=4), st.sampled_from(sorted(SERVER_MECHANISMS)))
@settings(deadline=None)
def test_arbitrary_lines_never_raise_anything_else(lines: list[bytes], name: str) -> None:
    session = ServerSession(name)
    try:
        answer = session.start(lines[0] if lines else None)
        for line in lines[1:]:
            if isinstance(answer, Credentials):
                return
            answer = session.feed(line)
    except (MalformedExchange, ExchangeCancelled):
        pass
