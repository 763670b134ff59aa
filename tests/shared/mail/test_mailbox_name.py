"""Local parts with the quotes they need, domains in A-labels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mail.mailbox_name import domain_to_a_labels, quote_local, unquote_local


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_quoting_is_undone(text: str) -> None:
    assert unquote_local(quote_local(text)) == text


@pytest.mark.parametrize(
    ("text", "spelled"),
    [("a.b", "a.b"), ("a b", '"a b"'), ('a"b\\', r'"a\"b\\"'), ("", '""'), (".a", '".a"'), ("a@b", '"a@b"'), ("ü.x", "ü.x")],
)
def test_the_least_quoting(text: str, spelled: str) -> None:
    assert quote_local(text) == spelled


@pytest.mark.parametrize("local", ["a b", "a.", 'a"b"', '"a', '"a"b"', '"a\\"', "", "a@b"])
def test_not_local_parts(local: str) -> None:
    with pytest.raises(ValueError, match="local part"):
        unquote_local(local)


def test_domains() -> None:
    assert domain_to_a_labels("EXAMPLE.Test") == "example.test"
    assert domain_to_a_labels("Faß.de") == "xn--fa-hia.de"
    assert domain_to_a_labels("xn--FA-hia.DE") == "xn--fa-hia.de"
    for name in ("☃.test", "ü" * 70, "ü..test", "a\u200db"):
        with pytest.raises(ValueError, match=r".+"):
            domain_to_a_labels(name)
