"""The checks at the door, without a network: clocks of the test's own, and trio's that jumps."""

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing
from attrs import define, field

from services.smtp_in.policy.chain import Policy
from services.smtp_in.policy.dns_lists import DnsLists
from services.smtp_in.policy.early import EarlyTalkers
from services.smtp_in.policy.pauses import Pauses
from services.smtp_in.policy.rates import RateLimits, Rates
from services.smtp_in.policy.strangers import Strangers, network_key
from services.smtp_in.policy.tarpit import Tarpit, TarpitLimits
from services.smtp_in.protocol import replies
from services.smtp_in.protocol.commands import Mail
from services.smtp_in.protocol.grammar import Mailbox
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.transaction import Account, Client, Transaction
from shared.config.dns_list import DnsList
from shared.dns.resolver import Limits, Resolver
from shared.model.ids import AccountId, Grant
from shared.net.networks import NetworkSet
from shared.observe.log import Logger
from shared.observe.metrics import Metrics
from shared.testing.dns_server import DnsServer, Node, Trouble

HIDING = "10.9.9.1"
STRANGERS = Strangers((NetworkSet(("10.0.0.0/24",)),), lambda ip: ip == HIDING)
SOMEBODY = Mailbox("somebody", "example.test")


@define
class World:
    """Time, and what was counted."""

    now: float = 0.0
    counted: list[str] = field(factory=list)

    def clock(self) -> float:
        return self.now


def client(ip: str = "192.0.2.1", wait_spoken: Callable[[], Awaitable[bool]] | None = None) -> Client:
    return Client(ip, submission=False, wait_spoken=wait_spoken)


def mail(one: Client) -> Transaction:
    return Transaction("t", one, Mail(Mailbox("a", "b.test")))


