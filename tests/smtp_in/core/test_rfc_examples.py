"""The example dialogues of the RFCs, whole: what the client says word for word, and the codes that the server's side has there.

Where our code differs from the example's, the RFC leaves it open and the comment says what we do. Those of RFC 5321 Appendix D are in
`test_connection`, RFC 2033's in `test_lmtp`, RFC 3207's with the TLS tests; each holds at any split.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from attrs import frozen

from services.smtp_in.protocol import replies
from services.smtp_in.protocol.events import Event, RcptRequested
from services.smtp_in.protocol.replies import Reply
from shared.model.notify import Notify
from shared.testing.splits import splits_of

Drive = Callable[..., Any]
TOO_BIG_FOR_ONE = replies.reply(552, "5.2.3", "Message size exceeds a limit of the recipient")


@frozen
class Example:
    """A dialogue; `refused`: what the server says to these recipients; `messages`: what it has taken in the end."""

    client: tuple[str, ...]
    codes: tuple[str, ...]
    messages: tuple[str, ...] = ()
    refused: Mapping[str, Reply] = MappingProxyType({})


BODYLESS = "To: Susan@random.com\r\nFrom: Sam@random.com\r\nSubject: This is a bodyless test message\r\n"
PIPELINED_NOBODY = (
    *("EHLO dbc.mtview.ca.us", "MAIL FROM:<mrose@dbc.mtview.ca.us>", "RCPT TO:<nsb@thumper.bellcore.com>"),
    "RCPT TO:<galvin@tis.com>",
)
ELSEWHERE = {"nsb@thumper.bellcore.com": replies.RELAY_DENIED, "galvin@tis.com": replies.RELAY_DENIED}

EXAMPLES = {
    # RFC 2034 §6; for the remote user the example has 551
    "enhanced status codes": Example(
        (
            "EHLO ymir.claremont.edu",
            "MAIL FROM:<ned@ymir.claremont.edu>",
            "RCPT TO:<mrose@dbc.mtview.ca.us>",
            "RCPT TO:<nosuchuser@dbc.mtview.ca.us>",
            "RCPT TO:<remoteuser@isi.edu>",
            *("DATA", "text", ".", "QUIT"),
        ),
        ("220", "250", "250 2.1.0", "250 2.1.5", "550 5.1.1", "550 5.7.1", "354", "250 2.0.0", "221 2.0.0"),
        ("text\r\n",),
        {"nosuchuser@dbc.mtview.ca.us": replies.USER_UNKNOWN, "remoteuser@isi.edu": replies.RELAY_DENIED},
    ),
    # RFC 1870 §8
    "size": Example(
        (
            "EHLO ymir.claremont.edu",
            "MAIL FROM:<ned@thor.innosoft.com> SIZE=500000",
            "RCPT TO:<ned@innosoft.com>",
            "RCPT TO:<ned@ymir.claremont.edu>",
            "RCPT TO:<ned@hmcvax.claremont.edu>",
            *("DATA", "text", ".", "QUIT"),
        ),
        ("220", "250", "250 2.1.0", "250 2.1.5", "552 5.2.3", "452 4.2.2", "354", "250 2.0.0", "221 2.0.0"),
        ("text\r\n",),
        {"ned@ymir.claremont.edu": TOO_BIG_FOR_ONE, "ned@hmcvax.claremont.edu": replies.MAILBOX_WITHOUT_ROOM},
    ),
    # RFC 2920 §4, first dialogue: HELO, nothing is pipelined
    "without pipelining": Example(
        (
            "HELO dbc.mtview.ca.us",
            "MAIL FROM:<mrose@dbc.mtview.ca.us>",
            *("RCPT TO:<ned@innosoft.com>", "RCPT TO:<dan@innosoft.com>", "RCPT TO:<kvc@innosoft.com>"),
            *("DATA", "text", ".", "QUIT"),
        ),
        ("220", "250", "250 2.1.0", *("250 2.1.5",) * 3, "354", "250 2.0.0", "221 2.0.0"),
        ("text\r\n",),
    ),
    # RFC 2920 §4, second dialogue
    "pipelined": Example(
        (
            "EHLO dbc.mtview.ca.us",
            "MAIL FROM:<mrose@dbc.mtview.ca.us>",
            *("RCPT TO:<ned@innosoft.com>", "RCPT TO:<dan@innosoft.com>", "RCPT TO:<kvc@innosoft.com>"),
            *("DATA", "text", ".", "QUIT"),
        ),
        ("220", "250", "250 2.1.0", *("250 2.1.5",) * 3, "354", "250 2.0.0", "221 2.0.0"),
        ("text\r\n",),
    ),
    # RFC 2920 §4, third dialogue: all recipients are refused, and so is DATA
    "pipelined for nobody": Example(
        (*PIPELINED_NOBODY, "DATA", "QUIT"),
        ("220", "250", "250 2.1.0", "550 5.7.1", "550 5.7.1", "554 5.5.1", "221 2.0.0"),
        refused=ELSEWHERE,
    ),
    # RFC 2920 §4, fourth dialogue, of a server that answers DATA with 354 all the same: we do not, so the dot is a wrong command
    "pipelined for nobody, with a dot": Example(
        (*PIPELINED_NOBODY, "DATA", ".", "QUIT"),
        ("220", "250", "250 2.1.0", "550 5.7.1", "550 5.7.1", "554 5.5.1", "500 5.5.2", "221 2.0.0"),
        refused=ELSEWHERE,
    ),
    # RFC 3030 §4.1
    "simple chunking": Example(
        (
            "EHLO ymir.claremont.edu",
            "MAIL FROM:<Sam@Random.com>",
            "RCPT TO:<Susan@Random.com>",
            "BDAT 86 LAST",
            BODYLESS + "QUIT",
        ),
        ("220", "250", "250 2.1.0", "250 2.1.5", "250 2.0.0", "221 2.0.0"),
        (BODYLESS,),
    ),
    # RFC 3030 §4.2 but for BODY=BINARYMIME
    "pipelined chunks": Example(
        (
            "EHLO ymir.claremont.edu",
            "MAIL FROM:<ned@ymir.claremont.edu>",
            *("RCPT TO:<gvaudre@cnri.reston.va.us>", "RCPT TO:<jstewart@cnri.reston.va.us>"),
            *("BDAT 100000", "x" * 99_998 + "\r\nBDAT 324", "y" * 322 + "\r\nBDAT 0 LAST", "QUIT"),
        ),
        ("220", "250", "250 2.1.0", "250 2.1.5", "250 2.1.5", *("250 2.0.0",) * 3, "221 2.0.0"),
        ("x" * 99_998 + "\r\n" + "y" * 322 + "\r\n",),
    ),
    # RFC 3461 §10.1
    "notifications": Example(
        (
            "EHLO Example.ORG",
            "MAIL FROM:<Alice@Example.ORG> RET=HDRS ENVID=QQ314159",
            "RCPT TO:<Bob@Example.COM> NOTIFY=SUCCESS ORCPT=rfc822;Bob@Example.COM",
            "RCPT TO:<Carol@Ivory.EDU> NOTIFY=FAILURE ORCPT=rfc822;Carol@Ivory.EDU",
            "RCPT TO:<Dana@Ivory.EDU> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Dana@Ivory.EDU",
            "RCPT TO:<Eric@Bombs.AF.MIL> NOTIFY=FAILURE ORCPT=rfc822;Eric@Bombs.AF.MIL",
            "RCPT TO:<Fred@Bombs.AF.MIL> NOTIFY=NEVER",
            "RCPT TO:<George@Tax-ME.GOV> NOTIFY=FAILURE ORCPT=rfc822;George@Tax-ME.GOV",
            *("DATA", "(message goes here)", ".", "QUIT"),
        ),
        ("220", "250", "250 2.1.0", *("250 2.1.5",) * 6, "354", "250 2.0.0", "221 2.0.0"),
        ("(message goes here)\r\n",),
    ),
    # RFC 3461 §10.4: RSET before HELO, then a transaction each for two senders
    "without notifications": Example(
        (
            *("RSET", "HELO Example.ORG", "MAIL FROM:<Alice@Example.ORG>", "RCPT TO:<Eric@Bombs.AF.MIL>"),
            *("DATA", "(message goes here)", ".", "MAIL FROM:<>", "RCPT TO:<Fred@Bombs.AF.MIL>"),
            *("DATA", "(message goes here)", ".", "QUIT"),
        ),
        (
            *("220", "250 2.0.0", "250", "250 2.1.0", "250 2.1.5", "354", "250 2.0.0"),
            *("250 2.1.0", "250 2.1.5", "354", "250 2.0.0", "221 2.0.0"),
        ),
        ("(message goes here)\r\n",) * 2,
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name: str, drive: Drive) -> None:
    example = EXAMPLES[name]

    def answer(event: Event) -> Reply:
        if isinstance(event, RcptRequested):
            return example.refused.get(event.rcpt.recipient.address, replies.RECIPIENT_OK)
        return replies.queued("t") if type(event).__name__ == "ContentEnded" else replies.SENDER_OK

    data = "".join(line + "\r\n" for line in example.client).encode()
    whole = drive(data, answer=answer)
    assert tuple(whole.codes) == example.codes
    assert whole.messages == [message.encode() for message in example.messages]
    step_by_step = drive([line.encode() + b"\r\n" for line in example.client], answer=answer)
    assert step_by_step.facts == whole.facts
    if len(data) < 2000:
        for pieces in splits_of(data):
            assert drive(pieces, answer=answer).facts == whole.facts


def test_what_the_notification_example_asks_for(drive: Drive) -> None:
    # RFC 3461 §10.1
    asked: dict[str, tuple[int, str]] = {}

    def answer(event: Event) -> Reply:
        if isinstance(event, RcptRequested):
            asked[event.rcpt.recipient.local_part] = (event.rcpt.notify, event.rcpt.orcpt)
        return replies.queued("t") if type(event).__name__ == "ContentEnded" else replies.OK

    drive("".join(line + "\r\n" for line in EXAMPLES["notifications"].client).encode(), answer=answer)
    assert asked == {
        "Bob": (Notify.SUCCESS, "rfc822;Bob@Example.COM"),
        "Carol": (Notify.FAILURE, "rfc822;Carol@Ivory.EDU"),
        "Dana": (Notify.SUCCESS | Notify.FAILURE, "rfc822;Dana@Ivory.EDU"),
        "Eric": (Notify.FAILURE, "rfc822;Eric@Bombs.AF.MIL"),
        "Fred": (Notify.NEVER, ""),
        "George": (Notify.FAILURE, "rfc822;George@Tax-ME.GOV"),
    }
