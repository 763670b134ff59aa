"""Settings: ``schema`` (every key with its default and its line of documentation), ``load``, ``paths``."""
