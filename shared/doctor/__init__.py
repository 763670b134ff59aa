"""`pillarbox doctor`: looks at this server as the world does, and says what to do about each thing that is not as it should be.

Read `findings` (what comes of a look), `records` (a domain's DNS records, pure), `machine` (name, addresses, certificate, clock, port 25,
block lists), `look` (all of it).
"""
