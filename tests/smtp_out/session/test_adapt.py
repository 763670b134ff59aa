"""One message to one hop: what becomes of it, and by which commands it goes, against a scripted server."""

from __future__ import annotations

import email
from collections.abc import Awaitable, Callable
from typing import Any, cast

import attrs
import pytest
import trio

from services.smtp_out.adapt import adapt
from services.smtp_out.attempt import Results, deliver
from services.smtp_out.connector import Connector
from services.smtp_out.content import ContentLost, ContentReader
from services.smtp_out.options import Options, TlsPolicy
from services.smtp_out.route import Route, Target
from shared.contract.queue import QueueApi
from shared.contract.types import CHUNK_OCTETS, OutcomeKind, QueueEntry
from shared.errors import Unavailable
from shared.model.ids import AccountId, EntryId
from shared.testing.smtp_peer import Close, Drop, ReceivedMail, Say, SmtpPeer

OPTIONS = Options("me.test", allow_private=True, command_seconds=2, end_seconds=2, connect_timeout_seconds=2)
CHUNKING = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE", "CHUNKING")
SEVEN = ("PIPELINING", "SIZE")
EIGHT = ("PIPELINING", "SIZE", "8BITMIME")
FULL = (*EIGHT, "SMTPUTF8")
ENTRY = QueueEntry(EntryId(0), 1, "b.test", "t", "s@a.test", "", "", 0, False, False, 0.0, 1e12, 0, None)


class Contents:
    """The store's side of reading; an outage from an offset on."""

    def __init__(self, content: bytes, fail_at: int = -1) -> None:
        self._content = content
        self._fail_at = fail_at

    async def read_content(self, worker: str, entry: EntryId, offset: int, octets: int) -> bytes:
        await trio.lowlevel.checkpoint()
        if 0 <= self._fail_at <= offset:
            raise Unavailable("gone")
        return self._content[offset : offset + octets]


