"""Alembic's revisions, run by ``services.store.sql.migrate`` at every start."""
