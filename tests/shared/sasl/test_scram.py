"""SCRAM-SHA-256: RFC 7677's example, SASLprep's, forgeries, downgrades, arbitrary messages."""

import base64

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from shared.contract.auth import ScramChallenge, ScramLogin
from shared.contract.types import LoginResult
from shared.errors import AuthenticationFailed
from shared.model.ids import AccountId, Grant
from shared.sasl.credentials import ClientMessage, ExchangeCancelled, MalformedExchange
from shared.sasl.saslprep import Unpreparable, saslprep
from shared.sasl.scram import SCRAM, SCRAM_PLUS, BindingRefused, ScramServer, scram_mechanisms
from shared.sasl.scram_exchange import AuthorizationRefused, ScramExchange, run_scram
from shared.sasl.scram_keys import derive
from shared.sasl.server import ServerSession
from shared.testing.scram_client import ScramClient

# RFC 7677 §3
USER, PASSWORD = "user", "pencil"
CLIENT_NONCE, SERVER_NONCE = "rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
CLIENT_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
BINDINGS = {"tls-exporter": b"e" * 32, "tls-server-end-point": b"s" * 32}


def test_rfc7677_example() -> None:
    # RFC 7677 §3
    keys = derive(PASSWORD, SALT, 4096)
    server = ScramServer(SCRAM, SERVER_NONCE, {})
    assert server.first(CLIENT_FIRST).username == USER
    assert server.challenge(SALT, 4096) == SERVER_FIRST
    given_proof = server.final(CLIENT_FINAL)
    assert keys.proof_is_right(given_proof.auth_message, given_proof.proof)
    assert server.verdict(keys.server_signature(given_proof.auth_message)) == SERVER_FINAL
    assert not derive("pencils", SALT, 4096).proof_is_right(given_proof.auth_message, given_proof.proof)
    assert not keys.proof_is_right(given_proof.auth_message + b"x", given_proof.proof)
    assert not keys.proof_is_right(given_proof.auth_message, b"")


def test_nothing_secret_is_in_a_repr() -> None:
    keys = derive(PASSWORD, SALT, 1)
    assert repr(keys.stored_key)[2:20] not in repr(keys)
    assert repr(keys.server_key)[2:20] not in repr(keys)


@pytest.mark.parametrize(
    ("text", "prepared"),
    [("I\u00adX", "IX"), ("user", "user"), ("USER", "USER"), ("\u00aa", "a"), ("\u2168", "IX"), ("a\u00a0b", "a b"),
     ("\u1112\u1161\u11ab\uae00", "한글"), ("비밀번호", "비밀번호"), ("key \U0001f511", "key \U0001f511")],
)  # fmt: skip
def test_saslprep(text: str, prepared: str) -> None:
    # RFC 4013 §3
    assert saslprep(text) == prepared


@pytest.mark.parametrize("text", ["\u0007", "\u0627\u0031", "a\x7f", "\ue000", "\ufffd", "\u200e", "\U000e0041"])
def test_saslprep_prohibits(text: str) -> None:
    with pytest.raises(Unpreparable):
        saslprep(text)


def test_passwords_typed_in_two_ways_are_one() -> None:
    composed, decomposed = "caf\u00e9 한글", "cafe\u0301 \u1112\u1161\u11ab\u1100\u1173\u11af"
    assert composed != decomposed
    assert derive(composed, SALT, 2) == derive(decomposed, SALT, 2)
    # what SASLprep prohibits counts as it is
    assert derive("a\u0007", SALT, 2) != derive("a", SALT, 2)


@pytest.mark.parametrize(
    "message",
    [
        b"", b"n", b"n,", b"n,,", b"n,,n=,r=abc", b"n,,n=user", b"n,,r=abc,n=user", b"n,,n=us=er,r=abc", b"n,,n=a=2Db,r=abc",
        b"n,,n=user,r=", b"n,,n=user,r=a b", b"n,,m=x,n=user,r=abc", b"x,,n=user,r=abc", b"p=,,n=user,r=abc",
        b"p=tls-exporter,,n=user,r=abc", b"n,b=user,n=user,r=abc", b"n,,n=\xff,r=abc", b"n,,n=a\0b,r=abc", b"n,,n=user,r=abc,",
        b"n,,n=user,r=" + b"x" * 257, b"n,,n=" + b"u" * 1025 + b",r=abc", b"n,,n=user,r=abc\n", b"n,,n=\xc2\xad,r=abc",
    ],
)  # fmt: skip
def test_malformed_first_messages(message: bytes) -> None:
    with pytest.raises(MalformedExchange):
        ScramServer(SCRAM, "server", {}).first(message)


