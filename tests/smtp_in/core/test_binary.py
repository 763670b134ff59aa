"""BODY=BINARYMIME (RFC 3030 §3): by BDAT alone, any octet in it; everywhere else bare line ends stay refused."""

import pytest

BINARY = b"EHLO c.test\r\nMAIL FROM:<a@b.test> BODY=BINARYMIME\r\nRCPT TO:<c@d.test>\r\n"
OCTETS = bytes(range(256)) + b"\n.\n\r.\r\r\n.\r\n"


def chunk(data: bytes, last: bool = True) -> bytes:
    return b"BDAT %d%b\r\n%b" % (len(data), b" LAST" if last else b"", data)


@pytest.mark.parametrize("port", ["relay", "lmtp"])
def test_any_octet_is_taken_as_it_came(drive, port):
    begin = BINARY.replace(b"EHLO", b"LHLO") if port == "lmtp" else BINARY
    stream = begin + chunk(OCTETS[:100], last=False) + chunk(OCTETS[100:]) + b"NOOP\r\n"
    for pieces in ([stream], [stream[at : at + 1] for at in range(len(stream))]):
        outcome = drive(pieces, port)
        assert outcome.messages == [OCTETS]
        assert outcome.codes[-1] == "250 2.0.0"


def test_data_is_refused_and_the_transaction_goes_on(drive):
    outcome = drive(BINARY + b"DATA\r\n" + chunk(OCTETS) + b"QUIT\r\n")
    assert outcome.codes[4:] == ["503 5.5.1", "250 2.0.0", "221 2.0.0"]
    assert outcome.messages == [OCTETS]
    outcome = drive(BINARY + b"DATA\r\nRSET\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nx\r\n.\r\n")
    assert outcome.codes[4:] == ["503 5.5.1", "250 2.0.0", "250 2.1.0", "250 2.1.5", "354", "250 2.0.0"]
    assert outcome.connection.errors == 1


@pytest.mark.parametrize("body", [b"", b" BODY=8BITMIME", b" BODY=7BIT"])
def test_what_was_not_declared_is_not_taken(drive, body):
    begin = BINARY.replace(b" BODY=BINARYMIME", body)
    for data in (b"a\nb\r\n", b"a\rb\r\n"):
        outcome = drive(begin + chunk(data))
        assert outcome.messages == []
        assert outcome.codes[-1] == "550 5.6.11"
        outcome = drive(begin + b"DATA\r\n" + data + b"\r\n.\r\n")
        assert outcome.codes[-1] == "550 5.6.11"


def test_a_declaration_ends_with_its_transaction(drive):
    rest = b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n" + chunk(b"a\nb")
    for end in (chunk(b"x"), b"RSET\r\n", chunk(b"x", last=False) + b"RSET\r\n"):
        outcome = drive(BINARY + end + rest)
        assert outcome.codes[-1] == "550 5.6.11"


def test_the_value_has_no_case(drive):
    assert drive(BINARY.replace(b"BINARYMIME", b"binarymime") + chunk(b"\n")).messages == [b"\n"]
    assert drive(BINARY.replace(b"BINARYMIME", b"BINARY")).codes[2] == "501 5.5.4"
