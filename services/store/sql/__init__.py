"""The database: tables, migrations, connections and the statements that everybody runs.

Read in this order: ``schema`` (the tables), ``prepared`` (SQLAlchemy Core compiled once), ``database`` (connections),
``migrate`` (Alembic at start), ``statements`` (what is run).

Nothing outside this package knows SQLAlchemy. Statements are written in SQLAlchemy Core and compiled once at
import; what runs is the driver's own cursor, because SQLAlchemy's execution costs 30 to 60 us per statement, more than
all the rest of a delivery (``tests/bench/bench_store.py``).
"""
