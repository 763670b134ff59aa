"""The RPC between the edges and the store: msgpack-rpc frames over one stream per pair of processes.

Read in this order: ``frames`` (bytes to messages, pure), ``handshake`` (who is there, pure), ``outbox`` (coalesced writes, back-pressure),
``server``, ``client``.
"""
