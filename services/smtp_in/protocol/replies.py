"""Every reply that smtp_in gives, as data: code, enhanced status code (RFC 3463, RFC 5248), text.

Laws: the greeting, the answers to EHLO and HELO and all 3xx replies carry no enhanced code (RFC 2034 §4); texts are ASCII,
say what the sender can do about it and nothing private; a line never exceeds 512 octets (RFC 5321 §4.5.3.1.5).
"""

from __future__ import annotations

from functools import cached_property, lru_cache

from attrs import define

_MAX_TEXT_OCTETS = 480


@define(frozen=True, slots=False)
class Reply:
    """One reply. `lines` is its text; more than one line makes a multi-line reply."""

    code: int
    enhanced: str
    lines: tuple[str, ...]

    @cached_property
    def wire(self) -> bytes:
        """The reply as it is sent."""
        prefix = f"{self.enhanced} " if self.enhanced else ""
        last = len(self.lines) - 1
        return b"".join(
            f"{self.code}{'-' if number < last else ' '}{prefix}{line[:_MAX_TEXT_OCTETS]}".encode("ascii", "replace")
            + b"\r\n"
            for number, line in enumerate(self.lines)
        )

    @property
    def is_positive(self) -> bool:
        """2xx or 3xx: what was asked is done or may go on."""
        return self.code < 400

    @property
    def is_temporary(self) -> bool:
        """4xx: the same may succeed later."""
        return 400 <= self.code < 500

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.lines[0]}" if self.enhanced else f"{self.code} {self.lines[0]}"


def reply(code: int, enhanced: str, *lines: str) -> Reply:
    """A reply of these lines; `enhanced` is "" where RFC 2034 §4 wants none."""
    return Reply(code, enhanced, lines)


@lru_cache(maxsize=16)
def greeting(hostname: str) -> Reply:
    """RFC 5321 §4.3.1."""
    return reply(220, "", f"{hostname} ESMTP Pillarbox")


@lru_cache(maxsize=16)
def ehlo(hostname: str, keywords: tuple[str, ...]) -> Reply:
    """RFC 5321 §4.1.1.1."""
    return Reply(250, "", (hostname, *keywords))


@lru_cache(maxsize=16)
def helo(hostname: str) -> Reply:
    """RFC 5321 §4.1.1.1."""
    return reply(250, "", hostname)


def queued(trace: str) -> Reply:
    """The promise: the message is durable. Given only after the store's commit returned."""
    return reply(250, "2.0.0", f"Ok: queued as {trace}")


def not_your_author(address: str) -> Reply:
    """RFC 6409 §6.1, for the author in the header; ``address`` in printable ASCII."""
    return reply(550, "5.7.1", f"From or Sender does not belong to the account that logged in: {address}")


def chunk_taken(octets: int) -> Reply:
    """RFC 3030 §2: a chunk that is not the last arrived whole. It promises nothing."""
    return reply(250, "2.0.0", f"{octets} octets received")


@lru_cache(maxsize=16)
def closing(hostname: str) -> Reply:
    """RFC 5321 §4.1.1.10."""
    return reply(221, "2.0.0", f"{hostname} closing connection")


@lru_cache(maxsize=16)
def unavailable(hostname: str) -> Reply:
    """RFC 5321 §4.2.3: 421 names the host."""
    return reply(421, "4.3.2", f"{hostname} is shutting down, try again in a minute")


@lru_cache(maxsize=16)
def timed_out(hostname: str) -> Reply:
    """RFC 5321 §4.5.3.2."""
    return reply(421, "4.4.2", f"{hostname} timed out waiting for you")


def challenge(text: bytes) -> bytes:
    """RFC 4954 §4: 334 and the base64 of the challenge, on the wire."""
    return b"334 " + text + b"\r\n"


# Session.
OK = reply(250, "2.0.0", "Ok")
RESET = reply(250, "2.0.0", "Ok, transaction reset")
HELP = reply(214, "2.0.0", "EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP STARTTLS AUTH BDAT QUIT; see RFC 5321")
# RFC 5321 §3.5.3
VRFY = reply(252, "2.5.0", "Cannot VRFY user, but will accept message and attempt delivery")
TLS_READY = reply(220, "2.0.0", "Ready to start TLS")

