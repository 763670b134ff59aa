"""`pillarbox store verify`: everything on the disk is read and compared, at the lowest priority, and damage is named in the owner's words.

Read in this order: ``findings`` (what can be wrong), ``walk`` (pack files, record by record), ``contents`` (packs against the database),
``database`` (the database against itself), ``owners`` (whose message that is), ``checker`` (the process), ``keeper`` (the store's side).
"""