@pytest.mark.parametrize(
    "message",
    [b"", CLIENT_FINAL[:-3], CLIENT_FINAL + b",x=y", CLIENT_FINAL.replace(b"rOpr", b"rOps"), b"c=biws,p=QQ==",
     CLIENT_FINAL.replace(b",p=", b",m=1=,p=")],
)  # fmt: skip
def test_malformed_final_messages(message: bytes) -> None:
    server = ScramServer(SCRAM, SERVER_NONCE, {})
    server.first(CLIENT_FIRST)
    server.challenge(SALT, 4096)
    with pytest.raises(MalformedExchange):
        server.final(message)


def test_names_are_unescaped_and_extensions_let_through() -> None:
    user = ScramServer(SCRAM, "s", {}).first(b"n,a=b=3Dc,n=a=2Cb=3D,r=abc,x=ext")
    assert (user.username, user.authzid) == ("a,b=", "b=c")


def exchange(mechanism: str, client: ScramClient, bindings: dict[str, bytes]) -> bool:
    keys = derive(PASSWORD, SALT, 4)
    server = ScramServer(mechanism, "server", bindings)
    server.first(client.first())
    given_proof = server.final(client.final(server.challenge(SALT, 4)))
    right = keys.proof_is_right(given_proof.auth_message, given_proof.proof)
    return right and client.check(server.verdict(keys.server_signature(given_proof.auth_message)))


@pytest.mark.parametrize("kind", BINDINGS)
def test_bound_channels(kind: str) -> None:
    assert exchange(SCRAM_PLUS, ScramClient(USER, PASSWORD, binding=(kind, BINDINGS[kind])), BINDINGS)
    # somebody between us has another channel
    with pytest.raises(BindingRefused):
        exchange(SCRAM_PLUS, ScramClient(USER, PASSWORD, binding=(kind, b"x" * 32)), BINDINGS)
    with pytest.raises(BindingRefused):
        exchange(SCRAM_PLUS, ScramClient(USER, PASSWORD, binding=("tls-unique", BINDINGS[kind])), BINDINGS)


def test_a_downgrade_is_seen() -> None:
    # RFC 5802 §6: the client could bind, but was shown no -PLUS, though we offer it
    with pytest.raises(BindingRefused):
        exchange(SCRAM, ScramClient(USER, PASSWORD, flag=b"y"), BINDINGS)
    assert exchange(SCRAM, ScramClient(USER, PASSWORD, flag=b"y"), {})
    assert exchange(SCRAM, ScramClient(USER, PASSWORD), BINDINGS)
    for flag in (b"n", b"y"):
        with pytest.raises(MalformedExchange):
            exchange(SCRAM_PLUS, ScramClient(USER, PASSWORD, flag=flag), BINDINGS)


def test_flags_cannot_be_exchanged_under_way() -> None:
    # who changes "y" into "n" on the way is found out by the channel that the proof covers
    client = ScramClient(USER, PASSWORD, flag=b"y")
    server = ScramServer(SCRAM, "server", BINDINGS)
    server.first(b"n" + client.first()[1:])
    with pytest.raises(BindingRefused):
        server.final(client.final(server.challenge(SALT, 4)))


@given(st.binary(max_size=80), st.binary(max_size=80), st.sampled_from([SCRAM, SCRAM_PLUS]), st.booleans())
def test_arbitrary_messages_raise_nothing_else(first: bytes, final: bytes, mechanism: str, whole: bool) -> None:
    server = ScramServer(mechanism, "server", BINDINGS)
    try:
        server.first(first)
    except (MalformedExchange, BindingRefused):
        if not whole:
            return
        server = ScramServer(SCRAM, "server", {})
        server.first(CLIENT_FIRST)
    server.challenge(SALT, 4)
    with pytest.raises((MalformedExchange, BindingRefused)):
        server.final(final)


