"""What a dialogue accepts, and how it says what it does not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from shared.testing.dialogue import DialogueFailed, DialogueRunner, MalformedDialogue, read_dialogues
from shared.testing.imap_client import ConnectionEnded
from shared.testing.imap_matching import match_response


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (b"* LIST () \"/\" foo", b'* LIST (\\HasNoChildren) "/" "foo"'),
        (b'* LIST (\\Noselect) "/" foo', b'* LIST (\\NonExistent \\HasChildren) "/" foo'),
        (b"* 3 FETCH (FLAGS (\\Seen $x) UID 7)", b"* 3 FETCH (UID 7 FLAGS ($X \\seen))"),
        (b"* 3 FETCH (UID 7 ...)", b"* 3 FETCH (MODSEQ (5) UID 7)"),
        (b'* 3 FETCH (INTERNALDATE "17-Jul-1996 02:44:25 -0700")', b'* 3 FETCH (INTERNALDATE "17-Jul-1996 09:44:25 +0000")'),
        (b"* 3 FETCH (BODY[HEADER.FIELDS (A B)]<0> {2}\r\nhi)", b'* 3 FETCH (BODY[HEADER.FIELDS (A B)]<0> "hi")'),
        (b"* STATUS x (MESSAGES 1 UIDNEXT 2)", b"* STATUS x (UIDNEXT 2 MESSAGES 1)"),
        (b"a OK done", b"a OK [CAPABILITY X] Completed at last"),
        (b"* OK [UIDNEXT 7] x", b"* OK [UIDNEXT 7]"),
        (b"* CAPABILITY ... IDLE ...", b"* CAPABILITY IMAP4rev1 IDLE"),
        (b"+ go on", b"+ OK"),
        (b"* FLAGS (\\Seen ...)", b"* FLAGS (\\Answered \\Seen \\Draft)"),
    ],
)  # fmt: skip
def test_same_meaning(expected: bytes, got: bytes) -> None:
    assert match_response(expected, got, {}) is not None


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (b"* LIST () \"/\" foo", b'* LIST (\\Subscribed) "/" foo'),
        (b'* LIST (\\Subscribed) "/" foo', b'* LIST () "/" foo'),
        (b"* 3 FETCH (FLAGS (\\Seen))", b"* 3 FETCH (FLAGS (\\Seen \\Draft))"),
        (b"* 3 FETCH (FLAGS (\\Seen))", b"* 3 FETCH (FLAGS (\\Seen) UID 3)"),
        (b"* 3 FETCH (UID 3)", b"* 4 FETCH (UID 3)"),
        (b'* 3 FETCH (BODY[] "hi")', b'* 3 FETCH (BODY[] "Hi")'),
        (b"a OK [READ-ONLY] x", b"a OK [READ-WRITE] x"),
        (b"a OK [READ-ONLY] x", b"a OK x"),
        (b"a OK x", b"a NO x"),
        (b"a OK x", b"b OK x"),
        (b"* SEARCH 1 2", b"* SEARCH 2 1"),
        (b"* 4 EXPUNGE", b"* 4 EXISTS"),
    ],
)  # fmt: skip
def test_other_meaning(expected: bytes, got: bytes) -> None:
    assert match_response(expected, got, {}) is None


def test_variables_are_captured_and_then_hold() -> None:
    known = match_response(b"a OK [APPENDUID {v} {uid}] x", b"a OK [APPENDUID 77 5] Done", {})
    assert known == {b"v": b"77", b"uid": b"5"}
    assert match_response(b"* OK [UIDVALIDITY {v}]", b"* OK [UIDVALIDITY 77] valid", known) == known
    assert match_response(b"* OK [UIDVALIDITY {v}]", b"* OK [UIDVALIDITY 78] valid", known) is None


class Script:
    """Stands in for a connection: what was sent, and what comes."""

    def __init__(self, *responses: bytes) -> None:
        self.greeting = b"* OK hello"
        self.responses = list(responses)
        self.sent: list[bytes] = []

    def login(self, address: str, password: str) -> "Script":
        return self

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def read_response(self) -> bytes:
        if not self.responses:
            raise ConnectionEnded("")
        return self.responses.pop(0)

    def close(self) -> None:
        return


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Script]:
    def start(text: str, *responses: bytes) -> Script:
        path = tmp_path / "x.dialog"
        path.write_text(f"== it\n{text}", "utf-8")
        script = Script(*responses)
        [dialogue] = read_dialogues(path)
        with DialogueRunner(dialogue, "user@example.test", "pw", lambda: script, lambda _: None) as runner:  # type: ignore[arg-type,return-value] # a stand-in
            runner.run()
        return script

    return start


def test_lines_go_and_come(run: Callable[..., Script]) -> None:
    script = run(
        "C: a X {user} {12}\n@unordered\n@more\nS: * 2 EXISTS\nS: * 1 FETCH (BODY[] {4}\nS: a\nS: b)\nS: a OK\n",
        b"* 5 RECENT",
        b"* 1 FETCH (BODY[] {4}\r\na\r\nb)",
        b"* 2 EXISTS",
        b"a OK done",
    )
    assert script.sent == [b"a X user@example.test {12}\r\n"]


@pytest.mark.parametrize(
    ("text", "responses"),
    [
        ("C: a NOOP\nS: a OK\n", (b"* 1 EXISTS", b"a OK")),
        ("C: a NOOP\nS: * 2 EXISTS\nS: * 1 EXPUNGE\nS: a OK\n", (b"* 1 EXPUNGE", b"* 2 EXISTS", b"a OK")),
        ("C: a NOOP\n@more\nS: * 2 EXISTS\nS: a OK\n", (b"* 1 EXISTS", b"a OK")),
        ("C: a NOOP\nS: a OK\n", ()),
    ],
)
def test_a_failure_says_where(run: Callable[..., Script], text: str, responses: tuple[bytes, ...]) -> None:
    with pytest.raises(DialogueFailed, match=r"x\.dialog:[34] \(it\)\n +expected b'"):
        run(text, *responses)


def test_an_unknown_directive_and_a_line_of_nothing(run: Callable[..., Script], tmp_path: Path) -> None:
    with pytest.raises(DialogueFailed, match=":2 "):
        run("@dance\n")
    path = tmp_path / "bad.dialog"
    for text in ("S: * OK\n", "== t\nX: y\n"):
        path.write_text(text, "utf-8")
        with pytest.raises(MalformedDialogue):
            read_dialogues(path)
