"""The corpus, ordinary and ugly, converted: our own readers find the same parts, octets and words as before."""

import pytest

from shared.mail.index import build_index
from shared.mail.parts import Part, unpack_parts
from shared.mail.recode.converter import Converter
from shared.mail.recode.goal import Goal, Unconvertible
from shared.mail.recode.survey import Survey
from shared.mail.summary import unpack_summary
from shared.mail.transfer import make_decoder
from shared.testing.corpus import messages, varied_messages
from shared.wire.dots import normalise_newlines

CORPUS = {
    **messages(),
    **{f"varied-{number}": content for number, content in enumerate(varied_messages(150), 1)},
}
REFUSED = {"eai"}
"""With an address that cannot be written."""


def convert(content: bytes, goal: Goal) -> bytes:
    survey = Survey(goal)
    survey.feed(content)
    converter = Converter(survey.finish())
    return converter.feed(content) + converter.finish()


def shape(parts: tuple[Part, ...]) -> list[tuple[tuple[int, ...], str, str, str]]:
    return [(part.path, part.media, part.subtype, part.file_name) for part in parts]


def payloads(content: bytes, parts: tuple[Part, ...]) -> list[bytes]:
    """Decoded octets of all parts that hold no others."""
    found = []
    for part in parts:
        decoder = make_decoder(part.encoding)
        if part.is_message or part.media == "multipart" or decoder is None:
            continue
        data = decoder.feed(content[part.body_start : part.body_end]) + decoder.finish()
        found.append(data.replace(b"\r\n", b"\n").rstrip(b"\n"))
    return found


@pytest.mark.parametrize("name", CORPUS)
def test_readers_see_the_same(name: str) -> None:
    content = normalise_newlines(CORPUS[name])
    try:
        found = convert(content, Goal.SEVEN_BIT)
    except Unconvertible:
        assert name in REFUSED
        return
    assert name not in REFUSED
    assert found.isascii()
    before, after = build_index(content), build_index(found)
    old, new = unpack_parts(before.parts), unpack_parts(after.parts)
    assert shape(new) == shape(old)
    assert payloads(found, new) == payloads(content, old)
    assert told(after.summary) == told(before.summary)


def told(packed: bytes) -> tuple[object, ...]:
    summary = unpack_summary(packed)
    people = (*summary.from_, *summary.sender, *summary.reply_to, *summary.to, *summary.cc, *summary.bcc)
    return summary.subject, summary.preview, [(person.display, person.mailbox) for person in people]
