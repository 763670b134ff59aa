"""One transaction against scripted replies, pipelined and step by step; and the opening dialogues."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.smtp_out.protocol.capabilities import Capabilities, parse_ehlo
from services.smtp_out.protocol.flow import Await, Flow, Refused, Send, SendContent, Step
from services.smtp_out.protocol.opening import authenticate, greet, hello, quit_session, reset, start_tls
from services.smtp_out.protocol.reply import PeerViolation, Reply
from services.smtp_out.protocol.transaction import Envelope, Transaction, UnusableAddress, check_address
from shared.sasl.client import ScramTerms

PIPE = Capabilities(pipelining=True, size_offered=True, eight_bit=True, smtputf8=True, esmtp=True)
STEPS = Capabilities()


class Broken(Exception):
    """The script is at its end."""


def drive(flow: Flow[Any], replies: list[Reply]) -> tuple[Any, bytes]:
    """Run a dialogue over these replies: its value and everything it sent. Raises Broken when it wants more."""
    sent = b""
    rest = list(replies)
    answer: Reply | None = None
    try:
        while True:
            action = flow.send(answer)
            answer = None
            match action:
                case Send(data):
                    sent += data
                case SendContent():
                    sent += b"[content]"
                case Await():
                    if not rest:
                        flow.close()
                        raise Broken(sent)
                    answer = rest.pop(0)
    except StopIteration as stop:
        assert not rest
        return stop.value, sent


def codes(*numbers: int) -> list[Reply]:
    return [Reply(number, (f"reply {number}",)) for number in numbers]


def transaction(capabilities: Capabilities, recipients: int = 2, **fields: Any) -> Transaction:
    names = tuple(f"r{i}@b.test" for i in range(recipients))
    return Transaction(Envelope("s@a.test", names, 100, **fields), capabilities)


def decided(one: Transaction) -> list[int | None]:
    return [None if verdict is None else verdict.reply.code for verdict in one.verdicts]


@pytest.mark.parametrize(
    ("replies", "verdicts", "content", "clean"),
    [
        ((250, 250, 250, 354, 250), [250, 250], True, True),
        ((250, 250, 550, 354, 250), [250, 550], True, True),
        ((250, 450, 550, 354, 554), [450, 550], False, True),  # nobody stands: a lone dot
        ((250, 550, 550, 503), [550, 550], False, False),
        ((550, 503, 503, 503), [550, 550], False, False),
        ((451, 503, 503, 503), [451, 451], False, False),
        ((550, 250, 250, 354, 550), [550, 550], False, True),  # a server that takes RCPT after a refused MAIL
        ((250, 250, 550, 451), [451, 550], False, False),
        ((250, 250, 250, 354, 451), [451, 451], True, True),
        ((250, 250, 452, 354, 250), [250, 452], True, True),
    ],
)
def test_pipelined(replies: tuple[int, ...], verdicts: list[int], content: bool, clean: bool) -> None:
    one = transaction(PIPE)
    _, sent = drive(one.run(), codes(*replies))
    assert decided(one) == verdicts
    assert (b"[content]" in sent) == content
    assert one.clean == clean
    head = b"MAIL FROM:<s@a.test> SIZE=100\r\nRCPT TO:<r0@b.test>\r\nRCPT TO:<r1@b.test>\r\nDATA\r\n"
    assert sent.startswith(head)
    assert sent[len(head) :] in (b"", b"[content]", b".\r\n")


@pytest.mark.parametrize(
    ("replies", "verdicts", "content"),
    [
        ((250, 250, 250, 354, 250), [250, 250], True),
        ((550,), [550, 550], False),
        ((250, 550, 550), [550, 550], False),
        ((250, 550, 250, 354, 250), [550, 250], True),
        ((250, 250, 250, 554), [554, 554], False),
    ],
)
def test_step_by_step(replies: tuple[int, ...], verdicts: list[int], content: bool) -> None:
    one = transaction(STEPS)
    _, sent = drive(one.run(), codes(*replies))
    assert decided(one) == verdicts
    assert (b"[content]" in sent) == content
    assert sent.startswith(b"MAIL FROM:<s@a.test>\r\n")


@pytest.mark.parametrize("capabilities", [PIPE, STEPS])
@pytest.mark.parametrize("count", range(5))
def test_a_break_leaves_what_is_known(capabilities: Capabilities, count: int) -> None:
    one = transaction(capabilities)
    replies = codes(250, 550, 250, 354, 250)[:count]
    with pytest.raises(Broken):
        drive(one.run(), replies)
    assert decided(one) == ([550, None] if count >= 2 else [None, None])
    assert one.in_doubt == (count == 4)
    assert one.replied == (count >= 1)


@pytest.mark.parametrize(
    "replies", [(354,), (250, 354), (250, 250, 250, 250), (250, 250, 250, 354, 354), (220, 250, 250, 251)]
)
def test_meaningless_replies_break_the_session(replies: tuple[int, ...]) -> None:
    with pytest.raises(PeerViolation):
        drive(transaction(STEPS).run(), codes(*replies))


@given(st.lists(st.integers(200, 599), max_size=12), st.booleans(), st.integers(1, 4))
@settings(max_examples=400, deadline=None)
def test_delivered_only_by_2xx_after_the_content(numbers: list[int], pipelining: bool, recipients: int) -> None:
    one = transaction(PIPE if pipelining else STEPS, recipients)
    ended: list[Reply] = []

    def run() -> None:
        flow = one.run()
        rest = codes(*numbers)
        answer: Reply | None = None
        after_content = False
        while True:
            action = flow.send(answer)
            answer = None
            if isinstance(action, SendContent):
                after_content = True
            if isinstance(action, Await):
                if not rest:
                    return
                answer = rest.pop(0)
                if after_content:
                    ended.append(answer)

    try:
        run()
    except (StopIteration, PeerViolation):
        pass
    for verdict in one.verdicts:
        if verdict is not None and verdict.delivered:
            assert ended
            assert verdict.reply is ended[0]
            assert ended[0].severity == 2


def test_parameters_only_where_offered() -> None:
    _, sent = drive(transaction(PIPE, 1, eight_bit=True, smtputf8=True).run(), codes(250, 250, 354, 250))
    assert sent.startswith(b"MAIL FROM:<s@a.test> SIZE=100 BODY=8BITMIME SMTPUTF8\r\n")
    _, sent = drive(transaction(STEPS, 1, eight_bit=True, smtputf8=True).run(), codes(250, 250, 354, 250))
    assert sent.startswith(b"MAIL FROM:<s@a.test>\r\n")


@pytest.mark.parametrize("address", ["a\r\nRCPT TO:<x@y>@b", "a>b@c", "a\0@b", "a@b\n", '"a\r"@b', "x" * 1001, "\ud800@b"])
def test_addresses_that_would_break_a_command(address: str) -> None:
    with pytest.raises(UnusableAddress):
        check_address(address)


@pytest.mark.parametrize("address", ["", "a@b.test", '"a>b c"@b.test', '"a\\"b"@b.test', "실험@한국.test"])
def test_usable_addresses(address: str) -> None:
    assert check_address(address) == address.encode()


def test_number_of_recipients_is_bounded() -> None:
    with pytest.raises(ValueError):
        transaction(PIPE, 101)


# --- opening ---


def test_greeting() -> None:
    assert drive(greet(), [Reply(220, ("MX.Example.Test. ESMTP",))]) == ("mx.example.test", b"")
    for code in (421, 554, 354):
        with pytest.raises(Refused):
            drive(greet(), codes(code))


def test_ehlo_and_fallback() -> None:
    capabilities, sent = drive(hello("me.test"), [Reply(250, ("mx.test", "SIZE 1000", "PIPELINING"))])
    assert (capabilities.max_size, capabilities.pipelining, sent) == (1000, True, b"EHLO me.test\r\n")
    capabilities, sent = drive(hello("me.test"), codes(502, 250))
    assert not capabilities.esmtp
    assert sent == b"EHLO me.test\r\nHELO me.test\r\n"
    for numbers, step in (((421,), Step.EHLO), ((500, 550), Step.HELO)):
        with pytest.raises(Refused) as refused:
            drive(hello("me.test"), codes(*numbers))
        assert refused.value.step is step


def test_capabilities() -> None:
    lines = ("mx", "starttls", "8BITMIME", "SMTPUTF8", "AUTH=LOGIN PLAIN", "AUTH XOAUTH2", "SIZE 99999999999999999999", "")
    capabilities = parse_ehlo(Reply(250, lines))
    assert capabilities == Capabilities(
        host="mx", esmtp=True, starttls=True, eight_bit=True, smtputf8=True, size_offered=True,
        auth=("LOGIN", "PLAIN", "XOAUTH2"),
    )  # fmt: skip


TERMS = ScramTerms("bm9uY2U=")


def test_auth() -> None:
    name, sent = drive(authenticate(("LOGIN", "PLAIN"), "u", "p", TERMS), codes(235))
    assert (name, sent) == ("PLAIN", b"AUTH PLAIN AHUAcA==\r\n")
    challenges = [Reply(334, ("VXNlcm5hbWU6",)), Reply(334, ("UGFzc3dvcmQ6",)), Reply(235, ("ok",))]
    name, sent = drive(authenticate(("LOGIN",), "u", "p", TERMS), challenges)
    assert (name, sent) == ("LOGIN", b"AUTH LOGIN\r\ndQ==\r\ncA==\r\n")
    with pytest.raises(Refused):
        drive(authenticate(("PLAIN", "LOGIN"), "u", "p", TERMS), codes(535))
    with pytest.raises(PeerViolation, match="XOAUTH2"):
        drive(authenticate(("XOAUTH2",), "u", "p", TERMS), [])
    with pytest.raises(PeerViolation):
        drive(authenticate(("LOGIN",), "u", "p", TERMS), [Reply(334, ("VXNlcm5hbWU6",))] * 3 + codes(501))


@pytest.mark.parametrize("code", [504, 534])
def test_a_mechanism_that_is_refused_is_followed_by_the_next(code: int) -> None:
    name, sent = drive(authenticate(("SCRAM-SHA-256", "PLAIN", "CRAM-MD5"), "u", "p", TERMS), codes(code, 235))
    assert name == "PLAIN"
    assert [line.split()[1] for line in sent.splitlines()] == [b"SCRAM-SHA-256", b"PLAIN"]
    with pytest.raises(Refused):
        drive(authenticate(("SCRAM-SHA-256", "PLAIN"), "u", "p", TERMS), codes(code, code))
    with pytest.raises(Refused):
        drive(authenticate(("SCRAM-SHA-256", "PLAIN"), "u", "p", TERMS), codes(535, 235))


def test_a_binding_that_is_refused_is_followed_by_scram_without() -> None:
    bound = ScramTerms("bm9uY2U=", ("tls-server-end-point", b"x"), plus_offered=True)
    with pytest.raises(Refused):
        drive(authenticate(("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN"), "u", "p", bound), codes(535, 535, 235))


def test_a_server_that_takes_us_without_proof_is_not_trusted() -> None:
    with pytest.raises(PeerViolation, match="prove"):
        drive(authenticate(("SCRAM-SHA-256",), "u", "p", TERMS), codes(235))


def test_small_dialogues() -> None:
    assert drive(start_tls(), codes(220)) == (True, b"STARTTLS\r\n")
    assert drive(start_tls(), codes(454))[0] is False
    assert drive(reset(), codes(250)) == (True, b"RSET\r\n")
    assert drive(reset(), codes(421))[0] is False
    assert drive(quit_session(), codes(221)) == (None, b"QUIT\r\n")
