"""MTA-STS without I/O: records, policies, matching, what is remembered and its file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.smtp_out.doubts import DOUBT_SECONDS, MAX_DOUBTS, Doubts
from services.smtp_out.mta_sts.cache import MAX_CACHE_OCTETS, REFRESH_SECONDS, Kept, PolicyCache, build_file, parse_file
from services.smtp_out.mta_sts.policy import (
    MAX_AGE_SECONDS,
    MAX_OCTETS,
    MAX_PATTERNS,
    Mode,
    Policy,
    parse_policy,
    parse_record,
)
from services.smtp_out.mta_sts.shelf import read_shelf, write_shelf

DAY = 86_400.0


@pytest.mark.parametrize(
    ("texts", "identity"),
    [
        (["v=STSv1; id=20160831085700Z;"], "20160831085700Z"),  # RFC 8461 §3.1, the example
        (["v=STSv1; id=20160831085700Z"], "20160831085700Z"),
        (["v=STSv1;id=1"], "1"),
        (["v=STSv1 ;\tid=1 ; "], "1"),
        (["v=STSv1; ext=a:b; id=1; more=x"], "1"),
        (["v=STSv1; id=1; id=2"], "1"),
        (["v=spf1 -all", "v=STSv1; id=1"], "1"),
        (["v=STSv1; id=1", "v=STSv1; id=2"], None),
        (["v=STSv1; id=1", "v=STSv1; id=1"], None),
        (["v=STSv1"], None),
        (["v=STSv1;"], None),
        (["v=STSv10; id=1"], None),
        (["V=STSv1; id=1"], None),
        ([" v=STSv1; id=1"], None),
        (["id=1; v=STSv1"], None),
        (["v=STSv1; id="], None),
        (["v=STSv1; id=a-b"], None),
        (["v=STSv1; id=" + "a" * 32], "a" * 32),
        (["v=STSv1; id=" + "a" * 33], None),
        (["v=STSv1; id=1; broken"], None),
        (["v=STSv1; id=1;; x=y"], None),
        (["v=STSv1; id=\u0661"], None),
        ([], None),
    ],
)
def test_records(texts: list[str], identity: str | None) -> None:
    assert parse_record(texts) == identity


def policy(mode: str = "enforce", *mx: str, max_age: str = "604800", more: str = "") -> bytes:
    lines = ["version: STSv1", f"mode: {mode}", *(f"mx: {one}" for one in mx), f"max_age: {max_age}"]
    return ("\n".join(lines) + "\n" + more).encode()


MANY = tuple(f"h{number}.b" for number in range(MAX_PATTERNS))
WHOLE = Policy(Mode.ENFORCE, 604800, ("mail.example.com", "*.example.net"))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # RFC 8461 §3.2, the example
        (b"version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmax_age: 604800\n", WHOLE),
        (b"version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800", WHOLE),
        (b"version:STSv1 \nmode:\tenforce\nmx:Mail.Example.com\nmx: *.example.NET  \nmax_age: 604800\n\n\n", WHOLE),
        (b"max_age: 604800\nmx: mail.example.com\nmode: enforce\nmx: *.example.net\nversion: STSv1", WHOLE),
        (policy("testing", "a.b"), Policy(Mode.TESTING, 604800, ("a.b",))),
        (policy("none"), Policy(Mode.NONE, 604800)),
        (policy("enforce", "a.b", more="future: x: y\xe9\nmode: none\nmax_age: 1\n"), Policy(Mode.ENFORCE, 604800, ("a.b",))),
        (policy("enforce", "a.b", max_age="0"), Policy(Mode.ENFORCE, 0, ("a.b",))),
        (policy("enforce", "a.b", max_age="9999999999"), Policy(Mode.ENFORCE, MAX_AGE_SECONDS, ("a.b",))),
        (policy("enforce", "a.b", max_age="99999999999"), None),
        (policy("enforce", "a.b", max_age="-1"), None),
        (policy("enforce", "a.b", max_age=""), None),
        (policy("enforce", "a.b", max_age="1.5"), None),
        (policy("enforce"), None),
        (policy("testing"), None),
        (policy("Enforce", "a.b"), None),
        (policy("", "a.b"), None),
        (policy("enforce", ".a.b"), None),
        (policy("enforce", "a.b."), None),
        (policy("enforce", "*"), None),
        (policy("enforce", "a.*.b"), None),
        (policy("enforce", "*.*.b"), None),
        (policy("enforce", "mx*.b"), None),
        (policy("enforce", "a..b"), None),
        (policy("enforce", "a b"), None),
        (policy("enforce", "m\xfcller.de"), None),
        (policy("enforce", "a" * 64 + ".b"), None),
        (policy("enforce", ".".join(["a" * 60] * 5)), None),
        (policy("enforce", "[192.0.2.1]"), None),
        (policy("enforce", *MANY), Policy(Mode.ENFORCE, 604800, MANY)),
        (policy("enforce", *MANY, "one.more"), None),
        (policy("enforce", "a.b", more="no field\n"), None),
        (policy("enforce", "a.b", more=": x\n"), None),
        (policy("enforce", "a.b", more="x" * 33 + ": y\n"), None),
        (policy("enforce", "a.b").replace(b"STSv1", b"STSv2"), None),
        (policy("enforce", "a.b").replace(b"version: STSv1\n", b""), None),
        (policy("enforce", "a.b").replace(b"\n", b"\r"), None),
        (policy("enforce", "a.b", more="x: " + "y" * MAX_OCTETS), None),
        (b"<html><body>Not found</body></html>", None),
        (b"version: STSv1\xff", None),
        (b"", None),
    ],
)  # fmt: skip
def test_policies(body: bytes, expected: Policy | None) -> None:
    assert parse_policy(body) == expected


@given(st.binary(max_size=300) | st.builds(lambda parts: b"\n".join(parts), st.lists(st.sampled_from(
    [b"version: STSv1", b"mode: enforce", b"mode: none", b"mx: a.b", b"mx: *.c.d", b"max_age: 1", b"", b"x", b"\xff", b"y: \r"]
))))  # fmt: skip
def test_any_bytes_are_a_policy_or_none(body: bytes) -> None:
    found = parse_policy(body)
    if found is not None:
        assert found.mode is Mode.NONE or found.patterns
        assert 0 <= found.max_age_seconds <= MAX_AGE_SECONDS
        assert len(found.patterns) <= MAX_PATTERNS


@given(st.lists(st.text(max_size=60), max_size=3), st.text(max_size=40))
def test_any_text_is_a_record_or_none(texts: list[str], tail: str) -> None:
    for found in (parse_record(texts), parse_record([f"v=STSv1;{tail}"])):
        assert found is None or (found.isascii() and found.isalnum() and len(found) <= 32)


LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)


@given(st.lists(LABEL, min_size=2, max_size=5), st.lists(LABEL, max_size=2))
def test_a_wildcard_is_exactly_one_label(parent: list[str], before: list[str]) -> None:
    name = ".".join(parent)
    assert Policy(Mode.ENFORCE, 1, (f"*.{name}",)).matches(".".join([*before, name])) is (len(before) == 1)
    assert Policy(Mode.ENFORCE, 1, (name,)).matches(".".join([*before, name])) is (not before)


@pytest.mark.parametrize(
    ("host", "matches"),
    [
        ("mail.example.com", True), ("MAIL.example.COM.", True), ("a.example.net", True), ("a.b.example.net", False),
        ("example.net", False), ("mail.example.com.evil.test", False), ("xmail.example.com", False), ("", False),
        ("net", False), (".example.net", False), ("a..example.net", False), ("m\xfcller.example.net", True),
        ("x" * 64 + ".example.net", False),
    ],
)  # fmt: skip
def test_hosts(host: str, matches: bool) -> None:
    assert WHOLE.matches(host) is matches


# --- what is remembered ---


def kept(domain: str = "b.test", identity: str = "1", *, at: float = 0.0, max_age: int = 604800, used: float = 0.0) -> Kept:
    return Kept(domain, identity, Policy(Mode.ENFORCE, max_age, ("mx.b.test",)), at, used)


def test_a_policy_is_kept_until_its_end() -> None:
    cache = PolicyCache(10)
    cache.put(kept(at=1000, max_age=60))
    found = cache.get("b.test", 1059)
    assert found is not None
    assert found.used_at == 1059
    assert cache.get("b.test", 1060) is None
    assert len(cache) == 0


def test_a_clock_that_goes_backwards_ends_a_policy() -> None:
    cache = PolicyCache(10)
    cache.put(kept(at=10 * DAY))
    assert cache.get("b.test", 9.5 * DAY) is not None
    assert cache.get("b.test", 8 * DAY) is None


def test_the_cache_is_bounded_by_number_and_octets() -> None:
    cache = PolicyCache(2)
    for name in ("a", "b"):
        cache.put(kept(name))
    assert cache.get("a", 1) is not None
    cache.put(kept("c"))
    assert [one.domain for one in cache] == ["a", "c"]
    large = PolicyCache(10**6)
    patterns = tuple(f"{n:03}".rjust(60, "x") + ".b" for n in range(100))
    for number in range(1000):
        large.put(attrs.evolve(kept(f"d{number}"), policy=Policy(Mode.ENFORCE, 1, patterns)))
    assert sum(one.octets for one in large) <= MAX_CACHE_OCTETS
    assert 500 < len(large) < 1000


@pytest.mark.parametrize(
    ("entry", "now", "due"),
    [
        (kept(), REFRESH_SECONDS - 1, False),
        (kept(), REFRESH_SECONDS, True),
        (kept(max_age=3600), 1799, False),
        (kept(max_age=3600), 1800, True),
        (kept(max_age=3600), 3600, False),  # it has ended
        (kept(max_age=MAX_AGE_SECONDS), 40 * DAY, False),  # nobody writes there
        (kept(max_age=MAX_AGE_SECONDS, used=20 * DAY), 40 * DAY, True),
    ],
)
def test_what_is_to_be_fetched_anew(entry: Kept, now: float, due: bool) -> None:
    cache = PolicyCache(10)
    cache.put(entry)
    assert cache.due(now) == ([entry] if due else [])


def test_the_file_gives_back_what_was_kept() -> None:
    entries = [kept("a"), kept("b", at=5.5, used=7), Kept("c", "2", Policy(Mode.NONE, 0), 1, 2)]
    assert parse_file(build_file(entries)) == entries


ROW = ["b.test", "1", "enforce", 60, ["mx.b.test"], 1.0, 2.0]


@pytest.mark.parametrize(
    "row",
    [
        None, [], ROW[:-1], [*ROW, 1], [1, *ROW[1:]], [*ROW[:2], "odd", *ROW[3:]], [*ROW[:3], "60", *ROW[4:]],
        [*ROW[:3], -1, *ROW[4:]], [*ROW[:4], [1], *ROW[5:]], [*ROW[:4], ["*"], *ROW[5:]], [*ROW[:5], 10**400, 2.0],
        [*ROW[:5], float("inf"), 2.0], [*ROW[:5], float("nan"), 2.0], [*ROW[:4], [], *ROW[5:]],
    ],
)  # fmt: skip
def test_broken_rows_are_left_out(row: object) -> None:
    data = json.dumps({"format": 1, "policies": [row, ROW]}).encode()
    assert [one.domain for one in parse_file(data)] == ["b.test"]


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b"[" * 100_000, b'{"format": 2, "policies": []}', b'{"format": 1}'])
def test_what_is_no_file_is_empty(data: bytes) -> None:
    assert parse_file(data) == []


@given(st.binary(max_size=200))
def test_any_bytes_are_a_file_or_empty(data: bytes) -> None:
    assert parse_file(data) == []


def test_two_writers_of_a_file_keep_the_newer_of_both(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "mta-sts.json"
    assert read_shelf(path) == []
    write_shelf(path, [kept("a", "1", at=10), kept("b", "1", at=10)], 10, 20)
    write_shelf(path, [kept("b", "2", at=15), kept("a", "0", at=5), kept("ended", at=0, max_age=10)], 10, 20)
    assert {one.domain: one.identity for one in read_shelf(path)} == {"a": "1", "b": "2"}
    assert [found.name for found in path.parent.iterdir()] == ["mta-sts.json"]


def test_what_a_killed_writer_left_is_swept_away(tmp_path: Path) -> None:
    path = tmp_path / "mta-sts.json"
    old, new = tmp_path / "mta-sts.jsonold", tmp_path / "mta-sts.jsonnew"
    for left in (old, new):
        left.touch()
    os.utime(old, (1, 1))
    write_shelf(path, [kept("a", at=10)], 10, 20)
    assert sorted(tmp_path.iterdir()) == [path, new]


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "mta-sts.json"
    path.write_bytes(build_file([kept()]) + b" " * (4 * MAX_CACHE_OCTETS))
    assert read_shelf(path) == []


# --- certificates that did not verify ---


def test_doubts_end_and_are_bounded() -> None:
    doubts = Doubts()
    assert doubts.note(("mx", "::3"), "", 0) == doubts.why(("mx", "::3"), 1) != ""
    doubts.note(("mx", "::1"), "self-signed certificate" * 50, 0)
    assert doubts.why(("mx", "::1"), DOUBT_SECONDS - 1).startswith("self-signed")
    assert len(doubts.why(("mx", "::1"), 1)) <= 100
    assert doubts.why(("mx", "::1"), DOUBT_SECONDS) == ""
    assert doubts.why(("mx", "::2"), 1) == ""
    for number in range(MAX_DOUBTS + 5):
        doubts.note((str(number), "::1"), "x", 0)
    assert len(doubts) == MAX_DOUBTS
