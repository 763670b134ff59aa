"""smtp_in: mail comes in, from other servers (25) and from accounts (587, 465).

Files in reading order: `protocol/` (SMTP without I/O, see its head), `transaction` (the envelope and the client behind it),
`ports` (settings become limits and profiles), `spool` (content in bounded memory), `auth` (log-ins), `policy/` (who may
send what to whom: the one place between "received" and "committed"), `way` (what the sender asks of TLS and time),
`receipts` (what he is told with the commit), `rejects` (what is refused and kept all the same), `binary`
(BINARYMIME becomes lines), `deliver` (trace fields, index,
the store's commit, the reply), `session` (the loop of one connection), `door` (which checks strangers meet), `__main__`
(listeners and drain).
The manual page is README.md.
"""
