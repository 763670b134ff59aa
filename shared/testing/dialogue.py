"""Dialogues as tests: text files with the lines of client and server as the RFCs print them, run against the real server.

    == RFC 9051 §6.3.13 IDLE
    # what begins with a number sign is a comment
    @fill INBOX messages=3
    C: A001 SELECT INBOX
    @more
    S: * 3 EXISTS
    S: A001 OK [READ-WRITE] SELECT completed
    C: A002 IDLE
    S: + idling
    @append INBOX
    S: * 4 EXISTS

``==`` begins a dialogue: it has an account of its own. ``C:`` sends a line, ``S:`` expects a response (what may differ:
``imap_matching``); ``C(name):`` and ``S(name):`` belong to further connections. Responses with literals go over several ``S:`` lines.
Connections are made and logged in when first spoken to. Directives, one a line:

    @account NAME                    another account; its address becomes the variable {NAME}
    @open NAME [ACCOUNT] [bare]      a connection; bare: not logged in, and the greeting is the first response
    @setup COMMAND                   a command on a connection of the runner's own; must be answered OK
    @append MAILBOX [flags=\\Seen,$x] [date="..."] [times=N]    lines that begin with | are the message, else there is one ready
    @fill MAILBOX messages=N [uidnext=N]     that many messages, by copies of one; the UIDs end before uidnext
    @only INBOX ...                  delete all mailboxes but these
    @enable CAPABILITY ...           on the connection ``C:``
    @unordered, @more                of the next ``S:`` lines: in any order; with other untagged ones in between
    @quiet [NAME]                    nothing is waiting to be told: NOOP is answered with OK alone
    @tls [NAME]                      the handshake after STARTTLS
    @close NAME                      hang up

Variables: {user}, {password}, those of accounts, and what ``S:`` lines capture.
"""

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Self

import attrs

from shared.testing.imap_client import ImapClient
from shared.testing.imap_matching import match_response

MAIN: Final = ""
MESSAGE: Final = (
    b"Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)\r\nFrom: Fred Foobar <foobar@Blurdybloop.example>\r\n"
    b"Subject: afternoon meeting\r\nTo: mooch@owatagu.siam.edu.example\r\n"
    b"Message-Id: <B27397-0100000@Blurdybloop.example>\r\n\r\nHello Joe, do you think we can meet at 3:30 tomorrow?\r\n"
)
_LINE: Final = re.compile(r"(C|S)(?:\(([a-z0-9]+)\))?:(?: (.*))?")
_VARIABLE: Final = re.compile(rb"\{([a-z][a-z0-9_]*)\}")
_LITERAL_END: Final = re.compile(rb"\{(\d+)\}\Z")


class DialogueFailed(AssertionError):
    """The server said something else; says at which line of which file."""


class MalformedDialogue(ValueError):
    """The file is not as it should be."""


@attrs.frozen
class Step:
    """One line. ``kind``: ``C``, ``S`` or a directive; ``text`` has the lines of a message or literal in it."""

    line: int
    kind: str
    connection: str
    text: bytes


@attrs.frozen
class Dialogue:
    """One dialogue of a file."""

    path: Path
    title: str
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return f"{self.path.stem}: {self.title}"


def read_dialogues(path: Path) -> list[Dialogue]:
    """All dialogues of a file. Raises MalformedDialogue."""
    found: list[tuple[str, list[Step]]] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line.startswith("== "):
            found.append((line[3:].strip(), []))
        elif line.strip() and not line.startswith("#"):
            if not found:
                raise MalformedDialogue(f"{path}:{number}: a line before the first title")
            _add_line(found[-1][1], path, number, line)
    return [Dialogue(path, title, tuple(steps)) for title, steps in found]


def _add_line(steps: list[Step], path: Path, number: int, line: str) -> None:
    last = steps[-1] if steps else None
    match = _LINE.fullmatch(line)
    if line.startswith("@"):
        kind, _, rest = line[1:].partition(" ")
        steps.append(Step(number, kind, MAIN, rest.strip().encode()))
    elif line.startswith("|") and last is not None and last.kind == "append":
        text = last.text + b"\n" + line[1:].removeprefix(" ").encode()
        steps[-1] = attrs.evolve(last, text=text)
    elif match is None:
        raise MalformedDialogue(f"{path}:{number}: neither C:, S: nor a directive")
    else:
        kind, connection, text = match.group(1), match.group(2) or MAIN, (match.group(3) or "").encode()
        if kind == "S" and last is not None and last.kind == "S" and _is_unfinished(last.text):
            steps[-1] = attrs.evolve(last, text=last.text + b"\r\n" + text)
        else:
            steps.append(Step(number, kind, connection, text))


