"""How a row of the history names the account that submitted a message, among the addresses that it can be found by."""


def account_token(account_id: int) -> str:
    """No address: it has no ``@``, so that no question for an address finds it."""
    return f"#{account_id}"
