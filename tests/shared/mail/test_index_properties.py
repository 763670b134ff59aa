"""Any bytes give an index: nothing raises, offsets are in range and nested, what is rendered is well-formed, work is bounded."""

import mmap
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.mail.body_text import iter_text
from shared.mail.index import (
    DEFAULT_LIMITS,
    MessageIndex,
    Part,
    SectionKind,
    build_index,
    resolve_section,
    unpack_parts,
    unpack_summary,
)
from shared.mail.limits import IndexLimits
from shared.testing.corpus import header, messages, nested_messages, nested_multiparts
from shared.testing.imap_list import check_body, check_envelope, parse_imap_list

CORPUS = messages()
SMALL_LIMITS = IndexLimits(
    header_octets=300,
    total_header_octets=1000,
    header_fields=8,
    field_octets=100,
    string_octets=20,
    addresses=3,
    envelope_octets=200,
    structure_octets=200,
    depth=3,
    parts=5,
    boundary_octets=10,
    boundary_candidates=10,
    parameters=2,
    references=2,
    preview_characters=10,
    preview_octets=50,
)
MAX_INDEX_OCTETS = 700 * 1024


def check_index(content: bytes, limits: IndexLimits = DEFAULT_LIMITS) -> MessageIndex:
    """Build an index and hold it against all of its promises."""
    index = build_index(content, limits)
    check_envelope(parse_imap_list(index.envelope))
    check_body(parse_imap_list(index.body), extended=False)
    check_body(parse_imap_list(index.bodystructure), extended=True)
    parts = unpack_parts(index.parts)
    check_parts(parts, content, index)
    summary = unpack_summary(index.summary)
    assert len(summary.preview) <= limits.preview_characters
    assert not set(summary.preview) & set("\r\n\0")
    assert not set(summary.subject) & set("\r\n\0")
    assert len(list(iter_text(content, parts, 1 << 20))) == sum(part.is_text for part in parts)
    size = sum(len(value) for value in attrs.astuple(index) if isinstance(value, bytes))
    assert size <= MAX_INDEX_OCTETS
    assert len(parts) <= limits.parts + 2 + limits.depth
    return index


def check_parts(parts: tuple[Part, ...], content: bytes, index: MessageIndex) -> None:
    whole = parts[0]
    assert whole.path == ()
    assert (whole.body_start, whole.message_header_end, whole.body_end) == (0, index.header_octets, len(content))
    assert len({part.path for part in parts}) == len(parts)
    by_path = {part.path: part for part in parts}
    last_sibling: dict[tuple[int, ...], Part] = {}
    for part in parts[1:]:
        assert 0 <= part.header_start <= part.header_end <= part.body_start <= part.body_end <= len(content)
        assert part.message_header_end == 0 or part.body_start <= part.message_header_end <= part.body_end
        parent = by_path[part.path[:-1]]
        if parent.is_message and part.header_start == parent.body_start:
            # The body of a message that is no multipart: its header is the message's.
            assert part.header_end == parent.message_header_end
            assert part.body_end == parent.body_end
        else:
            inside = parent.message_header_end if parent.is_message else parent.body_start
            assert inside <= part.header_start
            assert part.body_end <= parent.body_end
        before = last_sibling.get(parent.path)
        assert part.path[-1] == (1 if before is None else before.path[-1] + 1)
        assert before is None or before.body_end <= part.header_start
        last_sibling[parent.path] = part
        assert resolve_section(parts, part.path, SectionKind.CONTENT) == (part.body_start, part.body_end)
        assert resolve_section(parts, part.path, SectionKind.MIME) == (part.header_start, part.header_end)


@pytest.mark.parametrize("name", CORPUS)
def test_corpus(name: str) -> None:
    check_index(CORPUS[name])


@pytest.mark.parametrize("name", CORPUS)
def test_corpus_under_small_limits(name: str) -> None:
    check_index(CORPUS[name], SMALL_LIMITS)


@pytest.mark.parametrize("name", ["multipart", "nested-1", "korean-attachments", "same-boundary-inside"])
def test_every_truncation(name: str) -> None:
    content = CORPUS[name][-900:] if name != "multipart" else CORPUS[name][:2500]
    for end in range(len(content)):
        check_index(content[:end])


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
@example(b"\n")
@example(b"Content-Type: multipart/mixed; boundary=a\n\n--a\n--a\r\n\r\n--a")
def test_arbitrary_bytes(content: bytes) -> None:
    check_index(content)
    check_index(content, SMALL_LIMITS)


