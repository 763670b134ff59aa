"""Domains, accounts, aliases, queue and status against a real store; passwords from a terminal and from a pipe."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
import trio

from shared.contract.registry import Role
from shared.contract.types import ContentSource, Delivery, RemoteRecipient
from shared.contract.wishes_types import ByMode, TlsWish, Wishes
from shared.model.message_index import MessageIndex
from shared.testing.process import ROOT, RunningService
from shared.testing.stack import open_client


@attrs.frozen
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> object:
        """The document on stdout."""
        return json.loads(self.out)


@attrs.frozen
class Pillarbox:
    """The command line on one data directory."""

    data: Path

    @property
    def environment(self) -> dict[str, str]:
        """Of a shell with PILLARBOX_DATA."""
        return {**os.environ, "PYTHONPATH": str(ROOT), "PILLARBOX_DATA": str(self.data), "TZ": "UTC"}

    @staticmethod
    def argv(*words: str) -> list[str]:
        """How the launcher starts it."""
        return [sys.executable, "-P", "-m", "shared.cli.main", *words]

    def __call__(self, *words: str, stdin: bytes = b"") -> Answer:
        done = subprocess.run(
            self.argv(*words), input=stdin, capture_output=True, env=self.environment, timeout=40, check=False
        )
        return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())

    def typed(self, *words: str, keys: list[tuple[str, str]]) -> Answer:
        """With a terminal: each prompt is waited for, then its keys are typed."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(sys.executable, self.argv(*words), self.environment)
        shown = b""
        deadline = time.monotonic() + 30
        waiting = list(keys)
        while select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))[0]:
            try:
                read = os.read(terminal, 4096)
            except OSError:
                break
            if not read:
                break
            shown += read
            if waiting and shown.decode(errors="replace").endswith(waiting[0][0]):
                os.write(terminal, waiting.pop(0)[1].encode() + b"\n")
        os.close(terminal)
        _, status = os.waitpid(pid, 0)
        return Answer(os.waitstatus_to_exitcode(status), shown.decode(), "")


@pytest.fixture(scope="module")
def pillarbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pillarbox]:
    data = tmp_path_factory.mktemp("data")
    with RunningService("store", data, {"PILLARBOX_OBSERVE__STORE_PORT": "0"}):
        command = Pillarbox(data)
        assert command("domain", "add", "example.test") == Answer(0, "domain example.test added\n", "")
        yield command


def test_domains(pillarbox: Pillarbox) -> None:
    second = {"name": "second.test", "accounts": 0, "aliases": 0, "alias_of": None}
    assert pillarbox("domain", "add", "Second.TEST", "--json").json == second
    assert pillarbox("domain", "add", "second.test") == Answer(1, "", "pillarbox: domain second.test: exists already\n")
    assert [row["name"] for row in pillarbox("--json", "domain", "list").json] == ["example.test", "second.test"]
    listed = pillarbox("domain", "list").out.splitlines()
    assert listed[0].split() == ["DOMAIN", "ACCOUNTS", "ALIASES", "STANDS", "FOR"]
    assert listed[2].split() == ["second.test", "0", "0"]
    assert pillarbox("domain", "remove", "second.test").out == "domain second.test removed\n"
    gone = pillarbox("domain", "remove", "second.test")
    assert gone == Answer(1, "", "pillarbox: domain second.test: not found\n")
    bad = pillarbox("domain", "add", "not a domain")
    assert (bad.code, bad.out, bad.err.count("\n")) == (1, "", 1)


def test_domain_aliases(pillarbox: Pillarbox) -> None:
    added = pillarbox("domain", "add", "example.other", "--alias-of", "Example.TEST")
    assert added == Answer(0, "domain example.other added as an alias of example.test\n", "")
    assert pillarbox("domain", "list").out.splitlines()[1].split() == ["example.other", "0", "0", "example.test"]
    listed = {row["name"]: row["alias_of"] for row in pillarbox("domain", "list", "--json").json}
    assert listed == {"example.other": "example.test", "example.test": None}
    busy = pillarbox("domain", "remove", "example.test")
    assert (busy.code, "the domain example.other is an alias of it" in busy.err) == (1, True)
    twice = pillarbox("domain", "add", "third.test", "--alias-of", "example.other")
    assert (twice.code, "example.other is an alias of example.test" in twice.err) == (1, True)
    assert pillarbox("domain", "remove", "example.other").code == 0


