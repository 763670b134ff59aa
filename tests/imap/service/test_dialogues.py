"""The transcripts of the RFCs, and ours, line by line against the real server: tests/vectors/imap/*.dialog."""

import pytest

from shared.testing.dialogue import Dialogue, DialogueRunner, read_dialogues
from shared.testing.imap_client import ImapClient
from shared.testing.process import ROOT
from shared.testing.stack import PASSWORD, Stack

FILES = sorted((ROOT / "tests" / "vectors" / "imap").glob("*.dialog"))
DIALOGUES = [dialogue for path in FILES for dialogue in read_dialogues(path)]


@pytest.mark.parametrize("dialogue", DIALOGUES, ids=lambda dialogue: str(dialogue).replace("§", ""))
def test_dialogue(stack: Stack, account: str, dialogue: Dialogue) -> None:
    def connect() -> ImapClient:
        return ImapClient(stack.port("imap"))

    with DialogueRunner(dialogue, account, PASSWORD, connect, stack.add_account) as runner:
        runner.run()


def test_titles_are_unique() -> None:
    titles = [str(dialogue) for dialogue in DIALOGUES]
    assert len(set(titles)) == len(titles)
    assert titles
