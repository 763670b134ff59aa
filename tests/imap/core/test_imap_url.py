"""URLs of CATENATE: those of the RFCs' examples, what is refused, any octets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.imap.protocol.arguments import Section, SectionText
from services.imap.protocol.imap_url import BadUrl, MessageUrl, parse_message_url
from services.imap.protocol.limits import GrammarLimits

LIMITS = GrammarLimits()
WHOLE = Section(peek=True)


def part(*path, text=SectionText.ALL, fields=()):
    return Section(path, text, fields, peek=True)


EXAMPLES = {
    # RFC 4469 appendix A
    b"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER": MessageUrl(
        "Drafts", 385759045, 20, part(text=SectionText.HEADER)
    ),
    b"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=1.MIME": MessageUrl(
        "Drafts", 385759045, 20, part(1, text=SectionText.MIME)
    ),
    b"/Drafts;UIDVALIDITY=385759045/;UID=20/;Section=2": MessageUrl("Drafts", 385759045, 20, part(2)),
    b"/INBOX;UIDVALIDITY=785799047/;UID=113330/;section=1.5.9": MessageUrl("INBOX", 785799047, 113330, part(1, 5, 9)),
    b"/INBOX;UIDVALIDITY=785799047/;UID=11467": MessageUrl("INBOX", 785799047, 11467, WHOLE),
    # RFC 8508 §4.2
    b"/Drafts/;UID=3002": MessageUrl("Drafts", 0, 3002, WHOLE),
    # RFC 5092 §10.1 and §11, without scheme and server
    b"/gray-council;UIDVALIDITY=385759045/;UID=20/;PARTIAL=0.1024": MessageUrl(
        "gray-council", 385759045, 20, WHOLE, (0, 1024)
    ),
    b"/~peter/%E6%97%A5%E6%9C%AC/x/;UID=5;SECTION=1.2;PARTIAL=7": MessageUrl(
        "~peter/日本/x", 0, 5, part(1, 2), (7, -1)
    ),
    b"/inbox/;UID=5/;SECTION=HEADER.FIELDS%20(Date%20%22To%22)": MessageUrl(
        "INBOX", 0, 5, part(text=SectionText.HEADER_FIELDS, fields=(b"Date", b"To"))
    ),
    # relative to the selected mailbox
    b";UID=20/;SECTION=TEXT": MessageUrl(None, 0, 20, part(text=SectionText.TEXT)),
    b"/;UID=20": MessageUrl(None, 0, 20, WHOLE),
    b";UIDVALIDITY=3/;UID=20": MessageUrl(None, 3, 20, WHOLE),
}


@pytest.mark.parametrize("url", EXAMPLES)
def test_examples(url):
    assert parse_message_url(url, LIMITS) == EXAMPLES[url]


@pytest.mark.parametrize(
    "url",
    [
        *(b"", b"/", b"/INBOX", b"/INBOX;UIDVALIDITY=1", b"imap://host/INBOX/;UID=1", b"//host/INBOX/;UID=1"),
        *(b"/INBOX/;UID=0", b"/INBOX/;UID=4294967296", b"/INBOX/;UID=x", b"/INBOX;UIDVALIDITY=0/;UID=1"),
        *(b"/INBOX/;UID=1/;SECTION=FOO", b"/INBOX/;UID=1/;SECTION=0", b"/INBOX/;UID=1/;SECTION=", b"/INBOX/;UID=1?x"),
        *(b"/IN%00BOX/;UID=1", b"/%FF/;UID=1", b"/;UIDVALIDITY=1/;UID=1", b"/x/;UID=1/;URLAUTH=anonymous"),
        b"/x/;UID=1/;SECTION=1]",
    ],
)
def test_refused(url):
    with pytest.raises(BadUrl):
        parse_message_url(url, LIMITS)


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                [b"/INBOX", b";UIDVALIDITY=", b"/;UID=", b"1", b"/;SECTION=", b"1.2", b"HEADER", b"%", b";"]
            ),
            st.binary(max_size=5),
        ),
        max_size=12,
    )
)
def test_any_octets_are_a_url_or_not(pieces):
    try:
        assert parse_message_url(b"".join(pieces), LIMITS).uid > 0
    except BadUrl:
        pass
