"""The languages in which Pillarbox writes to people."""

from enum import StrEnum


class Language(StrEnum):
    """As tags."""

    ENGLISH = "en"
    KOREAN = "ko"
