"""What the writer's thread runs: one function per call that writes, ``function(transaction, ...)``.

Read in this order: ``filing`` (messages into mailboxes and queue), ``flags``, ``transfer`` (copy, move, expunge), ``mailboxes``,
``queue``, ``directory`` (domains, accounts, aliases), ``housekeeping``.
"""
