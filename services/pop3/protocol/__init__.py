"""POP3 as pure code: bytes in, events out. No socket, no clock, no store.

In reading order: `commands` (verbs and their arguments), `grammar` (a line becomes a command), `state` (which command
when), `replies` (every text that we say), `drop` (the maildrop as one session sees it), `connection` (the whole).
"""
