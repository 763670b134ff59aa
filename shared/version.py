"""The version, in one place: pyproject.toml reads it from here, so that a clone, a wheel and an image say the same."""

from typing import Final

VERSION: Final = "0.1.0"
