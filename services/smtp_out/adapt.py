"""A message made fit for one hop, before it is signed and sent: the signature is over what goes out.

| the message | the hop | what follows |
|---|---|---|
| 7-bit | any | nothing |
| 8-bit | no 8BITMIME | bodies as quoted-printable or base64, headers in ASCII; else 5.6.3 |
| declared SMTPUTF8 | no SMTPUTF8 | headers in ASCII; else 5.6.9 |
| 8-bit header, SMTPUTF8 not declared, sent by an account here | 8BITMIME | headers in ASCII where that can be done |
| the same, forwarded for somebody else | 8BITMIME | nothing: its signatures would break, and the hop gets what we got |

An address with a local part that is not ASCII cannot be written, in the envelope (5.6.7, see `attempt`) as in the header (5.6.9).
The content is read once to find out, once to count the octets; memory is a piece at a time. RFC 6152 §3; RFC 6531 §3.2; RFC 3463 §3.7.
"""

from __future__ import annotations

import attrs

from services.smtp_out import outcome
from services.smtp_out.content import ContentReader
from services.smtp_out.outcome import Result
from services.smtp_out.protocol.capabilities import Capabilities
from shared.contract.types import QueueEntry
from shared.mail.header import header_end
from shared.mail.recode.goal import Fault, Goal, Unconvertible
from shared.mail.recode.survey import Survey


@attrs.frozen
class Form:
    """How a message goes to a hop."""

    eight_bit: bool
    """There are octets above 127 in what is sent."""
    refusal: Result | None = None
    """The hop cannot take it."""


async def adapt(entry: QueueEntry, capabilities: Capabilities, content: ContentReader) -> Form:
    """Make `content` give the message as the hop takes it. Raises ContentLost."""
    goal = await _goal(entry, capabilities, content)
    if goal is None:
        return Form(entry.eight_bit)
    survey = Survey(goal)
    try:
        while piece := await content.read():
            survey.feed(piece)
        plan = survey.finish()
    except Unconvertible as error:
        content.rewind()
        if capabilities.eight_bit and not entry.smtputf8:
            return Form(eight_bit=True)  # nobody promised anything about its header
        return Form(eight_bit=True, refusal=_refusal(goal, error))
    content.rewind()
    if plan.needed:
        await content.convert(plan)
    return Form(eight_bit=goal is not Goal.SEVEN_BIT)


async def _goal(entry: QueueEntry, capabilities: Capabilities, content: ContentReader) -> Goal | None:
    if not entry.eight_bit:
        return None
    if not capabilities.eight_bit:
        return Goal.SEVEN_BIT
    if entry.smtputf8:
        return None if capabilities.smtputf8 else Goal.ASCII_HEADERS
    if entry.account_id is None:
        return None
    first = await content.first()
    return None if first[: header_end(first, 0, len(first))].isascii() else Goal.ASCII_HEADERS


def _refusal(goal: Goal, error: Unconvertible) -> Result:
    if goal is Goal.ASCII_HEADERS or error.fault is Fault.ADDRESS:
        # RFC 6531 §3.2; RFC 3463 X.6.9
        text = f"the next server takes no internationalized headers (SMTPUTF8), and the message cannot be converted: {error}"
        return outcome.failed("5.6.9", text, 554)
    # RFC 6152 §3; RFC 3463 §3.7 X.6.3
    text = f"the message has 8-bit content, the next server takes only 7-bit mail, and it cannot be converted: {error}"
    return outcome.failed("5.6.3", text, 554)
