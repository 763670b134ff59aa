"""Mail moves in from another server's files or by its IMAP (``imap``), and out into files.

Pure, in this order: ``uidlist`` (Dovecot's UIDs), ``keywords``, ``names`` (of files and folders), ``subscriptions``, ``uidl`` (POP3),
``mbox``, ``plan`` (what of a folder is missing here). With files: ``tree`` (a Maildir on the disk), ``worker`` (reads and takes apart
messages, a process of its own), ``workers`` (several of them), ``files`` (messages from mbox and .eml files), ``account`` (the store's
side), ``arrive`` (moves a folder in), ``leave`` (writes mailboxes out).
"""
