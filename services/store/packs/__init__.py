"""Packs: append-only, content-addressed files that hold what messages are made of.

Read in this order: ``record`` (the bytes of one record), ``encode`` (content to payload, with zstd where it pays),
``paths`` (names and durable directories), ``append`` (the one who writes), ``scan`` (walk a pack and mend its tail),
``read`` (ranged reads with bounded caches).

Laws:
- A pack is only ever appended to; from ``seal_octets`` on it is never opened for writing again. It is removed whole, by
  ``services.store.compaction``, when no row names it any more.
- What ``PackAppender.sync`` returned for is on the disk. What it raised for is nowhere, and the pack that failed an
  fsync is not written to again by this process (the kernel may have dropped the dirty pages: trying again would lie).
- A reader never returns bytes whose checksum does not match.
"""
