"""Runs an evaluation that asks the DNS (see `shared.mailauth.lookups`) against a resolver."""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol, TypeVar

from shared.dns.answers import DnsAnswer, DnsFailure
from shared.dns.resolver import Resolver

T = TypeVar("T")


class Asked(Protocol):
    """A question: a name and a type."""

    @property
    def name(self) -> str: ...
    @property
    def rdtype(self) -> str: ...


async def ask(resolver: Resolver, name: str, rdtype: str) -> DnsAnswer | DnsFailure:
    """An answer, or the failure as a value."""
    try:
        return await resolver.resolve(name, rdtype)
    except DnsFailure as failure:
        return failure


async def look_up(evaluation: Generator[Asked, DnsAnswer | DnsFailure, T], resolver: Resolver) -> T:
    """Run an evaluation to its end. Never raises DnsFailure: failures are sent in."""
    try:
        question = next(evaluation)
        while True:
            question = evaluation.send(await ask(resolver, question.name, question.rdtype))
    except StopIteration as end:
        result: T = end.value
        return result
