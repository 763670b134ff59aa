"""SEARCH by the store's index: the same answers as without it, whatever is indexed and whatever is not yet."""

import base64
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from shared.rpc.store_client import StoreClient
from shared.testing.imap_client import ImapClient
from shared.testing.stack import Stack

FILLERS = 20
"""Fewer messages than that are read, not asked about."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = {"PILLARBOX_STORE__SEARCH_WAIT_SECONDS": "0"}
    with Stack(tmp_path_factory.mktemp("imap") / "data", services=("imap",), settings=settings) as running:
        yield running


def wait_until_indexed(stack: Stack) -> None:
    async def wait(store: StoreClient) -> None:
        while (status := await store.admin.search_status()).tail or status.running:
            assert not status.failure

    stack.administer(wait)


def text(body: str, charset: str = "utf-8", codec: str | None = None, encoding: str = "8bit", subject: str = "s") -> bytes:
    octets = body.encode(codec or charset)
    if encoding == "base64":
        octets = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    head = f"Subject: {subject}\r\nContent-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + octets + b"\r\n"


HTML = (
    "Subject: html\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    '<html><head><title>hidden</title></head><body><p class="stylish">A <b>bro</b>ken wo<i>rd</i> &amp; &#xAC80;색</p></body></html>\r\n'
).encode()
ATTACHMENT = (
    'Subject: attached\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n'
    "Content-Type: text/plain\r\n\r\nsee below\r\n--b\r\nContent-Type: application/pdf\r\n"
    "Content-Disposition: attachment; filename=\"=?utf-8?B?" + base64.b64encode("견적서-2026.pdf".encode()).decode() + '?="\r\n'
    "Content-Transfer-Encoding: base64\r\n\r\nbmVlZGxl\r\n--b--\r\n"
).encode()
MESSAGES = {
    "utf8": text("내일 회의에서 검색어를 정합니다"),
    "base64": text("내일 회의에서 검색어를 정합니다", encoding="base64"),
    "euckr": text("오후에 검색 결과를 보냅니다", "euc-kr"),
    "2022kr": text("검색엔진 설명서", "iso-2022-kr", "iso2022_kr", "7bit"),
    "latin": text("The quick reinstallation guide"),
    "address": b"From: Kim <chul-soo.kim+lists@mail.example.org>\r\nSubject: from somebody\r\n\r\nhello\r\n",
    "wide": text("ＰＩＬＬＡＲ ｂｏｘ １２３ ﾃｽﾄ"),
    "html": HTML,
    "attachment": ATTACHMENT,
    "encoded": b"Subject: =?euc-kr?B?" + base64.b64encode("분기 보고서".encode("euc-kr")) + b"?=\r\n\r\nbody\r\n",
}
NUMBERS = {name: FILLERS + position for position, name in enumerate(MESSAGES, 1)}
QUESTIONS: dict[str, tuple[str, ...]] = {
    "TEXT 검색": ("utf8", "base64", "euckr", "2022kr", "html"),
    "BODY 검색어": ("utf8", "base64"),
    "TEXT 색어": ("utf8", "base64"),
    "SUBJECT 보고": ("encoded",),
    "SUBJECT 검색": (),
    "TEXT install": ("latin",),
    "BODY NSTALLA": ("latin",),
    "TEXT soo.kim+lists@mail.ex": ("address",),
    "FROM chul-soo.kim+lists@mail.example.org": ("address",),
    "FROM kim": ("address",),
    "TEXT pillar": ("wide",),
    "TEXT ｐｉｌｌａｒ": ("wide",),
    "TEXT テスト": ("wide",),
    'BODY "broken word & 검색"': ("html",),
    "TEXT stylish": (),
    "TEXT hidden": (),
    "BODY 견적서-2026": ("attachment",),
    "TEXT needle": (),
    "HEADER Content-Type iso-2022": ("2022kr",),
    'HEADER From ""': ("address",),
    "TEXT 검색 NOT BODY 회의": ("euckr", "2022kr", "html"),
    "OR SUBJECT 보고 TEXT install": ("latin", "encoded"),
    "NOT OR TEXT filler NOT TEXT 내일": ("utf8", "base64"),
    "TEXT 검색 SENTSINCE 1-Jan-1990": (),
    "UNSEEN TEXT install": ("latin",),
    "SEEN TEXT install": (),
}


def ask(client: ImapClient, question: str) -> list[int]:
    """Every word that is not ASCII, or quoted, as a literal."""
    octets = question.encode()
    if '"' in question and "검색" in question:
        key, _, rest = question.partition('"')
        value = rest.rstrip('"').encode()
        return client.ok(b"SEARCH CHARSET UTF-8 " + key.encode() + b"{%d+}\r\n" % len(value) + value).numbers()
    words = [
        b"{%d+}\r\n" % len(word) + word if not word.isascii() else word for word in octets.split(b" ")
    ]
    return client.ok(b"SEARCH CHARSET UTF-8 " + b" ".join(words)).numbers()


@pytest.fixture
def filled(connect: Callable[[], ImapClient]) -> ImapClient:
    client = connect()
    for number in range(FILLERS):
        client.append(b"INBOX", b"Subject: filler %d\r\n\r\nfiller\r\n" % number)
    for message in MESSAGES.values():
        client.append(b"INBOX", message)
    client.ok("SELECT INBOX")
    return client


def check(client: ImapClient) -> None:
    for question, names in QUESTIONS.items():
        assert ask(client, question) == [NUMBERS[name] for name in names], question


def searches(stack: Stack) -> float:
    """How often the store was asked."""
    host, port = stack["store"].metrics_address()
    with urllib.request.urlopen(f"http://{host}:{port}/metrics") as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith("pillarbox_store_searches "):
                return float(line.split()[1])
    raise AssertionError("no such metric")


def test_what_is_indexed(stack: Stack, filled: ImapClient) -> None:
    wait_until_indexed(stack)
    before = searches(stack)
    check(filled)
    assert searches(stack) > before


def test_what_is_not(stack: Stack, filled: ImapClient) -> None:
    """Asked at once, with everything, something or nothing indexed; the answers never differ."""
    check(filled)
    for number in range(3):
        filled.append(b"INBOX", text(f"appended just now {number}, 방금 도착"))
        new = list(range(len(NUMBERS) + FILLERS + 1, len(NUMBERS) + FILLERS + 2 + number))
        assert ask(filled, "TEXT 방금") == new
        assert ask(filled, "NOT TEXT filler BODY just") == new
    wait_until_indexed(stack)
    assert len(ask(filled, "TEXT 방금")) == 3
    filled.ok("STORE 21 +FLAGS \\Deleted")
    filled.ok("EXPUNGE")
    assert ask(filled, "BODY 검색어") == [21]
    filled.ok("COPY 21:22 INBOX")
    assert len(ask(filled, "TEXT 검색어")) == 2
    assert len(ask(filled, "TEXT 검색")) == 6


def test_an_edge_works_with_a_store_without_an_index(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = {"PILLARBOX_STORE__SEARCH_INDEX": "false"}
    with Stack(tmp_path_factory.mktemp("imap") / "data", services=("imap",), settings=settings) as stack:
        stack.add_account("plain@example.test")
        with ImapClient(stack.port("imap")) as client:
            client.login("plain@example.test", "correct-horse-battery")
            for number in range(FILLERS):
                client.append(b"INBOX", b"Subject: filler %d\r\n\r\nfiller\r\n" % number)
            for message in MESSAGES.values():
                client.append(b"INBOX", message)
            client.ok("SELECT INBOX")
            check(client)
