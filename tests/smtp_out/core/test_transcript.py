"""What is recorded of an attempt: everything that explains it, no secret, never too much."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.smtp_out.protocol.flow import Step
from services.smtp_out.protocol.reply import Reply
from services.smtp_out.transcript import RAW_OCTETS, Transcript
from shared.model.dialogue import MAX_PACKED_OCTETS, unpack


class Clock:
    now = 100.0

    def __call__(self) -> float:
        self.now += 0.25
        return self.now


def said(transcript: Transcript) -> list[str]:
    return [f"{line.way.value} {line.text}" for line in unpack(transcript.packed())]


def test_an_attempt_as_it_was() -> None:
    transcript = Transcript(Clock())
    transcript.note("connected to mx.b.test[192.0.2.1]:25")
    transcript.received(Reply(220, ("mx.b.test",)), Step.GREETING)
    transcript.sent(b"EHLO a.test\r\n", Step.EHLO)
    transcript.received(Reply(250, ("mx.b.test", "SIZE 1000", "PIPELINING")), Step.EHLO)
    transcript.sent(b"MAIL FROM:<a@a.test>\r\nRCPT TO:<b@b.test>\r\nDATA\r\n", Step.MAIL)
    for code in (250, 250, 354):
        transcript.received(Reply(code), Step.MAIL)
    transcript.sent_content(1234)
    transcript.received(Reply(451, ("4.3.0 disk \x1b full",)), Step.END)
    transcript.sent(b"", Step.QUIT)
    assert said(transcript) == [
        "* connected to mx.b.test[192.0.2.1]:25",
        "< 220 mx.b.test",
        "> EHLO a.test",
        "< 250-mx.b.test",
        "< 250-SIZE 1000",
        "< 250 PIPELINING",
        "> MAIL FROM:<a@a.test>",
        "> RCPT TO:<b@b.test>",
        "> DATA",
        "< 250",
        "< 250",
        "< 354",
        "> (1234 octets)",
        "< 451 4.3.0 disk \x1b full",  # the shell's parser has cleaned replies; who shows them does, too
    ]
    assert [line.seconds for line in unpack(transcript.packed())][:3] == [0.25, 0.5, 0.75]


PASSWORD = "correct horse"
PLAIN = base64.b64encode(f"\0me\0{PASSWORD}".encode())
LOGIN = base64.b64encode(PASSWORD.encode())


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        ([b"AUTH PLAIN " + PLAIN], ["> AUTH PLAIN (secret)"]),
        ([b"AUTH PLAIN", PLAIN], ["> AUTH PLAIN", "> (secret)"]),
        ([b"AUTH LOGIN", b"bWU=", LOGIN], ["> AUTH LOGIN", "> (secret)", "> (secret)"]),
    ],
)
def test_a_password_is_never_kept(lines: list[bytes], shown: list[str]) -> None:
    transcript = Transcript(Clock())
    for line in lines:
        transcript.sent(line + b"\r\n", Step.AUTH)
    assert said(transcript) == shown
    transcript.received(Reply(334, (LOGIN.decode(),)), Step.AUTH)
    repeated = f"5.5.1 what is {PLAIN.decode()}, {LOGIN.decode()}, {PASSWORD}?"
    transcript.received(Reply(500, (repeated,)), Step.AUTH)
    everything = "\n".join(said(transcript))
    assert "334 (secret)" in everything
    assert "5.5.1 what is " in everything
    assert PASSWORD not in everything
    assert lines[-1].split()[-1].decode() not in everything


def test_a_long_one_keeps_beginning_and_end() -> None:
    transcript = Transcript(Clock())
    transcript.note("first")
    for number in range(20_000):
        transcript.received(Reply(250, (f"line {number}",)), Step.RCPT)
    transcript.note("last")
    shown = said(transcript)
    assert (shown[0], shown[-1]) == ("* first", "* last")
    assert any("left out" in line for line in shown)
    kept = len(transcript._first) + len(transcript._last)  # of 20,000
    assert kept < 2 * RAW_OCTETS / 64 + 2


@given(st.lists(st.tuples(st.binary(max_size=3000), st.sampled_from(Step)), max_size=40), st.text(max_size=2000))
def test_whatever_is_said_stays_bounded(lumps: list[tuple[bytes, Step]], text: str) -> None:
    transcript = Transcript(Clock())
    for data, step in lumps:
        transcript.sent(data, step)
        transcript.received(Reply(250, (text,) * 100), step)
    assert len(transcript.packed()) <= MAX_PACKED_OCTETS
    assert bool(unpack(transcript.packed())) == bool(lumps)
