"""Text in LIKE patterns, for statements with ``escape="\\"``."""


def literal(text: str) -> str:
    """A part of a pattern that matches this text and nothing else."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
