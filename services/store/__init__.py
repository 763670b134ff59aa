"""The storage service: order, durability, identity, notification. One process; nobody else touches the mail on the disk.

Read in this order: ``server``, ``core``, ``areas``, ``writes`` and ``reads``, ``writer``, ``transaction``, ``readers``,
``domain``, ``sql``, ``packs``, ``recover``, ``layout``; then ``grants``, ``passwords``, ``scram``, ``guard``, ``uploads``,
``notify``, ``directory_cache``, ``jobs``, ``measure``.
"""
