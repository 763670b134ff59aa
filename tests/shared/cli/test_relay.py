"""Relays, rules, learned ways and rerouting on the command line, against a real store and smtp_out."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from shared.cli.invocation import WrongUse
from shared.cli.relay import parse_server
from shared.contract.registry import Role
from shared.contract.relay_types import ANYWHERE, LearnedWay
from shared.testing.certificates import make_certificate
from shared.testing.outbound import ALICE, OutboundWorld
from shared.testing.process import ROOT
from shared.testing.smtp_auth import AuthOffer
from shared.testing.smtp_peer import SmtpPeer

MAIL = b"Subject: x\r\n\r\nbody\r\n"


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SmtpPeer, Path]]:
    cert, key = make_certificate(tmp_path_factory.mktemp("tls"), "smart.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    offer = AuthOffer(("PLAIN", "SCRAM-SHA-256"))
    with SmtpPeer(name="smart.test", tls=context, logins={"owner": "s3cret-pass"}, auth=offer) as one:
        yield one, cert


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, peer: tuple[SmtpPeer, Path]) -> Iterator[OutboundWorld]:
    settings = {"PILLARBOX_SMTP_OUT__CA_FILE": str(peer[1])}
    with OutboundWorld(tmp_path_factory.mktemp("relays"), settings) as one:
        one.dns.set("smart.test", {"A": ["127.0.0.1"]})
        yield one


@attrs.frozen
class Answer:
    code: int
    out: str
    err: str


def run(world: OutboundWorld, *words: str, stdin: bytes = b"") -> Answer:
    argv = [sys.executable, "-P", "-m", "shared.cli.main", "--data", str(world.stack.data_dir), *words]
    done = subprocess.run(argv, input=stdin, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=90, check=False)
    return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())


def as_json(world: OutboundWorld, *words: str) -> Any:
    return json.loads(run(world, "--json", *words).out)


def test_a_relay_from_its_first_day_to_its_last(world: OutboundWorld, peer: tuple[SmtpPeer, Path], tmp_path: Path) -> None:
    one = peer[0]
    (tmp_path / "pw").write_text("s3cret-pass\n")
    server = f"smart.test:{one.port}"
    added = run(world, "relay", "add", "provider", server, "--user", "owner", "--password-file", str(tmp_path / "pw"), "--cap", "300")
    assert added == Answer(0, "relay provider added; try it: pillarbox relay test provider\n", "")
    assert run(world, "relay", "add", "provider", server).err == "pillarbox: relay provider: exists already\n"
    tested = run(world, "relay", "test", "provider")
    assert tested.code == 0
    assert f"relay provider: passed: smart.test[127.0.0.1]:{one.port}: logged in as owner by SCRAM-SHA-256, TLSv1" in tested.out

    assert run(world, "relay", "set", "provider", "--password-stdin", stdin=b"mistyped-one\n").out == "relay provider changed\n"
    failed = run(world, "relay", "test", "provider")
    assert (failed.code, failed.out.startswith("relay provider: failed: AUTH: ")) == (1, True)
    run(world, "relay", "set", "provider", "--password-stdin", stdin=b"s3cret-pass\n")
    (relay,) = as_json(world, "relay", "list")["relays"]
    assert {name: relay[name] for name in ("name", "host", "port", "tls", "user", "password", "cap", "fallback", "test_passed")} == {
        "name": "provider", "host": "smart.test", "port": one.port, "tls": "required", "user": "owner", "password": True,
        "cap": 300, "fallback": False, "test_passed": False,
    }  # fmt: skip
    everything = run(world, "relay", "list").out + run(world, "--json", "relay", "list").out + tested.out + failed.out
    assert "s3cret" not in everything + world.smtp_out.log + world.stack["store"].log
    assert "mistyped" not in everything + world.smtp_out.log

    used = run(world, "relay", "use", "provider", "--from", "Example.TEST")
    assert used.out == "mail from example.test to any domain: through relay provider\n"
    run(world, "relay", "use", "--direct", "--from", "example.test", "--to", "b.test")
    assert run(world, "relay", "list").out.splitlines()[-2:] == ["example.test  any     provider", "example.test  b.test  direct"]
    world.submit(ALICE, ["x@c.test"], MAIL)
    one.wait_messages(1)
    world.wait_queue_empty()
    trace = world.smtp_out.wait_for_log(r"delivered.*x@c\.test")[0]
    assert "via relay provider" in trace
    (relay,) = as_json(world, "relay", "list")["relays"]
    assert relay["sent_today"] == 1

    assert run(world, "relay", "remove", "provider").code == 1
    for words in (("--from", "example.test"), ("--from", "example.test", "--to", "b.test")):
        assert run(world, "relay", "use", "--default", *words).out.endswith(": no rule any more\n")
    assert run(world, "relay", "use", "--default", "--all").code == 1
    assert run(world, "relay", "remove", "provider").out == "relay provider removed\n"
    assert run(world, "relay", "test", "provider").err == "pillarbox: relay provider: not found\n"


def test_waiting_mail_is_rerouted_by_pattern(world: OutboundWorld, peer: tuple[SmtpPeer, Path]) -> None:
    one, before = peer[0], len(peer[0].messages)
    run(world, "relay", "add", "away", f"smart.test:{one.port}", "--user", "owner", "--password-stdin", stdin=b"s3cret-pass\n")
    world.point("down.test", world.new_address())
    (entry,) = world.submit(ALICE, ["x@down.test"], MAIL)
    world.wait(lambda: world.show(entry).attempts >= 1, "no attempt")
    assert run(world, "queue", "reroute", "*@up.test", "away") == Answer(1, "0 entries rerouted: away\n", "")
    assert run(world, "queue", "reroute", "down.test", "nobody").err == "pillarbox: queue: not found (relay nobody)\n"
    rerouted = run(world, "queue", "reroute", "*@down.test", "away")
    assert rerouted == Answer(0, "1 entry rerouted: away\n", "")
    one.wait_messages(before + 1)
    world.wait_queue_empty()
    run(world, "relay", "remove", "away")


def test_what_was_learned_is_shown_and_forgotten(world: OutboundWorld) -> None:
    now = time.time()
    for destination, way in ((ANYWHERE, "provider"), ("b.test", "ipv4"), ("c.test", "provider")):
        known = LearnedWay(destination, way, "refused: client blocked", now, now + 7200)
        world.stack.administer(lambda store, known=known: store.relays.learn(known), Role.SMTP_OUT)
    lines = run(world, "relay", "ways").out.splitlines()
    assert [line.split("  ")[0].strip() for line in lines[1:]] == ["all (port 25)", "b.test", "c.test"]
    assert "IPv4 only" in lines[2]
    assert [way["way"] for way in as_json(world, "relay", "ways")] == ["provider", "ipv4", "provider"]
    assert run(world, "relay", "forget", "c.test").out == "1 way forgotten\n"
    assert run(world, "relay", "forget", "c.test").code == 1
    assert run(world, "relay", "forget", "--all").out == "2 ways forgotten\n"
    assert run(world, "relay", "ways") == Answer(0, "", "")


@pytest.mark.parametrize(
    "words",
    [
        ("relay", "add", "x", "smart.test"),
        ("relay", "add", "x", "smart.test:587", "--user", "u"),
        ("relay", "add", "x", "smart.test:587", "--password-stdin"),
        ("relay", "use", "--all"),
        ("relay", "use", "x", "--direct", "--all"),
        ("relay", "use", "x"),
        ("relay", "use", "x", "--all", "--to", "b.test"),
        ("relay", "forget"),
        ("relay", "forget", "b.test", "--all"),
    ],
)
def test_wrong_use(world: OutboundWorld, words: tuple[str, ...]) -> None:
    answer = run(world, *words)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(
    ("text", "server"), [("a.test:587", ("a.test", 587)), ("[::1]:25", ("::1", 25)), ("192.0.2.1:465", ("192.0.2.1", 465))]
)
def test_servers(text: str, server: tuple[str, int]) -> None:
    assert parse_server(text) == server
    with pytest.raises(WrongUse):
        parse_server(text.rpartition(":")[0] + ":smtp")
