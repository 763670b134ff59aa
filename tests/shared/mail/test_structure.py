"""The MIME tree: against the standard library on well-formed mail, by hand where mail is broken; part numbers and sections."""

import email
import email.message

import pytest

from shared.mail.body_text import decode_transfer
from shared.mail.index import SectionKind, build_index, find_part, resolve_section, unpack_parts
from shared.mail.limits import IndexLimits
from shared.testing.corpus import header, messages, multipart, multipart_message, nested_messages, plain_message
from shared.testing.imap_list import check_body, check_envelope, parse_imap_list

CORPUS = messages()
WELL_FORMED = (
    *(
        "plain",
        "plain-1k",
        "multipart",
        "related",
        "digest",
        "nested-1",
        "nested-5",
        "korean-attachments",
        "korean-iso-2022-kr",
    ),
    *("korean-euc-kr-base64", "message-at-top", "preamble-epilogue", "no-closing-boundary", "bare-lf"),
    *("boundary-begins-with-outer", "only-body", "headers-only"),
)


def described(message: email.message.Message, path: tuple[int, ...] = ()) -> list[tuple[tuple[int, ...], str]]:
    """Part numbers and types by the standard library's parser."""
    if message.is_multipart() and message.get_content_maintype() == "multipart":
        return [
            line
            for number, child in enumerate(message.get_payload(), 1)
            for line in described_part(child, (*path, number))
        ]
    return described_part(message, (*path, 1))


def described_part(part: email.message.Message, path: tuple[int, ...]) -> list[tuple[tuple[int, ...], str]]:
    lines = [(path, part.get_content_type())]
    if part.get_content_type() == "message/rfc822":
        lines += described(part.get_payload()[0], path)
    elif part.get_content_maintype() == "multipart":
        for number, child in enumerate(part.get_payload(), 1):
            lines += described_part(child, (*path, number))
    return lines


@pytest.mark.parametrize("name", [name for name in WELL_FORMED if name in CORPUS])
def test_same_tree_as_the_standard_library(name: str) -> None:
    content = CORPUS[name]
    parts = unpack_parts(build_index(content).parts)
    assert [(part.path, f"{part.media}/{part.subtype}") for part in parts[1:]] == described(
        email.message_from_bytes(content)
    )


@pytest.mark.parametrize(
    "name", ["multipart", "related", "korean-attachments", "korean-ks_c_5601-1987-base64", "nested-5"]
)
def test_same_bodies_as_the_standard_library(name: str) -> None:
    content = CORPUS[name]
    parts = unpack_parts(build_index(content).parts)
    leaves = [part for part in email.message_from_bytes(content).walk() if not part.is_multipart()]
    ours = [part for part in parts if part.path and part.media != "multipart" and not part.is_message]
    assert len(leaves) == len(ours)
    for theirs, part in zip(leaves, ours, strict=True):
        raw = content[part.body_start : part.body_end]
        assert decode_transfer(raw, part.encoding) == theirs.get_payload(decode=True)
        assert part.file_name == "" or theirs.get_filename() is not None
        assert part.lines == (raw.count(b"\n") if part.is_text else 0)


NESTED = nested_messages(1)


def section(content: bytes, path: tuple[int, ...], kind: SectionKind) -> bytes | None:
    offsets = resolve_section(unpack_parts(build_index(content).parts), path, kind)
    return None if offsets is None else content[offsets[0] : offsets[1]]


# RFC 3501 §6.4.5
def test_sections_of_a_nested_message() -> None:
    inner = NESTED[NESTED.index(b"message/rfc822\r\n") :].partition(b"\r\n\r\n")[2].rpartition(b"\r\n--=_level_0--")[0]
    inner_head, empty, inner_text = inner.partition(b"\r\n\r\n")
    assert section(NESTED, (), SectionKind.CONTENT) == NESTED
    assert section(NESTED, (), SectionKind.HEADER) == NESTED.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    assert section(NESTED, (), SectionKind.TEXT) == NESTED.partition(b"\r\n\r\n")[2]
    assert section(NESTED, (), SectionKind.MIME) is None
    assert section(NESTED, (1,), SectionKind.CONTENT) == b"Forwarded, level 0."
    assert section(NESTED, (1,), SectionKind.MIME) == b"Content-Type: text/plain\r\n\r\n"
    assert section(NESTED, (1,), SectionKind.HEADER) is None
    assert section(NESTED, (1,), SectionKind.TEXT) is None
    assert section(NESTED, (2,), SectionKind.CONTENT) == inner
    assert section(NESTED, (2,), SectionKind.MIME) == (
        b"Content-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n"
    )
    assert section(NESTED, (2,), SectionKind.HEADER) == inner_head + empty
    assert section(NESTED, (2,), SectionKind.TEXT) == inner_text
    assert section(NESTED, (2, 1), SectionKind.CONTENT) == inner_text
    assert section(NESTED, (2, 2), SectionKind.CONTENT) is None
    assert section(NESTED, (3,), SectionKind.CONTENT) is None


