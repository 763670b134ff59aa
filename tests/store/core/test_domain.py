"""The pure rules: addresses, the directory, names, flags, turns in the queue."""

import itertools
import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.store.domain.addresses import InvalidAddressError, candidates, normalize_address, normalize_domain
from services.store.domain.directory import Lookups, find_loop, may_send, resolve
from services.store.domain.flags import bits_of, flag_change, keyword_slots, translate
from services.store.domain.names import below, check_name, lookup_name, parents
from services.store.domain.queue import DueEntry, after_outcome, choose_entries
from services.store.domain.runs import SHORTEST_RUN, runs_of
from shared.contract.types import FlagOperation, Outcome, OutcomeKind, Resolution, ResolutionKind
from shared.errors import BadRequest, InvalidMailboxName, LimitExceeded
from shared.model.ids import AccountId, EntryId


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        ("Example.TEST", "example.test"), ("example.test.", "example.test"), ("bücher.test", "xn--bcher-kva.test"),
        ("straße.test", "xn--strae-oqa.test"), ("BÜCHER\u3002Test", "xn--bcher-kva.test"), ("ＡＢ.test", "ab.test"),
        ("XN--BCHER-KVA.test", "xn--bcher-kva.test"),
        ("bu\u0308cher.test", "xn--bcher-kva.test"), ("_dmarc.x", "_dmarc.x"),
        ("한국.kr", "xn--3e0b707e.kr"), ("localhost", "localhost"),
    ],
)  # fmt: skip
def test_domains(given_name: str, expected: str) -> None:
    assert normalize_domain(given_name) == expected


@pytest.mark.parametrize(
    "name", ["", ".", "a..b", "-a", "a-", "a b", "a" * 64, "a." * 130, "a\0b", "a/b", "é" * 300, "☃.test", "a\u200db.test"]
)
def test_not_domains(name: str) -> None:
    with pytest.raises(InvalidAddressError):
        normalize_domain(name)


@given(st.text(max_size=40), st.text(max_size=40))
def test_an_address_is_normal_or_refused(local: str, domain: str) -> None:
    try:
        normal = normalize_address(f"{local}@{domain}")
    except InvalidAddressError:
        return
    assert normalize_address(normal) == normal


def test_candidates() -> None:
    assert candidates("a+b+c@x.y", "+") == ["a+b+c@x.y", "a+b@x.y", "a@x.y", "@x.y"]
    assert candidates('"a b+c"@x.y', "+") == ['"a b+c"@x.y', '"a b"@x.y', "@x.y"]
    assert candidates("anne-marie-list@x.y", "-")[1:3] == ["anne-marie@x.y", "anne@x.y"]
    assert len(candidates("-".join("a" * 30) + "@x.y", "-")) == 10
    assert candidates("+a@x.y", "+") == ["+a@x.y", "@x.y"]
    assert candidates("a+b@x.y", "") == ["a+b@x.y", "@x.y"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("John.Doe", "john.doe"), ('"john.doe"', "john.doe"), ('"j\\ohn"', "john"), ('"a b"', '"A\\ B"'), ("JÖRG", "jo\u0308rg"),
        ("ＪＯＨＮ", "john"), ("ｶﾞ", "ガ"), ('"a@b"', '"\\a@b"'), ('"a\\"b"', '"A\\"B"'), ("İ", "i\u0307"),
    ],
)  # fmt: skip
def test_local_parts_that_are_the_same(one: str, other: str) -> None:
    assert normalize_address(f"{one}@x.y") == normalize_address(f"{other}@x.y")


@pytest.mark.parametrize(
    ("one", "other"),
    [("strasse", "straße"), ("john.doe", "johndoe"), ("a", "\u0430"), ('"a "', '"a"'), ("john", "john+"), ("e", "é")],
)
def test_local_parts_that_are_not(one: str, other: str) -> None:
    assert normalize_address(f"{one}@x.y") != normalize_address(f"{other}@x.y")


