"""Alembic's entry: runs the revisions on the connection that ``migrate`` hands over."""

import sqlalchemy as sa
from alembic import context

from services.store.sql.schema import metadata


def run() -> None:
    connection: sa.Connection = context.config.attributes["connection"]
    # The driver is in autocommit mode: SQLite's DDL is transactional only between an explicit BEGIN and COMMIT.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=False)
    try:
        context.run_migrations()
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")


run()
