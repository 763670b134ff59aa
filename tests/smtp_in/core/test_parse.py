"""Arguments of the commands: parameters, their errors, and that any line gives a value or a refusal."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.smtp_in.protocol import parse, replies
from services.smtp_in.protocol.commands import Auth, Body, Mail, Verb
from services.smtp_in.protocol.grammar import Mailbox
from services.smtp_in.protocol.limits import Limits
from services.smtp_in.protocol.parse import Refused
from services.smtp_in.protocol.replies import Reply

LIMITS = Limits()
A = Mailbox("a", "b.test")


@pytest.mark.parametrize(
    ("line", "verb", "argument"),
    [
        (b"QUIT", Verb.QUIT, b""),
        (b"quit  ", Verb.QUIT, b""),
        (b"MaIl FROM:<>", Verb.MAIL, b"FROM:<>"),
        (b"mail  from:<>", Verb.MAIL, b"from:<>"),
        (b"MAILFROM:<>", Verb.UNKNOWN, b""),
        (b" QUIT", Verb.UNKNOWN, b"QUIT"),
        (b"", Verb.UNKNOWN, b""),
        (b"POST / HTTP/1.1", Verb.HTTP, b"/ HTTP/1.1"),
        (b"Host: x", Verb.HTTP, b"x"),
        (b"bdat 5 LAST", Verb.BDAT, b"5 LAST"),
        (b"not implemented", Verb.UNKNOWN, b"implemented"),
        (b"UNKNOWN", Verb.UNKNOWN, b""),
    ],
)
def test_verbs(line: bytes, verb: Verb, argument: bytes) -> None:
    assert parse.split_verb(line) == (verb, argument)


@pytest.mark.parametrize(
    ("argument", "mail"),
    [
        (b"FROM:<>", Mail(None)),
        (b"from:<a@b.test>", Mail(A)),
        (b"FROM: <a@b.test>", Mail(A)),
        (b"FROM:<a@b.test> SIZE=1000", Mail(A, 1000)),
        (b"FROM:<a@b.test>  size=0  body=8bitmime", Mail(A, 0, Body.EIGHT_BIT_MIME)),
        (b"FROM:<a@b.test> BODY=7BIT SMTPUTF8", Mail(A, None, Body.SEVEN_BIT, True)),
        (b"FROM:<a@b.test> AUTH=<>", Mail(A)),
        (b"FROM:<a@b.test> AUTH=e+3Dmc2@example.com", Mail(A)),
        ("FROM:<ü@b.test> SMTPUTF8".encode(), Mail(Mailbox("ü", "b.test"), smtputf8=True)),
        (b"FROM:<" + b"v" * 192 + b"@b.test>", Mail(Mailbox("v" * 192, "b.test"))),
    ],
)
def test_mail(argument: bytes, mail: Mail) -> None:
    assert parse.parse_mail(argument, LIMITS) == mail


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        (b"", replies.BAD_MAIL),
        (b"TO:<a@b.test>", replies.BAD_MAIL),
        (b"FROM:a@b.test", replies.BAD_MAIL),
        (b"FROM:<a@b.test", replies.BAD_MAIL),
        (b"FROM:<a@b.test>SIZE=1", replies.BAD_MAIL),
        (b"FROM:<a@b.test> =1", replies.BAD_MAIL),
        (b"FROM:<a@b.test> SIZE=", replies.BAD_MAIL),
        (b"FROM:<a b@b.test>", replies.BAD_SENDER),
        (b"FROM:<a>", replies.BAD_SENDER),
        (b"FROM:<" + b"v" * 193 + b"@b.test>", replies.SENDER_TOO_LONG),
        (b"FROM:<" + b"@a.test," * 30 + b"@c.test:a@b.test>", replies.SENDER_TOO_LONG),
        (b"FROM:<a@b.test> SIZE=1 SIZE=1", replies.REPEATED_PARAMETER),
        (b"FROM:<a@b.test> SIZE=-1", replies.BAD_PARAMETER),
        (b"FROM:<a@b.test> SIZE", replies.BAD_PARAMETER),
        (b"FROM:<a@b.test> SIZE=" + b"1" * 21, replies.BAD_PARAMETER),
        (b"FROM:<a@b.test> BODY=BINARY", replies.BAD_PARAMETER),
        (b"FROM:<a@b.test> BODY", replies.BAD_PARAMETER),
        (b"FROM:<a@b.test> SMTPUTF8=1", replies.BAD_PARAMETER),
        (b"FROM:<a@b.test> AUTH", replies.BAD_PARAMETER),
        (b"FROM:<a@b.test> AUTH=a+zz", replies.BAD_PARAMETER),
        (b"FROM:<a@b.test> MT-PRIORITY=1", replies.UNKNOWN_PARAMETER),
        ("FROM:<ü@b.test>".encode(), replies.SENDER_NEEDS_SMTPUTF8),
        (b"FROM:<\xff@b.test> SMTPUTF8", replies.BAD_SENDER),
    ],
)
def test_mail_refused(argument: bytes, reply: Reply) -> None:
    with pytest.raises(Refused) as caught:
        parse.parse_mail(argument, LIMITS)
    assert caught.value.reply is reply


@pytest.mark.parametrize(
    ("argument", "smtputf8", "address"),
    [
        (b"TO:<a@b.test>", False, "a@b.test"),
        (b"to: <a@b.test>", False, "a@b.test"),
        (b"TO:<PostMaster>", False, "postmaster"),
        (b"TO:<@x.test:a@b.test>", False, "a@b.test"),
        (b"TO:<SRS0=" + b"v" * 187 + b"@b.test>", False, "SRS0=" + "v" * 187 + "@b.test"),
        ("TO:<한글@b.test>".encode(), True, "한글@b.test"),
    ],
)
def test_rcpt(argument: bytes, smtputf8: bool, address: str) -> None:
    assert parse.parse_rcpt(argument, LIMITS, smtputf8=smtputf8).recipient.address == address


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        (b"", replies.BAD_RCPT),
        (b"TO:a@b.test", replies.BAD_RCPT),
        (b"TO:<>", replies.BAD_RECIPIENT),
        (b"TO:<someone>", replies.BAD_RECIPIENT),
        (b"TO:<" + b"v" * 65 + b"@b.test>", replies.PATH_TOO_LONG),
        (b"TO:<SRS0=" + b"v" * 188 + b"@b.test>", replies.PATH_TOO_LONG),
        (b"TO:<" + b"@a.test," * 30 + b"@c.test:a@b.test>", replies.PATH_TOO_LONG),
        (b"TO:<a@b.test> RRVS=x", replies.UNKNOWN_PARAMETER),
        (b"TO:<a@b.test> =", replies.BAD_RCPT),
        ("TO:<ü@b.test>".encode(), replies.RECIPIENT_NEEDS_SMTPUTF8),
    ],
)
def test_rcpt_refused(argument: bytes, reply: Reply) -> None:
    with pytest.raises(Refused) as caught:
        parse.parse_rcpt(argument, LIMITS, smtputf8=False)
    assert caught.value.reply is reply


def test_auth() -> None:
    assert parse.parse_auth(b"PLAIN") == Auth("PLAIN", None)
    assert parse.parse_auth(b"PLAIN =") == Auth("PLAIN", b"=")
    for wrong in (b"", b"PLAIN a b"):
        with pytest.raises(Refused):
            parse.parse_auth(wrong)


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_arbitrary_arguments_give_a_value_or_a_refusal(data: bytes) -> None:
    codes: list[int] = []
    calls: list[Callable[[bytes], object]] = [
        parse.split_verb,
        parse.parse_host,
        parse.parse_auth,
        lambda argument: parse.parse_mail(b"FROM:" + argument, LIMITS),
        lambda argument: parse.parse_mail(b"FROM:<> " + argument, LIMITS),
        lambda argument: parse.parse_rcpt(b"TO:" + argument, LIMITS, smtputf8=True),
    ]
    for call in calls:
        try:
            call(data)
        except Refused as refused:
            codes.append(refused.reply.code)
    assert all(400 <= code <= 599 for code in codes)


def test_every_reply_fits_a_line_and_carries_its_enhanced_code() -> None:
    every = [value for value in vars(replies).values() if isinstance(value, Reply)]
    assert len(every) > 50
    for reply in [*every, replies.queued("t" * 13), replies.unavailable("h" * 255), replies.closing("h" * 255)]:
        for line in reply.wire.split(b"\r\n")[:-1]:
            assert len(line) + 2 <= 512
            assert line.isascii()
        if 300 <= reply.code < 400:
            assert not reply.enhanced
        else:
            # RFC 3463 §2: the class of the enhanced code is the first digit of the reply code.
            assert reply.enhanced.split(".")[0] == str(reply.code)[0]
