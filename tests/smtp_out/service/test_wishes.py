"""REQUIRETLS, TLS-Required and DELIVERBY as a whole: the real process, real DNS, HTTPS and SMTP with certificates of a test authority."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from shared.contract.types import LocalRecipient, RemoteRecipient
from shared.contract.wishes_types import ByMode, TlsWish, Wishes
from shared.model.ids import AccountId
from shared.model.notify import Notify
from shared.testing.certificates import Authority
from shared.testing.https_peer import HttpsPeer, http_answer
from shared.testing.outbound import ALICE, OutboundWorld
from shared.testing.smtp_peer import ReceivedMail, Say, SmtpPeer

MAIL = b"Subject: x\r\n\r\nsecret body\r\n"
EXTENSIONS = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES")
SAFE = (*EXTENSIONS, "REQUIRETLS")
REQUIRED, OPTIONAL = Wishes(TlsWish.REQUIRED), Wishes(TlsWish.OPTIONAL)


class World:
    """The outbound world with a web server for policies."""

    def __init__(self, outbound: OutboundWorld, https: HttpsPeer, authority: Authority) -> None:
        self.outbound = outbound
        self.https = https
        self.authority = authority

    @contextmanager
    def peer(self, domain: str, *, promised: bool = True, name: str = "", script: Any = None, **fields: Any) -> Iterator[SmtpPeer]:
        """A peer with a certificate for `name`, its own by default."""
        fields = {"extensions": SAFE, "tls": self.authority.server_context(name or f"mx.{domain}"), **fields}
        with self.outbound.peer(domain, script, **fields) as peer:
            if promised:
                self.promise(domain)
            yield peer

    def promise(self, domain: str) -> None:
        """The domain publishes an MTA-STS policy; its MX host is mx.<domain>."""
        host = f"mta-sts.{domain}"
        self.https.add(host, self.authority.server_context(host))
        self.https.answer(http_answer(f"version: STSv1\nmode: enforce\nmx: mx.{domain}\nmax_age: 86400\n".encode()), host)
        self.outbound.dns.set(host, {"A": ["127.0.0.1"]})
        self.outbound.dns.set(f"_mta-sts.{domain}", {"TXT": ['"v=STSv1; id=1"']})

    def taken(self, peer: SmtpPeer, count: int = 1) -> list[ReceivedMail]:
        """What the peer took, once all that was queued is done: a peer that goes before the answer is read gets its mail again."""
        peer.wait_messages(count)
        self.outbound.wait_queue_empty()
        return peer.wait_messages(count)

    def bounce_of(self, recipient: str) -> bytes:
        """The report on a recipient, once it is there."""
        marker = f"Final-Recipient: rfc822;{recipient}\r\n".encode()
        found: list[bytes] = []

        def look() -> bool:
            found[:] = [message for message in self.outbound.inbox() if marker in message]
            return bool(found)

        self.outbound.wait(look, f"no report on {recipient}")
        return found[0]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("wishes")
    authority = Authority(folder / "authority")
    with HttpsPeer(authority.server_context("somebody.test")) as https:
        settings = {
            "PILLARBOX_SMTP_OUT__CA_FILE": str(authority.ca_file),
            "PILLARBOX_SMTP_OUT__MTA_STS_PORT": str(https.port),
            "PILLARBOX_SMTP_OUT__MTA_STS_SECONDS": "2",
            "PILLARBOX_SMTP_OUT__LAST_RETRY_SECONDS": "0.3",
        }
        with OutboundWorld(folder, settings) as outbound:
            yield World(outbound, https, authority)


# --- REQUIRETLS ---


def test_it_goes_to_a_hop_that_is_good_enough_and_says_so(world: World) -> None:
    with world.peer("good.test") as peer:
        world.outbound.submit(ALICE, ["bob@good.test"], MAIL, wishes=REQUIRED)
        (mail,) = world.taken(peer, 1)
        assert mail.tls
        assert "REQUIRETLS" in mail.mail_parameters
        world.outbound.submit(ALICE, ["eve@good.test"], MAIL)
        (_, other) = world.taken(peer, 2)
        assert "REQUIRETLS" not in other.mail_parameters
        # what is secured in another way shares no session
        assert other.connection != mail.connection
    world.outbound.wait_queue_empty()


def test_without_an_mx_record_the_name_is_the_recipients_own(world: World) -> None:
    address = world.outbound.new_address()
    context = world.authority.server_context("direct.test")
    with SmtpPeer(host=address, port=world.outbound.port, tls=context, extensions=SAFE) as peer:
        world.outbound.dns.set("direct.test", {"A": [address]})
        world.outbound.submit(ALICE, ["bob@direct.test"], MAIL, wishes=REQUIRED)
        (mail,) = world.taken(peer, 1)
        assert "REQUIRETLS" in mail.mail_parameters


LACKS: dict[str, tuple[dict[str, Any], str]] = {
    "support": ({"extensions": EXTENSIONS}, "5.7.30"),
    "starttls": ({"tls": None}, "5.7.10"),
    "certificate": ({"name": "mx.other.test"}, "5.7.10"),
    "policy": ({"promised": False}, "5.7.10"),
}


@pytest.mark.parametrize("lack", LACKS)
def test_it_goes_back_where_the_hop_is_not(world: World, lack: str) -> None:
    fields, enhanced = LACKS[lack]
    domain = f"lacks-{lack}.test"
    with world.peer(domain, **fields) as peer:
        world.outbound.submit(ALICE, [f"bob@{domain}"], MAIL, wishes=REQUIRED, ret="FULL")
        report = world.bounce_of(f"bob@{domain}")
        assert f"\r\nStatus: {enhanced}\r\n".encode() in report
        # RFC 8689 §5
        assert b"secret body" not in report
        assert not any(line.startswith("MAIL") for line in peer.commands)


def test_another_host_may_be_good_enough(world: World) -> None:
    addresses = [world.outbound.new_address() for _ in range(2)]
    port, authority = world.outbound.port, world.authority
    with (
        SmtpPeer(host=addresses[0], port=port, tls=authority.server_context("a.two.test"), extensions=EXTENSIONS) as first,
        SmtpPeer(host=addresses[1], port=port, tls=authority.server_context("mx.two.test"), extensions=SAFE) as second,
    ):
        world.promise("two.test")
        policy = b"version: STSv1\nmode: enforce\nmx: *.two.test\nmax_age: 86400\n"
        world.https.answer(http_answer(policy), "mta-sts.two.test")
        world.outbound.dns.set("a.two.test", {"A": [addresses[0]]})
        world.outbound.dns.set("mx.two.test", {"A": [addresses[1]]})
        world.outbound.dns.set("two.test", {"MX": ["5 a.two.test.", "10 mx.two.test."]})
        world.outbound.submit(ALICE, ["bob@two.test"], MAIL, wishes=REQUIRED)
        world.taken(second, 1)
        assert "QUIT" in first.commands
        assert not first.messages


def test_a_host_that_does_not_answer_is_no_reason_to_give_up(world: World) -> None:
    with world.peer("down.test", script={"CONNECT": [Say("421 4.3.2 later", then_close=True)]}) as peer:
        world.outbound.submit(ALICE, ["bob@down.test"], MAIL, wishes=REQUIRED)
        world.taken(peer, 1)


def test_a_bounce_is_not_lost_for_want_of_it(world: World) -> None:
    with world.peer("plain.test", promised=False, extensions=EXTENSIONS) as peer:
        world.outbound.submit("", ["joe@plain.test"], MAIL, wishes=REQUIRED)
        (mail,) = world.taken(peer, 1)
        assert "REQUIRETLS" not in mail.mail_parameters
    with world.peer("careful.test") as peer:
        world.outbound.submit("", ["joe@careful.test"], MAIL, wishes=REQUIRED)
        (mail,) = world.taken(peer, 1)
        assert "REQUIRETLS" in mail.mail_parameters


def test_it_is_not_asked_for_where_the_server_may_be_another(world: World) -> None:
    address = world.outbound.new_address()
    context = world.authority.server_context("mx.other.test")
    with SmtpPeer(host=address, port=world.outbound.port, tls=context, extensions=SAFE) as peer:
        world.outbound.dns.set("doubtful.test", {"A": [address]})
        world.outbound.submit("", ["joe@doubtful.test"], MAIL, wishes=REQUIRED)
        (mail,) = world.taken(peer, 1)
        assert (mail.tls, "REQUIRETLS" in mail.mail_parameters) == (True, False)


def test_a_report_to_a_sender_elsewhere_asks_for_it_too(world: World) -> None:
    with world.peer("far.test") as back, world.peer("full.test", script={"RCPT": Say("550 5.1.1 no")}):
        world.outbound.submit("joe@far.test", ["bob@full.test"], MAIL, wishes=REQUIRED)
        (report,) = world.taken(back, 1)
        assert (report.sender, "REQUIRETLS" in report.mail_parameters) == ("", True)


# --- TLS-Required: No ---


@pytest.mark.parametrize("fault", ["starttls", "certificate", "host"])
def test_no_promise_stops_what_need_not_be_protected(world: World, fault: str) -> None:
    domain = f"lax-{fault}.test"
    with world.peer(domain, tls=None if fault == "starttls" else world.authority.server_context("mx.other.test")) as peer:
        if fault == "host":
            policy = b"version: STSv1\nmode: enforce\nmx: mx.other.test\nmax_age: 86400\n"
            world.https.answer(http_answer(policy), f"mta-sts.{domain}")
        (waits,) = world.outbound.submit(ALICE, [f"eve@{domain}"], MAIL)
        world.outbound.wait(lambda: world.outbound.show(waits).attempts >= 1, "no attempt")
        world.outbound.submit(ALICE, [f"bob@{domain}"], MAIL, wishes=OPTIONAL)
        (mail,) = peer.wait_messages(1)
        assert mail.recipients == (f"bob@{domain}",)
        assert mail.tls is (fault != "starttls")
        world.outbound.smtp_out.wait_for_log(f"delivered.*bob@{domain}.*TLS-Required: No")
        world.outbound.stack.administer(lambda store: store.admin.queue_remove((waits,)))


# --- DELIVERBY ---


def test_the_time_that_is_left_goes_along(world: World) -> None:
    wishes = Wishes(deliver_by=time.time() + 300, by_mode=ByMode.RETURN, by_trace=True)
    with world.peer("by.test", extensions=(*EXTENSIONS, "DELIVERBY 60")) as peer:
        world.outbound.submit(ALICE, ["bob@by.test"], MAIL, wishes=wishes)
        (mail,) = world.taken(peer, 1)
        (by,) = [parameter for parameter in mail.mail_parameters if parameter.startswith("BY=")]
        seconds, _, mode = by[3:].partition(";")
        assert (290 <= int(seconds) <= 300, mode) == (True, "RT")
        # T: each hop tells
        assert b"\r\nAction: relayed\r\n" in world.bounce_of("bob@by.test")


def test_a_server_that_knows_nothing_of_it_takes_it_and_the_sender_is_told(world: World) -> None:
    with world.peer("unaware.test", extensions=EXTENSIONS) as peer:
        wishes = Wishes(deliver_by=time.time() + 300, by_mode=ByMode.NOTIFY)
        world.outbound.submit(ALICE, ["bob@unaware.test"], MAIL, wishes=wishes)
        (mail,) = world.taken(peer, 1)
        assert not any(parameter.startswith("BY") for parameter in mail.mail_parameters)
        report = world.bounce_of("bob@unaware.test")
        assert b"\r\nAction: relayed\r\n" in report
        assert b"\r\nDeliver-By-Date: " in report


def test_late_it_goes_back_at_that_time(world: World) -> None:
    by = time.time() + 1.5
    with world.peer("late.test", script={"RCPT": Say("450 4.2.1 later")}):
        world.outbound.submit(ALICE, ["bob@late.test"], MAIL, wishes=Wishes(deliver_by=by, by_mode=ByMode.RETURN))
        report = world.bounce_of("bob@late.test")
        assert time.time() >= by
        assert b"\r\nStatus: 5.4.7\r\n" in report
        assert b"\r\nAction: failed\r\n" in report


def test_a_server_that_needs_longer_gets_nothing(world: World) -> None:
    wishes = Wishes(deliver_by=time.time() + 100, by_mode=ByMode.RETURN)
    with world.peer("slow.test", extensions=(*EXTENSIONS, "DELIVERBY 3600")) as peer:
        world.outbound.submit(ALICE, ["bob@slow.test"], MAIL, wishes=wishes)
        assert b"\r\nStatus: 5.4.7\r\n" in world.bounce_of("bob@slow.test")
        assert not any(line.startswith("MAIL") for line in peer.commands)


def test_late_its_sender_is_told_once_and_it_goes_on(world: World) -> None:
    by = time.time() + 1.5
    with world.peer("tell.test", script={"RCPT": Say("450 4.2.1 later")}) as peer:
        world.outbound.submit(ALICE, ["bob@tell.test"], MAIL, wishes=Wishes(deliver_by=by, by_mode=ByMode.NOTIFY))
        report = world.bounce_of("bob@tell.test")
        assert time.time() >= by
        assert b"\r\nAction: delayed\r\n" in report
        peer.script({})
        world.taken(peer, 1)
    world.outbound.wait_queue_empty()


# --- what was held ---


def test_what_is_filed_here_is_confirmed_then_and_what_cannot_be_goes_back(world: World) -> None:
    for address in ("carol@example.test", "gone@example.test"):
        world.outbound.stack.add_account(address)

    async def submit(store: Any) -> None:
        accounts = {info.address: info.account_id for info in await store.admin.account_list("")}
        held.update(accounts)

    held: dict[str, AccountId] = {}
    world.outbound.stack.administer(submit)
    until = time.time() + 1
    for address in ("carol@example.test", "gone@example.test"):
        world.outbound.submit_local(
            ALICE, [LocalRecipient(held[address], address, notify=int(Notify.SUCCESS | Notify.FAILURE))], MAIL,
            wishes=Wishes(held_until=until), ret="HDRS",
        )  # fmt: skip
    world.outbound.stack.administer(lambda store: store.admin.account_remove("gone@example.test"))
    assert b"\r\nAction: delivered\r\n" in world.bounce_of("carol@example.test")
    assert time.time() >= until
    assert b"\r\nStatus: 5.1.1\r\n" in world.bounce_of("gone@example.test")
    assert len(world.outbound.inbox("carol@example.test")) == 1
    world.outbound.wait_queue_empty()


def test_mail_for_later_leaves_then(world: World) -> None:
    until = time.time() + 1.5
    with world.peer("later.test") as peer:
        world.outbound.submit(ALICE, [RemoteRecipient("bob@later.test")], MAIL, wishes=Wishes(held_until=until))
        world.taken(peer, 1)
        assert time.time() >= until
