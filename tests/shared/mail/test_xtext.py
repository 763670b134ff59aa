"""xtext and ORCPT: what is decoded for reports, and the form for servers without SMTPUTF8."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mail.xtext import ascii_orcpt, decode_orcpt, decode_xtext


def test_decoding() -> None:
    assert decode_xtext("") == ""
    assert decode_xtext("a+2Bb+20c+3D") == "a+b c="
    assert decode_orcpt("rfc822;a+2Bb@x.test") == "rfc822;a+b@x.test"
    assert decode_orcpt("UTF-8;\\x{FC}@x.test") == "UTF-8;ü@x.test"


@pytest.mark.parametrize("text", ["a=b", "a b", "+2b", "+", "+0A", "+7F", "ü"])
def test_what_is_no_xtext(text: str) -> None:
    with pytest.raises(ValueError, match="not"):
        decode_xtext(text)


@given(st.text(st.characters(min_codepoint=0xA0, exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=30))
def test_the_embedded_form_means_the_same(address: str) -> None:
    value = f"utf-8;{address}@x.test"
    assert ascii_orcpt(value).isascii()
    assert decode_orcpt(ascii_orcpt(value)) == decode_orcpt(value) == value