# RFC 3501 §6.4.5: the example of part numbers
def test_part_numbers_of_the_rfc() -> None:
    def text(words: bytes) -> bytes:
        return b"Content-Type: text/plain\r\n\r\n" + words + b"\r\n"

    def octets(words: bytes) -> bytes:
        return b"Content-Type: application/octet-stream\r\n\r\n" + words + b"\r\n"

    def message(boundary: bytes, *parts: bytes) -> bytes:
        head = (
            b"Content-Type: message/rfc822\r\n\r\nSubject: s\r\nContent-Type: multipart/mixed; boundary="
            + boundary
            + b"\r\n"
        )
        return head + multipart(boundary, *parts)

    richtext = b"Content-Type: multipart/alternative; boundary=D\r\n" + multipart(
        b"D", text(b"4.2.2.1"), b"Content-Type: text/richtext\r\n\r\n4.2.2.2\r\n"
    )
    inner = message(b"C", text(b"4.2.1"), richtext)
    image = b"Content-Type: multipart/mixed; boundary=B\r\n" + multipart(
        b"B", b"Content-Type: image/gif\r\n\r\n4.1\r\n", inner
    )
    content = header(b"x", b"Content-Type: multipart/mixed; boundary=A") + multipart(
        b"A", text(b"1"), octets(b"2"), message(b"E", text(b"3.1"), octets(b"3.2")), image
    )
    paths = {
        (1,): b"1",
        (2,): b"2",
        (3, 1): b"3.1",
        (3, 2): b"3.2",
        (4, 1): b"4.1",
        (4, 2, 1): b"4.2.1",
        (4, 2, 2, 1): b"4.2.2.1",
        (4, 2, 2, 2): b"4.2.2.2",
    }
    for path, words in paths.items():
        assert section(content, path, SectionKind.CONTENT) == words
    every = [part.path for part in unpack_parts(build_index(content).parts)]
    assert every == [
        (),
        (1,),
        (2,),
        (3,),
        (3, 1),
        (3, 2),
        (4,),
        (4, 1),
        (4, 2),
        (4, 2, 1),
        (4, 2, 2),
        (4, 2, 2, 1),
        (4, 2, 2, 2),
    ]
    assert section(content, (4, 2), SectionKind.HEADER) == (
        b"Subject: s\r\nContent-Type: multipart/mixed; boundary=C\r\n\r\n"
    )


def test_a_plain_message_has_part_one() -> None:
    content = plain_message(600)
    head, empty, body = content.partition(b"\r\n\r\n")
    assert section(content, (1,), SectionKind.CONTENT) == body
    assert section(content, (1,), SectionKind.MIME) == head + empty
    assert section(content, (1,), SectionKind.HEADER) is None
    assert section(content, (1, 1), SectionKind.CONTENT) is None


def test_a_message_whose_body_is_a_message() -> None:
    content = CORPUS["message-at-top"]
    inner = content.partition(b"\r\n\r\n")[2]
    assert section(content, (1,), SectionKind.CONTENT) == inner
    assert section(content, (1,), SectionKind.HEADER) == inner.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    assert section(content, (1, 1), SectionKind.CONTENT) == inner.partition(b"\r\n\r\n")[2]


def test_bare_line_ends_lose_no_octet() -> None:
    content = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\nX: y\n\ntwo\r\n--b--\n"
    assert section(content, (1,), SectionKind.CONTENT) == b"one"
    assert section(content, (2,), SectionKind.CONTENT) == b"two"
    assert section(content, (2,), SectionKind.MIME) == b"X: y\n\n"


@pytest.mark.parametrize(
    ("name", "types"),
    [
        ("no-boundary-at-all", ["text/plain"]),
        ("no-boundary-parameter", ["text/plain"]),
        ("boundary-never-quoted", ["text/plain"]),
        ("only-closing-boundary", ["text/plain"]),
        ("bad-content-type", ["text/plain"]),
        ("encoded-message", ["application/octet-stream"]),
        ("empty", ["text/plain"]),
        ("empty-parts", ["text/plain"] * 3),
        ("no-closing-boundary", ["text/plain"] * 2),
        ("preamble-epilogue", ["text/plain"]),
    ],
)
def test_what_is_broken_degrades(name: str, types: list[str]) -> None:
    parts = unpack_parts(build_index(CORPUS[name]).parts)
    assert [f"{part.media}/{part.subtype}" for part in parts[1:]] == types


