"""Rules of quota: room, what is shown, and when somebody is warned."""

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.store.domain.quota import FALL_PERCENT, Root, RootKind, check, mark, room_octets, shown
from services.store.news import Changes
from services.store.quota_cache import QuotaCache
from services.store.quota_notice import build_warning, size_text
from shared.contract.sharing_types import Quota
from shared.errors import OverQuota

MARKS = (80, 95)
MB = 1000 * 1000


def of(messages: int, octets: int, most_messages: int | None = None, most_octets: int | None = None, name: str = "a@x.test") -> Quota:
    return Quota(name, messages, octets, most_messages, most_octets)


def test_room_is_what_is_left_to_the_octet() -> None:
    check(of(1, 10, 2, 20), 1, 10)
    for more in ((2, 0), (0, 11)):
        with pytest.raises(OverQuota):
            check(of(1, 10, 2, 20), *more)
    # what makes less, or nothing more, is never refused
    check(of(5, 50, 2, 20), 0, -1)
    check(of(5, 50, 2, 20), -1, 0)
    check(of(5, 50), 1000, 1000)
    with pytest.raises(OverQuota, match=r"20 octets in x\.test"):
        check(of(1, 10, None, 20, "@x.test"), 1, 11)
    assert [room_octets(of(1, 10, *limits)) for limits in ((None, None), (1, 50), (2, 50), (None, 5))] == [None, 0, 40, 0]


def test_a_client_is_shown_the_limit_that_it_meets_first() -> None:
    domain = of(30, 300, None, 400, "@x.test")
    assert shown(of(1, 50), domain) == of(1, 50, None, 150)
    assert shown(of(1, 50, None, 100), domain) == of(1, 50, None, 100)
    assert shown(of(1, 50, 7, 1000), domain) == of(1, 50, 7, 150)
    # a domain that is over its limit: its accounts are full, not below nothing
    assert shown(of(1, 50), of(0, 500, None, 400)) == of(1, 50, None, 50)
    assert shown(of(1, 50, 3, 70), of(9, 9)) == of(1, 50, 3, 70)


@pytest.mark.parametrize(
    ("octets", "warned", "now"),
    [
        (79, 0, 0), (80, 0, 80), (94, 0, 80), (95, 0, 95), (200, 0, 95), (95, 80, 95),
        # it falls by more than it takes to be there
        (79, 80, 80), (78, 80, 80), (77, 80, 0), (94, 95, 95), (93, 95, 95), (92, 95, 80), (0, 95, 0),
    ],
)  # fmt: skip
def test_marks(octets: int, warned: int, now: int) -> None:
    assert mark(of(1, octets * MB, None, 100 * MB), warned, MARKS) == now
    assert mark(of(octets, 1, 100, None), warned, MARKS) == now


def test_no_mark() -> None:
    assert mark(of(99, 99 * MB, 100, 100 * MB), 0, (0, 0)) == 0
    assert mark(of(99, 99 * MB), 80, MARKS) == 0
    # limits so small that the warning itself would fill them
    assert mark(of(0, 0, 0, 0), 0, MARKS) == mark(of(50, 999, 50, 1000), 0, MARKS) == 0


@given(st.lists(st.integers(0, 120), max_size=40))
def test_nobody_is_warned_twice_at_a_mark_without_a_fall_between(percents: list[int]) -> None:
    warned, lowest = 0, {80: 0, 95: 0}
    for percent in percents:
        now = mark(of(1, percent * MB, None, 100 * MB), warned, MARKS)
        for each in MARKS:
            lowest[each] = min(lowest[each], percent)
        if now > warned:
            assert lowest[now] < now - FALL_PERCENT
            lowest[now] = percent
        warned = now


def test_the_cache_follows_commits() -> None:
    cache = QuotaCache({1: 7, 2: 7, 3: 8}.get)
    assert (cache.room_octets(1), cache.is_limited(1)) == (None, False)
    cache.load({Root(RootKind.ACCOUNT, 1): of(0, 10, None, 100), Root(RootKind.DOMAIN, 7): of(0, 50, None, 60)})
    assert [cache.room_octets(account) for account in (1, 2, 3, 99)] == [10, 10, None, None]
    changes = Changes()
    changes.add_usage(1, 1, 5)
    changes.add_usage(2, 1, -20)
    changes.add_domain_usage(7, 2, -15)
    assert cache.counted(changes) == [Root(RootKind.ACCOUNT, 1), Root(RootKind.DOMAIN, 7)]
    assert [cache.room_octets(account) for account in (1, 2)] == [25, 25]
    changes = Changes(domain_quotas={7: of(0, 35)})
    assert cache.counted(changes) == [Root(RootKind.DOMAIN, 7)]
    assert [cache.room_octets(account) for account in (1, 2)] == [85, None]
    cache.forget([7], [1])
    assert not cache.limited


@pytest.mark.parametrize(
    ("quota", "to", "said"),
    [
        (of(7, 1_900_000_000, None, 2_000_000_000), "a@x.test", ("1.9 GB of 2.0 GB", "2.0 GB 중 1.9 GB")),
        (of(96, 5, 120, None, "@x.test"), "postmaster@x.test", ("x.test has reached", "96 of 120 messages", "120통 중 96통")),
    ],
)
def test_the_warning(quota: Quota, to: str, said: tuple[str, ...]) -> None:
    content = build_warning(quota, 95, hostname="mx.example.test", seconds=1.0, unique="u")
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert (message["To"], message["Auto-Submitted"], message["Message-ID"]) == (to, "auto-generated", "<u.quota@mx.example.test>")
    assert "95 %" in message["Subject"]
    text = message.get_content()
    assert all(words in text for words in said)


def test_sizes_for_people() -> None:
    assert [size_text(octets) for octets in (0, 999, 1000, 2_500_000, 3 * 10**12)] == ["0 B", "999 B", "1.0 kB", "2.5 MB", "3.0 TB"]
