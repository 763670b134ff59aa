"""The checks at the door, as the settings want them, in the order of the chain: what is cheap and certain first."""

from __future__ import annotations

import time
from pathlib import Path

from services.smtp_in.front import Counters
from services.smtp_in.policy.chain import Policy
from services.smtp_in.policy.dns_lists import DnsLists
from services.smtp_in.policy.early import EarlyTalkers
from services.smtp_in.policy.greylist import Correspondents, Greylist, GreylistRule
from services.smtp_in.policy.pauses import Pauses
from services.smtp_in.policy.rates import RateLimits, Rates
from services.smtp_in.policy.strangers import Strangers
from services.smtp_in.policy.tarpit import Tarpit, TarpitLimits
from shared.config.dns_list import parse_dns_list
from shared.config.load import server_hostname
from shared.config.schema import Settings
from shared.dns.resolver import Resolver
from shared.net.hidden import ClientsWatch
from shared.net.networks import NetworkSet
from shared.observe.log import Logger

_DAY_SECONDS = 86_400.0


def strangers_of(settings: Settings, clients: ClientsWatch) -> Strangers:
    """Everybody but the trusted networks, those without limits, and what stands in front of us."""
    known = (
        clients.trusted(settings.authenticity.unchecked_networks),
        NetworkSet(settings.limits.exempt_networks),
        clients.trusted(settings.smtp_in.xclient_networks),
        NetworkSet(settings.server.proxy_networks),
    )
    return Strangers(known, clients.hides)


def greylist_of(
    settings: Settings, strangers: Strangers, resolver: Resolver, counters: Counters, spool: Path, log: Logger
) -> tuple[Policy | None, tuple[Policy, ...]]:
    """Greylisting where it is wanted, its book in `spool`: what puts recipients off, and what stands in the chain. Raises OSError."""
    own = settings.smtp_in
    if not own.greylist:
        return None, ()
    from services.smtp_in.policy.greylist_book import GreylistBook  # SQLite is 2 MB that the others need not have

    book = GreylistBook(spool / own.greylist_file)
    greylist = Greylist(
        GreylistRule(own.greylist_seconds, own.greylist_days * _DAY_SECONDS),
        book,
        strangers,
        resolver,
        server_hostname(settings),
        settings.authenticity.seconds,
        counters.turned_away,
        time.time,
        log,
    )
    return greylist, (Correspondents(book, time.time, log),)


def policies_at_the_door(
    settings: Settings,
    recipients: Policy,
    strangers: Strangers,
    resolver: Resolver,
    pauses: Pauses,
    counters: Counters,
    log: Logger,
) -> tuple[Policy, ...]:
    """`recipients`, the policy that knows them, with the checks before and around it."""
    own, count = settings.smtp_in, counters.turned_away
    rates = RateLimits(
        own.connections_per_minute,
        own.network_connections_per_minute,
        own.messages_per_minute,
        own.recipients_per_hour,
    )
    tarpit = TarpitLimits(own.tarpit_seconds, own.tarpit_after, own.tarpitted)
    lists = DnsLists(
        tuple(map(parse_dns_list, own.dns_blocklists)),
        tuple(map(parse_dns_list, own.dns_allowlists)),
        resolver,
        own.dns_lists_seconds,
        strangers,
        count,
        counters.dns_lists,
        log,
    )
    return (
        Rates(rates, strangers, count, time.monotonic),
        EarlyTalkers(own.banner_delay_seconds, strangers, lists, pauses, count, time.monotonic),
        lists,
        Tarpit(recipients, tarpit, strangers, pauses, count, time.monotonic),
    )
