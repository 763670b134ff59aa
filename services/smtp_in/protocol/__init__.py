"""SMTP as a receiver, pure: bytes in, events out, replies in, bytes out. No trio, socket, ssl, clock or randomness.

Read in this order:
- `limits`: every bound, in one frozen class.
- `grammar`: the ABNF of RFC 5321 §4.1.2 and §4.1.3 as regular expressions, each under its rule; mailboxes and paths.
- `commands`: the verbs and what a parsed command carries; `parse` makes them of lines.
- `replies`: every reply that this service gives, as data with enhanced status codes.
- `state`: which verb is allowed in which state, as a table.
- `data`: the header block of a received message: what the checks need, what a submission gets repaired.
- `events`: what the machine asks of its driver, and what a port offers.
- `handlers`: what each command does, once the table allows it.
- `connection`: the machine that puts these together.
"""
