"""Header facts and the repair of submissions."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.smtp_in.protocol.data import HeaderFacts, inspect_header, needs_separator, repair_submission


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        (b"", HeaderFacts(0, True, 0)),
        (b"\r\nbody", HeaderFacts(2, True, 0)),
        (b"hello\r\n", HeaderFacts(0, True, 0)),
        (b"A: b\r\n", HeaderFacts(6, False, 0)),
        (b"A: b\r\n\r\nReceived: not a field\r\n", HeaderFacts(8, True, 0)),
        (b"Received: a\r\nRECEIVED : b\r\nX-Received: c\r\n Received: d\r\n\r\n", HeaderFacts(58, True, 2)),
    ],
)
def test_facts(content: bytes, facts: HeaderFacts) -> None:
    assert inspect_header(content) == facts


def repair(content: bytes) -> bytes:
    facts = inspect_header(content)
    return repair_submission(content, facts.octets, date=b"D", message_id=b"<M>")


@pytest.mark.parametrize(
    ("content", "repaired"),
    [
        (b"Date: x\r\nMessage-Id: y\r\n\r\nbody", b"Date: x\r\nMessage-Id: y\r\n\r\nbody"),
        (b"Subject: s\r\n\r\nbody", b"Date: D\r\nMessage-ID: <M>\r\nSubject: s\r\n\r\nbody"),
        (b"\r\nbody", b"Date: D\r\nMessage-ID: <M>\r\n\r\nbody"),
        (b"body only\r\n", b"Date: D\r\nMessage-ID: <M>\r\n\r\nbody only\r\n"),
        (b"", b"Date: D\r\nMessage-ID: <M>\r\n\r\n"),
        (
            b"Date: x\r\nBcc: a@x,\r\n b@x\r\nMessage-ID: y\r\nReturn-Path: <z>\r\nresent-bcc : c\r\nTo: t\r\n\r\nBcc: body\r\n",
            b"Date: x\r\nMessage-ID: y\r\nTo: t\r\n\r\nBcc: body\r\n",
        ),
        (b"Date: x\r\nMessage-ID: y\r\nBcc: last\r\n", b"Date: x\r\nMessage-ID: y\r\n"),
        (
            b"Date: x\r\nno field\r\nBcc: hidden\r\nMessage-ID: y\r\n\r\n",
            b"Date: x\r\nno field\r\nMessage-ID: y\r\n\r\n",
        ),
        (b"Date: x\r\nMessage-ID: y\r\nBcc: cut", b"Date: x\r\nMessage-ID: y\r\nBcc: cut"),
    ],
)
def test_repair(content: bytes, repaired: bytes) -> None:
    assert repair(content) == repaired


lines = st.lists(st.sampled_from([b"Bcc: x", b" fold", b"A: b", b"junk", b"", b"Date: d", b"Message-ID: m"]), max_size=8)


@given(lines)
@settings(deadline=None)
def test_repair_is_stable_and_keeps_the_body(parts: list[bytes]) -> None:
    content = b"".join(part + b"\r\n" for part in parts)
    once = repair(content)
    if not needs_separator(once):
        assert repair(once) == once
    _, _, body = content.partition(b"\r\n\r\n")
    assert once.endswith(body)


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_arbitrary_bytes(content: bytes) -> None:
    facts = inspect_header(content)
    assert 0 <= facts.octets <= max(len(content), 2)
    repair(content)
