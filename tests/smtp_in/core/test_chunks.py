"""BDAT (RFC 3030): the examples, what must not mix, what is refused and still taken out of the stream."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.smtp_in.protocol.limits import Limits
from shared.testing.splits import splits_of

BEGIN = b"EHLO c.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n"


def run(drive, data, **options):
    return drive(BEGIN + data, **options)


def test_one_chunk(drive):
    # RFC 3030 §4.1
    outcome = run(drive, b"BDAT 12 LAST\r\nTo: x\r\n\r\nh\r\nQUIT\r\n")
    assert outcome.messages == [b"To: x\r\n\r\nh\r\n"]
    assert outcome.codes[-2:] == ["250 2.0.0", "221 2.0.0"]


def test_chunks_are_joined_byte_for_byte(drive):
    # RFC 3030 §4.2, pipelined
    outcome = run(drive, b"BDAT 6\r\nab\r\n.\rBDAT 4\r\n\ncd\rBDAT 2 LAST\r\n\n.BDAT 0 LAST\r\n")
    assert outcome.messages == [b"ab\r\n.\r\ncd\r\n."]
    assert outcome.codes[-4:] == ["250 2.0.0", "250 2.0.0", "250 2.0.0", "503 5.5.1"]


def test_nothing_in_a_chunk_is_a_command_or_an_end(drive):
    inside = b"\r\n.\r\nQUIT\r\nMAIL FROM:<x@y.test>\r\n"
    outcome = run(drive, b"BDAT %d LAST\r\n%bNOOP\r\n" % (len(inside), inside))
    assert outcome.messages == [inside]
    assert outcome.senders == ["a@b.test"]


def test_an_empty_last_chunk_ends_the_message(drive):
    assert run(drive, b"BDAT 4\r\nab\r\nBDAT 0 LAST\r\n").messages == [b"ab\r\n"]
    assert run(drive, b"bdat 0 last\r\n").messages == [b""]


@pytest.mark.parametrize(
    "content", [b"a\nb\r\n", b"a\rb\r\n", b"a\r", b"\n", b"a\r\r\n", b"\r\n\n", b"a\n\r"]
)
def test_bare_line_ends_are_refused_at_the_end(drive, content):
    for cut in range(len(content) + 1):
        first, second = content[:cut], content[cut:]
        data = b"BDAT %d\r\n%bBDAT %d LAST\r\n%bNOOP\r\n" % (len(first), first, len(second), second)
        outcome = run(drive, data)
        assert outcome.messages == []
        assert outcome.codes[-2:] == ["550 5.6.11", "250 2.0.0"]


def test_reset_gives_up_the_chunks(drive):
    outcome = run(drive, b"BDAT 2\r\nabRSET\r\nMAIL FROM:<z@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nx\r\n.\r\n")
    assert outcome.messages == [b"x\r\n"]
    assert outcome.abandoned == 1
    assert run(drive, b"BDAT 2\r\nabEHLO c.test\r\n").abandoned == 1
    assert run(drive, b"BDAT 2\r\nabQUIT\r\n").abandoned == 1


@pytest.mark.parametrize("line", [b"DATA\r\n", b"MAIL FROM:<x@y.test>\r\n", b"RCPT TO:<x@y.test>\r\n"])
def test_data_and_chunks_never_mix(drive, line):
    outcome = run(drive, b"BDAT 2\r\nab" + line + b"BDAT 2 LAST\r\n\r\n")
    assert outcome.codes[-2:] == ["503 5.5.1", "250 2.0.0"]
    assert outcome.messages == [b"ab\r\n"]


@pytest.mark.parametrize(
    ("before", "code"),
    [
        (b"", "503 5.5.1"),
        (b"EHLO c.test\r\n", "503 5.5.1"),
        (b"EHLO c.test\r\nMAIL FROM:<a@b.test>\r\n", "554 5.5.1"),
        (b"EHLO c.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<unknown@d.test>\r\n", "554 5.5.1"),
    ],
)
def test_a_chunk_that_is_not_allowed_is_taken_out_of_the_stream(drive, before, code):
    outcome = drive(before + b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")
    assert outcome.codes[-2:] == [code, "250 2.0.0"]
    assert outcome.messages == []
    assert not outcome.connection.closed


@pytest.mark.parametrize("argument", [b"", b"x", b"-1", b"1 FIRST", b"1 LAST x", b"9" * 21, b"1LAST"])
def test_a_size_that_cannot_be_read_ends_the_connection(drive, argument):
    outcome = run(drive, b"BDAT " + argument + b"\r\nab")
    assert outcome.codes[-1] == "501 5.5.4"
    assert outcome.connection.closed


@pytest.mark.parametrize("line", [b"BDAT 6 LAST\n", b"bdat 6\x01 LAST\r\n", b"BDAT\t6\n"])
def test_a_chunk_command_that_cannot_be_read_ends_the_connection(drive, line):
    """Its octets would be taken for commands."""
    outcome = run(drive, line + b"QUIT\r\nNOOP\r\n")
    assert outcome.connection.closed
    assert outcome.codes[-1] in ("500 5.5.2", "501 5.5.4")
    assert outcome.connection.close_reason == "errors"


def test_too_big(drive):
    limits = Limits(message_octets=10)
    outcome = run(drive, b"BDAT 8\r\n12345678BDAT 5\r\n12345BDAT 1 LAST\r\n1NOOP\r\n", limits=limits)
    assert outcome.codes[-4:] == ["250 2.0.0", "552 5.3.4", "552 5.3.4", "250 2.0.0"]
    assert outcome.messages == []
    endless = run(drive, b"BDAT 99999999999999999999 LAST\r\nabc", limits=limits)
    assert endless.codes[-1] == "552 5.3.4"
    assert endless.connection.closed


@given(st.lists(st.tuples(st.binary(max_size=12), st.booleans()), min_size=1, max_size=5), st.data())
def test_any_split_means_the_same(drive, chunks, data):
    stream = BEGIN + b"".join(
        b"BDAT %d%b\r\n%b" % (len(octets), b" LAST" if last else b"", octets) for octets, last in chunks
    )
    whole = drive(stream)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert drive(pieces).facts == whole.facts
    assert drive([stream[at : at + 1] for at in range(len(stream))]).facts == whole.facts


def test_splits_helper_agrees(drive):
    stream = BEGIN + b"BDAT 3\r\na\r\nBDAT 4 LAST\r\nb\r\n.NOOP\r\n"
    facts = {repr(drive(pieces).facts) for pieces in splits_of(stream)}
    assert len(facts) == 1
