"""Several sessions on one mailbox, random commands, a simple model: every untagged response is checked as it comes.

The model knows the truth (which UIDs are there, with which flags), because only these sessions change the mailbox and they act one
after the other. Each session's belief is built from its responses alone, by the rules of RFC 3501 §5.2 and §7.4.1; at the end every
belief equals the truth, and a fresh session sees the same.
"""

import random
import re

import pytest

from shared.testing.imap_client import ImapClient
from shared.testing.process import RunningService
from shared.testing.stack import PASSWORD

FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "$Label1", "Work")
MESSAGE = b"Subject: %d\r\n\r\nbody %d\r\n"
NO_EXPUNGE = ("FETCH", "STORE", "SEARCH")
"""RFC 3501 §7.4.1: no EXPUNGE while these run."""
_FETCH = re.compile(rb"\* (\d+) FETCH \((.*)\)\Z", re.DOTALL)


class Belief:
    """One session: its connection, and what its client must believe."""

    def __init__(self, port, address):
        self.client = ImapClient(port).login(address, PASSWORD)
        self.messages = []
        """[UID or None, frozenset of flags or None] by sequence number."""
        self.hear("SELECT", self.client.ok("SELECT INBOX").untagged)
        self.hear("FETCH", self.client.ok("FETCH 1:* (UID FLAGS)").untagged)

    def do(self, command):
        answer = self.client.command(command)
        self.hear(command.split()[0] if isinstance(command, str) else "APPEND", answer.untagged)
        return answer

    def hear(self, name, responses):
        for line in responses:
            words = line.split(None, 3)
            if words[2:3] == [b"EXISTS"]:
                count = int(words[1])
                assert count >= len(self.messages), f"EXISTS may not shrink: {line}"
                self.messages += [[None, None] for _ in range(count - len(self.messages))]
            elif words[2:3] == [b"EXPUNGE"]:
                assert name not in NO_EXPUNGE, f"EXPUNGE during {name}"
                assert 1 <= int(words[1]) <= len(self.messages)
                del self.messages[int(words[1]) - 1]
            elif (match := _FETCH.match(line)) is not None:
                self.hear_fetch(int(match.group(1)), match.group(2))

    def hear_fetch(self, number, items):
        assert 1 <= number <= len(self.messages), f"FETCH of an unknown number {number}"
        entry = self.messages[number - 1]
        if (uid := re.search(rb"UID (\d+)", items)) is not None:
            assert entry[0] in (None, int(uid.group(1))), "a sequence number changed its message"
            entry[0] = int(uid.group(1))
        if (flags := re.search(rb"FLAGS \(([^)]*)\)", items)) is not None:
            entry[1] = frozenset(flags.group(1).decode().split()) - {"\\Recent"}

    def uids(self):
        return [uid for uid, _ in self.messages]


