"""The bounds of a session, from the settings, in one frozen class."""

from typing import Final

import attrs

from services.imap.protocol.framing import FramingLimits
from services.imap.protocol.limits import GrammarLimits
from shared.config.schema import Settings

OUTPUT_OCTETS: Final = 64 * 1024
"""Responses are collected up to this before they are handed to the socket: the whole of a session's output buffer."""
RECEIVE_OCTETS: Final = 64 * 1024


@attrs.frozen
class SessionLimits:
    """Seconds and octets."""

    before_login: FramingLimits
    after_login: FramingLimits
    grammar: GrammarLimits
    message_octets: int
    """An APPENDed message."""
    messages_per_command: int
    """RFC 9738 §3: of FETCH, STORE, COPY, MOVE and UID EXPUNGE."""
    search_mailboxes: int
    """RFC 7377 §2.4: of one ESEARCH."""
    spool_octets: int
    """Of all messages of an APPEND, what is kept in memory; beyond that they go to a file."""
    append_messages: int
    """In one APPEND; twice as many parts (RFC 3502, RFC 4469)."""
    append_octets: int
    """Of all messages of an APPEND; a single one may always have ``message_octets``."""
    login_attempts: int
    bad_commands: int
    idle_seconds: float
    unauthenticated_seconds: float
    handshake_seconds: float
    connections_per_account: int

    @classmethod
    def from_settings(cls, settings: Settings) -> "SessionLimits":
        imap, limits = settings.imap, settings.limits
        early = imap.unauthenticated_octets
        return cls(
            before_login=FramingLimits(
                line_octets=early, literal_octets=early // 2, command_octets=early, literals=4, skip_octets=64 * 1024
            ),
            after_login=FramingLimits(
                line_octets=imap.line_octets,
                literal_octets=imap.command_octets // 2,
                command_octets=imap.command_octets,
                literals=1000,
                # RFC 7888 §4: a little too large is skipped, far too large ends the connection
                skip_octets=2 * limits.message_octets,
                message_literals=True,
            ),
            grammar=GrammarLimits(search_depth=imap.nesting, section_depth=imap.nesting * 4),
            message_octets=limits.message_octets,
            messages_per_command=imap.messages_per_command,
            search_mailboxes=imap.search_mailboxes,
            spool_octets=imap.spool_octets,
            append_messages=imap.append_messages,
            append_octets=imap.append_octets,
            login_attempts=settings.auth.attempts_per_connection,
            bad_commands=imap.bad_commands,
            idle_seconds=imap.idle_seconds,
            unauthenticated_seconds=imap.unauthenticated_seconds,
            handshake_seconds=limits.tls_handshake_seconds,
            connections_per_account=imap.connections_per_account,
        )
