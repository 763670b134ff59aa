"""Alembic at work; see ``migrate``, which decides whether it is needed."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from services.store.sql.database import connect
from services.store.sql.migrate import NewerDatabaseError


def config() -> Config:
    """Alembic's, for the revisions of this package."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return made


def upgrade(path: Path, current: str | None) -> None:
    """To the newest revision. Raises NewerDatabaseError."""
    settings = config()
    known = {script.revision for script in ScriptDirectory.from_config(settings).walk_revisions()}
    if current is not None and current not in known:
        raise NewerDatabaseError(f"database revision {current} is not known to this version")
    engine = sa.create_engine(
        "sqlite://", creator=lambda: connect(path, read_only=False, cache_kib=4096), poolclass=sa.pool.StaticPool
    )
    try:
        with engine.connect() as connection:
            settings.attributes["connection"] = connection
            command.upgrade(settings, "head")
    finally:
        engine.dispose()
