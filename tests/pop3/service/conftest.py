"""A store and POP3, shared by a module's tests or made for one of them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.testing.pop3 import Pop3Stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pop3Stack]:
    """One store and one POP3 for all tests of a module; each test has accounts of its own."""
    with Pop3Stack(tmp_path_factory.mktemp("pop3") / "data") as running:
        yield running


@pytest.fixture
def make_stack(tmp_path: Path) -> Iterator[Callable[..., Pop3Stack]]:
    """A stack with settings of its own, for tests that stop and kill."""
    made: list[Pop3Stack] = []

    def make(**settings: str) -> Pop3Stack:
        variables = {f"PILLARBOX_{name.upper()}": value for name, value in settings.items()}
        stack = Pop3Stack(tmp_path / f"data{len(made)}", variables)
        stack.start()
        made.append(stack)
        return stack

    yield make
    for stack in made:
        stack.close()
