"""`build_index` as a whole: the stored forms of whole messages."""

from shared.mail.index import SectionKind, build_index, resolve_section, unpack_parts, unpack_summary

PLAIN = (
    b"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n"
    b"From: Terry Gray <gray@cac.washington.edu>\r\n"
    b"Subject: IMAP4rev1 WG mtg summary and minutes\r\n"
    b"To: imap@cac.washington.edu\r\n"
    b"cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"
    b"Message-Id: <B27397-0100000@cac.washington.edu>\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n"
    b"\r\n"
    b"The minutes.\r\n"
)


# RFC 3501 §8: the sample message
def test_sample_of_the_rfc() -> None:
    index = build_index(PLAIN)
    assert index.envelope == (
        b'("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes" '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu")) '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) ((NIL NIL "imap" "cac.washington.edu")) '
        b'((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL '
        b'"<B27397-0100000@cac.washington.edu>")'
    )
    assert index.body == b'("text" "plain" ("charset" "US-ASCII") NIL NIL "7bit" 14 1)'
    assert index.bodystructure == b'("text" "plain" ("charset" "US-ASCII") NIL NIL "7bit" 14 1 NIL NIL NIL NIL)'
    assert index.header_octets == PLAIN.index(b"\r\n\r\n") + 4
    parts = unpack_parts(index.parts)
    assert resolve_section(parts, (1,), SectionKind.CONTENT) == (index.header_octets, len(PLAIN))
    summary = unpack_summary(index.summary)
    assert summary.subject == "IMAP4rev1 WG mtg summary and minutes"
    assert summary.preview == "The minutes."
    assert summary.sent is not None
    assert summary.sent.seconds == 837595405
