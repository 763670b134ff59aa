"""What an operator sees: ``log`` (structured lines), ``trace`` (one id per message), ``metrics``, ``health``."""
