"""A transaction by BDAT (RFC 3030): what is sent when, what each reply means, what is known when it breaks; the cutting into chunks."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from services.smtp_out.chunker import Chunker
from services.smtp_out.protocol.capabilities import Capabilities, parse_ehlo
from services.smtp_out.protocol.flow import Await, ChunkReady, NextChunk, Send, SendChunk, Step
from services.smtp_out.protocol.reply import PeerViolation, Reply
from services.smtp_out.protocol.transaction import Envelope, Transaction

PIPELINED = Capabilities(pipelining=True, chunking=True)
STEPS = Capabilities(chunking=True)


def drive(capabilities: Capabilities, chunks: int, codes: list[int], recipients: int = 2) -> tuple[Transaction, list[str]]:
    """What happens over a content of so many chunks: commands, chunks ("chunk", "last") and replies, until the codes are used up."""
    names = tuple(f"r{i}@b.test" for i in range(recipients))
    transaction = Transaction(Envelope("s@a.test", names, 100), capabilities)
    flow = transaction.run()
    story: list[str] = []
    rest = list(codes)
    ready = 0
    answer: Reply | ChunkReady | None = None
    try:
        while True:
            action = flow.send(answer)
            answer = None
            match action:
                case Send(data):
                    story += data.decode().split("\r\n")[:-1]
                case NextChunk():
                    ready += 1
                    answer = ChunkReady(ready == chunks)
                case SendChunk():
                    story.append("last" if ready == chunks else "chunk")
                case Await() if rest:
                    answer = Reply(rest.pop(0), ("text",))
                    story.append(str(answer.code))
                case _:
                    flow.close()
                    return transaction, story
    except StopIteration:
        assert not rest
        return transaction, story


def decided(transaction: Transaction) -> list[tuple[Step, int] | None]:
    return [None if verdict is None else (verdict.step, verdict.reply.code) for verdict in transaction.verdicts]


MAIL = ["MAIL FROM:<s@a.test>", "RCPT TO:<r0@b.test>", "RCPT TO:<r1@b.test>"]


def test_one_chunk_follows_the_replies_to_all_recipients() -> None:
    for capabilities in (PIPELINED, STEPS):
        transaction, story = drive(capabilities, 1, [250, 250, 550, 250])
        assert decided(transaction) == [(Step.END, 250), (Step.RCPT, 550)]
        assert transaction.clean
        assert story[-2:] == ["last", "250"]
    assert drive(PIPELINED, 1, [250, 250, 250, 250])[1] == [*MAIL, "250", "250", "250", "last", "250"]


def test_chunks_travel_while_the_ones_before_are_answered() -> None:
    _, story = drive(PIPELINED, 4, [250, 250, 250, 250, 250, 250, 250])
    assert story[6:] == ["chunk", "chunk", "250", "chunk", "250", "250", "last", "250"]
    _, story = drive(STEPS, 3, [250, 250, 250, 250, 250, 250])
    assert story[6:] == ["chunk", "250", "chunk", "250", "last", "250"]


@pytest.mark.parametrize("capabilities", [PIPELINED, STEPS])
def test_without_a_recipient_nothing_is_sent(capabilities: Capabilities) -> None:
    transaction, story = drive(capabilities, 1, [250, 550, 450])
    assert decided(transaction) == [(Step.RCPT, 550), (Step.RCPT, 450)]
    assert "last" not in story
    assert not transaction.clean
    codes = [550, 503, 503] if capabilities.pipelining else [550]
    assert decided(drive(capabilities, 1, codes)[0]) == [(Step.MAIL, 550)] * 2


@pytest.mark.parametrize("code", [552, 451, 503])
def test_a_refused_chunk_ends_it(code: int) -> None:
    transaction, story = drive(PIPELINED, 5, [250, 250, 250, code, 503])
    assert decided(transaction) == [(Step.BDAT, code)] * 2
    assert story[6:] == ["chunk", "chunk", str(code), "503"]
    assert not transaction.clean
    assert not any(verdict and verdict.delivered for verdict in transaction.verdicts)
    transaction, story = drive(STEPS, 5, [250, 250, 250, 250, code])
    assert story[6:] == ["chunk", "250", "chunk", str(code)]


def test_a_refused_last_chunk() -> None:
    transaction, _ = drive(PIPELINED, 1, [250, 250, 250, 554])
    assert decided(transaction) == [(Step.END, 554)] * 2
    assert not transaction.clean


@pytest.mark.parametrize("count", range(7))
@pytest.mark.parametrize("capabilities", [PIPELINED, STEPS])
def test_a_break_leaves_what_is_known(capabilities: Capabilities, count: int) -> None:
    transaction, story = drive(capabilities, 3, [250, 550, 250, 250, 250, 250][:count], 2)
    first = (Step.RCPT, 550) if count >= 2 else None
    second = (Step.END, 250) if count == 6 else None
    assert decided(transaction) == [first, second]
    assert transaction.in_doubt == (story[-1:] == ["last"])


@pytest.mark.parametrize("codes", [[250, 250, 250, 354], [250, 250, 250, 354, 250]])
def test_replies_without_meaning(codes: list[int]) -> None:
    with pytest.raises(PeerViolation):
        drive(PIPELINED, len(codes) - 3, codes)


def test_the_offer() -> None:
    assert parse_ehlo(Reply(250, ("mx", "CHUNKING"))).chunking
    assert not parse_ehlo(Reply(250, ("mx", "BINARYMIME"))).chunking


@given(st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n", b".\r\n", b"xyz"]).map(lambda piece: piece * 3), max_size=6))
@settings(max_examples=200, deadline=None)
def test_chunks_hold_the_content_with_sound_line_ends(pieces: list[bytes]) -> None:
    async def run() -> bytes:
        rest = [*pieces, b""]

        async def read() -> bytes:
            await trio.lowlevel.checkpoint()
            return rest.pop(0) if rest else b""

        chunker = Chunker(read)
        joined = b""
        last = False
        while not last:
            last = await chunker.next()
            command, _, data = chunker.wire.partition(b"\r\n")
            assert command == b"BDAT %d" % len(data) + (b" LAST" if last else b"")
            joined += data
        return joined

    content = b"".join(pieces)
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    assert trio.run(run) == lines + (b"\r\n" if lines and not lines.endswith(b"\n") else b"")
