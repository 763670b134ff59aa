"""IMAP's grammar and rules: bytes in, events out; no socket, no clock, no store.

Read in this order: ``framing`` (lines and literals), ``tokens``, ``arguments`` (what a command holds), ``sequence_set``,
``dates``, ``grammar`` with ``fetch_grammar``, ``search_grammar`` and ``list_grammar``, ``state`` (the table of commands),
``capability``, ``encode``, ``responses``.
"""
