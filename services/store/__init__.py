"""The storage service: order, durability, identity, notification. One process; nobody else touches the mail on the disk.

Read in this order: ``server``, ``core``, ``areas``, ``writes`` and ``reads``, ``writer``, ``transaction``, ``readers``,
``domain``, ``sql``, ``packs``, ``recover``, ``layout``; then ``forwarding``, ``grants``, ``passwords``, ``scram``, ``devices``, ``guard``,
``sending``, ``notice``, ``held``, ``uploads``, ``notify``, ``directory_cache``, ``jobs``, ``measure``.
"""
