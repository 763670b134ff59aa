"""How an evaluation asks the DNS without doing I/O: a generator yields questions and is sent what came back.

    evaluation = check_host(...)
    drive(evaluation, answers)          # tests: from a table
    await look_up(evaluation, resolver) # a service: shared.dns.drive

A failure is sent in like an answer: what it means (temperror, or nothing) is the evaluation's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

import attrs

from shared.dns.answers import DnsAnswer, DnsFailure

T = TypeVar("T")


@attrs.frozen
class Question:
    """One name and type, for example ``Question("example.org", "TXT")``."""

    name: str
    rdtype: str


Reply = DnsAnswer | DnsFailure
Evaluation = Generator[Question, Reply, T]


def drive(evaluation: Evaluation[T], answer: Callable[[Question], Reply]) -> T:
    """Run an evaluation to its end with answers that are at hand."""
    try:
        question = next(evaluation)
        while True:
            question = evaluation.send(answer(question))
    except StopIteration as end:
        result: T = end.value
        return result