@pytest.mark.parametrize("local", ["", '""', "a b", "a@b", 'a"b', '"a', "a.", ".a", "a..b", "a>", '"a\r\n"', "\ud800", "é" * 33, "a" * 65])
def test_not_local_parts(local: str) -> None:
    with pytest.raises(InvalidAddressError):
        normalize_address(f"{local}@x.y")


def test_quotes_are_kept_where_they_are_needed() -> None:
    """Without them a target of an alias could say more than an address to the next server."""
    assert normalize_address('"A> SIZE=1"@x.y') == '"a> size=1"@x.y'
    assert normalize_address('"plain.one"@x.y') == "plain.one@x.y"


def lookups(accounts: dict[str, int], aliases: dict[str, list[str]]) -> Lookups:
    """Of the domain x.y, for which also.y stands."""
    return Lookups(
        domain={"x.y": "x.y", "also.y": "x.y"}.get,
        account=accounts.get,
        alias=lambda address: aliases.get(address, []),
        returned={"SRS0=ok@x.y": "Far@else.test", "srs0=home@x.y": "me@x.y", "SRS0=chain@x.y": "SRS0=z@else.test"}.get,
    )


def test_a_domain_alias_has_the_same_addresses() -> None:
    found = lookups({"me@x.y": 1}, {"team@x.y": ["me@also.y", "out@far.test"]})
    assert resolve("ME+tag@also.y.", found).accounts == (1,)
    assert resolve("team@also.y", found) == Resolution(ResolutionKind.DELIVERABLE, (AccountId(1),), ("out@far.test",))
    assert resolve("nobody@also.y", found).kind is ResolutionKind.UNKNOWN


def test_the_exact_address_wins_over_details_and_these_over_the_catch_all() -> None:
    found = lookups({"me@x.y": 1, "me+tag@x.y": 2, "rest@x.y": 3}, {"@x.y": ["rest@x.y"], "al+tag@x.y": ["me@x.y"]})
    for address, account, caught in (
        ("me@x.y", 1, False), ("me+tag@x.y", 2, False), ("me+other@x.y", 1, False), ("al+tag@x.y", 1, False),
        ("al+other@x.y", 3, True), ("who@also.y", 3, True),
    ):  # fmt: skip
        assert resolve(address, found) == Resolution(ResolutionKind.DELIVERABLE, (AccountId(account),), catch_all=caught)


def test_who_may_send() -> None:
    group = resolve("all@x.y", lookups({"a@x.y": 1, "b@x.y": 2}, {"all@x.y": ["a@x.y", "b@x.y"]}))
    assert [may_send(account, group) for account in (1, 2, 3)] == [True, True, False]
    alone = resolve("who@x.y", lookups({"a@x.y": 1}, {"@x.y": ["a@x.y"]}))
    assert [may_send(account, alone) for account in (1, 2)] == [True, False]
    shared = resolve("who@x.y", lookups({"a@x.y": 1, "b@x.y": 2}, {"@x.y": ["a@x.y", "b@x.y"]}))
    assert not may_send(1, shared)
    besides = resolve("who@x.y", lookups({"a@x.y": 1}, {"@x.y": ["a@x.y", "b@far.test"]}))
    assert not may_send(1, besides)


def test_bounces_of_what_was_sent_on() -> None:
    found = lookups({"me@x.y": 1}, {"@x.y": ["me@x.y"]})
    back = resolve("SRS0=ok@x.y", found)
    assert back == Resolution(ResolutionKind.DELIVERABLE, (), ("Far@else.test",))
    assert not may_send(1, back)
    assert resolve("srs0=home@x.y", found) == Resolution(ResolutionKind.DELIVERABLE, (AccountId(1),))
    assert resolve("SRS0=chain@x.y", found).remotes == ("SRS0=z@else.test",)
    # what we did not make is not for the catch-all
    assert resolve("SRS0=forged@x.y", found).kind is ResolutionKind.UNKNOWN
    assert resolve("SRS0=x@far.test", found).kind is ResolutionKind.NOT_LOCAL
    assert resolve("SRS0=x@not a domain", found).kind is ResolutionKind.UNKNOWN


