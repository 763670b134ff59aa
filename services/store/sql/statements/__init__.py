"""What is run, one module per kind of thing. Parameters are named in the call of ``Prepared``, in their order.

Read in this order: ``mailboxes``, ``messages``, ``contents``, ``directory``, ``queue``, ``bookkeeping``.
"""
