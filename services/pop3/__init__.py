"""POP3: mail clients fetch the mail of their account, INBOX or another mailbox.

In reading order: `protocol/` (the pure core, see its own list), `maildrop` (the snapshot at the store), `read_ahead`
(batches of contents), `ending` (what the store is told last), `shared_state` (what all sessions share), `session` (one
connection), `__main__` (the process). README.md is the manual page.
"""
