"""Who may post to a group, as a pure rule."""

import pytest

from services.store.domain.directory import Lookups, key_of, resolve
from services.store.domain.groups import Rule, may_post
from shared.contract.group_types import Posting

ACCOUNTS = {"one@x.y": 1, "two@x.y": 2, "three@x.y": 3, "boss@x.y": 9}
ALIASES = {
    "team@x.y": ["one@x.y", "inner@x.y", "Out@far.test"],
    "inner@x.y": ["two@x.y"],
    "alias-of-one@x.y": ["one@x.y"],
    "one-and-three@x.y": ["one@x.y", "three@x.y"],
    "one-elsewhere@x.y": ["one@x.y", "else@far.test"],
    "@x.y": ["one@x.y"],
}
FOUND = Lookups(
    domain={"x.y": "x.y", "also.y": "x.y"}.get,
    account=ACCOUNTS.get,
    alias=lambda address: ALIASES.get(address, []),
    restricted=lambda key: key == "team@x.y",
)
MEMBERS = Rule(Posting.MEMBERS, ("boss@x.y", "owner@far.test"))
OWNERS = Rule(Posting.OWNERS, ("boss@x.y", "owner@far.test"))


@pytest.mark.parametrize(
    ("account", "members", "owners"), [(1, True, False), (2, True, False), (3, False, False), (9, True, True)]
)
def test_accounts(account: int, members: bool, owners: bool) -> None:
    # the reverse-path says nothing more
    for sender in ("", "whoever@far.test", "out@far.test"):
        assert may_post("team@x.y", MEMBERS, account, sender, FOUND) is members
        assert may_post("team@x.y", OWNERS, account, sender, FOUND) is owners
        assert may_post("team@x.y", Rule(), account, sender, FOUND)


@pytest.mark.parametrize(
    ("sender", "members", "owners"),
    [
        ("one@x.y", True, False), ("ONE+tag@also.y", True, False), ("two@x.y", True, False), ("alias-of-one@x.y", True, False),
        ("inner@x.y", True, False), ("three@x.y", False, False), ("one-and-three@x.y", False, False),
        ("one-elsewhere@x.y", False, False),
        # nobody made that address: the catch-all leads to a member
        ("unknown@x.y", False, False),
        ("out@FAR.test", True, False), ("out+tag@far.test", False, False), ("else@far.test", False, False),
        ("boss@x.y", True, True), ("owner@far.test", True, True),
        ("", False, False), ("no address", False, False), ("@far.test", False, False),
    ],
)  # fmt: skip
def test_senders_from_elsewhere(sender: str, members: bool, owners: bool) -> None:
    assert may_post("team@x.y", MEMBERS, None, sender, FOUND) is members
    assert may_post("team@x.y", OWNERS, None, sender, FOUND) is owners


def test_what_was_named_counts() -> None:
    assert resolve("team@x.y", FOUND).restricted
    assert resolve("TEAM+detail@also.y", FOUND).restricted
    assert [key_of(address, FOUND) for address in ("team+detail@also.y", "nobody@x.y", "a@far.test")] == ["team@x.y", "@x.y", None]
    for address in ("inner@x.y", "one@x.y", "nobody@x.y"):
        assert not resolve(address, FOUND).restricted