def run(test: Callable[[], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        with trio.fail_after(20):
            return await test()

    return trio.run(main)


def send(
    peer: SmtpPeer, content: bytes, *, count: int = 1, fail_at: int = -1, options: Options = OPTIONS, **fields: Any
) -> Results:
    """Deliver as a lane does."""

    async def attempt() -> Results:
        route = Route((Target("mx.b.test", "127.0.0.1", peer.port, TlsPolicy.OPPORTUNISTIC),))
        session = await Connector(options).open(route)
        first = attrs.evolve(ENTRY, octets=len(content), **{"eight_bit": not content.isascii(), **fields})
        entries = [
            attrs.evolve(first, entry_id=EntryId(i), recipient=first.recipient or f"r{i}@b.test")
            for i in range(1, count + 1)
        ]
        reader = ContentReader(cast("QueueApi", Contents(content, fail_at)), "w", EntryId(1), len(content))
        try:
            form = await adapt(entries[0], session.capabilities, reader)
            return await deliver(session, entries, reader, form, 0.0)
        finally:
            await session.close()

    return cast("Results", run(attempt))


def sent(content: bytes, extensions: tuple[str, ...], **fields: Any) -> ReceivedMail:
    with SmtpPeer(extensions=extensions) as peer:
        results = send(peer, content, **fields)
        assert [result.kind for result in results.values()] == [OutcomeKind.DELIVERED]
        return peer.messages[0]


def refused(content: bytes, extensions: tuple[str, ...], **fields: Any) -> tuple[str, str]:
    """Enhanced code and text; nothing was said to the server."""
    with SmtpPeer(extensions=extensions) as peer:
        (result,) = send(peer, content, **fields).values()
        assert result.kind is OutcomeKind.FAILED
        assert not any(command.startswith("MAIL") for command in peer.commands)
        return result.enhanced, result.text


BODY = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n안녕\r\n".encode()
PLAIN = b"From: a@a.test\r\nSubject: x\r\n" + BODY
NAMED = "From: 김 <a@a.test>\r\nSubject: 제목\r\n".encode() + BODY


def test_a_hop_that_takes_8_bits_gets_them() -> None:
    mail = sent(PLAIN, EIGHT)
    assert mail.content == PLAIN
    assert "BODY=8BITMIME" in mail.mail_parameters
    mail = sent(NAMED, FULL, smtputf8=True)
    assert mail.content == NAMED
    assert "SMTPUTF8" in mail.mail_parameters


@pytest.mark.parametrize("lines", [1, 30_000])
def test_a_hop_of_7_bits_gets_a_converted_message(lines: int) -> None:
    content = NAMED + "큰 content, 많은 lines\r\n".encode() * lines
    mail = sent(content, SEVEN)
    assert mail.content.isascii()
    assert "BODY=8BITMIME" not in mail.mail_parameters
    assert f"SIZE={len(mail.content)}" in mail.mail_parameters
    before, after = email.message_from_bytes(content), email.message_from_bytes(mail.content)
    assert after.get_payload(decode=True) == before.get_payload(decode=True)
    assert b"Subject: =?utf-8?B?7KCc66qp?=\r\n" in mail.content


def test_headers_in_ascii_where_only_smtputf8_lacks() -> None:
    mail = sent(NAMED, EIGHT, smtputf8=True)
    assert mail.content.startswith(b"From: =?utf-8?B?6rmA?= <a@a.test>\r\nSubject: =?utf-8?B?7KCc66qp?=\r\nContent-Type")
    assert mail.content.endswith(BODY)
    assert "BODY=8BITMIME" in mail.mail_parameters
    assert "SMTPUTF8" not in mail.mail_parameters


@pytest.mark.parametrize("extensions", [EIGHT, FULL])
def test_undeclared_8_bit_headers(extensions: tuple[str, ...]) -> None:
    """Ours are put in order; what others signed stays as it came."""
    assert sent(NAMED, extensions, account_id=AccountId(1)).content.startswith(b"From: =?utf-8?B?6rmA?= <a@a.test>\r\n")
    assert sent(NAMED, extensions).content == NAMED
    odd = "From: 실험@a.test\r\n\r\nx\r\n".encode()
    assert sent(odd, extensions, account_id=AccountId(1)).content == odd


def test_what_cannot_be_converted_bounces_with_the_reason() -> None:
    signed = b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\xff\r\n--b--\r\n"
    code, text = refused(signed, SEVEN)
    assert code == "5.6.3"
    assert "signature" in text
    header = "From: 실험@a.test\r\n\r\nx\r\n".encode()
    for extensions in (SEVEN, EIGHT):
        code, text = refused(header, extensions, smtputf8=True)
        assert code == "5.6.9"
        assert "실험@a.test" in text
    code, text = refused(PLAIN, EIGHT, smtputf8=True, recipient="실험@한국.test")
    assert code == "5.6.7"
    assert "실험@xn--3e0b707e.test" in text


def test_what_is_sent_counts_against_the_limit() -> None:
    content = PLAIN + "한글\r\n".encode() * 100
    code, text = refused(content, ("SIZE 1200",))
    assert len(content) < 1200
    assert code == "5.3.4"
    assert "1200" in text


# BDAT.


@pytest.mark.parametrize("extensions", [CHUNKING, ("CHUNKING",)])
@pytest.mark.parametrize("octets", [0, 1000, CHUNK_OCTETS, 3 * CHUNK_OCTETS + 1])
def test_content_goes_in_chunks(extensions: tuple[str, ...], octets: int) -> None:
    content = b"Subject: x\r\n\r\n.\r\n.." + b"x" * octets + b"\r\n"
    with SmtpPeer(extensions=extensions) as peer:
        results = send(peer, content, count=2)
        assert all(result.kind is OutcomeKind.DELIVERED for result in results.values())
        assert peer.messages[0].content == content
        sizes = [int(command.split()[1]) for command in peer.commands if command.startswith("BDAT")]
        assert sum(sizes) == len(content)
        assert sizes[0] <= CHUNK_OCTETS
        assert "DATA" not in peer.commands


def test_data_where_chunking_is_off() -> None:
    with SmtpPeer(extensions=CHUNKING) as peer:
        send(peer, PLAIN, options=attrs.evolve(OPTIONS, chunking=False))
        assert "DATA" in peer.commands
        assert peer.messages[0].content == PLAIN


def test_line_ends_are_sound_in_chunks() -> None:
    assert sent(b"Subject: x\n\nbare\rends", CHUNKING).content == b"Subject: x\r\n\r\nbare\r\nends\r\n"


def test_a_refusal_in_the_middle_ends_the_message_and_not_the_session() -> None:
    content = b"Subject: x\r\n\r\n" + b"x" * (5 * CHUNK_OCTETS)
    with SmtpPeer({"BDAT": [Say("552 5.3.4 too large")]}, extensions=CHUNKING) as peer:
        (result,) = send(peer, content).values()
        assert (result.kind, result.enhanced, result.step) == (OutcomeKind.FAILED, "5.3.4", "BDAT")
        chunks = [command for command in peer.commands if command.startswith("BDAT")]
        assert len(chunks) == 2
        assert peer.commands[-2:] == ["RSET", "QUIT"]
        assert not peer.messages


@pytest.mark.parametrize(
    ("script", "kind", "doubt"),
    [
        ({"BDAT": Drop()}, OutcomeKind.DEFERRED, False),
        ({"BDAT": Say("451 4.3.1 later", then_close=True)}, OutcomeKind.DEFERRED, False),
        ({"END": Close()}, OutcomeKind.DEFERRED, True),
        ({"END": Say("554 5.6.0 no")}, OutcomeKind.FAILED, False),
        ({"END": Say("250 2.0.0 ok", then_close=True)}, OutcomeKind.DELIVERED, False),
    ],
)
def test_ends_of_all_kinds(script: dict[str, Any], kind: OutcomeKind, doubt: bool) -> None:
    with SmtpPeer(script, extensions=CHUNKING) as peer:
        (result,) = send(peer, b"Subject: x\r\n\r\n" + b"x" * CHUNK_OCTETS).values()
        assert result.kind is kind
        assert ("may have been taken" in result.text) == doubt


def test_without_a_recipient_no_octet_is_sent() -> None:
    with SmtpPeer({"RCPT": Say("550 5.1.1 no")}, extensions=CHUNKING) as peer:
        (result,) = send(peer, PLAIN).values()
        assert result.enhanced == "5.1.1"
        assert not any(command.startswith("BDAT") for command in peer.commands)


def test_a_store_that_fails_in_the_middle_never_ends_the_message() -> None:
    with SmtpPeer(extensions=CHUNKING) as peer:
        with pytest.raises(ContentLost):
            send(peer, b"x" * (4 * CHUNK_OCTETS), fail_at=3 * CHUNK_OCTETS)
        peer.wait_for(lambda: peer.open_connections == 0)
        assert not peer.messages
        assert not any("LAST" in command for command in peer.commands)
