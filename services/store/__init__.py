"""The storage service: order, durability, identity, notification. One process; nobody else touches the mail on the disk.

Read in this order: ``server``, ``core``, ``areas``, ``writes`` and ``reads``, ``writer``, ``transaction``, ``readers``,
``domain``, ``sql``, ``packs``, ``recover``, ``layout``; then ``forwarding``, ``grants``, ``passwords``, ``scram``, ``devices``, ``guard``,
``usage``, ``quota_warnings``, ``quota_notice``, ``sending``, ``notice``, ``held``, ``uploads``, ``notify``,
``directory_cache``, ``quota_cache``, ``jobs``, ``measure``.
"""
