"""Postfix as the other server: it sends to us, we find it by MX, and what it refuses comes back as a bounce."""

import smtplib
from email import message_from_bytes, policy

from shared.testing.clients import Login
from shared.testing.mail_samples import assert_intact, korean_message, plain_message
from shared.testing.world import World


def from_carol(world: World, to: str, message: bytes) -> None:
    """Carol of remote.test gives a message to her server."""
    with smtplib.SMTP(world.postfix.address, world.postfix.port) as client:
        client.sendmail("carol@remote.test", [to], message)


def test_postfix_to_us_byte_for_byte(world: World, bob: Login) -> None:
    sent = korean_message("in@remote.test", bob.address, "carol@remote.test")
    from_carol(world, bob.address, sent)
    (arrived,) = world.wait_messages(bob, 1)
    assert_intact(arrived, sent)
    assert arrived.startswith(b"Return-Path: <carol@remote.test>\r\n")
    world.postfix.wait_for_log(r"smtp\[\d+\]: (Untrusted|Anonymous|Trusted) TLS connection established to")


def test_us_to_postfix_by_mx_byte_for_byte(world: World, alice: Login) -> None:
    sent = korean_message("out@example.test", "carol@remote.test", alice.address)
    world.submit(alice, "carol@remote.test", sent)
    arrived = world.postfix.wait_message("carol", "out@example.test")
    assert_intact(arrived, sent)
    world.postfix.wait_for_log(r"smtpd\[\d+\]: Anonymous TLS connection established from")


def test_one_submission_to_both_sides_arrives_once_each(world: World, alice: Login, bob: Login) -> None:
    sent = plain_message("both@example.test", bob.address, alice.address)
    world.submit(alice, [bob.address, "carol@remote.test", "dave@remote.test"], sent)
    assert_intact(world.postfix.wait_message("carol", "both@example.test"), sent)
    assert_intact(world.postfix.wait_message("dave", "both@example.test"), sent)
    (arrived,) = world.imap_messages(bob)
    assert_intact(arrived, sent)


def test_an_unknown_user_there_comes_back_as_a_bounce(world: World, alice: Login) -> None:
    sent = korean_message("nobody@example.test", "nobody@remote.test", alice.address)
    world.submit(alice, "nobody@remote.test", sent)
    (bounce,) = world.wait_messages(alice, 1)
    report = message_from_bytes(bounce, policy=policy.default)
    assert report["From"].addresses[0].username == "MAILER-DAEMON"
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    words, status, original = report.get_payload()
    assert "nobody@remote.test" in words.get_content()
    assert status.get_content_type() == "message/delivery-status"
    fields = status.get_payload()[-1]
    assert fields["Final-Recipient"].replace(" ", "") == "rfc822;nobody@remote.test"
    assert fields["Action"] == "failed"
    assert fields["Status"] == "5.1.1"
    assert "User unknown" in fields["Diagnostic-Code"]
    assert original.get_content_type() in {"message/rfc822", "message/rfc822-headers", "text/rfc822-headers"}
    assert "nobody@example.test" in original.as_string()


def test_a_refused_recipient_does_not_stop_the_other_one(world: World, alice: Login) -> None:
    sent = plain_message("half@example.test", "dave@remote.test", alice.address)
    world.submit(alice, ["nobody@remote.test", "dave@remote.test"], sent)
    assert_intact(world.postfix.wait_message("dave", "half@example.test"), sent)
    (bounce,) = world.wait_messages(alice, 1)
    assert b"nobody@remote.test" in bounce
    assert b"Final-Recipient: rfc822; dave" not in bounce


def test_an_alias_leads_to_both_sides(world: World, bob: Login) -> None:
    world.stack.add_alias("team@example.test", bob.address, "carol@remote.test")
    sent = plain_message("team@remote.test", "team@example.test", "dave@remote.test")
    from_carol(world, "team@example.test", sent)
    (arrived,) = world.wait_messages(bob, 1)
    assert_intact(arrived, sent)
    assert world.postfix.wait_message("carol", "team@remote.test").endswith(sent)


def test_an_unknown_user_here_is_refused_and_postfix_tells_its_sender(world: World) -> None:
    from_carol(world, "nobody@example.test", plain_message("lost@remote.test", "nobody@example.test"))
    world.postfix.wait_for_log(r"to=<nobody@example\.test>.*dsn=5\.1\.1.*status=bounced")
