"""What a sender asked to be told, on its way out: passed on where the next hop has DSN, else done here (RFC 3461 §5.2)."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from pathlib import Path
from typing import cast

from shared.contract.types import RemoteRecipient
from shared.model.ids import AccountId
from shared.model.notify import Notify
from shared.testing.outbound import ALICE, OutboundWorld
from shared.testing.postfix import Postfix
from shared.testing.smtp_peer import Say, SmtpPeer

CONTENT = b"From: alice@example.test\r\nSubject: report me\r\nMessage-ID: <r1@example.test>\r\n\r\nThe body.\r\n"
S, F, D, N = Notify.SUCCESS, Notify.FAILURE, Notify.DELAY, Notify.NEVER
DSN = ("PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN")


def parsed(message: bytes) -> tuple[EmailMessage, list[EmailMessage], EmailMessage]:
    """The report's fields per message, those of each recipient, and what was returned."""
    report = cast("EmailMessage", email.message_from_bytes(message, policy=email.policy.default))
    assert report.get_content_type() == "multipart/report"
    _, status, returned = report.iter_parts()
    first, *rest = cast("list[EmailMessage]", status.get_payload())
    return first, rest, cast("EmailMessage", returned)


def test_passed_on_to_a_hop_that_has_dsn(tmp_path: Path) -> None:
    with OutboundWorld(tmp_path) as world, world.peer("a.test", extensions=DSN) as peer:
        recipients = [
            RemoteRecipient("one@a.test", "", S | F, "rfc822;Old+2Bone@a.test"),
            RemoteRecipient("two@a.test", "", N),
            RemoteRecipient("three@a.test"),
            RemoteRecipient("four@a.test", "", F, "utf-8;ü@a.test"),
        ]
        world.submit(ALICE, recipients, CONTENT, envelope_id="QQ+2B1", ret="HDRS")
        (mail,) = peer.wait_messages(1)
        assert {"RET=HDRS", "ENVID=QQ+2B1"} <= set(mail.mail_parameters)
        assert [line for line in peer.commands if line.startswith("RCPT")] == [
            "RCPT TO:<one@a.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Old+2Bone@a.test",
            "RCPT TO:<two@a.test> NOTIFY=NEVER",
            "RCPT TO:<three@a.test>",
            "RCPT TO:<four@a.test> NOTIFY=FAILURE ORCPT=utf-8;\\x{FC}@a.test",
        ]
        world.wait_queue_empty()
        assert world.inbox() == []


def test_a_hop_without_dsn_is_told_nothing_and_the_sender_that_it_was_relayed(tmp_path: Path) -> None:
    script = {"RCPT": Say("550 5.1.1 no"), "RCPT one@a.test": Say("250 2.1.5 ok"), "RCPT two@a.test": Say("250 2.1.5 ok")}
    with OutboundWorld(tmp_path) as world, world.peer("a.test", script) as peer:
        recipients = [
            RemoteRecipient("one@a.test", "", S, "rfc822;Old+2Bone@a.test"),
            RemoteRecipient("two@a.test", "", F),
            RemoteRecipient("three@a.test", "", N),
            RemoteRecipient("four@a.test", "", S | D),
            RemoteRecipient("five@a.test", "", F),
            RemoteRecipient("six@a.test"),
        ]
        world.submit(ALICE, recipients, CONTENT, envelope_id="QQ+2B1", ret="FULL")
        (mail,) = peer.wait_messages(1)
        assert not {one.partition("=")[0] for one in mail.mail_parameters} & {"RET", "ENVID"}
        world.wait_queue_empty()
        (report,) = world.inbox()
        first, told, returned = parsed(report)
        assert first["Original-Envelope-Id"] == "QQ+1"
        assert [(one["Final-Recipient"], one["Action"]) for one in told] == [
            ("rfc822;one@a.test", "relayed"),
            ("rfc822;five@a.test", "failed"),
            ("rfc822;six@a.test", "failed"),
        ]
        assert told[0]["Original-Recipient"] == "rfc822;Old+one@a.test"
        assert returned.get_content_type() == "message/rfc822"
        assert b"The body." in report


def test_headers_only_and_nothing_for_the_null_sender(tmp_path: Path) -> None:
    with OutboundWorld(tmp_path) as world, world.peer("a.test", {"RCPT": Say("550 5.1.1 no")}):
        world.submit("", [RemoteRecipient("one@a.test", "", S | F)], CONTENT)
        world.submit(ALICE, [RemoteRecipient("two@a.test", "", F)], CONTENT, ret="HDRS")
        world.wait_queue_empty()
        (report,) = world.inbox()
        assert b"The body." not in report
        assert parsed(report)[2].get_content_type() == "text/rfc822-headers"
        world.smtp_out.wait_for_log("not bounced: null sender")


def test_one_delay_warning_for_those_who_want_it(tmp_path: Path) -> None:
    settings = {"PILLARBOX_SMTP_OUT__DELAY_WARNING_SECONDS": "0.4"}
    with OutboundWorld(tmp_path, settings) as world, world.peer("a.test", {"RCPT": Say("450 4.2.1 later")}) as peer:
        asked = [
            RemoteRecipient("one@a.test", "", D),
            RemoteRecipient("two@a.test", "", F),
            RemoteRecipient("three@a.test"),
        ]
        world.submit(ALICE, asked, CONTENT, account_id=AccountId(1))
        world.submit("stranger@b.test", [RemoteRecipient("four@a.test")], CONTENT)

        def told() -> list[str]:
            """Recipients in all reports: their retries come at different times, so there may be two."""
            return sorted(one["Final-Recipient"] for report in world.inbox() for one in parsed(report)[1])

        wanted = ["rfc822;one@a.test", "rfc822;three@a.test"]
        world.wait(lambda: told() == wanted, "not both were warned of")
        _, recipients, returned = parsed(world.inbox()[0])
        assert recipients[0]["Action"] == "delayed"
        assert recipients[0]["Will-Retry-Until"]
        assert recipients[0]["Status"] == "4.2.1"
        assert returned.get_content_type() == "text/rfc822-headers"
        # not again, not even by another process
        world.smtp_out.stop()
        world.smtp_out.start()
        seen = len(peer.commands)
        peer.wait_for(lambda: sum(line.startswith("RCPT TO:<one@") for line in peer.commands[seen:]) >= 3)
        assert told() == wanted
        assert {item.recipient for item in world.queue()} == {f"{name}@a.test" for name in ("one", "two", "three", "four")}


def test_postfix_takes_the_request_over(tmp_path: Path) -> None:
    carol = RemoteRecipient("carol@remote.test", "", S, "rfc822;Carol@remote.test")
    with (
        SmtpPeer() as home,
        Postfix(transports={"example.test": home.address}) as postfix,
        OutboundWorld(tmp_path, {"PILLARBOX_SMTP_OUT__MX_PORT": str(postfix.port)}) as world,
    ):
        world.point("remote.test", postfix.address)
        world.submit(ALICE, [carol], CONTENT, envelope_id="E1")
        (mail,) = home.wait_messages(1)
        first, (told,), _ = parsed(mail.content)
        assert first["Original-Envelope-Id"] == "E1"
        assert told["Action"] == "delivered"
        assert told["Original-Recipient"] == "rfc822;Carol@remote.test"
        assert mail.sender == ""
        assert world.inbox() == []