def test_catch_all(pillarbox: Pillarbox) -> None:
    caught = pillarbox("domain", "catch-all", "example.test", "me@far.test")
    assert caught == Answer(0, "all other addresses of example.test lead to me@far.test\n", "")
    assert pillarbox("alias", "list", "--json").json == [
        {"address": "@example.test", "targets": ["me@far.test"], "posting": "everybody", "owners": []}
    ]  # fmt: skip
    looping = pillarbox("domain", "catch-all", "example.test", "nobody@example.test")
    assert (looping.code, "a loop: @example.test -> @example.test" in looping.err) == (1, True)
    for words in ((), ("me@far.test", "--off"), ("no-address",)):
        assert pillarbox("domain", "catch-all", "example.test", *words).code == 2
    assert pillarbox("domain", "catch-all", "example.test", "--off", "--json").json == {"name": "example.test", "catch_all": []}
    assert pillarbox("alias", "list") == Answer(0, "", "")
    assert pillarbox("domain", "catch-all", "nowhere.test", "--off").code == 1


def test_accounts(pillarbox: Pillarbox) -> None:
    added = pillarbox("account", "add", "alice@example.test", "--password-stdin", stdin=b"first secret\n")
    assert added == Answer(0, "account alice@example.test added\n", "")
    again = pillarbox("account", "add", "alice@example.test", "--password-stdin", stdin=b"other\n")
    assert again == Answer(1, "", "pillarbox: account alice@example.test: exists already\n")
    (row,) = pillarbox("account", "list", "--json").json
    assert row["address"] == "alice@example.test"
    assert (row["messages"], row["octets"]) == (0, 0)
    changed = pillarbox("account", "passwd", "alice@example.test", "--password-stdin", stdin="둘째 비밀\n".encode())
    assert changed.out == "password of alice@example.test changed\n"
    nobody = pillarbox("account", "passwd", "nobody@example.test", "--password-stdin", stdin=b"x\n")
    assert nobody == Answer(1, "", "pillarbox: account nobody@example.test: not found\n")
    elsewhere = pillarbox("account", "add", "alice@nowhere.test", "--password-stdin", stdin=b"x\n")
    assert elsewhere.code == 1
    assert "account alice@nowhere.test: not found (" in elsewhere.err
    busy = pillarbox("domain", "remove", "example.test")
    assert busy.code == 1
    assert "domain example.test: " in busy.err
    assert pillarbox("account", "remove", "alice@example.test", "--json").json == {"removed": "alice@example.test"}
    assert pillarbox("account", "list") == Answer(0, "", "")


def test_quota(pillarbox: Pillarbox) -> None:
    pillarbox("account", "add", "full@example.test", "--password-stdin", stdin=b"secret\n")
    nothing = {"address": "full@example.test", "messages": 0, "octets": 0, "most_messages": None, "most_octets": None}
    assert pillarbox("quota", "show", "full@example.test", "--json").json == [nothing]
    limited = pillarbox("quota", "set", "full@example.test", "2G", "10000")
    assert [line.split() for line in limited.out.splitlines()] == [
        ["ACCOUNT", "SIZE", "OF", "MESSAGES", "OF"], ["full@example.test", "0", "B", "2.0", "GB", "0", "10000"],
    ]  # fmt: skip
    # what is not named stays
    assert pillarbox("quota", "set", "full@example.test", "512MiB", "--json").json == {
        **nothing, "most_messages": 10000, "most_octets": 512 << 20
    }  # fmt: skip
    assert [row["address"] for row in pillarbox("quota", "show", "--json").json] == ["@example.test", "full@example.test"]
    recounted = pillarbox("quota", "recount", "full@example.test")
    assert (recounted.code, recounted.out.splitlines()[-1]) == (0, "all counters were right")
    # a domain, with or without its at
    domain = {**nothing, "address": "@example.test"}
    assert pillarbox("quota", "set", "example.test", "50G", "--json").json == {**domain, "most_octets": 50 * 10**9}
    assert pillarbox("quota", "set", "@example.test", "none", "--json").json == domain
    for words in ((), ("example.test",)):
        counted = pillarbox("quota", "recount", *words, "--json").json
        assert [row["address"] for row in counted] == ["full@example.test", "@example.test"]
        assert [row["before"]["octets"] for row in counted] == [0, 0]
    assert pillarbox("quota", "show", "nowhere.test").err == "pillarbox: domain nowhere.test: not found (@nowhere.test)\n"
    assert pillarbox("quota", "set", "full@example.test", "none", "--json").json == nothing
    wrong = pillarbox("quota", "set", "full@example.test", "lots")
    assert wrong == Answer(1, "", "pillarbox: lots: neither a size (2G, 500M) nor a number of messages\n")
    nobody = pillarbox("quota", "set", "nobody@example.test", "1G")
    assert nobody == Answer(1, "", "pillarbox: account nobody@example.test: not found\n")
    pillarbox("account", "remove", "full@example.test")


