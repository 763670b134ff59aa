"""How the story of a message reads."""

from typing import Any

import pytest

from shared.cli import trace as module
from shared.contract.history_types import FiledAs, History, Passage, PassageKind, Whereabouts
from shared.contract.queue_types import QueueItem
from shared.model.dialogue import DialogueLine, Way, pack
from shared.model.ids import AccountId, EntryId, MailboxId, Uid

AT = 1_700_000_000.0
ALICE, BOB = "alice@here.test", "bob@out.test"
ACCEPTED = Passage(
    "t1", PassageKind.ACCEPTED, AT, "joe@one.test", (ALICE, BOB), 5, 4100, "[192.0.2.1] mx.one.test", AccountId(7),
    "carol@here.test", text="SPF pass", copies=(FiledAs(ALICE, AccountId(1), MailboxId(2), Uid(3), 44),), entries=(EntryId(5),),
)  # fmt: skip
DIALOGUE = pack([DialogueLine(0.125, Way.OUT, "RCPT TO:<bob@out.test>"), DialogueLine(1.5, Way.IN, "451 \x1b busy")])
HISTORY = History(
    (
        ACCEPTED,
        Passage("t1", PassageKind.DEFERRED, AT + 60, "joe@one.test", (BOB,), 1, code=451, text="busy", seconds=0.25, dialogue=3),
        Passage("t1", PassageKind.DEFERRED, AT + 60, "joe@one.test", (BOB,), 1, code=451, text="busy", dialogue=3),
        Passage("t2", PassageKind.REFUSED, AT + 90, "", (), client="[192.0.2.9] \x1b[2Jx", code=554, text="554 no"),
        Passage("t2", PassageKind.DELIVERED, AT + 99, "", (BOB,), 1, code=250, text="ok", remote="mx.out.test", tls="TLSv1.3"),
        Passage("t2", PassageKind.FAILED, AT + 99, "", (BOB,), 1, text="no such host"),
        Passage("t2", PassageKind.REPORTED, AT + 99, "", (ALICE,), 1),
        Passage("t2", PassageKind.REMOVED, AT + 99, "", (BOB,), 1),
    ),
    (Whereabouts(ALICE, "Archive/보관", Uid(9), ("\\Seen",), 44), Whereabouts(ALICE, "Junk", Uid(1), (), 44)),
    (QueueItem(EntryId(5), "t1", "joe@one.test", BOB, "out.test", 9, AT, AT + 600, AT + 9e9, 1, "", "451 busy"),),
    True,
)


def told(monkeypatch: pytest.MonkeyPatch, history: History, *, json: bool = False) -> int:
    class Options:
        query, last, dialogue, account = "q", 5, True, ""

    class Called:
        options = Options()

    called: Any = Called()
    called.json = json
    answers: list[Any] = [history, (DIALOGUE,)]
    monkeypatch.setattr(module, "ask", lambda *_: answers.pop(0))
    monkeypatch.setattr(module.time, "time", lambda: AT + 120)
    monkeypatch.setenv("TZ", "UTC")
    return module.tell(called)


def test_the_story_in_words(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(monkeypatch, HISTORY) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    day = module.local_time(AT)
    assert lines[:13] == [
        "message t1",
        f"{day}  submitted by carol@here.test from [192.0.2.1] mx.one.test, 4.1 KB",
        "joe@one.test to alice@here.test, bob@out.test and 3 more",
        "SPF pass",
        "filed for alice@here.test; now in Archive/보관 of alice@here.test (read), Junk of alice@here.test (not read)",
        "queued for 1 recipient",
        f"{module.local_time(AT + 60)}  not yet delivered to bob@out.test, to be tried again (0.2 s)",
        "451 busy",
        "0.125 > RCPT TO:<bob@out.test>",
        "1.500 < 451 \N{REPLACEMENT CHARACTER} busy",
        f"{module.local_time(AT + 60)}  not yet delivered to bob@out.test, to be tried again (0.0 s)",
        "451 busy",
        "bob@out.test waits: next try in 8 min",
    ]
    rest = "\n".join(lines[13:])
    # what a client says does not steer the terminal
    assert "refused: <> to nobody yet, from [192.0.2.9] \N{REPLACEMENT CHARACTER}[2Jx\n554 no\n" in rest
    assert "delivered to bob@out.test by mx.out.test (TLSv1.3, 0.0 s)\n250 ok\n" in rest
    assert "could not be delivered to bob@out.test (0.0 s)\nno such host\n" in rest
    assert "a report on that went to alice@here.test\n" in rest
    assert "taken out of the queue for bob@out.test by an administrator\n" in rest
    assert rest.endswith("Older messages match, too: pillarbox trace q --last 50")


def test_the_story_for_scripts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    assert told(monkeypatch, HISTORY, json=True) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["trace"], [each["what"] for each in first["passages"]]) == ("t1", ["accepted", "deferred", "deferred"])
    assert first["passages"][0]["dialogue"] == []
    assert first["passages"][1]["dialogue"][0] == {"seconds": 0.125, "way": "out", "text": "RCPT TO:<bob@out.test>"}
    assert first["passages"][0]["copies"][0]["now"][1] == {"account": ALICE, "mailbox": "Junk", "uid": 1, "flags": []}
    assert [item["entry"] for item in first["waiting"]] == [5]
    assert (second["passages"][0]["text"], second["waiting"]) == ("554 no", [])


def test_nothing_is_known(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(monkeypatch, History((), (), (), False)) == 1
    assert capsys.readouterr().out.startswith("nothing is known of q")