def virtual(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Runs under trio with a clock that jumps to the next deadline when all wait."""

    def run() -> None:
        trio.run(test, clock=trio.testing.MockClock(autojump_threshold=0.01))

    run.__name__ = run.__qualname__ = getattr(test, "__name__", "run")
    run.__doc__ = test.__doc__
    return run


def lists(block: tuple[DnsList, ...] = (), allow: tuple[DnsList, ...] = (), dns: str = "127.0.0.1:9") -> DnsLists:
    host, _, port = dns.partition(":")
    resolver = Resolver([(host, int(port))], Limits(timeout_seconds=0.3, lifetime_seconds=0.3))
    answers = Metrics().counter("answers", "x", ("list", "answer"))
    log = Logger("test", write=lambda line: None)
    return DnsLists(block, allow, resolver, 1.0, STRANGERS, lambda why: None, answers, log)


# --- whom it concerns ---


def test_who_is_a_stranger() -> None:
    assert client() in STRANGERS
    assert client("2001:db8::1") in STRANGERS
    assert client("10.0.0.7") not in STRANGERS
    account = Account(AccountId(1), "a@b.test", Grant(b""))
    assert Client("192.0.2.1", submission=False, account=account) not in STRANGERS
    assert Client("192.0.2.1", submission=True) not in STRANGERS
    assert Client("", submission=False, lmtp=True) not in STRANGERS


def test_keys() -> None:
    assert STRANGERS.key(client("192.0.2.1")) != STRANGERS.key(client("192.0.2.2"))
    assert STRANGERS.key(client("2001:db8::1")) == STRANGERS.key(client("2001:db8::ffff"))
    assert STRANGERS.key(client("10.0.0.7")) is None
    assert client(HIDING) in STRANGERS
    assert STRANGERS.key(client(HIDING)) is None
    assert network_key("192.0.2.1") == network_key("192.0.2.200") != network_key("192.0.3.1")
    assert network_key("2001:db8:1:2::1") == network_key("2001:db8:1:3::1") != network_key("2001:db8:2::1")


# --- rates ---


@virtual
async def test_rates() -> None:
    world = World()
    limits = RateLimits(2, 3, 2, 2)
    rates = Rates(limits, STRANGERS, world.counted.append, world.clock)
    one, neighbour, other = client(), client("192.0.2.2"), client("198.51.100.1")
    said = [await rates.on_connect(who) for who in (one, one, one, neighbour, neighbour, other)]
    full = replies.CONNECTION_RATE
    assert said == [None, None, full, None, full, None]
    assert [await rates.on_mail(mail(one)) for _ in range(3)] == [None, None, replies.MESSAGE_RATE]
    assert await rates.on_mail(mail(other)) is None
    assert [await rates.on_rcpt(mail(one), SOMEBODY) for _ in range(3)] == [None, None, replies.RECIPIENT_RATE]
    assert world.counted == ["connections", "connections", "messages", "recipients"]
    world.now = 60
    assert await rates.on_connect(one) is None
    assert await rates.on_mail(mail(one)) is None
    assert await rates.on_rcpt(mail(one), SOMEBODY) is replies.RECIPIENT_RATE
    world.now = 3600
    assert await rates.on_rcpt(mail(one), SOMEBODY) is None


@virtual
async def test_rates_spare_the_known_and_the_hidden() -> None:
    world = World()
    rates = Rates(RateLimits(1, 1, 1, 1), STRANGERS, world.counted.append, world.clock)
    for ip in ("10.0.0.7", HIDING):
        for _ in range(3):
            assert await rates.on_connect(client(ip)) is None
            assert await rates.on_mail(mail(client(ip))) is None
            assert await rates.on_rcpt(mail(client(ip)), SOMEBODY) is None


# --- early talkers ---


async def says_at_once() -> bool:
    return True


async def is_gone() -> bool:
    return False


async def speaks_after_a_second() -> bool:
    await trio.sleep(1)
    return True


def early(world: World, seconds: float, pauses: Pauses | None = None, dns: DnsLists | None = None) -> EarlyTalkers:
    return EarlyTalkers(seconds, STRANGERS, dns or lists(), pauses or Pauses(), world.counted.append, world.clock)


@virtual
async def test_who_speaks_too_early() -> None:
    world = World()
    check = early(world, 2.0)
    assert await check.on_connect(client(wait_spoken=says_at_once)) is replies.SPOKE_TOO_EARLY
    assert await check.on_connect(client(wait_spoken=speaks_after_a_second)) is replies.SPOKE_TOO_EARLY
    assert world.counted == ["early", "early"]
    assert trio.current_time() == pytest.approx(1.0)
    # who has gone is not refused, and has not been patient either
    assert await check.on_connect(client(wait_spoken=is_gone)) is None
    assert await check.on_connect(client(wait_spoken=says_at_once)) is replies.SPOKE_TOO_EARLY


@virtual
async def test_patience_is_asked_for_once_a_day() -> None:
    world = World()
    check = early(world, 2.0)
    for _ in range(2):
        assert await check.on_connect(client(wait_spoken=trio.sleep_forever)) is None
    assert trio.current_time() == pytest.approx(2.0)
    # of another client, and of this one a day later; behind a hidden address, of everybody
    assert await check.on_connect(client("192.0.2.2", trio.sleep_forever)) is None
    world.now = 86_400.0
    assert await check.on_connect(client(wait_spoken=trio.sleep_forever)) is None
    for _ in range(2):
        assert await check.on_connect(client(HIDING, trio.sleep_forever)) is None
    assert trio.current_time() == pytest.approx(10.0)


@virtual
async def test_who_never_waits_for_the_greeting() -> None:
    world = World()
    assert await early(world, 0).on_connect(client(wait_spoken=says_at_once)) is None
    assert await early(world, 2.0).on_connect(client("10.0.0.7", says_at_once)) is None
    assert await early(world, 2.0).on_connect(client()) is None  # announced by XCLIENT
    assert trio.current_time() == 0


@virtual
async def test_the_end_of_the_service_ends_the_wait_and_proves_nobody_patient() -> None:
    world, pauses = World(), Pauses()
    check = early(world, 30.0, pauses)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(check.on_connect, client(wait_spoken=trio.sleep_forever))
        await trio.testing.wait_all_tasks_blocked()
        assert pauses.waiting == 1
        pauses.end()
    assert trio.current_time() == 0
    assert pauses.waiting == 0
    assert STRANGERS.key(client()) not in check._patient


# --- the tarpit ---


class Unknown(Policy):
    """Knows nobody, or says what it is told to."""

    def __init__(self, says: Reply = replies.USER_UNKNOWN) -> None:
        self.says = says

    async def on_rcpt(self, transaction: Transaction, recipient: Mailbox) -> Reply | None:
        return self.says


@virtual
async def test_mistakes_beyond_a_few_are_answered_late() -> None:
    world = World()
    tarpit = Tarpit(Unknown(), TarpitLimits(5.0, 2, 10), STRANGERS, Pauses(), world.counted.append, world.clock)
    waits = []
    for _ in range(4):
        before = trio.current_time()
        assert await tarpit.on_rcpt(mail(client()), SOMEBODY) is replies.USER_UNKNOWN
        waits.append(trio.current_time() - before)
    assert waits == pytest.approx([0, 0, 5, 5])
    assert world.counted == ["tarpitted", "tarpitted"]
    # another one has made no mistake yet, the known one may make as many as it likes
    for who in ("192.0.2.2", *["10.0.0.7"] * 5):
        assert await tarpit.on_rcpt(mail(client(who)), SOMEBODY) is replies.USER_UNKNOWN
    assert trio.current_time() == pytest.approx(10)


@virtual
async def test_only_unknown_recipients_are_mistakes() -> None:
    world = World()
    for says in (replies.RECIPIENT_OK, replies.MAILBOX_FULL, replies.MAILBOX_FULL_FOR_GOOD):
        limits = TarpitLimits(5.0, 0, 10)
        tarpit = Tarpit(Unknown(says), limits, STRANGERS, Pauses(), world.counted.append, world.clock)
        assert await tarpit.on_rcpt(mail(client()), SOMEBODY) is says
    assert trio.current_time() == 0


@virtual
async def test_only_so_many_are_held_and_none_at_the_end() -> None:
    world, pauses = World(), Pauses()
    tarpit = Tarpit(Unknown(), TarpitLimits(5.0, 0, 2), STRANGERS, pauses, world.counted.append, world.clock)
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(tarpit.on_rcpt, mail(client()), SOMEBODY)
        await trio.testing.wait_all_tasks_blocked()
        assert tarpit.held == 2
        assert await tarpit.on_rcpt(mail(client()), SOMEBODY) is replies.USER_UNKNOWN
        assert trio.current_time() == 0
        pauses.end()
    assert tarpit.held == 0
    assert await tarpit.on_rcpt(mail(client()), SOMEBODY) is replies.USER_UNKNOWN
    assert trio.current_time() == 0


# --- DNS lists, with the real resolver and a real server ---

ZONES: dict[str, Node] = {
    "1.2.0.192.block.test": {"A": ["127.0.0.4"]},
    "2.2.0.192.block.test": {"A": ["127.0.0.10"]},
    "2.2.0.192.allow.test": {"A": ["127.0.0.2"]},
    "3.2.0.192.block.test": {"A": ["127.255.255.254"]},
    "4.2.0.192.block.test": Trouble.SERVFAIL,
    "5.2.0.192.block.test": Trouble.DROP,
    "5.2.0.192.other.test": {"A": ["127.0.0.2"]},
    "6.2.0.192.block.test": {"A": ["127.0.0.200"]},
    "1.0.0.0." + "0." * 20 + "8.b.d.0.1.0.0.2.block.test": {"A": ["127.0.0.2"]},
}
BLOCK = (DnsList("block.test", 0x7F000002, 0x7F00000B), DnsList("other.test"))
ALLOW = (DnsList("allow.test"),)


def test_dns_lists() -> None:
    with DnsServer(ZONES) as dns:

        async def main() -> None:
            check = lists(BLOCK, ALLOW, dns.setting)

            async def said(ip: str, recipient: Mailbox = SOMEBODY) -> str:
                return str(await check.on_rcpt(mail(client(ip)), recipient) or "")

            assert await said("192.0.2.1") == (
                "550 5.7.1 Client [192.0.2.1] is listed by block.test; <postmaster> can be reached"
            )
            assert await said("192.0.2.1", Mailbox("Postmaster", "example.test")) == ""
            assert await said("192.0.2.2") == ""  # the allow list has it, too
            assert await said("192.0.2.3") == ""  # the list refuses us
            assert await said("192.0.2.4") == ""
            assert "listed by other.test" in await said("192.0.2.5")  # the silence of one list hides no other
            assert await said("192.0.2.6") == ""  # an answer that does not count
            assert await said("192.0.2.7") == ""
            assert "[2001:db8::1] is listed by block.test" in await said("2001:db8::1")
            # once per client of a connection; never about those that it does not concern
            one = client("192.0.2.1")
            asked = len(dns.queries)
            for _ in range(3):
                assert await check.on_rcpt(mail(one), SOMEBODY) is not None
            assert await said("10.0.0.7") == await said(HIDING) == ""
            assert len(dns.queries) == asked
            assert dns.count("2.2.0.192.block.test") == 0

        trio.run(main)


def test_who_is_on_an_allow_list_need_not_wait_for_the_greeting() -> None:
    with DnsServer(ZONES) as dns:

        async def main() -> None:
            world = World()
            check = early(world, 20.0, dns=lists((), ALLOW, dns.setting))
            with trio.fail_after(10):
                assert await check.on_connect(client("192.0.2.2", trio.sleep_forever)) is None
            assert await check.on_connect(client("192.0.2.1", says_at_once)) is replies.SPOKE_TOO_EARLY
            quick = early(world, 0.05, dns=lists((), ALLOW, dns.setting))
            assert await quick.on_connect(client("192.0.2.5", trio.sleep_forever)) is None

        trio.run(main)
