"""The cache of rendered metadata: bounded, the longest unused goes first, given back with time."""

from services.imap.rendered import ROW_OVERHEAD, RenderedCache
from shared.model.ids import MailboxId

A, B = (MailboxId(1), 7), (MailboxId(2), 7)


def rows(count, octets=100 - ROW_OVERHEAD % 100):
    return [(uid, b"x" * octets) for uid in range(count)]


ROW = ROW_OVERHEAD + len(rows(1)[0][1])


def test_kept_and_found():
    cache = RenderedCache(100 * ROW)
    assert cache.rows(A, b"ENVELOPE", 0) == {}
    cache.add(A, b"ENVELOPE", rows(10), 0)
    cache.add(A, b"ENVELOPE", rows(12), 0)
    assert list(cache.rows(A, b"ENVELOPE", 0)) == list(range(12))
    assert cache.rows(A, b"BODY", 0) == {}
    assert cache.rows((A[0], 8), b"ENVELOPE", 0) == {}
    assert cache.statistics() == {"octets": 12 * ROW, "rows": 12, "columns": 1}


def test_the_longest_unused_goes_first():
    cache = RenderedCache(100 * ROW)
    cache.add(A, b"ENVELOPE", rows(40), 0)
    cache.add(B, b"ENVELOPE", rows(40), 1)
    cache.rows(A, b"ENVELOPE", 2)
    cache.add(A, b"BODY", rows(40), 3)
    assert not cache.rows(B, b"ENVELOPE", 4)
    assert len(cache.rows(A, b"ENVELOPE", 4)) == 40
    assert cache.statistics()["octets"] == 80 * ROW


def test_one_mailbox_alone_stays_within_the_bound():
    cache = RenderedCache(100 * ROW)
    for start in range(0, 1000, 10):
        cache.add(A, b"ENVELOPE", [(start + uid, octets) for uid, octets in rows(10)], 0)
        assert cache.statistics()["octets"] <= 100 * ROW
    assert 999 in cache.rows(A, b"ENVELOPE", 0)
    cache.add(B, b"ENVELOPE", rows(500), 0)
    assert cache.statistics()["octets"] <= 100 * ROW


def test_nothing_is_kept_where_nothing_may_be():
    cache = RenderedCache(0)
    cache.add(A, b"ENVELOPE", rows(10), 0)
    assert cache.statistics()["octets"] == 0


def test_given_back():
    cache = RenderedCache(100 * ROW)
    cache.add(A, b"ENVELOPE", rows(10), 5)
    cache.add(B, b"ENVELOPE", rows(10), 15)
    cache.give_back(10)
    assert cache.statistics() == {"octets": 10 * ROW, "rows": 10, "columns": 1}
