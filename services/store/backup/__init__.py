"""`pillarbox backup` and `pillarbox restore`: plain files in dated folders, each of them whole, what they share hard-linked.

::

    DIR/2026-11-28T110800Z/manifest.json          format, digests; a folder without it is none of ours
                           data/store/pillarbox.db      one consistent state of the database
                           data/store/packs/*.pack      every pack that this state names
                           data/keys, data/tls, ...     everything else of the data directory
                           settings/pillarbox.toml      the settings file, where it lies elsewhere
    DIR/.incoming-2026-11-28T110800Z/             under way, or left by one that was killed; the next backup removes it

The database is copied first, then the packs that it names: what was committed before is in them, and packs are only appended to. Read
in this order: ``manifest``, ``keep`` (what stays), ``files``, ``database``, ``packs``, ``make``; ``restore``, ``account``,
``rehearse``; ``__main__``, ``keeper``.
"""
