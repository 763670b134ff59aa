"""The HTTPS client: what it takes, what it refuses, and that whatever a server sends has an end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from shared.http.client import Answer, Bounds, FetchFailed, Upload, fetch
from shared.net.tls import verifying_client_context
from shared.testing.certificates import Authority
from shared.testing.dns_server import free_loopback_port
from shared.testing.https_peer import HttpsPeer, Piece, http_answer

HOST = "files.test"
BOUNDS = Bounds(body_octets=1000, seconds=1.0, connect_seconds=0.5)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def peer(authority: Authority) -> Iterator[HttpsPeer]:
    with HttpsPeer(authority.server_context(HOST)) as one:
        yield one


def get(
    port: int, ca_file: Path, *addresses: str, host: str = HOST, bounds: Bounds = BOUNDS, upload: Upload | None = None
) -> Answer:
    async def main() -> Answer:
        with trio.fail_after(10):
            context = verifying_client_context(ca_file)
            return await fetch(host, "/a/b.txt", addresses or ("127.0.0.1",), port, context, bounds, upload)

    return trio.run(main)


def test_an_answer(peer: HttpsPeer, authority: Authority) -> None:
    peer.answer(http_answer(b"hello", "200 OK", "Text/Plain ; charset=utf-8"))
    assert get(peer.port, authority.ca_file) == Answer(200, "text/plain", b"hello")
    assert peer.requests[-1] == (HOST, "/a/b.txt")


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        (http_answer(b"thank you"), 200),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], 204),
        ([b"HTTP/1.1 200 OK\r\n\r\nto the end"], 200),
        (http_answer(b"x" * 100_000, "413 Content Too Large"), 413),
    ],
)
def test_a_post(peer: HttpsPeer, authority: Authority, pieces: list[Piece], status: int) -> None:
    peer.answer(pieces)
    body = bytes(range(256)) * 400
    assert get(peer.port, authority.ca_file, upload=Upload("application/x", body)).status == status
    assert peer.bodies[-1] == body


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("pieces", "answer"),
    [
        ([CHUNKED, b"3\r\nhel\r\n", b"2;x=y\r\nlo\r\n0\r\n\r\n"], Answer(200, "text/plain", b"hello")),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", *http_answer(b"x")], Answer(200, "text/plain", b"x")),
        (http_answer(b"", "404 Not Found", ""), Answer(404, "", b"")),
        (http_answer(b"x" * 1000), Answer(200, "text/plain", b"x" * 1000)),
        (http_answer(b"", "301 Moved Permanently", "text/plain", "Location: https://other.test/"), Answer(301, "text/plain", b"")),
    ],
)  # fmt: skip
def test_answers_of_all_kinds(peer: HttpsPeer, authority: Authority, pieces: list[Piece], answer: Answer) -> None:
    before = len(peer.requests)
    peer.answer(pieces)
    assert get(peer.port, authority.ca_file) == answer
    assert len(peer.requests) == before + 1  # a redirect is not followed


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        (http_answer(b"x" * 1001), "more than 1000 octets"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n", *[b"x" * 4096] * 100], "more than 1000 octets"),
        ([CHUNKED, *[b"1\r\nx\r\n"] * 1001], "more than 1000 octets"),
        ([CHUNKED, b"1;" + b"x" * 100_000], "does not speak HTTP"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000], "more than an answer may have"),
        ([b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000], "does not speak HTTP"),
        ([b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello"], "does not tell the length"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"], "does not speak HTTP"),
        ([CHUNKED, b"3\r\nhel\r\n"], "does not speak HTTP"),
        ([b"220 mail.test ESMTP\r\n"], "does not speak HTTP"),
        ([], "does not speak HTTP|closed the connection"),
        ([5.0], "no whole answer within 1 s"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", *[b"x", 0.1] * 100], "no whole answer within 1 s"),
    ],
)
def test_hostile_answers_end(peer: HttpsPeer, authority: Authority, pieces: list[Piece], reason: str) -> None:
    peer.answer(pieces)
    with pytest.raises(FetchFailed, match=reason):
        get(peer.port, authority.ca_file)


def test_the_certificate_must_verify(authority: Authority, tmp_path: Path) -> None:
    contexts = {
        "name": authority.server_context("other.test"),
        "expired": authority.server_context(HOST, expired=True),
        "authority": Authority(tmp_path).server_context(HOST),
    }
    for context in contexts.values():
        with HttpsPeer(context) as peer:
            peer.answer(http_answer(b"hello"))
            with pytest.raises(FetchFailed, match="certificate not accepted"):
                get(peer.port, authority.ca_file)
            assert not peer.requests


def test_the_next_address_is_tried(peer: HttpsPeer, authority: Authority) -> None:
    peer.answer(http_answer(b"hello"))
    assert get(peer.port, authority.ca_file, "127.9.9.9", "127.0.0.1").body == b"hello"
    with pytest.raises(FetchFailed, match="cannot connect"):
        get(free_loopback_port(), authority.ca_file)
    with pytest.raises(FetchFailed, match="no address"):
        trio.run(fetch, HOST, "/", (), 1, verifying_client_context(authority.ca_file), BOUNDS)
