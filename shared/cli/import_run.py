"""What all imports have in common: look at everything, file what is missing, tell what became of it.

An import changes nothing that is here, and may be repeated at any time: the last time when the old server has stopped.
"""

import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import attrs
import trio

from shared.cli.account import check_address
from shared.cli.environment import python_path
from shared.cli.invocation import EXIT_FAILED, EXIT_OK, CommandFailed, Invocation
from shared.cli.moving_progress import ProgressBar, time_text
from shared.cli.output import print_json, print_table, printable, size_text
from shared.cli.store_access import StoreClient, ask
from shared.errors import InvalidMailboxName, LimitExceeded, OverQuota
from shared.moving.account import Account
from shared.moving.arrive import Arrival, Outcome, Reader, Survey
from shared.moving.workers import SourceFailed, Workers

SHOWN_PROBLEMS: Final = 20


@attrs.define
class Report:
    """What an import did, or would do."""

    address: str
    dry_run: bool
    outcomes: list[Outcome] = attrs.field(factory=list)
    problems: list[str] = attrs.field(factory=list)
    """What was left out."""
    notes: list[str] = attrs.field(factory=list)
    subscribed: int = 0
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether something was left out."""
        return bool(self.problems) or any(outcome.left_out for outcome in self.outcomes)


def as_json(report: Report) -> dict[str, Any]:
    """Stable fields."""
    problems = [*report.problems, *(problem for outcome in report.outcomes for problem in outcome.problems)]
    return {
        "address": report.address,
        "dry_run": report.dry_run,
        "mailboxes": [
            {
                "name": each.name, "messages": each.messages, "filed": each.filed, "octets": each.octets, "same": each.same,
                "flags": each.flags, "deleted": each.deleted, "renewed": each.renewed, "keeps_uids": each.keeps_uids,
                "left_out": each.left_out,
            }
            for each in report.outcomes
        ],
        "subscribed": report.subscribed,
        "problems": problems,
        "notes": report.notes,
        "seconds": round(report.seconds, 3),
    }  # fmt: skip


def print_report(report: Report) -> None:
    """A table, and what was left out."""
    rows = [
        (
            each.name, each.messages, each.filed, each.same, each.flags, each.deleted, each.left_out,
            f"{each.renewed} new" if each.renewed else "kept" if each.keeps_uids else "own",
        )
        for each in report.outcomes
    ]  # fmt: skip
    print_table(("MAILBOX", "MESSAGES", "TO FILE" if report.dry_run else "FILED", "HERE", "FLAGS", "DELETED", "LEFT OUT", "UIDS"), rows)
    filed = sum(each.filed for each in report.outcomes)
    octets = sum(each.octets for each in report.outcomes)
    if report.dry_run:
        print(f"{filed} messages would be filed, about {size_text(octets)}; nothing was done")
    else:
        print(f"{filed} messages filed, {size_text(octets)}, in {time_text(report.seconds)}")
    for note in report.notes[:SHOWN_PROBLEMS]:
        print(printable(note))
    problems = as_json(report)["problems"]
    for problem in problems[:SHOWN_PROBLEMS]:
        print(f"pillarbox: {printable(problem)}", file=sys.stderr)
    if len(problems) > SHOWN_PROBLEMS:
        print(f"pillarbox: and {len(problems) - SHOWN_PROBLEMS} more (--json tells all)", file=sys.stderr)


Surveyor = Callable[[Account, Report], Awaitable[list[tuple[Survey, Outcome]]]]


async def _nothing_more(_: Account, __: Survey, ___: Outcome) -> None:
    """A mailbox that is through needs nothing."""


@attrs.frozen
class Course:
    """How an import of a kind goes."""

    look: Surveyor
    reader: Callable[[trio.Nursery, Workers], Reader] = lambda _, workers: workers
    """Reads what is missing."""
    finish: Callable[[Account, Survey, Outcome], Awaitable[None]] = _nothing_more
    """After a mailbox is through."""
    names: Callable[[], Sequence[str]] = tuple
    """What is to be subscribed, known after ``look``."""


def run_import(invocation: Invocation, course: Course) -> int:
    """Look at everything, then file what is missing, then subscribe."""
    address = check_address(invocation.options.address)
    report = Report(address, invocation.options.dry_run)

    async def session(store: StoreClient) -> str:
        begun = time.monotonic()
        account = await Account.enter(store, address)
        try:
            surveyed = await course.look(account, report)
            report.outcomes = [outcome for _, outcome in surveyed]
            if report.dry_run:
                _foretell(surveyed)
            else:
                if not invocation.options.no_quota:
                    await check_room(store, address, [each for each, _ in surveyed])
                await _arrive(invocation, account, surveyed, course, report)
                report.subscribed = await _subscribe(account, course.names(), report)
        except (OverQuota, _Refused) as error:
            detail = error.detail if isinstance(error, OverQuota) else str(error)
            return f"over the account's limit ({detail}): set another one (pillarbox quota set), or use --no-quota"
        except SourceFailed as error:
            return f"{error}; import again to go on" if report.outcomes else str(error)
        finally:
            report.seconds = time.monotonic() - begun
        return ""

    failure = ask(invocation, session, f"account {address}")
    if invocation.json:
        print_json({**as_json(report), "failure": failure})
    elif report.outcomes:
        print_report(report)
    if failure:
        raise CommandFailed(failure)
    return EXIT_FAILED if report.failed else EXIT_OK


class _Refused(Exception):
    """There is no room for all of it."""


async def check_room(store: StoreClient, address: str, surveyed: Sequence[Survey]) -> None:
    """Raises _Refused before anything is filed."""
    quota = await store.admin.quota_show(address)
    messages = quota.messages + sum(len(each.plan.wanted) for each in surveyed)
    octets = quota.octets + sum(each.octets for each in surveyed)
    if quota.most_messages is not None and messages > max(quota.most_messages, quota.messages):
        raise _Refused(f"{messages} messages of {quota.most_messages}")
    if quota.most_octets is not None and octets > max(quota.most_octets, quota.octets):
        raise _Refused(f"{size_text(octets)} of {size_text(quota.most_octets)}")


def _foretell(surveyed: Sequence[tuple[Survey, Outcome]]) -> None:
    for each, outcome in surveyed:
        plan = each.plan
        outcome.filed, outcome.octets = len(plan.wanted), each.octets
        outcome.renewed, outcome.same, outcome.deleted = len(plan.renewed), plan.same, plan.deleted
        outcome.flags = sum(map(len, plan.flags.values()))


async def _arrive(
    invocation: Invocation, account: Account, surveyed: Sequence[tuple[Survey, Outcome]], course: Course, report: Report
) -> None:
    wanted = sum(len(each.plan.wanted) for each, _ in surveyed)
    bar = ProgressBar(wanted, sum(each.octets for each, _ in surveyed), quiet=invocation.json)
    environment = {**invocation.environ, "PYTHONPATH": python_path(invocation.environ)}
    failure: Exception | None = None
    try:
        async with trio.open_nursery() as nursery:
            workers = Workers(nursery, os.cpu_count() or 1, environment)
            arrival = Arrival(account, course.reader(nursery, workers), bar, over_quota=invocation.options.no_quota)
            # an error is kept and raised below, so that it does not travel in exception groups
            try:
                for each, outcome in surveyed:
                    if await _arrive_one(arrival, each, outcome, report):
                        await course.finish(account, each, outcome)
            except Exception as error:
                failure = error
            nursery.cancel_scope.cancel()
    finally:
        bar.end()
    if failure is not None:
        raise failure


async def _arrive_one(arrival: Arrival, each: Survey, outcome: Outcome, report: Report) -> bool:
    """Whether it is through."""
    try:
        await arrival.run(each, outcome)
    except (InvalidMailboxName, LimitExceeded) as error:
        report.problems.append(f"mailbox {each.name} is left out: {error.detail or error.code}")
        return False
    return True


async def _subscribe(account: Account, names: Sequence[str], report: Report) -> int:
    """Names that are not subscribed yet; how many."""
    known = set(await account.subscriptions()) if names else set()
    count = 0
    for name in names:
        if name not in known:
            try:
                await account.subscribe(name)
                count += 1
            except (InvalidMailboxName, LimitExceeded) as error:
                report.problems.append(f"{name} is not subscribed: {error.detail or error.code}")
    return count