class World:
    """``ports``: of one imap process, or of several on the same store; then news travel on their own time between the sessions."""

    def __init__(self, ports, address, seed):
        self.alone = len(ports) == 1
        self.dice = random.Random(seed)
        self.truth = {}
        self.next_uid = 1
        self.trash = 0
        self.sessions = [Belief(ports[number % len(ports)], address) for number in range(3)]

    def some(self, session):
        """A few sequence numbers of a session."""
        count = len(session.messages)
        return sorted(self.dice.sample(range(1, count + 1), min(count, self.dice.randint(1, 3))))

    def resolve(self, session, numbers):
        """Numbers and UIDs, asked from the server where the client does not know them yet.

        A message that went before its UID was asked for has none to tell: it is left out.
        """
        if any(session.messages[number - 1][0] is None for number in numbers):
            session.do("FETCH 1:* (UID FLAGS)")
        known = [number for number in numbers if session.messages[number - 1][0] is not None]
        return known, [session.messages[number - 1][0] for number in known]

    def step(self):
        dice, session = self.dice, self.dice.choice(self.sessions)
        what = dice.choice(
            (
                "append",
                "store",
                "store",
                "silent",
                "uid store",
                "fetch",
                "search",
                "noop",
                "expunge",
                "uid expunge",
                "move",
                "copy",
                "body",
                "check",
            )
        )
        if what == "append" or not session.messages:
            return self.append(session)
        if what in ("noop", "check"):
            return session.do(what.upper())
        numbers, uids = self.resolve(session, self.some(session))
        if not uids:
            return session.do("NOOP")
        text = ",".join(map(str, numbers))
        uid_text = ",".join(map(str, uids))
        if what in ("store", "silent", "uid store"):
            return self.store(session, what, numbers, uids)
        if what == "fetch":
            answer = session.do(f"FETCH {text} (UID FLAGS)")
            for number, uid in zip(numbers, uids, strict=True):
                if uid in self.truth and self.alone:
                    assert session.messages[number - 1] == [uid, self.truth[uid]]
            return answer
        if what == "body":
            session.do(f"UID FETCH {uid_text} (BODY[])")
            for uid in set(uids) & set(self.truth):
                self.truth[uid] |= {"\\Seen"}
            return None
        if what == "search":
            found = session.do("UID SEARCH DELETED").numbers()
            known = set(session.uids())
            assert not self.alone or set(found) == {
                uid for uid, flags in self.truth.items() if "\\Deleted" in flags and uid in known
            }
            return None
        return self.remove(session, what, uids, uid_text)

    def append(self, session):
        message = MESSAGE % (self.next_uid, self.next_uid)
        flags = frozenset(self.dice.sample(FLAGS, self.dice.randint(0, 2)))
        answer = session.do(b"APPEND INBOX (%b) {%d+}\r\n%b" % (" ".join(flags).encode(), len(message), message))
        assert re.match(rb"OK \[APPENDUID \d+ %d\]" % self.next_uid, answer.tagged)
        self.truth[self.next_uid] = flags
        self.next_uid += 1
        assert not session.messages or session.messages[-1][0] is None or len(session.messages) >= 1

    def store(self, session, what, numbers, uids):
        sign, flags = self.dice.choice("+- "), frozenset(self.dice.sample(FLAGS, self.dice.randint(1, 2)))
        silent = ".SILENT" if what == "silent" else ""
        name, text = ("UID STORE", uids) if what == "uid store" else ("STORE", numbers)
        command = f"{name} {','.join(map(str, text))} {sign.strip()}FLAGS{silent} ({' '.join(flags)})"
        if silent:
            # the client computes the result from what it believes; surprises come as FETCH afterwards
            for number in numbers:
                entry = session.messages[number - 1]
                old = entry[1] if entry[1] is not None else frozenset()
                entry[1] = old | flags if sign == "+" else old - flags if sign == "-" else flags
        session.do(command)
        for uid in set(uids) & set(self.truth):
            old = self.truth[uid]
            self.truth[uid] = old | flags if sign == "+" else old - flags if sign == "-" else flags
        for number, uid in zip(numbers, uids, strict=True):
            if uid in self.truth and what != "uid store":
                assert session.messages[number - 1] == [uid, self.truth[uid]], command

    def remove(self, session, what, uids, uid_text):
        if what == "copy":
            there = len(set(uids) & set(self.truth))
            answer = session.do(f"UID COPY {uid_text} Archive")
            assert answer.ok == bool(there)
            return
        if what == "move":
            there = set(uids) & set(self.truth)
            answer = session.do(f"UID MOVE {uid_text} Trash")
            assert answer.ok == bool(there)
            self.trash += len(there)
            gone = there
        elif what == "uid expunge":
            session.do(f"UID EXPUNGE {uid_text}")
            gone = {uid for uid in uids if "\\Deleted" in self.truth.get(uid, ())}
        else:
            session.do("EXPUNGE")
            gone = {uid for uid, flags in self.truth.items() if "\\Deleted" in flags}
        for uid in gone:
            del self.truth[uid]
        assert not gone & set(session.uids()), "our own expunges are told before the tagged response"

    def check(self):
        expected = sorted(self.truth.items())
        for session in self.sessions:
            session.do("NOOP")
            if any(None in entry for entry in session.messages):
                session.do("FETCH 1:* (UID FLAGS)")
            assert [(uid, flags) for uid, flags in session.messages] == expected


def play(ports, address, seed, steps=120):
    """A random history; then everybody believes the truth, and so does a session that comes new."""
    world = World(ports, address, seed)
    try:
        for number in range(steps):
            world.step()
            if number % 20 == 19:
                world.check()
        world.check()
        fresh = Belief(ports[0], address)
        assert fresh.messages == [list(entry) for entry in sorted(world.truth.items())]
        fresh.client.close()
    finally:
        for session in world.sessions:
            session.client.close()


@pytest.mark.parametrize("seed", range(4))
def test_every_session_ends_up_with_the_truth(stack, account, seed):
    play([stack.port("imap")], account, seed)


@pytest.fixture(scope="module")
def second(stack):
    """Another imap process on the same store."""
    with RunningService("imap", stack.data_dir) as service:
        yield service


@pytest.mark.parametrize("seed", range(100, 103))
def test_sessions_of_two_processes(stack, second, account, seed):
    play([stack.port("imap"), second.port("imap")], account, seed)
