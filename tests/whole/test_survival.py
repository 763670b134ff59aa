"""kill -9 of each service while mail flows: nothing acknowledged is lost, nothing doubled, nobody else is disturbed.

The one exception is SMTP's own: a message that the other server accepted, and whose acceptance smtp_out was killed
before it could record, goes out again (RFC 5321 §4.5.4.1, §6.1). It is bounded by what was under way.
"""

import collections
import imaplib
import poplib
import smtplib
from collections.abc import Iterator

import pytest

from shared.testing.clients import Login, Security
from shared.testing.load import Load
from shared.testing.mail_samples import plain_message
from shared.testing.world import Idle, World, fetch_ids, message_id

pytestmark = pytest.mark.timeout(150)  # 12 s on a quiet machine
ROUNDS = 2
MESSAGES = 10
"""Acknowledged on every way before and after each kill."""
IN_FLIGHT = 20
"""What smtp_out may have under way (its connections): the bound for what goes out twice when it is killed."""


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    settings = {"PILLARBOX_SMTP_OUT__LEASE_SECONDS": "5"}
    with World(tmp_path_factory.mktemp("mortal"), settings) as running:
        yield running


class Witness:
    """Sessions of a second account that stand open while a service is killed, one per protocol."""

    def __init__(self, world: World, login: Login) -> None:
        world.deliver(login.address, plain_message("witness@load.test", login.address))
        self.login = login
        self._world = world
        self._imap_context = world.imap(login)
        self._idle_context = world.imap(login)
        self._pop3_context = world.pop3(login)
        self._smtp_context = world.smtp(login, Security.STARTTLS, "submission")
        self.imap = self._imap_context.__enter__()
        self.imap.select("INBOX")
        self.idle = Idle(self._idle_context.__enter__())
        self.pop3 = self._pop3_context.__enter__()
        self.smtp = self._smtp_context.__enter__()

    def check(self, killed: set[str], count: int) -> None:
        """Every session answers, of what was not killed; IDLE has heard of message `count`."""
        if "imap" not in killed:
            assert self.imap.noop()[0] == "OK"
            _, data = self.imap.fetch("1", "(BODY.PEEK[])")
            assert message_id(data[0][1]) == "witness@load.test"
            self.idle.wait(lambda seen: seen.exists >= count)
        if "pop3" not in killed:
            assert message_id(b"\r\n".join(self.pop3.retr(1)[1])) == "witness@load.test"
        if "smtp_in" not in killed:
            assert self.smtp.noop()[0] == 250
            message = plain_message("late@load.test", self.login.address, self.login.address)
            self.smtp.sendmail(self.login.address, [self.login.address], message)

    def close(self) -> None:
        """Close what is still open."""
        for context in (self._imap_context, self._idle_context, self._pop3_context, self._smtp_context):
            try:
                context.__exit__(None, None, None)
            except (OSError, EOFError, ValueError, smtplib.SMTPException, imaplib.IMAP4.error, poplib.error_proto):
                pass


def assert_exactly_once(load: Load, ways: set[str], found: list[str], where: str) -> None:
    counted = collections.Counter(found)
    acknowledged = [identity for way in ways for identity in load.acknowledged[way]]
    tried = {identity for way in ways for identity in load.tried[way]}
    assert [identity for identity in acknowledged if counted[identity] == 0] == [], f"lost {where}: {load.summary()}"
    assert {identity: count for identity, count in counted.items() if count > 1} == {}, f"doubled {where}"
    assert set(counted) <= tried, f"never sent, {where}"


@pytest.mark.parametrize("victim", ["smtp_in", "smtp_out", "imap", "pop3", "store"])
def test_kill_nine(mortal: World, victim: str) -> None:
    stack = mortal.stack
    login, other = mortal.new_user("load"), mortal.new_user("witness")
    witness = Witness(mortal, other)
    pids = {name: service.pid for name, service in stack.services.items() if name != victim}
    before: list[str] = []
    with Load(mortal, login) as load:
        for _ in range(ROUNDS):
            load.wait_more(MESSAGES)
            with mortal.imap(login) as client:
                before = fetch_ids(client)
            stack[victim].kill()
            stack[victim].restart()
            load.wait_more(MESSAGES)
    # those that were not killed run on, and so do their sessions
    assert {name: stack[name].pid for name in pids} == pids
    assert all(service.running for service in stack.services.values())
    mortal.deliver(other.address, plain_message("after@load.test", other.address))
    witness.check({victim}, 2)
    witness.close()
    assert load.lost["smtp"] == 0 or victim == "smtp_in", load.summary()
    assert load.lost["append"] == 0 or victim == "imap", load.summary()
    # all that was acknowledged is there once, by both protocols, in the order it had
    by_imap, by_pop3 = mortal.imap_ids(login), mortal.pop3_ids(login)
    assert_exactly_once(load, {"smtp", "append"}, by_imap, "in the INBOX")
    assert by_pop3 == by_imap
    assert by_imap[: len(before)] == before
    assert_remote(mortal, load, victim)


def assert_remote(world: World, load: Load, victim: str) -> None:
    """What was acknowledged for another server arrived there."""
    world.postfix.wait_messages("carol", load.acknowledged["remote"], seconds=30.0)
    mine = set(load.tried["remote"])
    found = [identity for identity in map(message_id, world.postfix.delivered("carol")) if identity in mine]
    doubled = len(found) - len(set(found))
    assert doubled <= (IN_FLIGHT * ROUNDS if victim == "smtp_out" else 0), f"{doubled} doubled at the other server"


def test_all_five_killed_at_once(mortal: World) -> None:
    login = mortal.new_user("load")
    with Load(mortal, login) as load:
        load.wait_more(MESSAGES)
        for service in mortal.stack.services.values():
            service.kill()
        for service in mortal.stack.services.values():
            service.restart()
        load.wait_more(MESSAGES)
    by_imap = mortal.imap_ids(login)
    assert_exactly_once(load, {"smtp", "append"}, by_imap, "in the INBOX")
    assert mortal.pop3_ids(login) == by_imap
    assert_remote(mortal, load, "smtp_out")
