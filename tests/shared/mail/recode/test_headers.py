"""Header fields in ASCII: what each kind becomes, and that a reader sees what was written."""

import email
import email.policy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail.address import parse_addresses
from shared.mail.encoded_word import decode_words
from shared.mail.header import get_all, unfold
from shared.mail.mime import parse_content_type, parse_disposition
from shared.mail.recode.goal import Change, Fault, Unconvertible
from shared.mail.recode.headers import ascii_header, relabel


def field(line: str) -> bytes:
    return ascii_header(line.encode() + b"\r\n")


def test_fields_in_ascii_stay_byte_for_byte() -> None:
    block = b"Subject:   =?utf-8?q?x?=\r\n\t folded \r\nno field\r\nTo: a (c) <x@y>\r\n"
    assert ascii_header(block + "X: ü\r\n\r\n".encode()) == block + b"X: =?utf-8?B?w7w=?=\r\n\r\n"


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("From: 김 <kim@a.test>", b"From: =?utf-8?B?6rmA?= <kim@a.test>\r\n"),
        ("From: kim@한국.test", b"From: kim@xn--3e0b707e.test\r\n"),
        ('To: "Kim, 김" <k@a.test>, Bob <b@b.test>', b"To: =?utf-8?B?S2ltLCDquYA=?= <k@a.test>,\r\n Bob <b@b.test>\r\n"),
        ('Cc: "x, y" <a@b.test>, é <c@d.test>', b'Cc: "x, y" <a@b.test>,\r\n =?utf-8?B?w6k=?= <c@d.test>\r\n'),
        ('Cc: "q q"@b.test, é <c@d.test>', b'Cc: "q q"@b.test,\r\n =?utf-8?B?w6k=?= <c@d.test>\r\n'),
        ("To: Gruppe é: a@b.test, c@d.test;, x@y.test",
         b"To: =?utf-8?B?R3J1cHBlIMOp?=:\r\n a@b.test,\r\n c@d.test;,\r\n x@y.test\r\n"),
        ("Reply-To: =?utf-8?q?x?= <a@b.test>, é <c@d.test>",
         b"Reply-To: =?utf-8?q?x?= <a@b.test>,\r\n =?utf-8?B?w6k=?= <c@d.test>\r\n"),
        ("Message-ID: <ü@a.test>", b"Message-ID: <=C3=BC@a.test>\r\n"),
        ("References: <a@b>\r\n <ü@a.test>", b"References: <a@b> <=C3=BC@a.test>\r\n"),
        ("Received: from é.test by mx.test with UTF8SMTP id 1 for <실험@b.test>; Thu",
         b"Received: from xn--9ca.test by mx.test with UTF8SMTP id 1;\r\n Thu\r\n"),
        ("Content-Type: text/plain; charset=utf-8; name=ü.txt",
         b"Content-Type: text/plain;\r\n charset=utf-8;\r\n name*=utf-8''%C3%BC.txt\r\n"),
        ("Content-Disposition: attachment; filename=\"a b ü.txt\"; size=3",
         b"Content-Disposition: attachment;\r\n filename*=utf-8''a%20b%20%C3%BC.txt;\r\n size=3\r\n"),
        ("Content-Type: ü", b"Content-Type: =?utf-8?B?w7w=?=\r\n"),
        ("Undisclosed é", b"=?utf-8?B?VW5kaXNjbG9zZWQgw6k=?=\r\n"),
    ],
)  # fmt: skip
def test_kinds_of_fields(written: str, found: bytes) -> None:
    assert field(written) == found


def test_octets_that_are_not_utf8() -> None:
    assert ascii_header(b"Subject: caf\xe9\r\n") == b"Subject: =?utf-8?B?Y2Fmw6k=?=\r\n"
    assert ascii_header(b"Received: by \xe9\xe9; x\r\n") == b"Received: by ??;\r\n x\r\n"


