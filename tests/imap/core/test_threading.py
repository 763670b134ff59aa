"""SORT and THREAD on cards: the rules of RFC 5256 §3 as tables, and against a slow and plain implementation."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.imap.cards import NO_CARD, make_card, normalize_id, pack_card, unpack_card
from services.imap.protocol.search_arguments import SortCriterion, SortField, ThreadAlgorithm
from services.imap.protocol.search_responses import Node, build_thread
from services.imap.sorting import CHUNK, sort_rows, sort_value
from services.imap.threading_refs import Member, thread
from shared.mail.date import SentDate
from shared.mail.summary import Person, Summary

REFERENCES, REFS, ORDERED = ThreadAlgorithm.REFERENCES, ThreadAlgorithm.REFS, ThreadAlgorithm.ORDEREDSUBJECT


def card(message_id="", references=(), subject="", sent=None, is_reply=False):
    return NO_CARD._replace(
        message_id=message_id, references=tuple(references), subject=subject, sent=sent, is_reply=is_reply
    )


def members(*cards):
    return [Member(number, number, each) for number, each in enumerate(cards, 1)]


def shape(algorithm, *cards):
    return build_thread(thread(algorithm, members(*cards))).decode().removeprefix("* THREAD").strip()


def test_the_response_of_rfc5256_section4():
    roots = [
        Node(2),
        Node(3, [Node(6, [Node(4, [Node(23)]), Node(44, [Node(7, [Node(96)])])])]),
    ]
    assert build_thread(roots) == b"* THREAD (2)(3 6 (4 23)(44 7 96))\r\n"
    assert build_thread([Node(0, [Node(3), Node(5)])]) == b"* THREAD ((3)(5))\r\n"
    assert build_thread([]) == b"* THREAD\r\n"


ORDEREDSUBJECT_OF_THE_RFC = (
    "(166)(167)(168)(169)(172)(170)(171)(173)(174 (175)(176)(178)(181)(180))(179)"
    "(177 (183)(182)(188)(184)(185)(186)(187)(189))(190)(191)(192)(193)(194 195)(196 (197)(198))(199)"
    "(200 202)(201)(203)(204)(205)(206 207)(208)"
)
REFERENCES_OF_THE_RFC = (
    "(166)(167)(168)(169)(172)((170)(179))(171)(173)((174)(175)(176)(178)(181)(180))"
    "((177)(183)(182)(188 (184)(189))(185 186)(187))(190)(191)(192)(193)((194)(195 196))(197 198)"
    "(199)(200 202)(201)(203)(204)(205 206 207)(208)"
)


def read_threads(text):
    """A response as pairs of number (0: none) and number of the parent, in order."""
    found, above, missing = [], [], 0
    current = None
    for token in re.findall(r"\d+|[()]", text):
        if token == "(":
            if above and current is above[-1] and current is None:
                missing -= 1
                current = missing
            above.append(current)
        elif token == ")":
            current = above.pop()
        else:
            found.append((int(token), current))
            current = int(token)
    return found


@pytest.mark.parametrize(
    ("algorithm", "text"), [(ORDERED, ORDEREDSUBJECT_OF_THE_RFC), (REFERENCES, REFERENCES_OF_THE_RFC)]
)
def test_the_examples_of_rfc5256_section3(algorithm, text):
    """Mail that is threaded as the RFC prints it gives its response, octet for octet."""
    pairs = read_threads(text)
    subjects = {}
    listed = []
    for date, (number, parent) in enumerate(pairs):
        subjects[number] = subjects.get(parent, f"S{number}") if algorithm is ORDERED else ""
        references = () if parent is None or algorithm is ORDERED else [f"{parent}"]
        listed.append(Member(number, date, card(f"{number}", references, subjects[number])))
    listed.sort(key=lambda member: member.number)
    assert build_thread(thread(algorithm, listed)).decode() == f"* THREAD {text}\r\n"


def test_ordered_subject():
    cards = [card(subject=subject) for subject in ("B", "A", "B", "C", "A", "A")]
    assert shape(ORDERED, *cards) == "(1 3)(2 (5)(6))(4)"


def test_replies_follow_their_references():
    assert shape(REFERENCES, card("a"), card("b", ["a"]), card("c", ["a", "b"]), card("d", ["a"])) == "(1 (2 3)(4))"
    # a missing one keeps its children together, as siblings; one child alone takes its place
    assert shape(REFS, card("b", ["a"]), card("c", ["a"])) == "((1)(2))"
    assert shape(REFS, card("b", ["a"])) == "(1)"
    # a chain of missing ones leaves one gap
    assert shape(REFS, card("a"), card("d", ["a", "b", "c"])) == "(1 2)"


def test_a_truncated_history_does_not_change_links():
    # RFC 5256 §3 (1) (A): an existing link stays, (B): the message's own last reference wins
    assert shape(REFS, card("a"), card("b", ["a"]), card("c", ["b"]), card("d", ["c", "b"])) == "(1 2 (3)(4))"


def test_no_loops():
    assert shape(REFS, card("a", ["b"]), card("b", ["a"])) in ("(2 1)", "(1 2)")
    assert shape(REFS, card("a", ["a"])) == "(1)"
    assert sorted(shape(REFS, card("a", ["c"]), card("b", ["a"]), card("c", ["b"])).strip("()").split()) == [
        "1",
        "2",
        "3",
    ]


def test_equal_ids_belong_to_the_first():
    assert shape(REFS, card("a"), card("a"), card("b", ["a"])) == "(2)(1 3)"


def test_equal_subjects_are_gathered():
    # RFC 5256 §3 (5) (C): a reply goes below what it replies to, equals go below a dummy
    assert shape(REFERENCES, card("a", subject="S"), card("b", subject="S", is_reply=True)) == "(1 2)"
    assert shape(REFERENCES, card("b", subject="S", is_reply=True), card("a", subject="S")) == "(2 1)"
    assert shape(REFERENCES, card("a", subject="S"), card("b", subject="S")) == "((1)(2))"
    assert shape(REFERENCES, card("a", subject="S"), card("b", subject="S"), card("c", subject="S")) == "((1)(2)(3))"
    assert shape(REFERENCES, card("a"), card("b")) == "(1)(2)"
    assert shape(REFS, card("a", subject="S"), card("b", subject="S", is_reply=True)) == "(1)(2)"
    # two dummies become one
    dummies = [card("b", ["x"], "S"), card("c", ["x"], "S"), card("d", ["y"], "S"), card("e", ["y"], "S")]
    assert shape(REFERENCES, *dummies) == "((1)(2)(3)(4))"
    # a dummy takes a message in
    assert shape(REFERENCES, card("b", ["x"], "S"), card("c", ["x"], "S"), card("d", subject="S")) == "((1)(2)(3))"


def test_threads_go_by_date():
    assert shape(REFERENCES, card("a", sent=9), card("b", sent=5), card("c", ["a"], sent=1)) == "(2)(1 3)"
    # REFS: by the latest arrival of the thread
    assert shape(REFS, card("a"), card("b"), card("c", ["a"])) == "(2)(1 3)"


def test_hostile_depth():
    count = 30_000
    chain = [card(f"{n}", [f"{n - 1}"]) for n in range(count)]
    text = shape(REFERENCES, *chain)
    assert text.startswith("(1 2 3 ")
    assert text.count("(") == 1
    assert shape(REFS, *reversed(chain)).count("(") == 1
    nested = [card(f"{n}", [f"{n // 2}"] if n else []) for n in range(2, 20_000)]
    assert shape(REFS, *nested).count("(") > 1000


def test_quoting_of_ids():
    assert normalize_id('"01KF8JCEOCBS0045PS"@xxx.yyy.com') == "01KF8JCEOCBS0045PS@xxx.yyy.com"
    assert normalize_id('"a\\"b"@c') == 'a"b@c'
    assert normalize_id('"unfinished') == '"unfinished'


def person(name="", mailbox="", host=""):
    return Person(name, mailbox, host)


def test_cards():
    summary = Summary(
        subject="Re: [x] Hello",
        from_=(person("Käse", "b", "x"), person("", "a", "x")),
        sender=(),
        reply_to=(),
        to=(person("", "Kim", "example.org"),),
        cc=(),
        bcc=(),
        sent=SentDate(86400, -60),
        message_id='"x"@y',
        in_reply_to=("p", "q"),
        references=(),
        preview="",
        has_attachment=False,
    )
    made = make_card(summary)
    assert (made.subject, made.is_reply) == ("HELLO", True)
    assert (made.from_, made.to, made.cc) == ("B", "KIM", "")
    assert (made.display_from, made.display_to) == ("KA\u0308SE", "KIM@EXAMPLE.ORG")
    assert (made.sent, made.sent_day) == (86400, 0)
    assert (made.message_id, made.references) == ("x@y", ("p",))
    assert unpack_card(pack_card(made)) == made


# --- SORT ---

ROWS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["", "A", "B", "한"])), max_size=30)


@given(ROWS, st.booleans(), st.booleans())
def test_sort_is_stable_and_reverses_one_criterion(rows, first, second):
    criteria = [SortCriterion(SortField.SIZE, first), SortCriterion(SortField.SUBJECT, second)]
    order = sort_rows(criteria, [[row[0] for row in rows], [row[1] for row in rows]], len(rows))
    assert sorted(order) == list(range(len(rows)))
    texts = ["", "A", "B", "한"]
    keys = [(-a if first else a, -texts.index(b) if second else texts.index(b)) for a, b in rows]
    assert order == sorted(range(len(rows)), key=lambda at: (keys[at], at))


def test_many_rows_are_sorted_in_chunks():
    count = CHUNK * 3 + 7
    values = [at * 7919 % 100 for at in range(count)]
    for reverse in (False, True):
        order = sort_rows([SortCriterion(SortField.SIZE, reverse)], [values], count)
        assert order == sorted(range(count), key=values.__getitem__, reverse=reverse)


def test_sort_values():
    made = NO_CARD._replace(subject="S", from_="F", to="T", cc="C", display_from="DF", display_to="DT", sent=7)
    values = {field: sort_value(field, made, 1, 2, 3) for field in SortField}
    assert values == {
        SortField.ARRIVAL: 2,
        SortField.CC: "C",
        SortField.DATE: 7,
        SortField.FROM: "F",
        SortField.SIZE: 1,
        SortField.SUBJECT: "S",
        SortField.TO: "T",
        SortField.DISPLAYFROM: "DF",
        SortField.DISPLAYTO: "DT",
        SortField.RELEVANCY: -3,
    }
    assert sort_value(SortField.DATE, NO_CARD, 1, 2, 3) == 2


# --- THREAD against a naive reading of RFC 5256 §3 ---


class Slow:
    """A container of the algorithm, with lists of children that are searched and rewritten at each step."""

    def __init__(self, member=None, date=0):
        self.member, self.parent, self.children, self.own = member, None, [], date

    def below(self):
        for child in self.children:
            yield child
            yield from child.below()

    def date(self):
        if self.member is not None:
            return (self.own, self.member.number)
        return min(child.date() for child in self.children)

    def link(self, parent):
        if parent is not self and parent not in self.below():
            self.unlink()
            self.parent = parent
            parent.children.append(self)

    def unlink(self):
        if self.parent is not None:
            self.parent.children.remove(self)
            self.parent = None

    def first(self):
        return self if self.member is not None else min(self.children, key=Slow.date)

    def tree(self):
        return (self.member.number if self.member else 0, tuple(child.tree() for child in self.children))


def slow_references(listed):
    table, everything, own = {}, [], []
    for member in listed:
        node = Slow(member, member.date)
        everything.append(node)
        own.append(node)
        if member.card.message_id:
            table.setdefault(member.card.message_id, node)
    for node in own:
        previous = None
        for reference in node.member.card.references:
            if reference not in table:
                table[reference] = Slow()
                everything.append(table[reference])
            here = table[reference]
            if previous is not None and here.parent is None:
                here.link(previous)
            previous = here
        node.unlink()
        if previous is not None:
            node.link(previous)
    root = Slow()
    for node in everything:
        if node.parent is None:
            node.parent = root
            root.children.append(node)

    def prune(node):
        for child in list(node.children):
            prune(child)
        kept = []
        for child in node.children:
            if child.member is not None:
                kept.append(child)
            elif node is not root or len(child.children) == 1:
                kept.extend(child.children)
            elif child.children:
                kept.append(child)
        node.children = kept

    prune(root)
    root.children.sort(key=Slow.date)
    subjects = {}

    def replies(node):
        return node.member is not None and node.member.card.is_reply

    for node in root.children:
        subject = node.first().member.card.subject
        there = subjects.get(subject)
        if subject and (
            there is None
            or (there.member is not None and (node.member is None or (replies(there) and not replies(node))))
        ):
            subjects[subject] = node
    roots = list(root.children)
    first_subjects = {id(node): node.first().member.card.subject for node in roots}
    for node in list(roots):
        subject = first_subjects[id(node)]
        there = subjects.get(subject) if subject else node
        if there is node or there is None:
            continue
        if there.member is None:
            there.children.extend(node.children if node.member is None else [node])
            roots.remove(node)
        elif replies(node) and not replies(there):
            there.children.append(node)
            roots.remove(node)
        else:
            dummy = Slow()
            dummy.children = [there, node]
            roots[roots.index(there)] = dummy
            roots.remove(node)
            subjects[subject] = dummy

    def sort(node):
        for child in node.children:
            sort(child)
        node.children.sort(key=Slow.date)

    for node in roots:
        sort(node)
    roots.sort(key=Slow.date)
    return [node.tree() for node in roots]


IDS = st.sampled_from("abcdef")
CARDS = st.lists(
    st.builds(
        card,
        IDS | st.just(""),
        st.lists(IDS, max_size=4),
        st.sampled_from(["", "S", "T"]),
        st.none() | st.integers(0, 5),
        st.booleans(),
    ),
    max_size=8,
)


def tree_of(node):
    return (node.number, tuple(map(tree_of, node.children)))


def numbers_of(node):
    yield node.number
    for child in node.children:
        yield from numbers_of(child)


@settings(max_examples=300)
@given(CARDS)
def test_references_as_the_naive_implementation(cards):
    listed = members(*cards)
    assert [tree_of(node) for node in thread(REFERENCES, listed)] == slow_references(listed)


@given(CARDS, st.sampled_from(ThreadAlgorithm))
def test_every_message_is_in_one_thread(cards, algorithm):
    roots = thread(algorithm, members(*cards))
    found = [number for root in roots for number in numbers_of(root) if number]
    assert sorted(found) == list(range(1, len(cards) + 1))
    # a gap is at the top, above several
    for root in roots:
        assert root.number or len(root.children) > 1
        assert all(list(numbers_of(child)).count(0) == 0 for child in root.children)
