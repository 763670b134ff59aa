"""Whether a message is what it says it is: SPF. Pure: DNS answers are passed in.

In reading order: `lookups` (how an evaluation asks), `spf_record` (a record's text to terms), `spf_macros`, `spf` (check_host()).
"""
