"""Every text that the server says. Nothing a client sent is ever repeated in one.

A reply line has at most 512 octets with its CRLF, and its text begins with "[" only for a response code (RFC 2449 §3,
§8). The codes: IN-USE (RFC 2449 §8.1.2); SYS/TEMP, SYS/PERM and AUTH (RFC 3206 §4, §5).
"""

from __future__ import annotations

OK = b"+OK\r\n"
END = b".\r\n"

UNKNOWN_COMMAND = b"-ERR unknown command\r\n"
NO_ARGUMENTS = b"-ERR this command takes no arguments\r\n"
ARGUMENTS_WANTED = b"-ERR missing or malformed arguments\r\n"
NOT_A_NUMBER = b"-ERR not a number\r\n"
CONTROL_CHARACTER = b"-ERR control character in argument\r\n"
NOT_UTF8 = b"-ERR argument is not UTF-8\r\n"
LINE_TOO_LONG = b"-ERR line too long\r\n"
TOO_MANY_ERRORS = b"-ERR too many errors, closing\r\n"

NOT_LOGGED_IN = b"-ERR log in first\r\n"
USER_FIRST = b"-ERR PASS is for directly after USER\r\n"
ALREADY_LOGGED_IN = b"-ERR you are logged in already\r\n"
TLS_FIRST = b"-ERR no password without TLS: use STLS or port 995\r\n"
TLS_ALREADY = b"-ERR TLS is active already\r\n"
NO_TLS = b"-ERR TLS is not available\r\n"

USER_OK = b"+OK send PASS\r\n"
TLS_BEGIN = b"+OK begin TLS negotiation\r\n"
MECHANISMS_FOLLOW = b"+OK mechanisms follow\r\n"
CAPABILITIES_FOLLOW = b"+OK capability list follows\r\n"

UNKNOWN_MECHANISM = b"-ERR unknown authentication mechanism\r\n"
AUTH_MALFORMED = b"-ERR malformed authentication exchange\r\n"
AUTH_CANCELLED = b"-ERR authentication cancelled\r\n"
# RFC 3206 §5
AUTH_FAILED = b"-ERR [AUTH] user name or password is wrong\r\n"
AUTH_FAILED_CLOSING = b"-ERR [AUTH] user name or password is wrong, closing\r\n"
# RFC 2449 §8.1.2
IN_USE = b"-ERR [IN-USE] the maildrop is open in another session\r\n"
# RFC 3206 §4
UNAVAILABLE = b"-ERR [SYS/TEMP] the mail store cannot be reached, try again later\r\n"
NO_MAILBOX = b"-ERR [SYS/PERM] there is no such mailbox\r\n"
BANNED = b"-ERR [SYS/TEMP] too many failed logins, try again later\r\n"
BROKEN = b"-ERR [SYS/PERM] the mail store refused this, ask the administrator\r\n"
SHUTTING_DOWN = b"-ERR [SYS/TEMP] the server is shutting down, try again later\r\n"
SESSION_EXPIRED = b"-ERR [SYS/TEMP] the session is over, log in again\r\n"

MESSAGE_GONE = b"-ERR the message is no longer there\r\n"
NOT_REMOVED = b"-ERR some deleted messages not removed\r\n"
TOP_FOLLOWS = b"+OK top of message follows\r\n"
LISTING_FOLLOWS = b"+OK listing follows\r\n"
# RFC 6856
LANGUAGES_FOLLOW = b"+OK language listing follows\r\n"
NO_SUCH_LANGUAGE = b"-ERR no such language\r\n"
LANGUAGE_CHANGED = b"+OK language changed\r\n"
UTF8_ENABLED = b"+OK UTF8 enabled\r\n"


def greeting(hostname: str) -> bytes:
    """The banner. No timestamp: APOP is not offered (RFC 1939 §7)."""
    # RFC 2449 §3 limits the banner; a host name has at most 253 octets
    return f"+OK {hostname} POP3 ready\r\n".encode("ascii", "replace")


def refused(reason: str) -> bytes:
    """For a connection beyond a limit, in place of the banner."""
    return f"-ERR [SYS/TEMP] {reason}\r\n".encode()


def maildrop(messages: int, octets: int) -> bytes:
    """After a login and after RSET."""
    return b"+OK maildrop has %d messages (%d octets)\r\n" % (messages, octets)


def no_such_message(messages: int) -> bytes:
    """A message-number outside the maildrop."""
    return b"-ERR no such message, only %d messages in maildrop\r\n" % messages


def already_deleted(number: int) -> bytes:
    """A message-number that is marked."""
    return b"-ERR message %d already deleted\r\n" % number


def deleted(number: int) -> bytes:
    """DELE."""
    return b"+OK message %d deleted\r\n" % number


def signing_off(messages_left: int | None) -> bytes:
    """QUIT; with the number of messages left after an UPDATE."""
    if messages_left is None:
        return b"+OK signing off\r\n"
    return b"+OK signing off (%d messages left)\r\n" % messages_left
