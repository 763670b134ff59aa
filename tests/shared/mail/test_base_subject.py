"""Base subjects by RFC 5256 §2.1, and the collation by which they are compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mail.base_subject import base_subject
from shared.mail.collation import casemap


@pytest.mark.parametrize(
    ("subject", "base", "is_reply"),
    [
        ("", "", False),
        ("hello", "hello", False),
        ("Re: hello", "hello", True),
        ("RE:hello", "hello", True),
        ("Fw: hello", "hello", True),
        ("FWD: hello", "hello", True),
        ("Re[2]: hello", "hello", True),
        ("re [x] : hello", "hello", True),
        ("re [x]: hello", "hello", True),
        ("Re: Re: Fwd: hello", "hello", True),
        ("[list] hello", "hello", False),
        ("[list] Re: hello", "hello", True),
        ("Re: [list] hello", "hello", True),
        ("[a] [b] hello", "hello", False),
        ("[a] [b]", "[b]", False),
        ("[list]", "[list]", False),
        ("Re: [list]", "[list]", True),
        ("hello (fwd)", "hello", True),
        ("hello (Fwd)(FWD) ", "hello", True),
        ("[Fwd: hello]", "hello", True),
        ("[fwd: [list] Re: hello (fwd)]", "hello", True),
        ("[fwd: ]", "", True),
        ("[fwd:]", "", True),
        ("  a \t b\r\n\tc ", "a b c", False),
        ("reply: hello", "reply: hello", False),
        ("re hello", "re hello", False),
        ("Re: ", "", True),
        ("[[x]] hello", "[[x]] hello", False),
        ("[x hello", "[x hello", False),
        ("회신: 안녕", "회신: 안녕", False),
        ("Re: 안녕", "안녕", True),
    ],
)
def test_table(subject: str, base: str, is_reply: bool) -> None:
    assert base_subject(subject) == (base, is_reply)


@given(st.text("reRE:[]()fwdFWD x", max_size=60))
def test_nothing_more_can_be_taken_off(subject: str) -> None:
    """It is idempotent, and a reply has the base subject of what it replies to."""
    base = base_subject(subject).text
    assert base_subject(base).text == base
    if base:
        assert base_subject("Re: " + base).text == base
        assert base_subject(f"[list] Fwd: {base} (fwd)").text == base


def test_hostile_subjects_cost_little() -> None:
    for subject in ("[a]" * 700, "Re: " * 500, "[fwd: " * 300 + "]" * 300, "(fwd)" * 400, "[" * 2000, "re[" * 600):
        base_subject(subject)


def test_collation() -> None:
    assert casemap("Straße") == casemap("straße")
    assert casemap("É") == casemap("é") == casemap("E\u0301")
    assert casemap("ＡＢＣ") == casemap("abc")
    assert casemap("") < casemap("a") < casemap("B")
    assert casemap("가") == casemap("\u1100\u1161")
