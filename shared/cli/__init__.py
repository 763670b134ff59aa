"""`pillarbox`: the one command line, one module per noun.

Read in this order: ``main`` (parser and exit codes), ``invocation`` (what every command gets), ``store_access`` (the store
as administrator), ``output`` (tables and JSON), then the nouns: ``up``, ``run``, ``domain``, ``account``, ``alias``,
``queue``, ``status``, ``test``; ``demo`` is what `up --demo` does; ``healthcheck`` is for containers.
"""
