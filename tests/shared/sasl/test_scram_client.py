"""SCRAM's client: the RFC's example, our server, forged servers."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.sasl.client import ClientSession, ScramTerms
from shared.sasl.credentials import MalformedExchange
from shared.sasl.scram import BindingRefused, ScramServer
from shared.sasl.scram_client import MAX_ITERATIONS, MIN_ITERATIONS, ScramClient
from shared.sasl.scram_keys import derive
from shared.wire import base64

NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def rfc_client() -> ScramClient:
    return ScramClient("user", "pencil", NONCE, None)


def test_rfc7677_example() -> None:
    # RFC 7677 §3
    client = rfc_client()
    assert client.initial() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    assert client.respond(SERVER_FIRST) == (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    assert not client.complete
    assert client.respond(SERVER_FINAL) == b""
    assert client.complete


@pytest.mark.parametrize(
    "message",
    [
        b"v=" + base64.encode(b"x" * 32),
        b"e=invalid-proof",
        b"",
        SERVER_FINAL[:-2],
        b"v=?",
    ],
)
def test_a_server_that_does_not_know_the_password(message: bytes) -> None:
    client = rfc_client()
    client.initial()
    client.respond(SERVER_FIRST)
    with pytest.raises(MalformedExchange):
        client.respond(message)
    assert not client.complete


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"r=" + NONCE.encode() + b",s=QQ==,i=4096",  # it added nothing
        b"r=x" + NONCE.encode() + b"y,s=QQ==,i=4096",
        b"r=" + NONCE.encode() + b"y,s=QQ==,i=%d" % (MIN_ITERATIONS - 1),
        b"r=" + NONCE.encode() + b"y,s=QQ==,i=%d" % (MAX_ITERATIONS + 1),
        b"r=" + NONCE.encode() + b"y,s=,i=4096",
        b"r=" + NONCE.encode() + b"y,s=?,i=4096",
        b"m=ext,r=" + NONCE.encode() + b"y,s=QQ==,i=4096",
        b"r=" + NONCE.encode() + b"y" * 300 + b",s=QQ==,i=4096",
    ],
)
def test_first_messages_that_are_refused(message: bytes) -> None:
    client = rfc_client()
    client.initial()
    with pytest.raises(MalformedExchange) as caught:
        client.respond(message)
    assert "pencil" not in str(caught.value)


words = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=30)


@given(words, words, st.sampled_from([None, ("tls-server-end-point", b"hash")]))
@settings(deadline=None, max_examples=20)
def test_our_client_logs_in_to_our_server(user: str, password: str, binding: tuple[str, bytes] | None) -> None:
    client = ScramClient(user, password, NONCE, binding)
    server = ScramServer(client.name, "c2VydmVy", dict([binding] if binding else []))
    keys = derive(password, b"salt", MIN_ITERATIONS)
    assert server.first(client.initial() or b"").username == user
    proof = server.final(client.respond(server.challenge(keys.salt, keys.iterations)))
    assert keys.proof_is_right(proof.auth_message, proof.proof)
    client.finish(server.verdict(keys.server_signature(proof.auth_message)))
    assert client.complete


def test_an_offer_of_plus_that_was_taken_away_is_noticed() -> None:
    binding = ("tls-server-end-point", b"hash")
    session = ClientSession("SCRAM-SHA-256", "user", "pencil", ScramTerms(NONCE, binding))
    first = base64.decode(session.initial() or b"", 1000)
    assert first.startswith(b"y,,")
    with pytest.raises(BindingRefused):
        ScramServer("SCRAM-SHA-256", "c2VydmVy", dict([binding])).first(first)
    fallen_back = ClientSession("SCRAM-SHA-256", "user", "pencil", ScramTerms(NONCE, binding, plus_offered=True))
    assert base64.decode(fallen_back.initial() or b"", 1000).startswith(b"n,,")


def test_success_needs_the_signature_also_with_the_reply() -> None:
    for final, right in ((SERVER_FINAL, True), (re.sub(rb"6", b"7", SERVER_FINAL), False), (b"", False)):
        session = ClientSession("SCRAM-SHA-256", "user", "pencil", ScramTerms(NONCE))
        session.initial()
        session.respond(base64.encode(SERVER_FIRST))
        if right:
            session.succeeded(base64.encode(final))
            continue
        with pytest.raises(MalformedExchange):
            session.succeeded(base64.encode(final))
    with pytest.raises(MalformedExchange):
        ClientSession("SCRAM-SHA-256", "user", "pencil", ScramTerms(NONCE)).succeeded(b"2.7.0 welcome, without proof")
