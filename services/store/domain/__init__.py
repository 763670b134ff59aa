"""The store's rules, pure: no disk, no clock, no database.

Read in this order: ``addresses`` (how an address is compared), ``directory`` (who is behind one), ``names`` (of
mailboxes), ``flags`` (bits and keyword slots), ``queue`` (who is served next),
``retention`` (how long messages stay), ``pop3_login`` and ``pop3_view``
(user names with a mailbox, what a device sees), ``compaction`` (which pack is written anew); of bans ``places``, ``failures``,
``repeats``, ``known``, ``bans``, and ``judge``, which has the rules.
"""
