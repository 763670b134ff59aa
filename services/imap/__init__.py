"""The IMAP server: IMAP4rev1 for mail clients, in front of the store.

Read in this order: ``protocol`` (grammar and rules, pure), ``limits``, ``client`` (framed input, collected output), ``view`` and
``views`` (what is known of each selected mailbox), ``updates``, ``updating`` (what a session has told its client), ``context``
(what a command works on), ``session`` (one connection), ``commands`` (a file per command), ``fetch_plan``, ``rendered``, ``reading``,
``pump``, ``parcel``, ``searching`` (how messages are found: ``search_prepare``, ``search_columns``, ``candidates``, ``search_eval``),
``ordering`` (``cards``, ``sorting``, ``threading_refs``), ``search_contexts``, ``__main__``.
"""
