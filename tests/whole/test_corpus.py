"""Ordinary and ugly mail through the whole chain: in by APPEND and by SMTP, out by IMAP and POP3, octet for octet and part by part.

What Dovecot says of the same messages is the reference for ENVELOPE, BODYSTRUCTURE and SEARCH; where we answer otherwise on purpose, the
tables below name the messages, and the docstrings of shared/mail/{envelope,structure,render}.py and services/imap/search_eval.py
the reasons.
"""

import re
import smtplib
from collections.abc import Iterator

import attrs
import pytest

from shared.testing import dovecot
from shared.testing.corpus import messages, varied_messages
from shared.testing.dovecot import Dovecot
from shared.testing.imap_client import ImapClient
from shared.testing.imap_list import Value, check_body, check_envelope, parse_fetch
from shared.testing.pop3 import Wire
from shared.testing.stack import DOMAIN, PASSWORD, Stack

# six hundred commits one after the other, on two servers: a slow disk takes a minute for what a quick one does in ten seconds
pytestmark = pytest.mark.timeout(300)

VARIED = 240
CORPUS = {
    **{name: content for name, content in messages().items() if content},
    **{f"varied-{number}": content for number, content in enumerate(varied_messages(VARIED), 1)},
}
NAMES = tuple(CORPUS)
APPENDED, RECEIVED = f"appended@{DOMAIN}", f"received@{DOMAIN}"
DATE = b'"01-Apr-2026 10:00:00 +0000"'

OTHER_ENVELOPES = {"duplicates", "odd-folding", "strange-addresses", "empty-address", "nul-in-header"}
OTHER_STRUCTURES = {
    # the line end before a boundary line
    "nested-5",
    # multiparts without a boundary line, with a boundary that is never unquoted or that stands inside itself
    *("deep-multiparts", "no-boundary-at-all", "no-boundary-parameter", "only-closing-boundary"),
    *("boundary-never-quoted", "same-boundary-inside"),
    # a type that makes no sense, an encoded message, sections of a parameter with a gap
    *("bad-content-type", "encoded-message", "sections-with-a-gap"),
    # Dovecot stores other line ends than it was given
    *("bare-lf", "mixed-line-ends"),
}


@attrs.frozen
class Chain:
    """The services with the corpus in two accounts: appended to one, received by SMTP in the other."""

    stack: Stack
    received: tuple[str, ...]
    """Names in the order of their UIDs."""
    refused: dict[str, tuple[int, bytes]]
    """SMTP's answers."""

    def imap(self, address: str) -> ImapClient:
        client = ImapClient(self.stack.port("imap")).login(address, PASSWORD)
        client.ok(b"EXAMINE INBOX")
        return client


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    settings = {"PILLARBOX_LIMITS__EXEMPT_NETWORKS": "127.0.0.0/8"}
    with Stack(tmp_path_factory.mktemp("corpus") / "data", ("smtp_in", "imap", "pop3"), settings) as stack:
        stack.add_accounts({APPENDED: PASSWORD, RECEIVED: PASSWORD})
        with ImapClient(stack.port("imap")) as client:
            client.login(APPENDED, PASSWORD)
            for name, content in CORPUS.items():
                answer = client.append(b"INBOX", content, DATE)
                assert answer.ok, (name, answer)
        received: list[str] = []
        refused: dict[str, tuple[int, bytes]] = {}
        with smtplib.SMTP("127.0.0.1", stack.port("smtp"), timeout=20) as smtp:
            for name, content in CORPUS.items():
                try:
                    smtp.sendmail("sender@example.com", [RECEIVED], content)
                    received.append(name)
                except smtplib.SMTPDataError as error:
                    refused[name] = (error.smtp_code, bytes(error.smtp_error))
        yield Chain(stack, tuple(received), refused)


@pytest.fixture(scope="module")
def reference() -> Iterator[ImapClient]:
    """A client of a Dovecot that has the corpus selected."""
    with Dovecot() as server, ImapClient(server.port) as client:
        client.login(dovecot.USER, dovecot.PASSWORD)
        for name, content in CORPUS.items():
            answer = client.append(b"INBOX", content, DATE)
            assert answer.ok, (name, answer)
        client.ok(b"EXAMINE INBOX")
        yield client


