"""Frozen nouns that cross a process line: ids, flags, packed arrays.

Read in this order: ``ids``, ``flags``, ``packed``.
"""
