"""The contract between the processes: every call with its owner, request, reply, roles and whether it writes.

Read in this order: ``registry`` (how a call is declared), ``types`` (what travels), then one module per area:
``directory``, ``auth``, ``content``, ``messages``, ``mailboxes``, ``sharing``, ``queue``, ``search``, ``events``, ``admin``, ``devices``;
``areas`` lists them; ``codec`` turns typed values into msgpack's and back. The proxies of the client and the dispatch of the server
are derived from here; a method that is not here does not exist.

Bump VERSION when a call, field or meaning changes so that an edge of the old version would be wrong; a test compares a digest of
the whole contract with the one recorded beside it.
"""

VERSION = 3