TOKENS = (
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\n--",
        b"--",
        b"--XX",
        b"\r\n--XX\r\n",
        b"\r\n--XX--\r\n",
        b":",
        b";",
        b'"',
        b"\\",
        b"(",
        b")",
        b"<",
        b">",
    ),
    *(
        b"\0",
        b"\xff",
        b"\xea\xb0\x80",
        b"=?utf-8?B?",
        b"?=",
        b"=?",
        b"*0*=",
        b"Content-Type: ",
        b"multipart/mixed; boundary=XX\r\n",
    ),
    *(
        b"message/rfc822\r\n",
        b"text/html\r\n",
        b"\r\n\r\n",
        b"From: ",
        b"To: a:b;",
        b"@",
        b",",
        b" ",
        b"\t",
        b"{3}\r\n",
        b"<!--",
        b"<script>",
    ),
    *(
        b"charset=utf-7\r\n",
        b"+2AA-",
        b"=?utf-7?Q?+2AA-?=",
        b"charset=iso-2022-kr\r\n",
        b"\x0e",
        b"&#xD800;",
        b"filename*=utf-7''+2AA-",
    ),
)
EDIT = st.tuples(st.floats(0, 1), st.integers(0, 60), st.lists(st.sampled_from(TOKENS), max_size=4).map(b"".join))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(CORPUS)), st.lists(EDIT, min_size=1, max_size=6), st.booleans())
def test_mutations(name: str, edits: list[tuple[float, int, bytes]], small: bool) -> None:
    content = CORPUS[name]
    for where, removed, added in edits:
        at = int(where * min(len(content), 4000))
        content = content[:at] + added + content[at + removed :]
    check_index(content, SMALL_LIMITS if small else DEFAULT_LIMITS)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=60).map(b"".join))
def test_token_soup(content: bytes) -> None:
    check_index(content)


def test_same_for_every_kind_of_buffer(tmp_path: Path) -> None:
    for name, content in CORPUS.items():
        if not content:
            continue
        file = tmp_path / name
        file.write_bytes(content)
        expected = build_index(content)
        assert build_index(bytearray(content)) == expected
        assert build_index(memoryview(content)) == expected
        with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            assert build_index(mapped) == expected


