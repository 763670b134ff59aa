"""Dialogues of attempts, over the real socket: kept once, told with the queue and the history, forgotten in time."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.contract.history_types import MAX_DIALOGUES
from shared.contract.registry import Role
from shared.contract.types import ContentSource, Delivery, Outcome, OutcomeKind, RemoteRecipient
from shared.errors import BadRequest
from shared.model.dialogue import MAX_PACKED_OCTETS, DialogueLine, Way, pack
from shared.model.message_index import MessageIndex
from shared.rpc.store_client import StoreClient
from shared.testing import trio_test
from shared.testing.stack import Stack, open_client

INDEX = MessageIndex(8, b"", b"", b"", b"", b"")
CONTENT = b"X: y\r\n\r\n"
FIRST, SECOND = (pack([DialogueLine(0.0, Way.IN, text)]) for text in ("first", "second"))
FAR = 4e9


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("dialogues") / "data", services=()) as running:
        running.add_account(f"alice@{running.domain}")
        yield running


async def queued(smtp_in: StoreClient, trace: str, *recipients: str) -> None:
    remote = tuple(map(RemoteRecipient, recipients))
    await smtp_in.messages.deliver(Delivery(trace, "a@b.test", (), remote, ContentSource(len(CONTENT), inline=CONTENT), INDEX))


@trio_test
async def test_a_dialogue_is_kept_once_and_told_everywhere(stack: Stack) -> None:
    async with (
        open_client(stack.data_dir, Role.ADMIN) as admin,
        open_client(stack.data_dir, Role.SMTP_IN) as smtp_in,
        open_client(stack.data_dir, Role.SMTP_OUT) as smtp_out,
    ):
        await queued(smtp_in, "one", "a@o.test", "b@o.test", "c@o.test", "d@o.test")
        first, second, third, fourth = ((await smtp_out.queue.lease("w", 10, 60.0, ())).entries)
        outcomes = (
            Outcome(first.entry_id, OutcomeKind.DEFERRED, FAR, dialogue=FIRST),
            Outcome(second.entry_id, OutcomeKind.FAILED, same_dialogue=True),
            Outcome(third.entry_id, OutcomeKind.DELIVERED, dialogue=SECOND),
        )
        await smtp_out.queue.report("w", outcomes, ())
        (attempt,) = (await admin.admin.queue_show(first.entry_id)).history
        assert attempt.dialogue == FIRST
        passages = (await admin.history.find("one", 1)).passages
        numbers = [passage.dialogue for passage in passages]
        assert numbers[0] == 0
        assert numbers[1] == numbers[2] != numbers[3]
        assert await admin.history.dialogues((numbers[3], numbers[1], 999)) == (SECOND, FIRST, b"")

        # the same words of another attempt take no second place; another attempt of the same call has its own, or none
        await queued(smtp_in, "two", "a@o.test")
        (plain,) = (await smtp_out.queue.lease("w", 10, 60.0, ())).entries
        outcomes = (
            Outcome(fourth.entry_id, OutcomeKind.FAILED, dialogue=FIRST),
            Outcome(plain.entry_id, OutcomeKind.DEFERRED, FAR),
        )
        await smtp_out.queue.report("w", outcomes, ())
        assert (await admin.history.find("one", 1)).passages[-1].dialogue == numbers[1]
        assert (await admin.admin.queue_show(plain.entry_id)).history[0].dialogue == b""
        assert (await admin.history.find("two", 1)).passages[-1].dialogue == 0

        with pytest.raises(BadRequest):
            await smtp_out.queue.report("w", (Outcome(plain.entry_id, OutcomeKind.FAILED, dialogue=b"x" * (MAX_PACKED_OCTETS + 1)),), ())
        with pytest.raises(BadRequest):
            await admin.history.dialogues(tuple(range(MAX_DIALOGUES + 1)))


@trio_test
async def test_a_dialogue_goes_with_an_outcome_that_counts(stack: Stack) -> None:
    """The first outcome, which brings it, may be of an entry that is gone."""
    async with (
        open_client(stack.data_dir, Role.ADMIN) as admin,
        open_client(stack.data_dir, Role.SMTP_IN) as smtp_in,
        open_client(stack.data_dir, Role.SMTP_OUT) as smtp_out,
    ):
        await queued(smtp_in, "gone", "a@p.test", "b@p.test")
        first, second = (await smtp_out.queue.lease("w", 10, 60.0, ())).entries
        await admin.admin.queue_remove((first.entry_id,))
        third = pack([DialogueLine(0.0, Way.IN, "third")])
        outcomes = (
            Outcome(first.entry_id, OutcomeKind.FAILED, dialogue=third),
            Outcome(second.entry_id, OutcomeKind.FAILED, same_dialogue=True),
        )
        await smtp_out.queue.report("w", outcomes, ())
        last = (await admin.history.find("gone", 1)).passages[-1]
        assert last.recipients == ("b@p.test",)
        assert await admin.history.dialogues((last.dialogue,)) == (third,)


@pytest.mark.parametrize("setting", ["HISTORY_DAYS", "HISTORY_DIALOGUES"])
def test_dialogues_go_in_time(tmp_path: Path, setting: str) -> None:
    settings = {"PILLARBOX_STORE__HOUSEKEEPING_SECONDS": "0.1", f"PILLARBOX_STORE__{setting}": "0"}
    with Stack(tmp_path / "data", services=(), settings=settings) as stack:

        @trio_test
        async def look() -> None:
            async with (
                open_client(stack.data_dir, Role.ADMIN) as admin,
                open_client(stack.data_dir, Role.SMTP_IN) as smtp_in,
                open_client(stack.data_dir, Role.SMTP_OUT) as smtp_out,
            ):
                await queued(smtp_in, "old", "a@o.test")
                (entry,) = (await smtp_out.queue.lease("w", 10, 60.0, ())).entries
                await smtp_out.queue.report("w", (Outcome(entry.entry_id, OutcomeKind.DEFERRED, FAR, dialogue=FIRST),), ())
                while (await admin.admin.queue_show(entry.entry_id)).history[0].dialogue:
                    pass

        look()
