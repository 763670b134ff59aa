"""Whether a message is what it says it is, and proof that ours are. Pure: DNS answers are passed in, keys stay outside.

In reading order: `lookups` (how an evaluation asks), `spf_record` (a record's text to terms), `spf_macros`, `spf` (check_host()), `iprev`,
`dkim` (signatures and the ARC chain), `authors` (the domains of From), `dmarc_record`, `dmarc`, `suffix_list`, `results`
(Authentication-Results), `dkim_sign` (what is signed when mail leaves).
"""