def test_loops_are_named() -> None:
    def loop(start: str, aliases: dict[str, list[str]]) -> list[str]:
        return find_loop(start, lookups({"me@x.y": 1}, aliases))

    assert loop("a@x.y", {"a@x.y": ["b@x.y"], "b@x.y": ["a@x.y", "me@x.y"]}) == ["a@x.y", "b@x.y", "a@x.y"]
    assert loop("a@x.y", {"a@x.y": ["b@also.y"], "b@x.y": ["A@also.y".lower()]}) == ["a@x.y", "b@x.y", "a@x.y"]
    assert loop("a@x.y", {"a@x.y": ["a+tag@x.y"]}) == ["a@x.y", "a@x.y"]
    assert loop("who@x.y", {"@x.y": ["nobody@x.y"]}) == ["@x.y", "@x.y"]
    assert loop("a@x.y", {"a@x.y": ["b@x.y"], "@x.y": ["a@x.y"]}) == ["a@x.y", "@x.y", "a@x.y"]
    assert loop("a@x.y", {"a@x.y": ["me@x.y", "a@far.test", "b@x.y"], "b@x.y": ["me+x@x.y"]}) == []
    # two ways to the same place are no loop
    assert loop("a@x.y", {"a@x.y": ["b@x.y", "c@x.y"], "b@x.y": ["d@x.y"], "c@x.y": ["d@x.y"], "d@x.y": ["me@x.y"]}) == []
    long = {f"{number}@x.y": [f"{number + 1}@x.y"] for number in range(5000)}
    assert loop("0@x.y", long) == []
    assert len(loop("0@x.y", {**long, "5000@x.y": ["0@x.y"]})) == 5002


def test_loops_are_cut() -> None:
    found = resolve("a@x.y", lookups({"me@x.y": 1}, {"a@x.y": ["b@x.y"], "b@x.y": ["a@x.y", "me@x.y"]}))
    assert found == Resolution(ResolutionKind.DELIVERABLE, (AccountId(1),))
    alone = resolve("a@x.y", lookups({}, {"a@x.y": ["a@x.y"]}))
    assert alone.kind is ResolutionKind.UNKNOWN


def test_depth_and_breadth_are_bounded() -> None:
    chain = {f"{number}@x.y": [f"{number + 1}@x.y"] for number in range(100)}
    assert resolve("0@x.y", lookups({"10@x.y": 1}, chain)).accounts == (1,)
    assert resolve("0@x.y", lookups({"11@x.y": 1}, chain)).kind is ResolutionKind.UNKNOWN
    wide = {"all@x.y": [f"r{number}@far.test" for number in range(5000)]}
    assert len(resolve("all@x.y", lookups({}, wide)).remotes) == 1000


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=4)))
def test_any_graph_of_aliases_ends(graph: dict[str, list[str]]) -> None:
    aliases = {f"{name}@x.y": [f"{target}@x.y" for target in targets] for name, targets in graph.items()}
    assert resolve("a@x.y", lookups({"f@x.y": 1}, aliases)).accounts in ((), (1,))
    loop = find_loop("a@x.y", lookups({"f@x.y": 1}, aliases))
    for address, target in itertools.pairwise(loop):
        assert target in aliases[address]


@given(st.text(max_size=30))
def test_a_name_is_kept_as_it_is_looked_up(name: str) -> None:
    try:
        kept = check_name(name)
    except InvalidMailboxName:
        return
    assert lookup_name(kept) == kept == check_name(kept)
    span = below(kept)
    assert span.low < kept + "/x" < span.high
    assert not span.low < kept + "0" < span.high
    assert parents(kept + "/x") == [*parents(kept), kept]


