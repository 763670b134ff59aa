"""SRS: what is made comes back, what was not made by us does not, in whatever case."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.mail.mailbox_name import quote_local
from shared.mail.srs import MAX_LOCAL_OCTETS, VALID_DAYS, forward_sender, is_srs, return_sender

KEY = b"k" * 32
DAY = 20_000
DOMAINS = st.from_regex(r"[a-z0-9]{1,12}(\.[a-z]{2,8}){1,3}", fullmatch=True)
LOCALS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30).map(quote_local)


def test_the_form() -> None:
    made = forward_sender("Alice@Example.COM", "ours.test", KEY, DAY)
    assert made is not None
    assert re.fullmatch(r"SRS0=[a-z2-7]{8}=[a-z2-7]{2}=example\.com=Alice@ours\.test", made)
    assert return_sender(made, KEY, DAY) == "Alice@example.com"


@given(LOCALS, DOMAINS, st.integers(0, 50_000), st.integers(0, VALID_DAYS))
def test_what_is_made_comes_back(local: str, domain: str, day: int, later: int) -> None:
    made = forward_sender(f"{local}@{domain}", "ours.test", KEY, day)
    assert made is not None
    assert is_srs(made)
    assert return_sender(made, KEY, day + later) == f"{local}@{domain}" or is_srs(local)
    assert return_sender(made, b"other" * 8, day) is None


@given(LOCALS, DOMAINS, st.integers(VALID_DAYS + 1, 1023))
def test_it_ends(local: str, domain: str, later: int) -> None:
    assume(not is_srs(local))
    made = forward_sender(f"{local}@{domain}", "ours.test", KEY, DAY)
    assert made is not None
    assert return_sender(made, KEY, DAY + later) is None
    assert return_sender(made, KEY, DAY - 1) is None


@given(st.integers(0, 60), st.characters(min_codepoint=33, max_codepoint=126))
def test_any_change_is_seen(position: int, character: str) -> None:
    made = forward_sender("alice@example.com", "ours.test", KEY, DAY)
    assert made is not None
    local = made.partition("@")[0]
    assume(position < len(local) and local[position].lower() != character.lower() and local[position] != "=")
    changed = local[:position] + character + local[position + 1 :]
    assert return_sender(f"{changed}@ours.test", KEY, DAY) is None


@pytest.mark.parametrize("fold", [str.lower, str.upper, str.swapcase])
def test_case_on_the_way_breaks_nothing(fold: type[str]) -> None:
    made = forward_sender("alice@example.com", "ours.test", KEY, DAY)
    assert made is not None
    back = return_sender(fold(made), KEY, DAY)
    assert back is not None
    assert back.lower() == "alice@example.com"


def test_the_mail_of_another_forwarder() -> None:
    """Its address is kept inside; a third one puts its own hash in front and does not make it longer."""
    theirs = "SRS0=HHH=TT=origin.test=bob@hop.test"
    made = forward_sender(theirs, "ours.test", KEY, DAY)
    assert made is not None
    assert re.fullmatch(r"SRS1=[a-z2-7]{8}=hop\.test==HHH=TT=origin\.test=bob@ours\.test", made)
    assert return_sender(made, KEY, DAY) == theirs
    again = forward_sender(made, "third.test", b"3" * 32, DAY)
    assert again is not None
    assert re.fullmatch(r"SRS1=[a-z2-7]{8}=hop\.test==HHH=TT=origin\.test=bob@third\.test", again)
    assert return_sender(again, b"3" * 32, DAY) == theirs
    assert return_sender(again, KEY, DAY) is None
    plus = forward_sender("SRS0+HHH=TT=origin.test=bob@hop.test", "ours.test", KEY, DAY)
    assert plus is not None
    assert return_sender(plus, KEY, DAY) == "SRS0+HHH=TT=origin.test=bob@hop.test"


def test_what_only_looks_like_it() -> None:
    assert not is_srs("srs@ours.test")
    assert not is_srs("srs0@ours.test")
    for local in ("SRS0=", "SRS0=a", "SRS0=a=b=c", "SRS0=a=bb=c=", "SRS1=a=b", "SRS1==", "SRS0====", '"SRS0=a', "srs0=x=99=a.b=c"):
        assert return_sender(f"{local}@ours.test", KEY, DAY) is None
    made = forward_sender("SRS0=odd@far.test", "ours.test", KEY, DAY)
    assert made is not None
    assert return_sender(made, KEY, DAY) == "SRS0=odd@far.test"


def test_none_can_be_made() -> None:
    for sender in ("", "a", "@x.y", "a b@x.y", "a@", "a@☃.test", "a" * 64 + "@" + "x." * 70 + "test"):
        assert forward_sender(sender, "ours.test", KEY, DAY) is None
    longest = "a" * 64 + "@" + "x" * 60 + ".test"
    made = forward_sender(longest, "ours.test", KEY, DAY)
    assert made is not None
    assert 64 < len(made.partition("@")[0]) <= MAX_LOCAL_OCTETS


def test_international_senders() -> None:
    made = forward_sender("jörg@bücher.test", "ours.test", KEY, DAY)
    assert made is not None
    assert return_sender(made, KEY, DAY) == "jörg@xn--bcher-kva.test"


@given(st.text(max_size=80))
def test_anything_is_answered(text: str) -> None:
    is_srs(text)
    assert return_sender(text, KEY, DAY) is None
    forward_sender(text, "ours.test", KEY, DAY)
