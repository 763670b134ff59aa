"""Grants, passwords in memory, the directory's cache, and who is told what."""

import struct
from hashlib import blake2b
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from services.store.directory_cache import DirectoryCache
from services.store.grants import Grants
from services.store.news import Changes
from services.store.notify import BACKLOG_OCTETS, QUEUE, Notifier
from services.store.passwords import Passwords
from services.store.reads.directory import Credentials
from shared.contract.registry import Role
from shared.contract.types import Resolution, ResolutionKind
from shared.errors import BadRequest, Forbidden, GrantExpired, Overloaded
from shared.testing import trio_test

KEY = bytes(range(32))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def make_grants(clock: Clock, accounts: set[int], key: bytes = KEY) -> Grants:
    return Grants(key, 60.0, accounts.__contains__, clock)


def test_a_grant_is_for_one_account_and_one_service() -> None:
    grants = make_grants(Clock(), {7})
    grant = grants.issue(7, Role.IMAP)
    assert grants.check(grant, Role.IMAP) == 7
    assert make_grants(Clock(), {7}).check(grant, Role.IMAP) == 7
    with pytest.raises(Forbidden):
        grants.check(grant, Role.POP3)
    with pytest.raises(Forbidden):
        grants.check(grant, Role.ADMIN)
    with pytest.raises(Forbidden):
        make_grants(Clock(), {7}, bytes(32)).check(grant, Role.IMAP)


def test_a_grant_ends_with_its_time_or_its_account() -> None:
    clock, accounts = Clock(), {7, 8}
    grants = make_grants(clock, accounts)
    first, second = grants.issue(7, Role.IMAP), grants.issue(8, Role.IMAP)
    assert (grants.check(first, Role.IMAP), grants.check(second, Role.IMAP)) == (7, 8)
    accounts.remove(8)
    with pytest.raises(GrantExpired):
        grants.check(second, Role.IMAP)
    clock.now += 59
    grants.check(first, Role.IMAP)
    clock.now += 2
    for checker in (grants, make_grants(clock, accounts)):
        with pytest.raises(GrantExpired):
            checker.check(first, Role.IMAP)


def test_a_grant_ends_with_its_device() -> None:
    devices = {3}
    grants = Grants(KEY, 60.0, {7}.__contains__, Clock(), devices.__contains__)
    grant, other = grants.issue(7, Role.IMAP, 3), grants.issue(7, Role.IMAP)
    assert (grants.check(grant, Role.IMAP), grants.check(other, Role.IMAP)) == (7, 7)
    devices.clear()
    with pytest.raises(GrantExpired):
        grants.check(grant, Role.IMAP)
    assert grants.check(other, Role.IMAP) == 7


def test_a_grant_from_before_devices_is_still_one() -> None:
    body = struct.pack("<BBQQ8s", 1, 2, 7, 1050, bytes(8))
    old = body + blake2b(body, key=KEY, person=b"pbox-grant", digest_size=32).digest()
    assert make_grants(Clock(), {7}).check(old, Role.IMAP) == 7
    body = b"\2" + body[1:]
    with pytest.raises(Forbidden):
        make_grants(Clock(), {7}).check(
            body + blake2b(body, key=KEY, person=b"pbox-grant", digest_size=32).digest(), Role.IMAP
        )


@given(position=st.integers(0, 65), bit=st.integers(0, 7))
def test_every_changed_bit_voids_a_grant(position: int, bit: int) -> None:
    grants = make_grants(Clock(), set(range(100)))
    grant = bytearray(grants.issue(7, Role.IMAP))
    grant[position] ^= 1 << bit
    with pytest.raises(Forbidden):
        grants.check(bytes(grant), Role.IMAP)


@given(st.binary(max_size=80))
def test_anything_else_is_no_grant(data: bytes) -> None:
    with pytest.raises(Forbidden):
        make_grants(Clock(), {7}).check(data, Role.IMAP)


