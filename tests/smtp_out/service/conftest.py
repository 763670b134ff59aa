"""One world per module: a store and smtp_out as real processes; each test uses domains of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.testing.outbound import OutboundWorld


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutboundWorld]:
    with OutboundWorld(tmp_path_factory.mktemp("outbound")) as one:
        yield one