def fetch(client: ImapClient, items: bytes, numbers: bytes = b"1:*") -> list[dict[bytes, Value]]:
    return [parse_fetch(line) for line in client.ok(b"FETCH %b (%b)" % (numbers, items)).of(b"FETCH")]


def octets(value: Value) -> bytes:
    assert isinstance(value, bytes)
    return value


WHOLE = b"RFC822.SIZE BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[]<0.100> BODY.PEEK[TEXT]<50.100>"


def check_whole(row: dict[bytes, Value], name: str) -> bytes:
    """What must hold of every message; BODY[]."""
    whole, text = octets(row[b"BODY[]"]), octets(row[b"BODY[TEXT]"])
    assert row[b"RFC822.SIZE"] == len(whole), name
    assert octets(row[b"BODY[HEADER]"]) + text == whole, name
    assert row[b"BODY[]<0>"] == whole[:100], name
    assert row[b"BODY[TEXT]<50>"] == text[50:150], name
    return whole


def as_pop3_sends(content: bytes) -> bytes:
    """RFC 1939 §3: lines that end in CRLF."""
    lines = re.sub(rb"\r\n|\r|\n", b"\r\n", content)
    return lines if lines.endswith(b"\r\n") else lines + b"\r\n"


def retrieved(chain: Chain, address: str, count: int) -> list[bytes]:
    with Wire(chain.stack.port("pop3")).log_in(address) as wire:
        return [wire.multi(f"RETR {number}") for number in range(1, count + 1)]


def test_what_was_appended_comes_back(chain: Chain) -> None:
    with chain.imap(APPENDED) as client:
        rows = fetch(client, WHOLE)
    by_pop3 = retrieved(chain, APPENDED, len(NAMES))
    for name, row, retrieved_content in zip(NAMES, rows, by_pop3, strict=True):
        # RFC 3501 §9: no NUL in IMAP; POP3 has it
        assert check_whole(row, name) == CORPUS[name].replace(b"\0", b"\x80"), name
        assert retrieved_content == as_pop3_sends(CORPUS[name]), name


def test_what_was_received_comes_back_behind_its_trace_fields(chain: Chain) -> None:
    with chain.imap(RECEIVED) as client:
        rows = fetch(client, WHOLE)
    by_pop3 = retrieved(chain, RECEIVED, len(chain.received))
    trace = re.compile(rb"Return-Path: <sender@example\.com>\r\nReceived: [^\r\n]*(?:\r\n[ \t][^\r\n]*)*\r\n(?:\r\n)?")
    for name, row, retrieved_content in zip(chain.received, rows, by_pop3, strict=True):
        sent = as_pop3_sends(CORPUS[name])
        whole = check_whole(row, name)
        assert retrieved_content.replace(b"\0", b"\x80") == whole, name
        assert retrieved_content.endswith(sent), name
        assert trace.fullmatch(retrieved_content[: -len(sent)]), name


def test_smtp_refuses_bare_line_ends_and_nothing_else(chain: Chain) -> None:
    bare = {name for name, content in CORPUS.items() if re.search(rb"\r(?!\n)|(?<!\r)\n", content)}
    assert set(chain.refused) == bare
    for code, text in chain.refused.values():
        assert (code, text[:6]) == (550, b"5.6.11")


def tree(message: Value, path: tuple[int, ...] = ()) -> Iterator[tuple[bytes, list[Value]]]:
    """Part numbers of a message with their BODYSTRUCTURE. RFC 3501 §6.4.5."""
    assert isinstance(message, list)
    if isinstance(message[0], list):
        yield from children(message, path)
    else:
        yield from part(message, (*path, 1))


def part(body: list[Value], path: tuple[int, ...]) -> Iterator[tuple[bytes, list[Value]]]:
    yield b".".join(b"%d" % number for number in path), body
    if isinstance(body[0], list):
        yield from children(body, path)
    elif is_message(body):
        yield from tree(body[8], path)


def children(body: list[Value], path: tuple[int, ...]) -> Iterator[tuple[bytes, list[Value]]]:
    for number, child in enumerate(body, 1):
        if not isinstance(child, list):
            break  # the subtype
        yield from part(child, (*path, number))


def is_message(body: list[Value]) -> bool:
    return body[0] == b"message" and body[1] == b"rfc822"


