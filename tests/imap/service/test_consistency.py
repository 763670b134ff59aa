"""Several sessions on one mailbox, random commands, a simple model: every untagged response is checked as it comes.

The model knows the truth (which UIDs are there, with which flags), because only these sessions change the mailbox and they act one
after the other. Each session's belief is built from its responses alone (``shared.testing.imap_belief``), in every dialect: plain,
CONDSTORE, QRESYNC, UIDONLY, IMAP4rev2. Connections break at any moment, and clients with QRESYNC go on from what they know. At the end
every belief equals the truth, and a fresh session sees the same.
"""

import random
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.testing.imap_belief import Belief, numbers_in
from shared.testing.process import RunningService
from shared.testing.stack import PASSWORD

FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "$Label1", "Work")
MESSAGE = b"Subject: %d\r\n\r\nbody %d\r\n"
DIALECTS = (
    (),
    ("QRESYNC",),
    ("UIDONLY",),
    ("IMAP4rev2",),
    ("CONDSTORE",),
    ("QRESYNC", "UIDONLY"),
    ("QRESYNC", "IMAP4rev2"),
    ("UIDONLY", "IMAP4rev2", "CONDSTORE"),
)
STEPS = (
    *(
        "append",
        "store",
        "store",
        "silent",
        "uid store",
        "conditional",
        "fetch",
        "search",
        "noop",
        "expunge",
        "uid expunge",
    ),
    *("move", "copy", "body", "check", "idle", "idle", "come back", "come back", "select", "unannounced"),
)


def changed(old, sign, flags):
    return old | flags if sign == "+" else old - flags if sign == "-" else flags


class World:
    """``ports``: of one imap process, or of several on the same store; then news travel on their own time between the sessions."""

    def __init__(self, ports, address, seed):
        self.alone = len(ports) == 1
        self.dice = random.Random(seed)
        self.truth = {}
        self.next_uid = 1
        dialects = self.dice.sample(DIALECTS, 4)
        if ("QRESYNC",) not in dialects:
            dialects[0] = ("QRESYNC",)
        self.sessions = [
            Belief(ports[number % len(ports)], address, PASSWORD, dialect) for number, dialect in enumerate(dialects)
        ]

    def some(self, session):
        """A few messages of a session: UIDs, and how a command names them."""
        session.learn() if any(entry.uid is None for entry in session.entries) else None
        # a message that went before its UID was asked for has none to tell
        known = [(number, entry.uid) for number, entry in enumerate(session.entries, 1) if entry.uid is not None]
        chosen = sorted(self.dice.sample(known, min(len(known), self.dice.randint(1, 3))))
        return [uid for _, uid in chosen], [number for number, _ in chosen]

    def step(self):
        dice, session = self.dice, self.dice.choice(self.sessions)
        what = dice.choice(STEPS)
        if what in ("noop", "check"):
            return session.do(what.upper())
        if what == "idle":
            return self.idle(session)
        if what == "select":
            session.select("SELECT INBOX")
            return session.learn()
        if what == "come back":
            return session.come_back() if session.qresync else session.do("NOOP")
        if what == "unannounced":
            # dropped in the middle of what others do: a few changes of others are not told
            for other in self.sessions:
                if other is not session:
                    self.change(other, dice.choice(("store", "uid expunge", "append")))
            return session.come_back() if session.qresync else session.do("NOOP")
        return self.change(session, what)

    def change(self, session, what):
        if what == "append" or not session.entries:
            return self.append(session)
        uids, numbers = self.some(session)
        if not uids:
            return session.do("NOOP")
        text = ",".join(map(str, uids))
        if what in ("store", "silent", "uid store", "conditional"):
            return self.store(session, what, numbers, uids)
        if what == "fetch":
            return self.fetch(session, numbers, uids)
        if what == "body":
            session.do(f"UID FETCH {text} (BODY[])")
            for uid in set(uids) & set(self.truth):
                self.truth[uid] |= {"\\Seen"}
            return None
        if what == "search":
            return self.search(session)
        return self.remove(session, what, uids, text)

    def idle(self, session):
        """Another does something while this one is idle."""
        tag = session.client.idle(hear=lambda lines: session.hear("IDLE", lines))
        other = self.dice.choice([each for each in self.sessions if each is not session])
        self.change(other, self.dice.choice(("append", "store", "uid expunge", "expunge", "move")))
        answer = session.client.done(tag)
        session.hear("IDLE", answer.untagged, answer.tagged)

    def append(self, session):
        message = MESSAGE % (self.next_uid, self.next_uid)
        flags = frozenset(self.dice.sample(FLAGS, self.dice.randint(0, 2)))
        answer = session.do(b"APPEND INBOX (%b) {%d+}\r\n%b" % (" ".join(flags).encode(), len(message), message))
        assert re.match(rb"OK \[APPENDUID \d+ %d\]" % self.next_uid, answer.tagged)
        self.truth[self.next_uid] = flags
        self.next_uid += 1

    def fetch(self, session, numbers, uids):
        name, named = ("UID FETCH", uids) if session.uidonly else ("FETCH", numbers)
        session.do(f"{name} {','.join(map(str, named))} (UID FLAGS)")
        if self.alone and name == "FETCH":
            for number, uid in zip(numbers, uids, strict=True):
                if uid in self.truth:
                    entry = session.entries[number - 1]
                    assert (entry.uid, entry.flags) == (uid, self.truth[uid])

    def search(self, session):
        known = set(session.uids())
        found = set()
        for line in session.do("UID SEARCH DELETED").untagged:
            if line.startswith(b"* SEARCH"):
                found = {int(word) for word in line.split()[2:]}
            elif (match := re.match(rb"\* ESEARCH .*\bALL ([0-9:,]+)", line)) is not None:
                found = set(numbers_in(match.group(1)))
        assert not self.alone or found == {
            uid for uid, flags in self.truth.items() if "\\Deleted" in flags and uid in known
        }

    def store(self, session, what, numbers, uids):
        sign, flags = self.dice.choice("+- "), frozenset(self.dice.sample(FLAGS, self.dice.randint(1, 2)))
        by_uid = what == "uid store" or session.uidonly
        name, named = ("UID STORE", uids) if by_uid else ("STORE", numbers)
        silent = ".SILENT" if what == "silent" else ""
        condition = ""
        if what == "conditional" and session.condstore:
            condition = f"(UNCHANGEDSINCE {self.dice.choice((session.highest_modseq, 1, 2**40))}) "
        text = ",".join(map(str, named))
        if silent:
            # the client computes the result from what it believes; surprises come as FETCH afterwards
            for entry in session.entries:
                if entry.uid in uids and entry.flags is not None:
                    entry.flags = changed(entry.flags, sign, flags)
        answer = session.do(f"{name} {text} {condition}{sign.strip()}FLAGS{silent} ({' '.join(flags)})")
        match = re.match(rb"OK \[MODIFIED ([0-9:,]+)\]", answer.tagged)
        failed = set(numbers_in(match.group(1))) if match is not None else set()
        assert condition or not failed
        for uid, number in zip(uids, numbers, strict=True):
            if uid in self.truth and (uid if by_uid else number) not in failed:
                self.truth[uid] = changed(self.truth[uid], sign, flags)
                if not by_uid:
                    entry = session.entries[number - 1]
                    assert (entry.uid, entry.flags) == (uid, self.truth[uid])

    def remove(self, session, what, uids, text):
        if what == "copy":
            there = len(set(uids) & set(self.truth))
            assert session.do(f"UID COPY {text} Archive").ok == bool(there)
            return
        if what == "move":
            gone = set(uids) & set(self.truth)
            assert session.do(f"UID MOVE {text} Trash").ok == bool(gone)
        elif what == "uid expunge":
            session.do(f"UID EXPUNGE {text}")
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
            if any(entry.uid is None or entry.flags is None for entry in session.entries):
                session.learn()
            assert session.state() == expected, session.enable
            if not session.uidonly:
                assert session.uids() == [uid for uid, _ in expected]


