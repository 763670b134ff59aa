"""Messages made fit for a narrower transport: 8-bit to 7-bit, binary to lines, UTF-8 headers to ASCII. Pure, in pieces.

Two passes over the same octets, because a part's header stands before its body and says how that is encoded:
    survey = Survey(goal); survey.feed(...) each piece; plan = survey.finish()      # or `Unconvertible`, with the reason
    converter = Converter(plan); converter.feed(...) each piece; converter.finish()
A plan that is not `needed` means that the message is fit as it is; every octet that needs no change stays as it came.

Laws
- No loss: a part decodes to the same octets before and after; nothing is encoded twice (RFC 3030 §3).
- Nothing but `Unconvertible` leaves here, and that only from a survey. The same octets give the same plan and the same output, however
  they are cut into pieces. Memory: one header block, one line of a boundary, one line of an encoder, a byte per part.
- Signed parts (RFC 1847 §2.1) are never changed: where they would have to be, the message is unconvertible.

Read in this order: `goal` (what is wanted, what may go wrong), `walker` (the MIME structure as a stream), `encoders`, `headers`
and `addresses` (fields in ASCII), `survey`, `converter`.

RFC 2045 §2, §6; RFC 2046 §5.1, §5.2.1; RFC 2047; RFC 2231; RFC 3030 §3; RFC 6152 §3; RFC 1847 §2.1.
"""