@pytest.mark.parametrize(
    ("written", "fault", "detail"),
    [
        ("From: Kim <실험@a.test>", Fault.ADDRESS, "실험@a.test"),
        ("To: a@b.test, x@" + "ü" * 64 + ".test", Fault.ADDRESS, "x@ü"),
        ("To: " + "a@b.test, " * 1000 + "ü <x@y>", Fault.TOO_COMPLEX, ""),
        ("Content-Type: multipart/mixed; boundary=ü", Fault.BOUNDARY, ""),
    ],
)
def test_what_cannot_be_written(written: str, fault: Fault, detail: str) -> None:
    with pytest.raises(Unconvertible) as error:
        field(written)
    assert error.value.fault is fault
    assert error.value.detail.startswith(detail)


def test_labels() -> None:
    assert relabel(b"X: y\r\n\r\n", Change.BASE64, top=False) == b"X: y\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    assert relabel(b"\r\n", Change.BASE64, top=True) == b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    block = b"mime-version: 1.0\r\nCONTENT-TRANSFER-ENCODING:\r\n 8bit\r\nX: y\r\ncontent-transfer-encoding: binary\r\n\r\n"
    assert relabel(block, Change.LABEL_7BIT, top=True) == (
        b"mime-version: 1.0\r\nContent-Transfer-Encoding: 7bit\r\nX: y\r\n\r\n"
    )
    assert relabel(b"X: y", Change.LABEL_7BIT, top=False) == b"X: y\r\nContent-Transfer-Encoding: 7bit\r\n"


WORDS = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x1FFFF, exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=200
)


@given(WORDS)
@settings(max_examples=300, deadline=None)
def test_text_is_read_as_it_was_written(text: str) -> None:
    found = field(f"Subject: {text}")
    assert found.isascii()
    if not text.isascii():
        assert max(map(len, found.split(b"\r\n"))) <= 76
        assert decode_words(get_all(found, 0, len(found), b"subject")[0]) == decode_words(text.encode().strip(b" "))
        if "=?" not in text:
            assert email.message_from_bytes(found, policy=email.policy.default)["subject"].strip() == text.strip(" ").strip()


@given(WORDS, st.booleans())
@settings(max_examples=300, deadline=None)
def test_file_names_are_read_as_they_were_written(text: str, disposition: bool) -> None:
    name = text.replace('"', "").replace("\\", "").replace("=?", "")
    if disposition:
        found = field(f'Content-Disposition: attachment; filename="{name}"')
        parsed = parse_disposition(unfold(found.partition(b":")[2]), 50)
        assert parsed is not None
        assert parsed.parameters.text(b"filename") == decode_words(name.encode())
    else:
        found = field(f'Content-Type: image/png; name="{name}"')
        kind = parse_content_type(unfold(found.partition(b":")[2]), 50)
        assert kind is not None
        assert kind.parameters.text(b"name") == decode_words(name.encode())
    assert found.isascii()
    assert max(map(len, found.split(b"\r\n"))) <= 998


@given(st.lists(st.tuples(WORDS, st.sampled_from(["a@b.test", "x.y@한국.test", '"a b"@c.test'])), min_size=1, max_size=5))
@settings(max_examples=300, deadline=None)
def test_names_of_addresses_are_read_as_they_were_written(people: list[tuple[str, str]]) -> None:
    quoted = [(name.replace("\\", "").replace('"', "").replace("=?", "").strip(), address) for name, address in people]
    found = field("To: " + ", ".join(f'"{name}" <{address}>' for name, address in quoted))
    entries = parse_addresses(get_all(found, 0, len(found), b"to")[0], 100)
    names = [decode_words(entry.name or b"") for entry in entries[: len(quoted)]]
    assert names == [name for name, _ in quoted]
    assert found.isascii()


@given(st.lists(st.sampled_from([b"From: ", b"\xff", b"a@b", b"<", b">", b",", b'"', b"(", b";", b":", b"\r\n", b" "])).map(b"".join))
@settings(max_examples=300, deadline=None)
def test_any_octets_become_ascii_or_are_refused(block: bytes) -> None:
    try:
        assert ascii_header(block).isascii()
    except Unconvertible:
        pass