def _is_unfinished(text: bytes) -> bool:
    """Whether an expected response goes on in the next line: its last literal is not full."""
    start = 0
    while (match := re.compile(rb"\{(\d+)\}(\r\n|\Z)").search(text, start)) is not None:
        start = match.end() + int(match.group(1))
        if start >= len(text):
            return True
    return False


def commands_of(dialogue: Dialogue) -> Iterator[bytes]:
    """Every line that the client sends."""
    for step in dialogue.steps:
        if step.kind == "C":
            yield step.text


class DialogueRunner:
    """Runs one dialogue. ``add_account``: makes one by its address; ``connect``: a new connection, its greeting read."""

    def __init__(
        self,
        dialogue: Dialogue,
        user: str,
        password: str,
        connect: Callable[[], ImapClient],
        add_account: Callable[[str], None],
    ) -> None:
        self._dialogue = dialogue
        self._user = user
        self._password = password
        self._connect = connect
        self._add_account = add_account
        self._clients: dict[str, ImapClient] = {}
        self._setup: dict[str, ImapClient] = {}
        self._greetings: dict[str, bytes] = {}
        self.variables: dict[bytes, bytes] = {b"user": user.encode(), b"password": password.encode()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in (*self._clients.values(), *self._setup.values()):
            client.close()

    def run(self) -> None:
        """Raises DialogueFailed."""
        steps = self._dialogue.steps
        at = 0
        options: set[str] = set()
        while at < len(steps):
            step = steps[at]
            end = at + 1
            try:
                if step.kind == "C":
                    self._client(step.connection).send(self._substitute(step.text) + b"\r\n")
                elif step.kind == "S":
                    while end < len(steps) and (steps[end].kind, steps[end].connection) == ("S", step.connection):
                        end += 1
                    self._expect(steps[at:end], options)
                    options = set()
                elif step.kind in ("unordered", "more"):
                    options.add(step.kind)
                else:
                    self._direct(step)
            except DialogueFailed:
                raise
            except (AssertionError, OSError, ValueError) as error:
                raise self._failure(step, f"{type(error).__name__}: {error}") from error
            at = end

    def _failure(self, step: Step, what: str) -> DialogueFailed:
        return DialogueFailed(f"{self._dialogue.path}:{step.line} ({self._dialogue.title})\n{what}")

    def _substitute(self, text: bytes) -> bytes:
        """Known variables; what is unknown stays, as ``{12}`` does."""
        return _VARIABLE.sub(lambda match: self.variables.get(match.group(1), match.group()), text)

    # --- connections ---

    def _client(self, name: str) -> ImapClient:
        if name not in self._clients:
            self._open(name, self._user)
        return self._clients[name]

    def _open(self, name: str, user: str) -> None:
        self._clients[name] = self._connect().login(user, self._password)

    def _own(self, user: str) -> ImapClient:
        """A connection for setting up, which no line of the dialogue sees."""
        if user not in self._setup:
            self._setup[user] = self._connect().login(user, self._password)
        return self._setup[user]

    # --- what the server says ---

    def _read(self, name: str) -> bytes:
        greeting = self._greetings.pop(name, None)
        return self._client(name).read_response() if greeting is None else greeting

    def _expect(self, steps: tuple[Step, ...], options: set[str]) -> None:
        wanted = list(steps)
        seen: list[bytes] = []
        while wanted:
            step = wanted[0]
            try:
                got = self._read(step.connection)
            except (AssertionError, OSError) as error:
                raise self._failure(step, self._compared(step, error, seen)) from error
            seen.append(got)
            candidates = self._candidates(wanted, options)
            found = next((each for each in candidates if self._matches(each, got)), None)
            if found is not None:
                wanted.remove(found)
            elif "more" not in options or not got.startswith(b"*"):
                raise self._failure(step, self._compared(step, got, seen[:-1]))

    @staticmethod
    def _candidates(wanted: list[Step], options: set[str]) -> list[Step]:
        """Which of the expected lines may come now: the tagged one only as the last."""
        if "unordered" not in options:
            return wanted[:1]
        return [step for step in wanted if step.text.startswith((b"*", b"+"))] or wanted[:1]

    def _matches(self, step: Step, got: bytes) -> bool:
        learned = match_response(step.text, got, self.variables)
        if learned is not None:
            self.variables = learned
        return learned is not None

    def _compared(self, step: Step, got: object, before: list[bytes]) -> str:
        lines = [f"  expected {self._substitute(step.text)!r}", f"  got      {got!r}"]
        return "\n".join([*lines, *(f"  before   {each!r}" for each in before)])

    # --- directives ---

    def _direct(self, step: Step) -> None:
        handler = getattr(self, f"_do_{step.kind}", None)
        if handler is None:
            raise self._failure(step, "unknown directive")
        first, newline, rest = step.text.partition(b"\n")
        lexer = shlex.shlex(self._substitute(first).decode(), posix=True, punctuation_chars=False)
        lexer.whitespace_split, lexer.escape, lexer.commenters = True, "", ""
        handler(step, list(lexer), rest if newline else None)

    def _do_account(self, step: Step, words: list[str], _: bytes | None) -> None:
        address = f"{words[0]}-{self._user}"
        self._add_account(address)
        self.variables[words[0].encode()] = address.encode()

    def _do_open(self, step: Step, words: list[str], _: bytes | None) -> None:
        name, *others = words
        name = MAIN if name == "main" else name
        if "bare" in others:
            self._clients[name] = self._connect()
            self._greetings[name] = self._clients[name].greeting
        else:
            self._open(name, self.variables[others[0].encode()].decode() if others else self._user)

    def _do_close(self, step: Step, words: list[str], _: bytes | None) -> None:
        self._clients.pop(words[0]).close()

    def _do_tls(self, step: Step, words: list[str], _: bytes | None) -> None:
        self._client(words[0] if words else MAIN).start_tls()

    def _do_setup(self, step: Step, words: list[str], _: bytes | None) -> None:
        self._own(self._user).ok(self._substitute(step.text))

    def _do_as(self, step: Step, words: list[str], _: bytes | None) -> None:
        """``@as ACCOUNT COMMAND``: as @setup, by another account."""
        name, _, command = step.text.partition(b" ")
        self._own(self.variables[name].decode()).ok(self._substitute(command))

    def _do_enable(self, step: Step, words: list[str], _: bytes | None) -> None:
        self._client(MAIN).ok("ENABLE " + " ".join(words))

    def _do_only(self, step: Step, words: list[str], _: bytes | None) -> None:
        client = self._own(self._user)
        for line in client.ok('LIST "" *').untagged:
            name = line.rsplit(b" ", 1)[1]
            if name.decode() not in words:
                client.ok(b"DELETE " + name)
                client.ok(b"UNSUBSCRIBE " + name)

    def _do_append(self, step: Step, words: list[str], message: bytes | None) -> None:
        mailbox, *others = words
        options = dict(word.split("=", 1) for word in others)
        octets = MESSAGE if message is None else message.replace(b"\n", b"\r\n") + b"\r\n"
        arguments = b"(" + options.get("flags", "").replace(",", " ").encode() + b")"
        if "date" in options:
            arguments += b' "' + options["date"].encode() + b'"'
        for _ in range(int(options.get("times", "1"))):
            answer = self._own(self._user).append(b'"%b"' % mailbox.encode(), octets, arguments)
            assert answer.ok, answer

    def _do_fill(self, step: Step, words: list[str], message: bytes | None) -> None:
        mailbox, *others = words
        options = {key: int(value) for key, value in (word.split("=", 1) for word in others)}
        messages = options["messages"]
        last = options.get("uidnext", messages + 1) - 1
        client = self._own(self._user)
        name = b'"%b"' % mailbox.encode()
        present = 0
        if last:
            assert client.append(name, MESSAGE).ok
            present = 1
        client.ok(b"SELECT " + name)
        while present < last:
            copied = min(present, last - present)
            client.ok(b"UID COPY 1:%d %b" % (copied, name))
            present += copied
        if last > messages:
            client.ok(b"UID STORE 1:%d +FLAGS.SILENT (\\Deleted)" % (last - messages))
            client.ok("EXPUNGE")
        # again, so that none of them is \Recent for anybody else
        client.ok(b"SELECT " + name)
        client.ok("UNSELECT")

    def _do_quiet(self, step: Step, words: list[str], _: bytes | None) -> None:
        answer = self._client(words[0] if words else MAIN).ok("NOOP")
        if answer.untagged:
            raise self._failure(step, f"  expected nothing\n  got      {answer.untagged!r}")