def _repeated(unit: bytes, octets: int) -> bytes:
    return unit * (octets // len(unit))


MEGABYTE = 1024 * 1024
KIND = b"Content-Type: multipart/mixed; boundary=b\r\n"
HOSTILE: dict[str, Callable[[int], bytes]] = {
    "a million header fields": lambda n: _repeated(b"X: y\r\n", n),
    "header fields of one letter": lambda n: _repeated(b"a:\n", n),
    "one endless field name": lambda n: b"a" * n,
    "one endless folded field": lambda n: b"Subject:" + _repeated(b"\r\n x", n),
    "a header of spaces": lambda n: b"Subject:" + b" " * n,
    "lines that are no fields": lambda n: _repeated(b"aaaaaaaaaaaaaaaaaaaaaa\r\n", n),
    "endless addresses": lambda n: b"To: " + _repeated(b"a@b,", n),
    "endless groups": lambda n: b"To: " + _repeated(b"g:a@b;,", n),
    "endless open comments": lambda n: b"To: " + b"(" * n,
    "endless angle brackets": lambda n: b"From: " + b"<" * n,
    "endless open quotes": lambda n: b"From: " + _repeated(b'<"\\"', n),
    "endless open quotes and brackets": lambda n: b'From: "' + _repeated(b'\\"(<', n),
    "angle brackets before an open quote": lambda n: b"From: " + b"<" * min(n, 60_000) + b'"x',
    "endless nested comments": lambda n: b"From: x (" + _repeated(b"(a)", n),
    "endless routes": lambda n: b"From: " + _repeated(b"<@a,", n),
    "endless folded addresses": lambda n: b"To: " + _repeated(b"a@b,\r\n ", n),
    "endless parameters": lambda n: b"Content-Type: text/plain" + _repeated(b";a=b", n),
    "endless continuations": lambda n: b"Content-Type: text/plain" + b"".join(b";a*%d=b" % i for i in range(n // 10)),
    "endless quoted parameters": lambda n: b"Content-Type: text/plain" + _repeated(b';a="\\"', n),
    "endless encoded words": lambda n: b"Subject: " + _repeated(b"=?utf-8?B?YQ==?= ", n),
    "endless beginnings of words": lambda n: b"Subject: " + _repeated(b"=?utf-8?Q", n),
    "endless references": lambda n: b"References: " + _repeated(b"<a@b> ", n),
    "open references": lambda n: b"References: " + _repeated(b"<a@b", n),
    "endless boundaries": lambda n: KIND + b"\r\n" + _repeated(b"--b\r\n", n),
    "endless parts with headers": lambda n: KIND + _repeated(b"\r\n--b\r\nContent-Type: text/html\r\n\r\nx", n),
    "almost boundaries": lambda n: KIND + b"\r\n" + _repeated(b"--bX\n", n),
    "dashes": lambda n: KIND + b"\r\n" + _repeated(b"--\n", n),
    "boundaries with endless spaces": lambda n: KIND + b"\r\n" + _repeated(b"--b" + b" " * 5000 + b"x\n", n),
    "nested multiparts": lambda n: nested_multiparts(max(n // 60, 10_000)),
    "nested multiparts with a long body": lambda n: nested_multiparts(40) + b"x\r\n" * (n // 3),
    "nested multiparts of one boundary": lambda n: KIND + b"\r\n" + _repeated(b"--b\r\n" + KIND + b"\r\n", n),
    "nested messages": lambda n: _repeated(b"Content-Type: message/rfc822\r\n\r\n", n),
    "a digest of messages": lambda n: (
        b"Content-Type: multipart/digest; boundary=b\r\n" + _repeated(b"\r\n--b\r\n\r\nTo: a\r\n\r\nx", n)
    ),
    "many attachments with long names": lambda n: (
        KIND + _repeated(b"\r\n--b\r\nContent-Disposition: attachment; filename=" + b"n" * 5000 + b"\r\n\r\nx", n)
    ),
    "only line ends": lambda n: b"a:b\r\n\r\n" + b"\n" * n,
    "no line end": lambda n: b"a:b\r\n\r\n" + b"x" * n,
    "open tags": lambda n: b"Content-Type: text/html\r\n\r\n" + b"<a" * (n // 2),
    "open html comments": lambda n: b"Content-Type: text/html\r\n\r\n" + _repeated(b"<!--", n),
    "open styles": lambda n: b"Content-Type: text/html\r\n\r\n" + _repeated(b"<style></", n),
    "endless blanks in html": lambda n: b"Content-Type: text/html\r\n\r\n" + _repeated(b"&nbsp; \t", n),
    "endless base64": lambda n: b"Content-Transfer-Encoding: base64\r\n\r\n" + _repeated(b"=\r\n", n),
    "endless quoted lines": lambda n: b"\r\n" + _repeated(b">\r\n", n),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_work_is_linear_and_bounded(name: str) -> None:
    """Four megabytes of malice cost linear time: about 0.1 s of CPU (ordinary mail of that size: 2 ms).

    The bound is no measurement (a busy machine counts five times as much): work that grows with the square would take hours.
    """
    small = HOSTILE[name](64 * 1024)
    check_index(small)
    content = HOSTILE[name](4 * MEGABYTE)
    start = time.process_time()
    index = build_index(content)
    spent = time.process_time() - start
    assert spent < 10
    assert sum(len(value) for value in attrs.astuple(index) if isinstance(value, bytes)) <= MAX_INDEX_OCTETS
    check_envelope(parse_imap_list(index.envelope))
    check_body(parse_imap_list(index.bodystructure), extended=True)


def test_depth_limit_is_opaque_and_the_rest_is_served() -> None:
    index = check_index(nested_messages(DEFAULT_LIMITS.depth))
    parts = unpack_parts(index.parts)
    assert parts[-1].media == "application"
    assert parts[-1].octets > 0
    assert len(unpack_parts(check_index(nested_messages(5)).parts)) == 1 + 2 * 5 + 1


def test_part_limit_keeps_the_rest_in_the_last_part() -> None:
    content = header(b"x", b"Content-Type: multipart/mixed; boundary=b") + b"\r\n" + b"--b\r\n\r\nx\r\n" * 5000
    parts = unpack_parts(check_index(content).parts)
    assert len(parts) == DEFAULT_LIMITS.parts + 1
    assert parts[-1].media == "application"
    assert parts[-1].body_end == len(content)
