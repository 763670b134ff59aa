"""SASL exchanges (RFC 4422) as pure state machines, both sides, for SMTP, IMAP, POP3 and the smart host client.

Read in this order:
- `credentials`: what a server exchange ends in, and how it fails.
- `plain` (RFC 4616), `login` (draft-murchison-sasl-login): the mechanisms, server and client side, on raw octets.
- `server`: `ServerSession`, which drives one mechanism with the base64 lines of a protocol.
- `saslprep` (RFC 4013), `scram_keys`, `scram`, `scram_exchange`, `scram_relay` (RFC 5802, RFC 7677): SCRAM-SHA-256, whose
  secret part runs in the store; `scram_relay` stands for it in the pure part of an edge.
- `scram_client`, `cram_md5` (RFC 2195): the client's side of those; `client`: `ClientSession` and the choice among what a server offers.
"""