@pytest.mark.parametrize("name", ["inbox", "INBOX/a", "Été/Ça", "a b", "&", "~", "#news", "📬"])
def test_good_names(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", "/", "/a", "a//b", "a\nb", "a\x7f", "a\u2028", "\udc80", "*", "a%b"])
def test_bad_names(name: str) -> None:
    with pytest.raises(InvalidMailboxName):
        check_name(name)


def test_all_octets_of_a_keyword() -> None:
    allowed = set(string.ascii_letters + string.digits + string.punctuation) - set('(){%*"\\]')
    for code in range(256):
        name = "a" + chr(code)
        if chr(code) in allowed:
            assert bits_of([name], {}, create=True).new_keywords == (name,)
        else:
            with pytest.raises(BadRequest):
                bits_of([name], {}, create=True)


def test_slots() -> None:
    slots = keyword_slots(["One", "two"])
    found = bits_of(["ONE", "\\sEEN", "new", "NEW", "\\Bogus"], slots, create=True)
    assert found.bits == 1 | 1 << 8 | 1 << 10
    assert found.new_keywords == ("new",)
    assert bits_of(["new"], slots, create=False).bits == 0
    with pytest.raises(LimitExceeded):
        bits_of([f"k{number}" for number in range(51)], {}, create=True)


@given(st.integers(0, 2**58 - 1), st.integers(0, 2**58 - 1))
def test_operations(old: int, bits: int) -> None:
    assert flag_change(FlagOperation.ADD, bits).of(old) == old | bits
    assert flag_change(FlagOperation.REMOVE, bits).of(old) & bits == 0
    assert flag_change(FlagOperation.REPLACE, bits).of(old) == bits


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(0, 40)), max_size=12), st.randoms())
def test_runs_are_the_same_set(shape: list[tuple[int, int]], rng: random.Random) -> None:
    uids = [uid for first, length in shape for uid in range(first, first + length)]
    rng.shuffle(uids)
    runs = runs_of(uids)
    ranged = [uid for low, high in runs.ranges for uid in range(low, high + 1)]
    assert sorted([*ranged, *runs.singles]) == sorted(set(uids))
    assert all(high - low + 1 >= SHORTEST_RUN for low, high in runs.ranges)
    assert list(runs.singles) == sorted(runs.singles)
    for (_, before), (after, _) in itertools.pairwise(runs.ranges):
        assert before + 1 < after


def test_translate() -> None:
    assert translate(0b11_00000101, {0: 1, 1: 5}) == 0b100010_00000101
    assert translate(0b11_00000101, {}) == 0b101


@given(
    st.lists(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 130)), max_size=4), max_size=6), st.integers(1, 50)
)
def test_turns(shape: list[list[tuple[int, int]]], limit: int) -> None:
    destinations, number = [], 0
    for place, messages in enumerate(shape):
        entries = []
        for message, recipients in messages:
            for _ in range(recipients):
                number += 1
                entries.append(DueEntry(number, place * 10 + message))
        destinations.append(entries)
    chosen = choose_entries(destinations, limit)
    assert len(set(chosen)) == len(chosen) <= limit + 99
    everything = sum(map(len, destinations))
    assert len(chosen) >= min(limit, everything)
    served = {entry.message_id // 10 for entry in chosen}
    waiting = {place for place, entries in enumerate(destinations) if entries}
    assert served == waiting or len(chosen) >= limit


def test_after_an_attempt() -> None:
    def after(kind: OutcomeKind, at: float = 0.0) -> tuple[bool, float, int]:
        state = after_outcome(Outcome(EntryId(1), kind, at), now=100.0, due_at=50.0, attempts=3)
        return state.done, state.due_at, state.attempts

    assert after(OutcomeKind.DELIVERED) == (True, 50.0, 4)
    assert after(OutcomeKind.FAILED) == (True, 50.0, 4)
    assert after(OutcomeKind.RELEASED) == (False, 50.0, 3)
    assert after(OutcomeKind.DEFERRED, 200.0) == (False, 200.0, 4)
    assert after(OutcomeKind.DEFERRED, 20.0) == (False, 100.0, 4)