@pytest.mark.parametrize(
    ("stdin", "said"),
    [
        (b"", "the password is empty"),
        (b"\n", "the password is empty"),
        (b"\xff\xfe\n", "not UTF-8"),
        (b"x" * 1025 + b"\n", "longer than 1024 octets"),
    ],
)
def test_passwords_that_cannot_be(pillarbox: Pillarbox, stdin: bytes, said: str) -> None:
    refused = pillarbox("account", "add", "carol@example.test", "--password-stdin", stdin=stdin)
    assert refused.code == 2
    assert said in refused.err
    assert stdin.decode("latin-1").strip() == "" or stdin.decode("latin-1").strip() not in refused.err


def test_a_password_is_asked_twice_without_echo(pillarbox: Pillarbox) -> None:
    ask, again = "Password for bob@example.test: ", "Once more: "
    differ = pillarbox.typed("account", "add", "bob@example.test", keys=[(ask, "one secret"), (again, "another")])
    assert differ.code == 2
    assert "the passwords differ" in differ.out
    added = pillarbox.typed("account", "add", "bob@example.test", keys=[(ask, "one secret"), (again, "one secret")])
    assert added.code == 0
    assert "account bob@example.test added" in added.out
    assert "secret" not in differ.out + added.out
    assert pillarbox("account", "remove", "bob@example.test").code == 0


def test_aliases(pillarbox: Pillarbox) -> None:
    assert pillarbox("account", "add", "erin@example.test", "--password-stdin", stdin=b"x\n").code == 0
    added = pillarbox("alias", "add", "info@example.test", "erin@example.test", "carol@remote.test")
    assert added == Answer(0, "alias info@example.test leads to carol@remote.test, erin@example.test\n", "")
    listed = pillarbox("alias", "list", "--json").json
    targets = ["carol@remote.test", "erin@example.test"]
    assert listed == [{"address": "info@example.test", "targets": targets, "posting": "everybody", "owners": []}]
    few = pillarbox("alias", "posting", "info@example.test", "members", "--owner", "boss@far.test")
    assert few == Answer(0, "alias info@example.test takes mail from members (boss@far.test)\n", "")
    (row,) = pillarbox("alias", "list", "--json").json
    assert (row["posting"], row["owners"]) == ("members", ["boss@far.test"])
    nobody = pillarbox("alias", "posting", "info@example.test", "owners")
    assert nobody == Answer(1, "", "pillarbox: alias info@example.test: no owner: nobody could post\n")
    assert pillarbox("alias", "posting", "info@example.test", "everybody").code == 0
    less = pillarbox("alias", "remove", "info@example.test", "carol@remote.test")
    assert less.out == "alias info@example.test no longer leads to carol@remote.test\n"
    assert pillarbox("alias", "list").out.splitlines()[1].split() == ["info@example.test", "everybody", "erin@example.test"]
    assert pillarbox("alias", "remove", "info@example.test").out == "alias info@example.test removed\n"
    assert pillarbox("alias", "remove", "info@example.test").code == 1
    assert pillarbox("account", "remove", "erin@example.test").code == 0


def test_an_empty_queue(pillarbox: Pillarbox) -> None:
    assert pillarbox("queue", "list") == Answer(0, "", "")
    assert pillarbox("queue", "list", "--json").json == []
    assert pillarbox("queue", "show", "7") == Answer(1, "", "pillarbox: queue entry 7: not found\n")
    assert pillarbox("queue", "retry") == Answer(0, "0 entries retried\n", "")
    assert pillarbox("queue", "remove", "--all", "--json").json == {"removed": 0}
    assert pillarbox("queue", "remove", "7").code == 1


