"""Content that came as BINARYMIME becomes 8-bit lines before it is stored: readers and next hops never meet a NUL or a bare CR or LF.

Laws: the checks of `policy` have seen it as it came, so signatures were checked on what was signed. Parts that are no lines become
base64 and decode to the octets that came (RFC 3030 §3: all bits are kept); a label "binary" that is not needed becomes "8bit" or "7bit";
everything else stays byte for byte. What cannot be converted (signed parts, bare line ends outside of parts) is refused. A content in
memory stays there, one in a file is written again in a worker thread, piece by piece.
"""

from __future__ import annotations

import trio

from services.smtp_in.protocol import replies
from services.smtp_in.protocol.commands import Body
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.spool import Spool, Spooled
from services.smtp_in.transaction import Transaction
from shared.mail.content import Content
from shared.mail.recode.goal import Fault, Goal, Plan, Unconvertible
from shared.mail.recode.survey import Survey

PIECE_OCTETS = 256 * 1024
INLINE_OCTETS = 256 * 1024
"""Larger contents are surveyed in a thread, as they are indexed."""


async def to_lines(transaction: Transaction, spool: Spool, spooled: Spooled) -> Spooled | Reply:
    """The content as it may be stored, or why it cannot be."""
    if transaction.mail.body is not Body.BINARY_MIME:
        return spooled
    try:
        if len(spooled.data) <= INLINE_OCTETS:
            plan = _survey(spooled.data)
        else:
            plan = await trio.to_thread.run_sync(_survey, spooled.data)
    except Unconvertible as error:
        return replies.BARE_NEWLINE if error.fault is Fault.BARE_NEWLINE else replies.unconvertible(error.fault.value)
    return await spool.convert(spooled, plan, PIECE_OCTETS) if plan.needed else spooled


def _survey(data: Content) -> Plan:
    survey = Survey(Goal.LINES)
    for at in range(0, len(data), PIECE_OCTETS):
        survey.feed(data[at : at + PIECE_OCTETS])
    return survey.finish()
