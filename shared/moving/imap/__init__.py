"""Mail moves in from another server by IMAP, while that goes on.

Pure, in this order: ``framing`` (octets to responses), ``values``, ``responses``, ``choose`` (which mailboxes, under which names),
``remembered`` (what one import leaves for the next), ``pace``. With a network: ``login`` (where, who, how protected), ``session`` (one
connection), ``reader`` (messages over several connections), ``pop3`` (the old server's list), ``uidls`` (which of it is which message of
IMAP), ``survey`` (a mailbox there beside ours).

Laws: mailboxes are opened with EXAMINE, and messages are read with BODY.PEEK, so that nothing changes there. No password goes out before
the certificate was verified, but to this machine itself.
"""
