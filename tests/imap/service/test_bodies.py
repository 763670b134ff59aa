"""Whole messages of whole mailboxes: octet for octet, in bounded memory, whatever happens meanwhile."""

import random
from pathlib import Path

from shared.testing.imap_client import ImapClient

MEMORY_OCTETS = 24 * 1024 * 1024
"""Some batches of 768 KiB on their way, in either process; a tenth of what is read."""


def make(number: int, octets: int) -> bytes:
    rng = random.Random(number)
    body = rng.randbytes(octets) if number % 3 else b"0123456789abcdef" * (octets // 16)
    return b"Subject: %d\r\n\r\n" % number + body


def resident(pid: int) -> int:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024


def literal(response: bytes) -> bytes:
    """The octets of the only literal of a response."""
    head, _, rest = response.partition(b"}\r\n")
    octets = int(head.rpartition(b"{")[2])
    assert rest[octets:].startswith((b")", b" "))
    return rest[:octets]


def fill(client: ImapClient, messages: list[bytes]) -> None:
    for message in messages:
        assert client.append(b"INBOX", message).ok
    client.ok("SELECT INBOX")


def test_mixed_sizes_come_back_as_they_came(connect) -> None:
    sizes = [0, 1, 300, 5000, 190_000, 200_000, 260_000, 1_500_000, 10, 196_590, 70_000] * 2
    messages = [make(number, octets) for number, octets in enumerate(sizes)]
    client = connect()
    fill(client, messages)
    expected = [message.replace(b"\0", b"\x80") for message in messages]
    for items in ("BODY.PEEK[]", "(UID FLAGS BODY.PEEK[])", "(BODY.PEEK[] RFC822.SIZE)"):
        answer = client.ok(f"FETCH 1:* {items}")
        assert [literal(response) for response in answer.untagged] == expected
        assert [int(response.split()[1]) for response in answer.untagged] == list(range(1, len(sizes) + 1))
    picked = client.ok("FETCH 21,2:4,9 BODY.PEEK[]")
    assert [literal(response) for response in picked.untagged] == [expected[n - 1] for n in (2, 3, 4, 9, 21)]


def test_reading_sets_seen_and_says_so(connect) -> None:
    client, other = connect(), connect()
    fill(client, [make(number, 4000) for number in range(6)])
    client.ok("STORE 2 +FLAGS (\\Seen)")
    other.ok("SELECT INBOX")
    answer = client.ok("FETCH 1:3 BODY[]")
    told = [b" FLAGS (\\Seen" in response[-30:] for response in answer.untagged]
    assert told == [True, False, True]
    assert sum(b"\\Seen" in response for response in other.ok("NOOP").untagged) == 2


def test_what_was_expunged_meanwhile_is_passed_over(connect) -> None:
    """The other session expunges while the first one's answer is on its way, unread."""
    client, other = connect(), connect()
    messages = [make(number, 150_000) for number in range(60)]
    fill(client, messages)
    other.ok("SELECT INBOX")
    tag = client.start(b"FETCH 1:* (UID BODY.PEEK[])")
    other.ok("STORE 50:60 +FLAGS.SILENT (\\Deleted)")
    other.ok("EXPUNGE")
    answer = client.finish(tag)
    told = [int(response.split()[1]) for response in answer.of(b"FETCH") if b"BODY[]" in response]
    assert told[:49] == list(range(1, 50))
    assert told == sorted(set(told))
    for response, number in zip([r for r in answer.of(b"FETCH") if b"BODY[]" in r], told, strict=True):
        assert literal(response) == messages[number - 1].replace(b"\0", b"\x80")
    assert answer.ok


def test_a_large_mailbox_in_bounded_memory(stack, connect) -> None:
    client = connect()
    fill(client, [make(number, 60_000) for number in range(200)])
    for _ in range(4):
        client.ok("COPY 1:* INBOX")
    client.ok("NOOP")
    client.ok("FETCH 1:50 BODY.PEEK[]")
    before = {name: resident(stack[name].pid) for name in ("imap", "store")}
    highest = dict.fromkeys(before, 0)
    tag = client.start(b"FETCH 1:* BODY.PEEK[]")
    seen = octets = 0
    while True:
        response = client.read_response()
        if response.startswith(tag):
            break
        seen += 1
        octets += len(response)
        if seen % 200 == 0:
            highest = {name: max(highest[name], resident(stack[name].pid)) for name in before}
    assert seen == 3200
    assert octets > 150_000_000
    for name in before:
        assert highest[name] < before[name] + MEMORY_OCTETS, name
