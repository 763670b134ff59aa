"""Commands on many messages go in steps; the client sees one command, all or nothing where that is promised."""

COUNT = 1_200
"""More than a step."""


def fill(client) -> None:
    assert client.append(b"INBOX", b"Subject: x\r\n\r\ntext\r\n").ok
    client.ok("SELECT INBOX")
    there = 1
    while there < COUNT:
        client.ok(f"COPY 1:{min(there, COUNT - there)} INBOX")
        there = min(COUNT, 2 * there)
    client.ok("NOOP")


def messages(client, name: str) -> int:
    (line,) = client.ok(f"STATUS {name} (MESSAGES)").of(b"STATUS")
    return int(line.rsplit(b" ", 1)[1].strip(b")\r\n"))


def test_copy_move_and_expunge_of_many(connect) -> None:
    client, other = connect(), connect()
    fill(client)
    other.ok("SELECT INBOX")
    client.ok("CREATE Target")
    answer = client.ok("COPY 1:* Target")
    assert b"COPYUID" in answer.tagged
    assert b" 1:%d]" % COUNT in answer.tagged
    assert messages(client, "Target") == COUNT
    told = client.ok("STORE 2:1150 +FLAGS (\\Deleted)")
    assert [int(line.split()[1]) for line in told.of(b"FETCH")] == list(range(2, 1151))
    assert len(other.ok("NOOP").of(b"FETCH")) == 1149
    assert len(client.ok("EXPUNGE").of(b"EXPUNGE")) == 1149
    assert len(other.ok("NOOP").of(b"EXPUNGE")) == 1149
    client.ok("SELECT Target")
    moved = client.ok("MOVE 1:* INBOX")
    assert len(moved.of(b"EXPUNGE")) == COUNT
    assert messages(client, "INBOX") == COUNT + COUNT - 1149
    assert messages(client, "Target") == 0
    assert other.ok("NOOP").of(b"EXISTS")[-1] == b"* %d EXISTS" % (COUNT + COUNT - 1149)


def test_a_copy_that_fails_in_its_second_step_leaves_nothing(connect) -> None:
    """RFC 9051 §6.4.7: the destination is as it was before."""
    client = connect()
    fill(client)
    client.ok("CREATE Target")
    assert client.append(b"Target", b"Subject: x\r\n\r\ntext\r\n").ok
    client.ok("SELECT Target")
    client.ok(f"STORE 1 FLAGS ({' '.join(f'k{number}' for number in range(50))})")
    client.ok("SELECT INBOX")
    client.ok(f"STORE {COUNT} +FLAGS (one-too-many)")
    answer = client.command("COPY 1:* Target")
    assert answer.tagged.startswith(b"NO [LIMIT]")
    assert messages(client, "Target") == 1
    assert client.ok("COPY 1:1100 Target").ok
    assert messages(client, "Target") == 1101
