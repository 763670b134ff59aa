"""Kills, restarts, a store that is away: nothing is removed without QUIT, nothing is lost, sessions live on."""

import itertools
from collections.abc import Callable

import pytest

from shared.testing.mail_samples import large_message, plain_message
from shared.testing.pop3 import Pop3Stack
from shared.testing.stack import PASSWORD

MESSAGES = [plain_message(f"{n}@example.test") for n in range(1, 6)]
MakeStack = Callable[..., Pop3Stack]


def test_kill_before_quit_removes_nothing_and_ids_stay(make_stack: MakeStack) -> None:
    stack = make_stack()
    address = stack.account(*MESSAGES)
    with stack.logged_in(address) as wire:
        before = wire.multi("UIDL")
        for number in range(1, 6):
            assert wire.command(f"DELE {number}").startswith(b"+OK")
        stack["pop3"].kill()
        assert wire.at_end()
    stack["pop3"].restart()
    with stack.logged_in(address) as wire:
        assert wire.multi("UIDL") == before
        assert wire.multi("RETR 5") == MESSAGES[4]


def test_removal_survives_kill_of_the_store_right_after_quit(make_stack: MakeStack) -> None:
    stack = make_stack()
    address = stack.account(*MESSAGES)
    for left in (4, 3):
        with stack.logged_in(address) as wire:
            wire.send(b"DELE 1\r\nQUIT\r\n")
            assert wire.line().startswith(b"+OK")
            assert wire.line() == b"+OK signing off (%d messages left)" % left
        stack["store"].kill()
        stack["store"].restart()
        assert stack.count(address) == left


def test_session_lives_through_a_restart_of_the_store(make_stack: MakeStack) -> None:
    stack = make_stack()
    big = large_message("big@example.test", 2_000_000)
    address = stack.account(*MESSAGES, big)
    with stack.logged_in(address) as wire:
        before = wire.multi("UIDL")
        assert wire.multi("RETR 1") == MESSAGES[0]
        stack["store"].kill()
        stack["store"].restart()
        assert wire.multi("RETR 2") == MESSAGES[1]
        assert wire.multi("RETR 6") == big
        assert wire.multi("UIDL") == before
        wire.command("DELE 1")
        stack["store"].stop()
        # the command waits for the store, and is answered when it is back
        wire.send(b"QUIT\r\n")
        stack["store"].restart()
        assert wire.line() == b"+OK signing off (5 messages left)"
    assert stack.count(address) == 5


def test_store_away_is_a_temporary_error_and_the_session_lives_on(make_stack: MakeStack) -> None:
    stack = make_stack(store__wait_seconds="0.3")
    address = stack.account(*MESSAGES, large_message("big@example.test", 1_000_000))
    with stack.logged_in(address) as wire, stack.wire() as second:
        stack["store"].kill()
        for command in ("RETR 6", "RETR 4", "TOP 1 1"):
            assert wire.command(command).startswith(b"-ERR [SYS/TEMP] "), command
        assert wire.command("STAT").startswith(b"+OK 6 ")
        second.command(f"USER {address}")
        assert second.command(f"PASS {PASSWORD}").startswith(b"-ERR [SYS/TEMP] ")
        stack["store"].restart()
        # the service finds it again within half a second, and has patience for less than that here
        answers = iter(lambda: wire.command("RETR 4"), b"+OK %d octets" % len(MESSAGES[3]))
        assert all(answer.startswith(b"-ERR [SYS/TEMP] ") for answer in itertools.islice(answers, 100))
        assert wire.body() == MESSAGES[3]
        second.log_in(address)
        wire.command("DELE 1")
        stack["store"].kill()
        assert wire.command("QUIT") == b"-ERR some deleted messages not removed"
        assert wire.at_end()
        stack["store"].restart()
        assert second.command("STAT").startswith(b"+OK 6 ")
        assert second.command("QUIT") == b"+OK signing off (6 messages left)"


@pytest.mark.parametrize("state", ["before login", "idle", "retrieving"])
def test_drain(make_stack: MakeStack, state: str) -> None:
    stack = make_stack()
    big = large_message("big@example.test", 8_000_000)
    address = stack.account(big)
    with stack.wire() as wire:
        if state != "before login":
            wire.log_in(address)
        if state == "retrieving":
            wire.send(b"DELE 1\r\nRSET\r\nRETR 1\r\n")
            assert [wire.line()[:3] for _ in range(3)] == [b"+OK"] * 3
        popen = stack["pop3"].popen
        assert popen is not None
        popen.terminate()
        stack["pop3"].wait_for_log("draining")
        if state == "retrieving":
            assert wire.body() == big
        assert wire.line() == b"-ERR [SYS/TEMP] the server is shutting down, try again later"
        assert wire.at_end()
        assert popen.wait(10) == 0
    with pytest.raises(ConnectionRefusedError):
        stack.wire()
