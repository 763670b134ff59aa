"""Every bound of one SMTP connection, with its reason. Built from the settings; these are the defaults for tests.

Law: what exceeds a bound gets the reply that its RFC names, costs no memory, and leaves the stream in step.
"""

from __future__ import annotations

from attrs import frozen

from shared.sasl.credentials import MAX_RESPONSE_LINE_OCTETS


@frozen
class Limits:
    """Bounds of one connection. Octets count the CRLF where a line is meant."""

    command_line_octets: int = 2048
    """RFC 5321 §4.5.3.1.4 asks for 512; SIZE adds 26, 8BITMIME 17, SMTPUTF8 10, AUTH 500 to MAIL, DSN 500 to RCPT.

    REQUIRETLS adds 11 to MAIL, HOLDUNTIL 34, BY 17.
    """

    auth_line_octets: int = MAX_RESPONSE_LINE_OCTETS + 32
    """Lines of an AUTH exchange, and the AUTH command with its initial response (RFC 4954 §4)."""

    path_octets: int = 256
    """RFC 5321 §4.5.3.1.3, angle brackets and source route included."""

    domain_octets: int = 255
    """RFC 5321 §4.5.3.1.2."""

    local_part_octets: int = 64
    """RFC 5321 §4.5.3.1.1, for recipients."""

    sender_local_part_octets: int = 192
    """Mailing lists encode recipient and message into the sender (VERP) and exceed 64; refusing those loses mail."""

    message_octets: int = 50 * 1024 * 1024
    """Content after dots are removed, line ends counted as two octets (RFC 1870 §5). Announced with SIZE."""

    recipients: int = 1000
    """Accepted in one transaction, at least 100 (RFC 5321 §4.5.3.1.8)."""

    errors: int = 20
    """Refused commands in one session before 421: a client that gets everything wrong is no mail server."""

    refused_recipients: int = 100
    """Refused RCPTs in one session before 421: a list with a few stale addresses passes, a dictionary does not."""

    idle_commands: int = 100
    """Commands since the last accepted message that move no mail (NOOP, RSET, VRFY, HELP, EHLO) before 421."""

    messages: int = 1000
    """Transactions in one session before 421; the client comes back with a new connection."""

    auth_failures: int = 3
    """Wrong passwords in one session before 421."""
