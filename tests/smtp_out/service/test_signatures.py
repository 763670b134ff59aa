"""What leaves is signed where it is ours: both kinds of key, whole and streamed, before, during and after a change of keys."""

from __future__ import annotations

import dkim
import pytest

from shared.contract.registry import Role
from shared.errors import AlreadyExists, NotFound, StoreError
from shared.testing.outbound import ALICE, OutboundWorld
from shared.testing.stack import PASSWORD

MAIL = (
    b"From: Alice <alice@example.test>\r\nTo: b@x.test\r\nSubject: hello\r\nMessage-ID: <1@example.test>\r\n\r\n"
    b".dots\r\nbody  \r\n\r\n"
)


def records(world):
    """The published TXT records by name."""
    found = world.stack.administer(lambda store: store.admin.domain_dns("example.test"))
    return {record.name: record.value for record in found if record.type == "TXT"}


def verified(content, published):
    """Selectors of valid signatures, and how many fields there are."""
    fields = content.partition(b"\r\n\r\n")[0].count(b"DKIM-Signature:")

    def answer(name, timeout=5):
        return published.get(name.decode().rstrip("."), "").encode() or None

    valid = set()
    for index in range(fields):
        checker = dkim.DKIM(content)
        if checker.verify(idx=index, dnsfunc=answer):
            valid.add(checker.signature_fields[b"s"].decode())
    return valid, fields


def refused(world, use):
    """The kind of error that a call ends with."""

    async def run(store):
        try:
            await use(store)
        except StoreError as error:
            return type(error)
        return None

    return world.stack.administer(run)


@pytest.fixture(scope="module")
def account(world):
    async def log_in(store):
        return (await store.auth.login(ALICE, PASSWORD, "127.0.0.1")).account_id

    return world.stack.administer(log_in, Role.SMTP_IN)


@pytest.mark.parametrize("lines", [0, 20_000])
def test_submissions_are_signed_with_both_keys(world: OutboundWorld, account, lines) -> None:
    content = MAIL + b"0123456789  abcdef \r\n" * lines
    with world.peer(f"signed{lines}.test") as peer:
        world.submit(ALICE, [f"bob@signed{lines}.test"], b"Return-Path: <x>\r\n" + content, skip_octets=18, account_id=account)
        (mail,) = peer.wait_messages(1)
        world.wait_queue_empty()
    assert mail.content.endswith(content)
    assert f"SIZE={len(mail.content)}" in mail.mail_parameters
    valid, fields = verified(mail.content, records(world))
    assert (len(valid), fields) == (2, 2)


@pytest.mark.parametrize("lines", [1, 20_000])
def test_what_is_converted_is_signed_as_it_is_sent(world: OutboundWorld, account, lines) -> None:
    content = MAIL.replace(b"Subject: hello", "Subject: 안녕".encode()) + "많은 lines, wenig Umlaute: ü\r\n".encode() * lines
    with world.peer(f"converted{lines}.test", extensions=("SIZE", "PIPELINING", "CHUNKING")) as peer:
        world.submit(ALICE, [f"bob@converted{lines}.test"], content, eight_bit=True, account_id=account)
        (mail,) = peer.wait_messages(1)
        world.wait_queue_empty()
    assert mail.content.isascii()
    assert f"SIZE={len(mail.content)}" in mail.mail_parameters
    valid, fields = verified(mail.content, records(world))
    assert (len(valid), fields) == (2, 2)


def test_what_others_wrote_is_not_signed(world: OutboundWorld, account) -> None:
    foreign = MAIL.replace(b"alice@example.test", b"alice@elsewhere.test")
    with world.peer("plain.test") as peer:
        world.submit(ALICE, ["a@plain.test"], MAIL)  # forwarded: no account sent it
        world.submit(ALICE, ["b@plain.test"], foreign, account_id=account)
        world.submit(ALICE, ["c@plain.test"], b"From: x@y.test\r\n" + MAIL, account_id=account)
        # as an alias forwards it: nobody here wrote it, whatever its From says
        world.submit("", ["d@plain.test"], MAIL)
        # another's domain of ours in From
        world.submit("alice@elsewhere.test", ["e@plain.test"], MAIL, account_id=account)
        mails = peer.wait_messages(5)
        world.wait_queue_empty()
    assert all(b"DKIM-Signature" not in mail.content for mail in mails)


def test_a_change_of_keys(world: OutboundWorld) -> None:
    """New keys wait until they are activated; then the old ones are kept in the records without a private part."""
    before = {name for name in records(world) if "_domainkey" in name}
    new = world.stack.administer(lambda store: store.admin.dkim_rotate("example.test"))
    assert len(new) == 2
    assert {record.name for record in new} & before == set()
    assert refused(world, lambda store: store.admin.dkim_rotate("example.test")) is AlreadyExists

    def signing():
        keys = world.stack.administer(lambda store: store.queue.signing_keys("example.test"), Role.SMTP_OUT)
        return {f"{key.selector}._domainkey.example.test" for key in keys}

    assert signing() == before
    retired = world.stack.administer(lambda store: store.admin.dkim_activate("example.test"))
    assert {record.name for record in retired} == before
    assert signing() == {record.name for record in new}
    assert {name for name in records(world) if "_domainkey" in name} == before | signing()
    assert refused(world, lambda store: store.admin.dkim_activate("example.test")) is NotFound
    assert world.stack.administer(lambda store: store.queue.signing_keys("nobody.test"), Role.SMTP_OUT) == ()
