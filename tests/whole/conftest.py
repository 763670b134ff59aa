"""One world for all tests that leave it standing; a test that kills makes its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.testing.clients import Login
from shared.testing.world import World


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("world")) as running:
        yield running


@pytest.fixture
def bob(world: World) -> Login:
    """A fresh account."""
    return world.new_user("bob")


@pytest.fixture
def alice(world: World) -> Login:
    """Another fresh account."""
    return world.new_user("alice")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker("whole")