def test_status(pillarbox: Pillarbox) -> None:
    told = pillarbox("status", "--json").json
    assert told["domains"] == 1
    assert told["queue"] == {"entries": 0, "due": 0}
    assert told["started"].endswith("Z")
    people = pillarbox("status").out
    assert f"data in {pillarbox.data}" in people
    assert "1 domain, 0 accounts, 0 messages" in people


def test_a_store_that_stopped(tmp_path: Path) -> None:
    store = RunningService("store", tmp_path, {"PILLARBOX_OBSERVE__STORE_PORT": "0"})
    with store:
        assert Pillarbox(tmp_path)("domain", "list").code == 0
    answer = Pillarbox(tmp_path)("domain", "list")
    assert answer == Answer(3, "", f"pillarbox: the store does not run in {tmp_path} (start it with: pillarbox up)\n")
    with store:
        store.kill()
        assert Pillarbox(tmp_path)("domain", "list").code == 3


def test_the_search_index(pillarbox: Pillarbox) -> None:
    told = pillarbox("search", "status", "--json").json
    assert (told["enabled"], told["rebuilding"], told["indexed"], told["octets_per_message"]) == (True, False, 0, 0)
    assert pillarbox("search", "rebuild").out == "0 messages indexed, 0 B on disk\n"
    assert pillarbox("search", "rebuild", "--json").json["failure"] == ""
    assert pillarbox("search", "status").out.splitlines()[0] == "0 messages indexed, 0 B on disk"


def test_bans(pillarbox: Pillarbox) -> None:
    assert pillarbox("bans") == pillarbox("bans", "list") == Answer(0, "", "")
    assert pillarbox("bans", "--json").json == []
    assert pillarbox("bans", "add", "192.0.2.9/24", "--for", "2h").out.startswith("192.0.2.0/24 is banned until 20")
    made = pillarbox("bans", "add", "2001:db8::1", "--json").json
    assert isinstance(made, dict)
    assert (made["kind"], made["subject"], made["manual"], made["tried"]) == ("address", "2001:db8::/64", True, [])
    table = pillarbox("bans").out.splitlines()
    assert table[0].split() == ["KIND", "WHO", "SINCE", "UNTIL", "ENDS", "FAILURES", "BY", "TRIED"]
    assert table[1].startswith("address  2001:db8::/64  20")
    assert table[2].startswith("network  192.0.2.0/24   20")
    assert "in 1 h" in table[2]
    assert pillarbox("bans", "lift", "192.0.2.77") == Answer(0, "1 ban lifted\n", "")
    assert pillarbox("bans", "lift", "192.0.2.77") == Answer(1, "0 bans lifted\n", "")
    assert pillarbox("bans", "lift", "--all", "--json").json == {"lifted": 1}
    assert pillarbox("bans", "lift", "--all") == Answer(0, "0 bans lifted\n", "")
    assert pillarbox("bans", "list") == Answer(0, "", "")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("lift",), 2, "name an address"),
        (("lift", "192.0.2.1", "--all"), 2, "name an address"),
        (("add", "192.0.2.1", "--for", "soon"), 2, "soon is not a length of time"),
        (("add", "192.0.2.1", "--for", "0"), 2, "not a length of time"),
        (("add", "everybody"), 1, "everybody is not an address or network"),
        (("add", "127.0.0.1"), 1, "127.0.0.1 is never banned"),
    ],
)
def test_bans_that_cannot_be(pillarbox: Pillarbox, words: tuple[str, ...], code: int, said: str) -> None:
    answer = pillarbox("bans", *words)
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err


