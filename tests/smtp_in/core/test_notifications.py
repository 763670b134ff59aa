"""NOTIFY, ORCPT, RET and ENVID: exactly the grammar of RFC 3461 §4 and RFC 6533 §3, and 501 for the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.smtp_in.protocol import notifications, parse, replies
from services.smtp_in.protocol.limits import Limits
from services.smtp_in.protocol.parse import Refused
from shared.model.notify import Notify

LIMITS = Limits()


@pytest.mark.parametrize(
    ("parameters", "notify", "orcpt"),
    [
        (b"NOTIFY=NEVER", Notify.NEVER, ""),
        (b"notify=success,Failure,DELAY", Notify.SUCCESS | Notify.FAILURE | Notify.DELAY, ""),
        (b"NOTIFY=DELAY ORCPT=rfc822;Bob@x.test", Notify.DELAY, "rfc822;Bob@x.test"),
        (b"ORCPT=rfc822;a+2Bb+3D@x.test", 0, "rfc822;a+2Bb+3D@x.test"),
        (b"ORCPT=x-local;/C+3DUS", 0, "x-local;/C+3DUS"),
        (b"ORCPT=utf-8;\\x{FC}@x.test", 0, "utf-8;\\x{FC}@x.test"),
        (b"ORCPT=rfc822;" + b"a" * 493, 0, "rfc822;" + "a" * 493),
    ],
)
def test_rcpt(parameters: bytes, notify: int, orcpt: str) -> None:
    rcpt = parse.parse_rcpt(b"TO:<b@x.test> " + parameters, LIMITS, smtputf8=False)
    assert (rcpt.notify, rcpt.orcpt) == (notify, orcpt)


@pytest.mark.parametrize(
    "parameters",
    [
        *(b"NOTIFY", b"NOTIFY=NEVER,SUCCESS", b"NOTIFY=SUCCESS,NEVER", b"NOTIFY=,", b"NOTIFY=SUCCESS,"),
        *(b"NOTIFY=ALWAYS", b"NOTIFY=NEVER,NEVER"),
        *(b"ORCPT", b"ORCPT=rfc822", b"ORCPT=rfc822;", b"ORCPT=;a@b", b"ORCPT=rfc822;a+2", b"ORCPT=rfc822;a+2b"),
        *(b"ORCPT=rfc822;a+0Db", b"ORCPT=rfc822;a+FFb", b"ORCPT=rfc822;" + b"a" * 494),
        *(b"ORCPT=utf-8;a+b", b"ORCPT=utf-8;\\x{D800}", b"ORCPT=utf-8;\\x{A}", b"ORCPT=utf-8;\\x{110000}"),
        *("ORCPT=utf-8;ü@x.test".encode(), "ORCPT=rfc822;ü@x.test".encode()),
    ],
)
def test_rcpt_is_refused(parameters: bytes) -> None:
    with pytest.raises(Refused) as refused:
        parse.parse_rcpt(b"TO:<b@x.test> " + parameters, LIMITS, smtputf8=False)
    assert refused.value.reply.code == 501


def test_utf8_as_it_is_under_smtputf8() -> None:
    rcpt = parse.parse_rcpt("TO:<b@x.test> ORCPT=utf-8;ü@x.test".encode(), LIMITS, smtputf8=True)
    assert rcpt.orcpt == "utf-8;ü@x.test"


@pytest.mark.parametrize("parameters", [b"NOTIFY=NEVER NOTIFY=NEVER", b"ORCPT=rfc822;a ORCPT=rfc822;a"])
def test_repeated(parameters: bytes) -> None:
    with pytest.raises(Refused) as refused:
        parse.parse_rcpt(b"TO:<b@x.test> " + parameters, LIMITS, smtputf8=False)
    assert refused.value.reply is replies.REPEATED_PARAMETER


def test_mail() -> None:
    mail = parse.parse_mail(b"FROM:<a@x.test> RET=full ENVID=QQ+2B314159", LIMITS)
    assert (mail.ret, mail.envelope_id) == ("FULL", "QQ+2B314159")
    assert parse.parse_mail(b"FROM:<> ENVID=" + b"a" * 100, LIMITS).envelope_id == "a" * 100


@pytest.mark.parametrize(
    "parameters",
    [
        *(b"RET", b"RET=ALL", b"RET=FULL RET=FULL", b"ENVID", b"ENVID=a ENVID=a"),
        *(b"ENVID=a+0Ab", b"ENVID=a+ab", b"ENVID=" + b"a" * 101, "ENVID=ü".encode()),
    ],
)
def test_mail_is_refused(parameters: bytes) -> None:
    with pytest.raises(Refused) as refused:
        parse.parse_mail(b"FROM:<a@x.test> " + parameters, LIMITS)
    assert refused.value.reply.code == 501


@given(st.binary(max_size=40))
def test_any_octets_give_a_value_or_none(value: bytes) -> None:
    notifications.parse_notify(value)
    notifications.parse_orcpt(b"rfc822;" + value, smtputf8=True)
    notifications.parse_orcpt(b"utf-8;" + value, smtputf8=True)
    notifications.parse_envid(value)
    notifications.parse_ret(value)