# Syntax (RFC 5321 §4.2.2).
UNKNOWN_COMMAND = reply(500, "5.5.2", "Command not recognized")
LINE_TOO_LONG = reply(500, "5.5.2", "Line too long")
BARE_NEWLINE_IN_COMMAND = reply(500, "5.5.2", "Line must end in CR LF")
BAD_CHARACTERS = reply(500, "5.5.2", "Control character in command")
NOT_IMPLEMENTED = reply(502, "5.5.1", "Command not implemented")
NO_ARGUMENTS = reply(501, "5.5.4", "Command takes no arguments")
NEEDS_ARGUMENT = reply(501, "5.5.4", "Command needs an argument")
BAD_HOST = reply(501, "5.5.4", "Not a host name")
BAD_MAIL = reply(501, "5.5.4", "Syntax: MAIL FROM:<address> [parameters]")
BAD_CHUNK = reply(501, "5.5.4", "Syntax: BDAT octets [LAST]")
BAD_RCPT = reply(501, "5.5.4", "Syntax: RCPT TO:<address> [parameters]")
BAD_SENDER = reply(501, "5.1.7", "Bad sender address syntax")
BAD_RECIPIENT = reply(501, "5.1.3", "Bad recipient address syntax")
PATH_TOO_LONG = reply(501, "5.1.3", "Path too long")
SENDER_TOO_LONG = reply(501, "5.1.7", "Path too long")
BAD_PARAMETER = reply(501, "5.5.4", "Bad value of a parameter")
REPEATED_PARAMETER = reply(501, "5.5.4", "Parameter given twice")
UNKNOWN_PARAMETER = reply(555, "5.5.4", "Parameter not recognized")
# RFC 8689 §2
REQUIRETLS_NEEDS_TLS = reply(555, "5.5.4", "REQUIRETLS is offered under TLS only")
# RFC 4865
TWO_HOLDS = reply(501, "5.5.4", "HOLDFOR or HOLDUNTIL, not both")
HELD_TOO_LONG = reply(501, "5.5.4", "Held for too long, see FUTURERELEASE in the answer to EHLO")
HELD_UNTIL_PAST = reply(501, "5.5.4", "The time of HOLDUNTIL is over")
# RFC 2852 §4
BY_TOO_SOON = reply(550, "5.4.7", "Cannot promise a delivery in so short a time, see DELIVERBY in the answer to EHLO")
# RFC 6531 §3.5
SENDER_NEEDS_SMTPUTF8 = reply(553, "5.6.7", "Sender address needs SMTPUTF8")
RECIPIENT_NEEDS_SMTPUTF8 = reply(553, "5.6.7", "Recipient address needs SMTPUTF8")
HTTP_REFUSED = reply(421, "4.7.0", "This is a mail server, and you are not a mail client")

# Sequence (RFC 5321 §4.1.4).
NEED_EHLO = reply(503, "5.5.1", "Send EHLO first")
NEED_MAIL = reply(503, "5.5.1", "Send MAIL first")
NESTED_MAIL = reply(503, "5.5.1", "Sender already given")
IN_TRANSACTION = reply(503, "5.5.1", "Not while a mail transaction is under way")
CHUNKS_UNDER_WAY = reply(503, "5.5.1", "Finish the message with BDAT LAST, or RSET")
# RFC 3030 §3
BINARY_NEEDS_CHUNKS = reply(503, "5.5.1", "BINARYMIME content comes by BDAT only")
# RFC 2033 §4.1, §4.2
SAY_LHLO = reply(500, "5.5.1", "This is LMTP, say LHLO")
NO_LMTP_RECIPIENTS = reply(503, "5.5.1", "No valid recipients")
NO_RECIPIENTS = reply(554, "5.5.1", "No valid recipients")

# Transaction.
SENDER_OK = reply(250, "2.1.0", "Ok")
RECIPIENT_OK = reply(250, "2.1.5", "Ok")
START_DATA = reply(354, "", "End data with <CR><LF>.<CR><LF>")
TOO_MANY_RECIPIENTS = reply(452, "4.5.3", "Too many recipients")
ONE_RECIPIENT_FOR_NULL_SENDER = reply(452, "4.5.3", "One recipient at a time from the null sender")
USER_UNKNOWN = reply(550, "5.1.1", "No such mailbox here")
RELAY_DENIED = reply(550, "5.7.1", "Relaying denied")
MAILBOX_FULL = reply(452, "4.2.2", "Mailbox is full")
MAILBOX_FULL_FOR_GOOD = reply(552, "5.2.2", "Mailbox is full")
MAILBOX_WITHOUT_ROOM = reply(452, "4.2.2", "Mailbox has no room for a message of this size")
MAILBOX_WITHOUT_ROOM_FOR_GOOD = reply(552, "5.2.2", "Mailbox has no room for a message of this size")
NOT_FROM_HERE = reply(554, "5.7.1", "This port is for devices in private networks")
NOT_FOR_DEVICE = reply(550, "5.7.1", "This device may not send to this recipient")
NOT_A_POSTER = reply(550, "5.7.1", "You may not post to this group")
POSTER_NOT_PROVED = reply(550, "5.7.1", "Cannot tell that this message is from its sender, who may post to this group (SPF and DMARC)")
MESSAGES_REACHED = reply(450, "4.7.1", "Daily limit of messages reached, try tomorrow")
NEW_RECIPIENTS_REACHED = reply(450, "4.7.1", "Daily limit of new recipients reached, try tomorrow")
NOT_YOUR_ADDRESS = reply(553, "5.7.1", "Sender address does not belong to the account that logged in")
STORE_UNAVAILABLE = reply(451, "4.3.0", "Mail storage is not available, try again later")
OUT_OF_SPACE = reply(452, "4.3.1", "Out of storage, try again later")
LOCAL_ERROR = reply(451, "4.3.0", "Local error, try again later")
# RFC 1870 §6
MESSAGE_TOO_BIG = reply(552, "5.3.4", "Message exceeds the maximum size")
HEADER_TOO_BIG = reply(552, "5.3.4", "Message header exceeds the maximum size")
# RFC 5321 §2.3.8: a receiver must not take bare CR or LF for line ends, and a sender must not send them.
BARE_NEWLINE = reply(550, "5.6.11", "Message contains bare CR or bare LF, see RFC 5321 section 2.3.8")
# RFC 5321 §6.3
LOOP = reply(554, "5.4.6", "Too many hops, this looks like a mail loop")

