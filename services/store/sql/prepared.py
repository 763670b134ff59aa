"""SQLAlchemy Core statements, compiled once, run by the driver's cursor.

``Prepared(statement, "a", "b")`` takes its parameters as a tuple in the order that is declared, whatever order the
compiled text has them in. Every ``bindparam`` must be declared; literals in a statement become constants.

``PreparedIn`` is a statement with one ``IN`` list. Lists are padded to a power of two by repeating the last value, so that a handful
of texts serve all lengths and the driver's statement cache keeps hitting.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement

Cursor = sqlite3.Cursor
Row = tuple[Any, ...]

_DIALECT: Final = sqlite.dialect(paramstyle="qmark")
IN_MAX: Final = 512
"""Values in one list; longer ones take several statements."""


def _compile(statement: ClauseElement, columns: Sequence[str] | None = None) -> tuple[str, list[str], dict[str, Any]]:
    """Text, parameters by position, and the values that the statement itself brings."""
    compiled = statement.compile(
        dialect=_DIALECT,
        column_keys=None if columns is None else list(columns),
        compile_kwargs={"render_postcompile": True},
    )
    if not isinstance(compiled, SQLCompiler):
        raise TypeError("not a statement")
    brought = {name: value for name, value in compiled.params.items() if value is not None}
    return str(compiled), list(compiled.positiontup or []), brought


class Prepared:
    """One statement; ``names`` declare the order of the parameters."""

    __slots__ = ("_arrange", "_constants", "sql")

    def __init__(self, statement: ClauseElement, *names: str) -> None:
        columns = names if isinstance(statement, sa.Insert) else None
        self.sql, order, brought = _compile(statement, columns)
        if set(order) != {*names, *brought}:
            raise ValueError(f"parameters are {order}, declared {names}: {self.sql}")
        self._constants: Row = tuple(brought.values())
        given = [*names, *brought]
        self._arrange: Callable[[Row], Row] | None = None
        if order != given:
            positions = [given.index(name) for name in order]
            self._arrange = _single(positions[0]) if len(positions) == 1 else itemgetter(*positions)

    def _values(self, values: Row) -> Row:
        if self._constants:
            values += self._constants
        return values if self._arrange is None else self._arrange(values)

    def run(self, cursor: Cursor, *values: Any) -> Cursor:
        return cursor.execute(self.sql, self._values(values))

    def run_many(self, cursor: Cursor, rows: Iterable[Row]) -> None:
        plain = self._arrange is None and not self._constants
        cursor.executemany(self.sql, rows if plain else map(self._values, rows))

    def one(self, cursor: Cursor, *values: Any) -> Row | None:
        """The first row, or None."""
        row: Row | None = self.run(cursor, *values).fetchone()
        return row

    def all(self, cursor: Cursor, *values: Any) -> list[Row]:
        return self.run(cursor, *values).fetchall()

    def scalar(self, cursor: Cursor, *values: Any) -> Any:
        """The first column of the first row; the statement must give one."""
        return self.run(cursor, *values).fetchone()[0]


def _single(position: int) -> Callable[[Row], Row]:
    return lambda row: (row[position],)


class PreparedIn:
    """A statement made by ``build(list of bindparams)``; ``names`` are the other parameters, given before the list's."""

    __slots__ = ("_build", "_by_length", "_names")

    def __init__(self, build: Callable[[Sequence[sa.BindParameter[Any]]], ClauseElement], *names: str) -> None:
        self._build = build
        self._names = names
        self._by_length: dict[int, Prepared] = {}
        self._of(1)

    def _of(self, length: int) -> Prepared:
        prepared = self._by_length.get(length)
        if prepared is None:
            binds: list[sa.BindParameter[Any]] = [sa.bindparam(f"in_{number}") for number in range(length)]
            names = (*self._names, *(bind.key for bind in binds))
            prepared = self._by_length[length] = Prepared(self._build(binds), *names)
        return prepared

    def each(self, cursor: Cursor, values: Sequence[Any], *others: Any) -> Iterator[Cursor]:
        """Run for all values, IN_MAX at a time; the cursor after each run. An empty list runs nothing."""
        for start in range(0, len(values), IN_MAX):
            piece = values[start : start + IN_MAX]
            length = 1 << (len(piece) - 1).bit_length()
            padding = [piece[-1]] * (length - len(piece))
            yield self._of(length).run(cursor, *others, *piece, *padding)

    def all(self, cursor: Cursor, values: Sequence[Any], *others: Any) -> list[Row]:
        rows: list[Row] = []
        for done in self.each(cursor, values, *others):
            rows += done.fetchall()
        return rows

    def execute(self, cursor: Cursor, values: Sequence[Any], *others: Any) -> int:
        """How many rows were changed."""
        return sum(done.rowcount for done in self.each(cursor, values, *others))