@trio_test
async def test_a_right_password_is_remembered_for_a_while() -> None:
    clock = Clock()
    passwords = Passwords(at_once=1, remember_seconds=60.0, clock=clock)
    await passwords.start()
    hashed = await passwords.hash("secret")
    assert hashed.startswith("$argon2id$")
    verified: list[str] = []
    hasher = passwords._hasher

    class Counting:
        def verify(self, password_hash: str, password: str) -> bool:
            verified.append(password)
            return hasher.verify(password_hash, password)

    passwords._hasher = Counting()  # type: ignore[assignment]
    for _ in range(3):
        assert await passwords.verify("a@x", hashed, "secret")
    assert len(verified) == 1
    assert not await passwords.verify("a@x", hashed, "wrong")
    assert not await passwords.verify("b@x", None, "secret")
    assert len(verified) == 3
    passwords.forget("a@x")
    assert await passwords.verify("a@x", hashed, "secret")
    assert len(verified) == 4
    clock.now += 61
    assert await passwords.verify("a@x", hashed, "secret")
    assert len(verified) == 5
    other = Passwords(at_once=1, remember_seconds=60.0)
    assert not await passwords.verify("a@x", await other.hash("new"), "secret")
    assert len(verified) == 6


@trio_test
async def test_too_many_logins_are_turned_away() -> None:
    passwords = Passwords(at_once=1, remember_seconds=0.0)
    passwords._waiting = 256
    with pytest.raises(Overloaded):
        await passwords.verify("a@x", None, "x")
    passwords._waiting = 0
    for wrong in ("", "x" * 1025, "a\0b"):
        with pytest.raises(BadRequest):
            await passwords.hash(wrong)


def test_a_resolution_that_is_older_than_a_change_is_not_kept() -> None:
    cache = DirectoryCache()
    found = Resolution(ResolutionKind.UNKNOWN)
    generation = cache.generation
    cache.changed({1: 1}, [])
    cache.put("a@x", found, generation)
    assert cache.get("a@x") is None
    cache.put("a@x", found, cache.generation)
    assert cache.get("a@x") is found
    assert cache.has_account(1)
    cache.changed([], [1])
    assert cache.get("a@x") is None
    assert not cache.has_account(1)


class FakePeer:
    """What the notifier needs of a peer."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.told: list[list[int]] = []
        self.backlog_octets = 0
        self.closing: list[Any] = []

    def notify(self, method: str, params: list[int]) -> None:
        assert method == "changed"
        self.told.append(params)

    def on_close(self, callback: Any) -> None:
        self.closing.append(callback)


def test_who_is_told_what() -> None:
    notifier = Notifier()
    first, second = FakePeer(1), FakePeer(2)
    notifier.watch(first, 10, ("mailbox", 5))  # type: ignore[arg-type]
    notifier.watch(second, 10, ("mailbox", 6))  # type: ignore[arg-type]
    notifier.watch(second, 11, ("account", 9))  # type: ignore[arg-type]
    notifier.watch(second, 12, QUEUE)  # type: ignore[arg-type]
    notifier.committed(Changes({5: 77}))
    assert (first.told, second.told) == ([[10, 77]], [])
    notifier.committed(Changes({6: 3, 7: 1}, {9}, queue=True))
    assert sorted(second.told) == [[10, 3], [11, notifier.commits], [12, 0]]
    notifier.unwatch(second, 10)  # type: ignore[arg-type]
    notifier.committed(Changes({6: 4}))
    assert len(second.told) == 3
    notifier.watch(first, 10, ("mailbox", 6))  # type: ignore[arg-type]
    notifier.committed(Changes({5: 78, 6: 5}))
    assert first.told == [[10, 77], [10, 5]]
    for peer in (first, second):
        for callback in peer.closing:
            callback()
    notifier.committed(Changes({6: 6}, {9}, queue=True))
    assert notifier.statistics() == {"watches": 0, "pending": 0, "sent": 5}


@trio_test
async def test_a_slow_peer_is_told_once_with_the_last_value() -> None:
    notifier = Notifier()
    peer = FakePeer(1)
    notifier.watch(peer, 1, ("mailbox", 5))  # type: ignore[arg-type]
    peer.backlog_octets = BACKLOG_OCTETS + 1
    for modseq in range(2, 50):
        notifier.committed(Changes({5: modseq}))
    assert peer.told == []
    peer.backlog_octets = 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(notifier.run)
        with trio.fail_after(5):
            while not peer.told:
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert peer.told == [[1, 49]]


def test_credentials_that_are_older_than_a_change_are_not_kept() -> None:
    cache = DirectoryCache()
    cache.keep_credentials("a@x", Credentials(1, "a@x", "hash"), cache.generation)
    assert cache.credentials("a@x") == Credentials(1, "a@x", "hash")
    assert cache.credentials("b@x") is None
    read_at = cache.generation
    cache.changed((), ())
    assert cache.credentials("a@x") is None
    cache.keep_credentials("a@x", Credentials(1, "a@x", "hash"), read_at)
    assert cache.credentials("a@x") is None
