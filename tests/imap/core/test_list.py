"""LIST: every example of RFC 5258 §5 that concerns one server, what is told beside names, and what patterns leave out."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.imap.protocol.arguments import ListArguments, ListReturn, StatusItem
from services.imap.protocol.framing import CommandFrame
from services.imap.protocol.grammar import CommandError, parse_command
from services.imap.protocol.limits import GrammarLimits
from services.imap.protocol.mailbox_names import (
    Known,
    Pattern,
    ancestors,
    chosen_of,
    levels_to_tell,
    matches_any,
    may_match_below,
    patterns_of,
    row_of,
    scope_of,
    select_rows,
)
from services.imap.protocol.metadata_grammar import MetadataOptions


def parse(text):
    return parse_command(CommandFrame((b"a " + text.encode(),)), GrammarLimits()).arguments


class Tree:
    """A store of names: what exists, and what is subscribed."""

    def __init__(self, existing, subscribed=(), special=()):
        self.existing, self.subscribed, self.special = set(existing.split()), set(subscribed), dict(special)

    def known(self, name):
        children = any(other.startswith(name + "/") for other in self.existing)
        exists = name in self.existing
        return Known(name, exists, self.special.get(name, ""), name in self.subscribed, children, exists)

    def list(self, text):
        """As the command does it: names with their attributes and CHILDINFO."""
        arguments = parse(text)
        patterns = patterns_of(arguments)
        if arguments.select_subscribed or arguments.select_special_use:
            chosen = chosen_of(arguments, map(self.known, self.existing | self.subscribed))
            others = {level: self.known(level) for level in levels_to_tell(patterns, chosen)}
            rows = select_rows(arguments, patterns, chosen, others)
        else:
            names = self.existing | {level for name in self.existing for level in ancestors(name)}
            found = sorted(name for name in names if matches_any(patterns, name))
            rows = [row_of(arguments, self.known(name), extended=arguments.extended) for name in found]
        return {row.name: (set(row.attributes), row.child_info) for row in rows}

    def told(self, text, *attributes):
        """Of each name those attributes that the example shows; "+" for CHILDINFO."""
        return {
            name: " ".join(sorted(found & set(attributes))) + "+" * bool(info)
            for name, (found, info) in self.list(text).items()
        }


FRUIT = Tree(
    "INBOX Fruit Fruit/Apple Fruit/Banana Tofu Vegetable Vegetable/Broccoli Vegetable/Corn",
    ("INBOX", "Fruit/Banana", "Fruit/Peach", "Vegetable", "Vegetable/Broccoli"),
)
FOO = "INBOX Foo Foo/Bar Foo/Baz Moo"
SUB, NON, HAS, HASNO = "\\Subscribed", "\\NonExistent", "\\HasChildren", "\\HasNoChildren"


def test_examples_1_to_6():
    assert set(FRUIT.list('LIST "" "*"')) == FRUIT.existing
    subscribed = {
        "INBOX": SUB, "Fruit/Banana": SUB, "Fruit/Peach": f"{NON} {SUB}", "Vegetable": SUB, "Vegetable/Broccoli": SUB
    }  # fmt: skip
    assert FRUIT.told('LIST (SUBSCRIBED) "" "*"', SUB, NON) == subscribed
    assert FRUIT.told('LIST () "" "%" RETURN (CHILDREN)', HAS, HASNO) == {
        "INBOX": HASNO, "Fruit": HAS, "Tofu": HASNO, "Vegetable": HAS
    }  # fmt: skip
    # there are no other servers: REMOTE adds nothing
    assert FRUIT.list('LIST (REMOTE) "" "%"') == FRUIT.list('LIST () "" "%"')
    assert FRUIT.told('LIST (REMOTE SUBSCRIBED) "" "*"', SUB, NON) == subscribed
    assert FRUIT.told('LIST (REMOTE) "" "*" RETURN (SUBSCRIBED)', SUB) == {
        name: SUB if name in FRUIT.subscribed else "" for name in FRUIT.existing
    }


def test_example_7():
    tree = Tree("INBOX Drafts Sent/March2004 Sent/December2003 Sent/August2004 Other")
    assert set(tree.list('LIST "" ("INBOX" "Drafts" "Sent/%")')) == tree.existing - {"Other"}


def test_example_8():
    assert FRUIT.told('LIST (SUBSCRIBED RECURSIVEMATCH) "" "Nothing%"') == {}
    only_baz = Tree(FOO, ("Foo/Baz",))
    assert only_baz.told('LIST "" "%" RETURN (CHILDREN)', HAS, HASNO) == {"INBOX": HASNO, "Foo": HAS, "Moo": HASNO}
    assert only_baz.told('LIST (SUBSCRIBED) "" "*"', SUB) == {"Foo/Baz": SUB}
    assert only_baz.list('LIST (SUBSCRIBED) "" "%"') == {}
    assert only_baz.told('LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"', SUB, NON) == {"Foo": "+"}
    assert only_baz.list('LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"')["Foo"][1] == ("SUBSCRIBED",)
    both = Tree(FOO, ("Foo", "Foo/Baz"))
    assert both.told('LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"', SUB, HAS) == {"Foo": f"{HAS} {SUB}+"}
    no_foo = Tree("INBOX Foo/Bar Foo/Baz Moo", ("Foo/Baz",))
    assert no_foo.told('LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"', SUB, NON) == {"Foo": f"{NON}+"}
    assert Tree(FOO).list('LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"') == {}
    tops = Tree(FOO, ("Foo", "Moo"))
    assert tops.told('LIST (SUBSCRIBED RECURSIVEMATCH) "" "%" RETURN (CHILDREN)', SUB, HAS, HASNO) == {
        "Foo": f"{HAS} {SUB}", "Moo": f"{HASNO} {SUB}"
    }  # fmt: skip


def test_example_9():
    subscribed = ["foo2/bar1", "foo2/bar2", "baz2/bar2", "baz2/bar22", "baz2/bar222", "eps2", "eps2/mamba", "qux2/bar2"]
    tree = Tree(
        "INBOX foo2 foo2/bar1 foo2/bar2 baz2 baz2/bar2 baz2/bar22 baz2/bar222 eps2 eps2/mamba qux2/bar2", subscribed
    )
    assert tree.told('LIST (SUBSCRIBED) "" "*"', SUB) == dict.fromkeys(subscribed, SUB)
    # without what the RFC calls redundant
    assert tree.told('LIST (RECURSIVEMATCH SUBSCRIBED) "" "*2"', SUB, NON) == {
        "foo2": "+", "foo2/bar2": SUB, "baz2/bar2": SUB, "baz2/bar22": SUB, "baz2/bar222": SUB, "eps2": f"{SUB}+",
        "qux2/bar2": SUB,
    }  # fmt: skip


def test_examples_10_and_11():
    tree = Tree("foo", ("foo/bar",))
    assert set(tree.list('LIST "" ("foo" "foo/*")')) == {"foo"}
    assert tree.told('LIST (SUBSCRIBED) "" "foo/*"', SUB, NON) == {"foo/bar": f"{NON} {SUB}"}
    assert tree.told('LIST (SUBSCRIBED RECURSIVEMATCH) "" foo RETURN (CHILDREN)', HAS, HASNO) == {"foo": f"{HASNO}+"}
    music = Tree("music/rock")
    assert music.told('LIST () "" %', NON, HAS) == {"music": f"{HAS} {NON}"}
    # RFC 3501 §6.3.8: to whom RFC 5258 is unknown
    assert music.told('LIST "" %', NON, HAS, "\\Noselect") == {"music": f"{HAS} \\Noselect"}


def test_special_use():
    tree = Tree("INBOX Mail/Sent Junk", ("Junk",), (("Mail/Sent", "\\Sent"), ("Junk", "\\Junk")))
    # RFC 6154 §2, §5.2
    assert tree.told('LIST (SPECIAL-USE) "" "*"', "\\Sent", "\\Junk") == {"Mail/Sent": "\\Sent", "Junk": "\\Junk"}
    assert set(tree.list('LIST (SPECIAL-USE SUBSCRIBED) "" "*"')) == {"Junk"}
    assert tree.list('LIST (SPECIAL-USE RECURSIVEMATCH) "" "%"')["Mail"] == (
        {NON, HAS}, ("SPECIAL-USE",)
    )  # fmt: skip


def test_a_name_that_may_not_be_read():
    row = row_of(ListArguments("", ("*",)), Known("a", selectable=False, rights=1), extended=True)
    assert row.attributes == ("\\Noselect", "\\HasNoChildren")
    assert (row.selectable, row.rights) == (False, 1)


def test_return_options():
    arguments = parse(
        'LIST (SPECIAL-USE) "" (% "a/*") RETURN (SUBSCRIBED CHILDREN MYRIGHTS STATUS (MESSAGES SIZE DELETED-STORAGE)'
        ' METADATA ("/shared/vendor/x" /private/comment))'
    )
    assert arguments.returns == frozenset(
        {ListReturn.SUBSCRIBED, ListReturn.CHILDREN, ListReturn.MYRIGHTS, ListReturn.STATUS, ListReturn.METADATA}
    )
    assert arguments.status_items == (StatusItem.MESSAGES, StatusItem.SIZE, StatusItem.DELETED_STORAGE)
    assert arguments.metadata_entries == ("/shared/vendor/x", "/private/comment")
    arguments = parse('LIST "" % RETURN (METADATA ((MAXSIZE 10 DEPTH 1) (/private)))')
    assert (arguments.metadata_options, arguments.metadata_entries) == (MetadataOptions(10, "1"), ("/private",))


@pytest.mark.parametrize(
    "text",
    [
        'LIST (RECURSIVEMATCH) "" *',
        'LIST (RECURSIVEMATCH REMOTE) "" *',
        'LIST (NONSENSE) "" *',
        'LIST "" ()',
        'LIST "" (' + "a " * 51 + ")",
        'LIST "" * RETURN',
        'LIST "" * RETURN (NONSENSE)',
        'LIST "" * RETURN (STATUS ())',
        'LIST "" * RETURN (METADATA ())',
        'LIST "" * RETURN (METADATA (comment))',
        'LIST "" * RETURN (STATUS (NONSENSE))',
    ],
)
def test_what_is_refused(text):
    with pytest.raises(CommandError) as caught:
        parse(text)
    assert caught.value.reply.status == "BAD"


PIECES = st.text(st.sampled_from("ab/%*-"), max_size=8)
NAME = st.lists(st.text(st.sampled_from("ab-"), min_size=1, max_size=3), min_size=1, max_size=4).map("/".join)


@given(st.lists(PIECES, min_size=1, max_size=3), NAME)
def test_the_scope_leaves_out_only_what_cannot_match(texts, name):
    patterns = [Pattern(text) for text in texts]
    scope = scope_of(patterns)
    if matches_any(patterns, name):
        assert name.startswith(scope.prefix)
        assert not scope.levels or name.count("/") < scope.levels
        assert may_match_below(patterns, name.split("/")[0])


@given(st.text(max_size=60))
def test_nothing_else_is_raised(text):
    with contextlib.suppress(CommandError):
        parse("LIST " + text.replace("\r", "").replace("\n", ""))
