"""What the readers' threads run: one function per call that reads, ``function(snapshot, ...)``.

Read in this order: ``messages``, ``contents``, ``mailboxes``, ``directory``, ``queue``.
"""
