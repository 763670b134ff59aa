"""DANE for SMTP (RFC 7672): what a signed zone says of the certificates of a domain's MX hosts.

Read in this order: tlsa (the records and what they match, no I/O), anchored (chains up to an authority that a record names, no
I/O), judge (a server's certificates against its records, no I/O), finder (DNS).
"""