def test_every_part_is_where_the_structure_says(chain: Chain) -> None:
    seen = 0
    with chain.imap(APPENDED) as client:
        rows = fetch(client, b"BODY.PEEK[] BODYSTRUCTURE BODY ENVELOPE")
        for number, (name, row) in enumerate(zip(NAMES, rows, strict=True), 1):
            check_envelope(row[b"ENVELOPE"])
            check_body(row[b"BODY"], extended=False)
            check_body(row[b"BODYSTRUCTURE"], extended=True)
            whole = octets(row[b"BODY[]"])
            parts = list(tree(row[b"BODYSTRUCTURE"]))[:40]
            items = b" ".join(
                b"BODY.PEEK[%b] BODY.PEEK[%b.MIME] BODY.PEEK[%b.HEADER] BODY.PEEK[%b.TEXT] BODY.PEEK[%b]<0.100>"
                % ((path,) * 5)
                for path, _ in parts
            )
            (answer,) = fetch(client, items, b"%d" % number)
            for path, body in parts:
                seen += 1
                content, mime = octets(answer[b"BODY[%b]" % path]), octets(answer[b"BODY[%b.MIME]" % path])
                assert answer[b"BODY[%b]<0>" % path] == content[:100], (name, path)
                assert mime in whole, (name, path)
                assert content in whole, (name, path)
                assert mime + content in whole or not content, (name, path)
                head, text = answer[b"BODY[%b.HEADER]" % path], answer[b"BODY[%b.TEXT]" % path]
                if isinstance(body[0], list):
                    assert (head, text) == (None, None), (name, path)
                    continue
                assert body[6] == len(content), (name, path)
                if is_message(body):
                    assert octets(head) + octets(text) == content, (name, path)
                    assert body[9] == content.count(b"\n"), (name, path)
                else:
                    assert (head, text) == (None, None), (name, path)
                if body[0] == b"text":
                    assert body[7] == content.count(b"\n"), (name, path)
    assert seen > 3 * len(NAMES)


def test_envelope_and_structure_as_in_dovecot(chain: Chain, reference: ImapClient) -> None:
    items = b"ENVELOPE BODYSTRUCTURE BODY"
    with chain.imap(APPENDED) as client:
        ours = fetch(client, items)
    theirs = fetch(reference, items)
    envelopes, structures = set(), set()
    for name, mine, other in zip(NAMES, ours, theirs, strict=True):
        if mine[b"ENVELOPE"] != other[b"ENVELOPE"]:
            envelopes.add(name)
        for item in (b"BODY", b"BODYSTRUCTURE"):
            if without_default(mine[item]) != without_default(other[item]):
                structures.add(name)
    assert envelopes == OTHER_ENVELOPES
    assert structures == OTHER_STRUCTURES


def without_default(body: Value) -> Value:
    """Dovecot adds a charset to text that names none."""
    if body == [b"charset", b"us-ascii"]:
        return None
    return [without_default(each) for each in body] if isinstance(body, list) else body


HEADER_SEARCHES = (
    *(b"SUBJECT minutes", b"FROM alice", b"TO zoe", b"CC root", b'HEADER References ""', b"HEADER Received mx1"),
    *(b"LARGER 20000", b"SENTSINCE 1-Apr-2026", b"SENTON 1-Apr-2026", b"NOT SUBJECT minutes"),
    *(b"OR SUBJECT backup FROM jd@", b"HEADER Content-Type multipart", b"BODY receipt-reader", b"TEXT Final-Recipient"),
)
WORDS = ("견적서", "회의록", "議事録", "счёт")


def test_search_finds_what_dovecot_finds(chain: Chain, reference: ImapClient) -> None:
    with chain.imap(APPENDED) as client:
        for key in HEADER_SEARCHES:
            found, expected = client.ok(b"SEARCH " + key).numbers(), reference.ok(b"SEARCH " + key).numbers()
            unreadable = {
                NAMES.index(name) + 1 for name in NAMES if not re.search(rb"(?i)^Date:", CORPUS[name], re.MULTILINE)
            }
            assert set(found) ^ set(expected) <= (unreadable if b"SENT" in key else set()), key
            assert found, key
        for word in WORDS:
            for field in (b"SUBJECT", b"TEXT", b"BODY"):
                text = word.encode()
                command = b"SEARCH CHARSET UTF-8 %b {%d+}\r\n%b" % (field, len(text), text)
                # more labels are known here, split encoded words are joined
                assert set(reference.ok(command).numbers()) <= set(client.ok(command).numbers()), (field, word)
