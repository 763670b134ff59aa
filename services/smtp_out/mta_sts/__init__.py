"""MTA-STS (RFC 8461): what a domain promises about TLS at its MX hosts, and holds us to.

Read in this order: policy (the record and the policy, no I/O), cache (what is remembered, no I/O), shelf (its file),
finder (DNS, HTTPS, when to ask anew).
"""
