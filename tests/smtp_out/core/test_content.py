"""Reading a queued content: in pieces, again from the beginning, once where one piece is all."""

import pytest
import trio

from services.smtp_out import content as content_module
from services.smtp_out.content import ContentLost, ContentReader
from shared.mail.recode.converter import Converter
from shared.mail.recode.goal import Goal
from shared.mail.recode.survey import Survey
from shared.model.ids import EntryId


class Queue:
    def __init__(self, octets):
        self.octets = octets
        self.reads = 0

    async def read_content(self, worker, entry, offset, octets):
        self.reads += 1
        return self.octets[offset : offset + octets]


async def everything(reader):
    pieces = []
    while piece := await reader.read():
        pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.parametrize(("length", "reads"), [(0, 0), (1, 1), (10, 1), (11, None), (30, None)])
def test_as_often_as_it_is_wanted(monkeypatch, length, reads):
    monkeypatch.setattr(content_module, "CHUNK_OCTETS", 10)
    queue = Queue(bytes(range(length)))
    reader = ContentReader(queue, "w", EntryId(1), length)

    async def main():
        assert await reader.first() == queue.octets[:10]
        assert await everything(reader) == queue.octets
        for front in (b"", b"front", b"other"):
            reader.put_in_front(front)
            reader.rewind()
            assert await everything(reader) == front + queue.octets
            assert reader.octets == len(front) + length
        reader.rewind()
        await reader.first()
        reader.rewind()
        assert await everything(reader) == b"other" + queue.octets

    trio.run(main)
    if reads is not None:
        assert queue.reads == reads


def test_a_content_that_is_shorter_than_it_should_be():
    async def main():
        reader = ContentReader(Queue(b"abc"), "w", EntryId(1), 5)
        assert await reader.first() == b"abc"
        with pytest.raises(ContentLost):
            await everything(reader)

    trio.run(main)


@pytest.mark.parametrize("chunk", [10, 100, 10_000])
def test_a_converted_content_as_often_as_it_is_wanted(monkeypatch, chunk):
    monkeypatch.setattr(content_module, "CHUNK_OCTETS", chunk)
    content = b"Subject: x\r\n\r\n" + "한글\r\n".encode() * 50
    survey = Survey(Goal.SEVEN_BIT)
    survey.feed(content)
    plan = survey.finish()
    converter = Converter(plan)
    wanted = converter.feed(content) + converter.finish()
    reader = ContentReader(Queue(content), "w", EntryId(1), len(content))

    async def main():
        await reader.first()
        await reader.convert(plan)
        assert reader.octets == len(wanted)
        for front in (b"", b"front"):
            reader.put_in_front(front)
            for _ in range(2):
                assert await everything(reader) == front + wanted
                reader.rewind()
            first = await reader.first()
            assert wanted.startswith(first)
            assert len(first) >= min(chunk, len(wanted))
            assert await everything(reader) == front + wanted
            reader.rewind()

    trio.run(main)
