"""The network edge of every service, on trio.

In reading order: `stream` (one connection, plaintext or TLS), `listen` (bind, accept, limits, drain), `tls`
(certificates and their reload, contexts for clients), `dial` (connections that we open), `limits` (connections counted
per address), `networks` (lists of CIDR networks).
"""