def play(ports, address, seed, steps=70):
    """A random history; then everybody believes the truth, and so does a session that comes new."""
    world = World(ports, address, seed)
    try:
        for number in range(steps):
            world.step()
            if number % 20 == 19:
                world.check()
        world.check()
        fresh = Belief(ports[0], address, PASSWORD)
        assert fresh.state() == sorted(world.truth.items())
        fresh.client.close()
    finally:
        for session in world.sessions:
            session.client.close()


@pytest.mark.parametrize("seed", range(6))
def test_every_session_ends_up_with_the_truth(stack, account, seed):
    play([stack.port("imap")], account, seed)


@pytest.fixture(scope="module")
def second(stack):
    """Another imap process on the same store."""
    with RunningService("imap", stack.data_dir) as service:
        yield service


def act(session, seed, steps):
    """One client of many, without regard to the others: what may not be told is found as it is told."""
    dice = random.Random(seed)
    for number in range(steps):
        known = [entry.uid for entry in session.entries if entry.uid is not None]
        what = dice.choice(
            ("append", "store", "store", "silent", "expunge", "uid expunge", "move", "noop", "fetch", "back")
        )
        chosen = sorted(dice.sample(known, min(len(known), dice.randint(1, 4))))
        if what == "append" or not chosen:
            session.do(b"APPEND INBOX {20+}\r\nSubject: %5d\r\n\r\nx\r\n" % number)
            session.learn()
            continue
        text = ",".join(map(str, chosen))
        flags = " ".join(dice.sample(FLAGS, dice.randint(1, 2)))
        match what:
            case "store":
                session.do(f"UID STORE {text} {dice.choice('+-')}FLAGS ({flags})")
            case "silent":
                sign = dice.choice("+-")
                for entry in session.entries:
                    if entry.uid in chosen and entry.flags is not None:
                        entry.flags = changed(entry.flags, sign, frozenset(flags.split()))
                session.do(f"UID STORE {text} {sign}FLAGS.SILENT ({flags})")
            case "expunge" | "noop":
                session.do(what.upper())
            case "uid expunge":
                session.do(f"UID EXPUNGE {text}")
            case "move":
                session.do(f"UID MOVE {text} Trash")
            case "fetch":
                session.learn()
            case _ if session.qresync:
                session.come_back()


def together(ports, address, seed):
    sessions = [Belief(ports[at % len(ports)], address, PASSWORD, dialect) for at, dialect in enumerate(DIALECTS)]
    try:
        with ThreadPoolExecutor(len(sessions)) as pool:
            runs = [pool.submit(act, session, seed + at, 30) for at, session in enumerate(sessions)]
            for run in runs:
                run.result()
        fresh = Belief(ports[0], address, PASSWORD)
        for session in sessions:
            session.do("NOOP")
            if any(entry.uid is None or entry.flags is None for entry in session.entries):
                session.learn()
            assert session.state() == fresh.state(), session.enable
        fresh.client.close()
    finally:
        for session in sessions:
            session.client.close()


def test_sessions_at_the_same_time(stack, account):
    together([stack.port("imap")], account, 1)


@pytest.mark.parametrize("seed", range(100, 104))
def test_sessions_of_two_processes(stack, second, account, seed):
    play([stack.port("imap"), second.port("imap")], account, seed)


def test_sessions_of_two_processes_at_the_same_time(stack, second, account):
    together([stack.port("imap"), second.port("imap")], account, 1000)