def test_bodystructure_of_a_message_with_everything() -> None:
    index = build_index(CORPUS["related"])
    structure = parse_imap_list(index.bodystructure)
    assert structure == [
        [b"text", b"html", [b"charset", b"utf-8"], None, None, b"7bit", 70, 0, None, None, None, None],
        [
            *(b"image", b"png", [b"name", b"logo.png"], b"<logo@example.com>", b"the logo", b"base64", 422),
            *(b"Q2hlY2sgSW50ZWdyaXR5IQ==", [b"inline", None], [b"ko", b"en-US"], b"http://example.com/logo.png"),
        ],
        *(b"related", [b"type", b"text/html", b"boundary", b"a b"], None, None, None),
    ]


def test_nested_message_shows_envelope_and_lines() -> None:
    structure = parse_imap_list(build_index(NESTED).bodystructure)
    assert isinstance(structure, list)
    message = structure[1]
    assert isinstance(message, list)
    envelope = check_envelope(message[7])
    assert envelope[1] == b"The backup finished"
    body = section(NESTED, (2,), SectionKind.CONTENT)
    assert body is not None
    assert message[6] == len(body)
    assert message[9] == body.count(b"\n")


def test_digest_parts_are_messages_by_default() -> None:
    parts = unpack_parts(build_index(CORPUS["digest"]).parts)
    assert [part.is_message for part in parts] == [True, True, False, True, False]
    assert find_part(parts, (2, 1)) is not None


def test_strings_of_the_structure_share_a_budget() -> None:
    identifier = b"Content-ID: <" + b"i" * 5000 + b">\r\n\r\nx\r\n"
    content = header(b"x", b"Content-Type: multipart/mixed; boundary=b") + multipart(b"b", *([identifier] * 500))
    index = build_index(content)
    assert len(index.bodystructure) < 200_000
    check_body(parse_imap_list(index.bodystructure), extended=True)
    assert index.bodystructure.count(b"<iii") == 13


def test_boundary_limit() -> None:
    long = b"b" * 200
    content = header(b"x", b"Content-Type: multipart/mixed; boundary=" + long) + multipart(
        long, b"\r\nx\r\n", b"\r\ny\r\n"
    )
    assert len(unpack_parts(build_index(content).parts)) == 3
    assert len(unpack_parts(build_index(content, IndexLimits(boundary_octets=199)).parts)) == 2


def test_big_message_keeps_offsets() -> None:
    content = multipart_message(3_000_000)
    parts = unpack_parts(build_index(content).parts)
    assert [part.path for part in parts] == [(), (1,), (1, 1), (1, 2), (2,)]
    assert parts[-1].file_name == "report.pdf"
    assert parts[-1].octets > 2_900_000


@pytest.mark.parametrize(
    ("kind", "encoding", "searched"),
    [
        (b"text/plain", b"7bit", True),
        (b"text/html", b"base64", True),
        (b"text/rfc822-headers", b"7bit", True),
        (b"message/delivery-status", b"7bit", True),
        (b"message/disposition-notification", b"base64", True),
        (b"message/rfc822", b"7bit", False),  # its own parts are searched
        (b"message/rfc822", b"base64", False),
        (b"application/pdf", b"base64", False),
        (b"image/png", b"base64", False),
    ],
)
def test_which_bodies_are_searched(kind: bytes, encoding: bytes, searched: bool) -> None:
    body = b"Content-Type: %b\r\nContent-Transfer-Encoding: %b\r\n\r\nU3ViamVjdDogeA==\r\n" % (kind, encoding)
    content = header(b"x", b"Content-Type: multipart/mixed; boundary=b") + multipart(b"b", body)
    part = find_part(unpack_parts(build_index(content).parts), (1,))
    assert part is not None
    assert part.is_searched is searched


def test_a_message_with_utf8_in_its_header_is_opened() -> None:
    # RFC 9051 §9: media-message = DQUOTE "MESSAGE" DQUOTE SP DQUOTE ("RFC822" / "GLOBAL") DQUOTE, with envelope and body
    inner = "Subject: 안녕\r\nFrom: 김@예시.test\r\n\r\ntext\r\n".encode()
    data = b"MIME-Version: 1.0\r\nContent-Type: message/global\r\n\r\n" + inner
    index = build_index(data)
    assert index.body.lower().startswith(b'("message" "global" ')
    assert b'("text" "plain"' in index.body.lower()
    parts = unpack_parts(index.parts)
    assert resolve_section(parts, (1,), SectionKind.TEXT) == (len(data) - 6, len(data))
    assert [part.path for part in parts] == [(), (1,), (1, 1)]