def test_a_queue_by_pattern(pillarbox: Pillarbox) -> None:
    async def submit() -> None:
        async with open_client(pillarbox.data, Role.SMTP_IN) as store:
            for sender, recipients in (("a@here.test", ("x@one.test", "y@two.test")), ("", ("z@two.test",))):
                remote = tuple(map(RemoteRecipient, recipients))
                index = MessageIndex(2, b"", b"", b"", b"", b"")
                await store.messages.deliver(Delivery("t", sender, (), remote, ContentSource(2, inline=b"\r\n"), index))

    trio.run(submit)
    first, *_ = (item["entry"] for item in pillarbox("queue", "list", "--json").json)
    assert [line.split()[6] for line in pillarbox("queue", "list", "--to", "*@two.*").out.splitlines()[1:]] == ["y@two.test", "z@two.test"]
    assert [line.split()[-1] for line in pillarbox("queue", "list", "--by", "destination").out.splitlines()] == [
        "DESTINATION", "two.test", "one.test",
    ]  # fmt: skip
    counted = pillarbox("queue", "list", "--by", "sender", "--json").json
    assert [(group["sender"], group["entries"]) for group in counted] == [("a@here.test", 2), ("<>", 1)]
    assert pillarbox("queue", "hold", "--from", "<>").out == "1 entry held\n"
    assert pillarbox("queue", "hold", str(first)).out == "1 entry held\n"
    held = pillarbox("queue", "list", "--held").out.splitlines()[1:]
    assert ["held" in line.split() for line in held] == [True, True]
    assert pillarbox("queue", "release", "--domain", "one.test").out == "1 entry released\n"
    assert pillarbox("queue", "release", "--all").out == "1 entry released\n"
    assert pillarbox("queue", "retry", "--reason", "busy") == Answer(0, "0 entries retried\n", "")
    assert pillarbox("queue", "remove", "--older", "1d").out == "0 entries removed\n"
    assert pillarbox("queue", "remove", "--all").out == "3 entries removed\n"


def test_mail_is_taken_back(pillarbox: Pillarbox) -> None:
    until = 4_000_000_000.0
    first, second = "0123456789abc", "zzzzzzzzzzzzz"

    async def submit() -> None:
        async with open_client(pillarbox.data, Role.SMTP_IN) as store:
            index = MessageIndex(2, b"", b"", b"", b"", b"")
            for trace, *recipients in ((first, "x@one.test", "y@two.test"), (second, "z@two.test")):
                remote = tuple(map(RemoteRecipient, recipients))
                wishes = Wishes(TlsWish.REQUIRED, until, until + 60, ByMode.RETURN)
                source = ContentSource(2, inline=b"\r\n")
                await store.messages.deliver(Delivery(trace, "a@here.test", (), remote, source, index, wishes=wishes))

    async def lease() -> None:
        async with open_client(pillarbox.data, Role.SMTP_IN) as smtp_in, open_client(pillarbox.data, Role.SMTP_OUT) as store:
            index = MessageIndex(2, b"", b"", b"", b"", b"")
            remote = (RemoteRecipient("now@one.test"),)
            await smtp_in.messages.deliver(Delivery("t", "a@here.test", (), remote, ContentSource(2, inline=b"\r\n"), index))
            await store.queue.lease("w", 10, 600.0, ())

    trio.run(submit)
    listed = pillarbox("queue", "list", "--json").json
    assert isinstance(listed, list)
    assert {(item["tls"], item["held_until"], item["by_mode"]) for item in listed} == {("required", "2096-10-02T07:06:40Z", "R")}
    shown = pillarbox("queue", "show", str(listed[0]["entry"])).out
    assert "asked for:   TLS required at every hop (REQUIRETLS)\n" in shown
    assert "asked for:   held until 2096-10-02 07:06:40 UTC\n" in shown
    assert "asked for:   to be delivered by 2096-10-02 07:07:40 UTC, else it goes back\n" in shown
    assert "  held until 2096-10-02 07:06:40 UTC" in pillarbox("trace", first).out
    assert pillarbox("queue", "retry", "--all") == Answer(0, "0 entries retried\n", "")
    assert pillarbox("queue", "recall", first.upper()) == Answer(0, "2 entries taken back\n", "")
    assert pillarbox("queue", "recall", first) == Answer(1, "0 entries taken back\n", "")
    assert "taken back before it went to x@one.test" in pillarbox("trace", first).out
    trio.run(lease)
    both = pillarbox("queue", "recall", "--from", "*@here.test")
    assert both.code == 1
    assert both.out.startswith("1 entry taken back\nnot taken back, under way already: entry ")
    assert pillarbox("queue", "recall").code == pillarbox("queue", "recall", first, "--all").code == 2
    assert pillarbox("queue", "recall", "nothing").code == 2
    answer = pillarbox("queue", "recall", "--all", "--json")
    assert isinstance(answer.json, dict)
    assert (answer.json["recalled"], len(answer.json["under_way"])) == (0, 1)
    assert pillarbox("queue", "remove", "--all").out == "1 entry removed\n"
