"""The real service: which attempts' dialogues are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.contract.history_types import Passage, PassageKind
from shared.rpc.store_client import StoreClient
from shared.testing.outbound import ALICE, OutboundWorld
from shared.testing.smtp_peer import Say

MAIL = b"Subject: x\r\n\r\nbody\r\n"


@pytest.mark.parametrize(
    ("setting", "kept"),
    [
        ("all", {PassageKind.DELIVERED, PassageKind.FAILED}),
        ("trouble", {PassageKind.FAILED}),
        ("none", set()),
    ],
)
def test_the_setting_says_which(tmp_path: Path, setting: str, kept: set[PassageKind]) -> None:
    settings = {"PILLARBOX_SMTP_OUT__DIALOGUES": setting}
    script = {"RCPT no@b.test": Say("550 5.1.1 nobody")}
    with OutboundWorld(tmp_path, settings) as world, world.peer("b.test", script) as peer:
        world.submit_many([(ALICE, [f"{name}@b.test"], MAIL) for name in ("yes", "no", "too")])
        peer.wait_messages(2)
        world.wait_queue_empty()

        async def told(store: StoreClient) -> tuple[Passage, ...]:
            return (await store.history.find("@b.test", 10)).passages

        passages = world.stack.administer(told)
        assert {passage.kind for passage in passages} >= {PassageKind.DELIVERED, PassageKind.FAILED}
        assert {passage.kind for passage in passages if passage.dialogue} == kept
