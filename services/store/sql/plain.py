"""Statements as plain text, for the indexer: a short-lived process for which SQLAlchemy would be most of its memory and start."""

from typing import Final

LAST_CONTENT: Final = "SELECT seq FROM sqlite_sequence WHERE name = 'content'"
CONTENTS: Final = (
    'SELECT c.id, c.pack, c."offset", c.length, c.octets, i.parts FROM content AS c '
    "JOIN content_index AS i ON i.content_id = c.id WHERE c.id > ? AND c.id <= ? ORDER BY c.id LIMIT ?"
)
"""Above the first id, up to the second."""
CONTENT_IDS: Final = "SELECT id FROM content WHERE id BETWEEN ? AND ?"