@given(st.text(min_size=1, max_size=30), st.text(max_size=30))
def test_any_name_goes_through(user: str, password: str) -> None:
    try:
        saslprep(user).encode()
        password.encode()
        assert saslprep(user) == user
        assert "\0" not in user
    except (Unpreparable, UnicodeEncodeError, AssertionError):
        return
    assert ScramServer(SCRAM, "s", {}).first(ScramClient(user, password).first()).username == user


def test_the_pure_part_of_an_edge_hands_messages_on() -> None:
    session = ServerSession("scram-sha-256")
    assert session.mechanism == SCRAM
    assert session.start() == b""
    assert session.feed(base64.b64encode(CLIENT_FIRST)) == ClientMessage(SCRAM, CLIENT_FIRST, first=True)
    assert session.feed(base64.b64encode(CLIENT_FINAL)) == ClientMessage(SCRAM, CLIENT_FINAL, first=False)
    assert session.feed(b"") == ClientMessage(SCRAM, b"", first=False)
    assert ServerSession(SCRAM_PLUS).start(b"=") == ClientMessage(SCRAM_PLUS, b"", first=True)


def test_what_is_offered() -> None:
    # RFC 5802 §6
    assert scram_mechanisms(binding=True) == (SCRAM_PLUS, SCRAM)
    assert scram_mechanisms(binding=False) == (SCRAM,)


class FakeAuth:
    """The store's two calls."""

    def __init__(self) -> None:
        self.keys = derive(PASSWORD, SALT, 4)

    async def scram_begin(self, username: str) -> ScramChallenge:
        return ScramChallenge(self.keys.salt, self.keys.iterations)

    async def scram_finish(self, username: str, auth_message: bytes, proof: bytes, client: str) -> ScramLogin:
        if username != USER or not self.keys.proof_is_right(auth_message, proof):
            raise AuthenticationFailed
        login = LoginResult(AccountId(1), "user@example.test", Grant(b"g"))
        return ScramLogin(login, self.keys.server_signature(auth_message))


def drive(client: ScramClient, *, initial: bool = True, last: bytes | None = b"", first: bytes | None = None) -> LoginResult:
    """A whole exchange as an edge runs it."""
    begun = first or client.first()
    asked: list[bytes] = []

    async def ask(challenge: bytes) -> bytes:
        asked.append(challenge)
        if challenge == b"":
            return begun
        if challenge.startswith(b"r="):
            return client.final(challenge)
        assert client.check(challenge)
        if last is None:
            raise ExchangeCancelled
        return last

    async def run() -> LoginResult:
        return await run_scram(FakeAuth(), SCRAM, {}, begun if initial else None, ask, "::1")  # type: ignore[arg-type]

    return trio.run(run)


def test_an_edge_runs_the_exchange() -> None:
    assert drive(ScramClient(USER, PASSWORD)).account_id == 1
    assert drive(ScramClient(USER, PASSWORD), initial=False).account_id == 1
    for client in (ScramClient(USER, "wrong"), ScramClient("nobody", PASSWORD)):
        with pytest.raises(AuthenticationFailed):
            drive(client)
    with pytest.raises(MalformedExchange):
        drive(ScramClient(USER, PASSWORD), last=b"more")
    with pytest.raises(ExchangeCancelled):  # the client did not believe our signature
        drive(ScramClient(USER, PASSWORD), last=None)


def test_an_exchange_is_answered_message_by_message() -> None:
    client = ScramClient(USER, PASSWORD)

    async def run() -> None:
        exchange = ScramExchange(FakeAuth(), SCRAM, {}, "::1")  # type: ignore[arg-type]
        assert exchange.username == ""
        challenge = await exchange.respond(client.first())
        assert isinstance(challenge, bytes)
        assert exchange.username == USER
        verdict = await exchange.respond(client.final(challenge))
        assert isinstance(verdict, bytes)
        assert client.check(verdict)
        login = await exchange.respond(b"")
        assert isinstance(login, LoginResult)
        assert login.account_id == 1

    trio.run(run)


@pytest.mark.parametrize(("authzid", "allowed"), [(b"user", True), (b"User@Example.TEST", True), (b"other", False)])
def test_nobody_acts_as_another(authzid: bytes, allowed: bool) -> None:
    client = ScramClient(USER, PASSWORD)
    client._header = b"n,a=" + authzid + b","
    client._channel = client._header
    if allowed:
        assert drive(client).account_id == 1
    else:
        with pytest.raises(AuthorizationRefused):
            drive(client)
