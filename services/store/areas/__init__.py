"""The contract, implemented: one module per area, one method per call, with the caller (``Call``) before the contract's parameters.

An area checks the grant, hands the work to the readers or the writer, and returns what the contract says. It holds no state.
"""