# RFC 7372 §3.3: multiple authentication checks failed
DISOWNED = reply(550, "5.7.26", "The owner of the domain in From disowns this message (DMARC policy: reject)")
AUTHENTICITY_UNKNOWN = reply(451, "4.7.26", "Cannot find out now whether this message is authentic, try again later")
# RFC 5322 §3.6: one From field
SEVERAL_AUTHORS = reply(550, "5.6.0", "Message has several From fields")

# XCLIENT (Postfix, XCLIENT_README).
BAD_XCLIENT = reply(501, "5.5.4", "Syntax: XCLIENT attribute=value ...")
XCLIENT_LOGIN = reply(501, "5.5.4", "LOGIN is not taken from anybody, the client logs in itself")
XCLIENT_NEEDS_ADDRESS = reply(501, "5.5.4", "The client's ADDR is needed")
TOO_MANY_AUTHORS = reply(550, "5.7.1", "Message names too many addresses in From and Sender")

# TLS (RFC 3207 §4).
NEED_TLS = reply(530, "5.7.0", "Must issue a STARTTLS command first")
TLS_ACTIVE = reply(503, "5.5.1", "TLS is active already")
TLS_NOT_OFFERED = reply(502, "5.5.1", "STARTTLS is not offered here")

# AUTH (RFC 4954 §4, §6).
AUTH_OK = reply(235, "2.7.0", "Authentication successful")
AUTH_FAILED = reply(535, "5.7.8", "Authentication credentials invalid")
AUTH_REQUIRED = reply(530, "5.7.0", "Authentication required")
AUTH_NEEDS_TLS = reply(538, "5.7.11", "Encryption required for authentication, issue STARTTLS first")
AUTH_UNKNOWN_MECHANISM = reply(504, "5.5.4", "Authentication mechanism not recognized")
AUTH_MALFORMED = reply(501, "5.5.2", "Cannot decode the authentication response")
AUTH_CANCELLED = reply(501, "5.7.0", "Authentication cancelled")
AUTH_LINE_TOO_LONG = reply(500, "5.5.6", "Authentication exchange line is too long")
AUTH_UNAVAILABLE = reply(454, "4.7.0", "Temporary authentication failure")
BANNED = reply(421, "4.7.0", "Too many failed logins, try again later")
LOGIN_EXPIRED = reply(421, "4.7.0", "Login has expired, connect again")
ALREADY_AUTHENTICATED = reply(503, "5.5.1", "Already authenticated")
AUTH_NOT_OFFERED = reply(502, "5.5.1", "Authentication is not offered on this port")

# Limits: the last reply of a connection.
TOO_MANY_ERRORS = reply(421, "4.7.0", "Too many errors")
TOO_MANY_REFUSED_RECIPIENTS = reply(421, "4.7.0", "Too many refused recipients")
TOO_MANY_MESSAGES = reply(421, "4.7.0", "Too many messages on one connection, connect again")
TOO_MANY_AUTH_FAILURES = reply(421, "4.7.0", "Too many failed authentications")
TOO_MANY_CONNECTIONS = reply(421, "4.7.0", "Too many connections, try again later")

# At the door, for strangers (`policy/`).
# RFC 5321 §3.1: 554 in the place of the greeting
SPOKE_TOO_EARLY = reply(554, "5.5.1", "Protocol error: you spoke before the greeting")
CONNECTION_RATE = reply(421, "4.7.0", "Too many connections in a short time, try again later")
MESSAGE_RATE = reply(450, "4.7.1", "Too many messages in a short time, try again later")
RECIPIENT_RATE = reply(450, "4.7.1", "Too many recipients in a short time, try again later")


def unconvertible(reason: str) -> Reply:
    """Binary content that cannot be stored as lines (RFC 3463 §3.7 X.6.3); `reason` in ASCII."""
    return reply(554, "5.6.3", f"Binary content cannot be converted: {reason}")


def greylisted(seconds: float) -> Reply:
    """Come back after so many seconds (RFC 6647 §5)."""
    return reply(451, "4.7.1", f"Not seen before, try again in {max(1, round(seconds))} seconds (greylisting)")


def listed(ip: str, zone: str) -> Reply:
    """A DNS list has the client (RFC 5782 §2.1)."""
    return reply(550, "5.7.1", f"Client [{ip}] is listed by {zone}; <postmaster> can be reached")
