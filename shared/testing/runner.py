"""How a test function runs: async ones under trio, and those that need a program of the machine only where it is."""

import functools
import os
import shutil
from collections.abc import Awaitable, Callable
from typing import NoReturn, ParamSpec

import pytest
import trio

P = ParamSpec("P")

TEST_SECONDS = 30.0
"""No single async test takes longer; a hang then names the place instead of ending the whole run."""


def trio_test(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Decorate `async def test_...`: pytest calls it as a plain function, it runs under trio for at most 30 s."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def main() -> None:
            with trio.fail_after(TEST_SECONDS):
                await test(*args, **kwargs)

        trio.run(main)

    return run


def require(program: str) -> str:
    """Return the path of a program of the machine; skip the test where it is missing.

    With PILLARBOX_REQUIRE_ALL=1 (the CI) a missing program fails the test, so that nothing is left out unseen.
    Daemons live in sbin, which is not on every user's PATH.
    """
    path = os.environ.get("PATH", os.defpath) + os.pathsep + os.pathsep.join(("/usr/sbin", "/usr/local/sbin", "/sbin"))
    found = shutil.which(program, path=path)
    if found is None:
        missing(f"{program} is not installed")
    return found


def missing(what: str) -> NoReturn:
    """Skip the test because this machine lacks something, or fail it where everything has to be there."""
    if os.environ.get("PILLARBOX_REQUIRE_ALL") == "1":
        pytest.fail(f"{what} (PILLARBOX_REQUIRE_ALL=1)", pytrace=False)
    pytest.skip(what)  # only on a developer's machine: .ci/run sets PILLARBOX_REQUIRE_ALL, which fails above


def require_root(what: str) -> None:
    """Some peers (Postfix) change the owner of their files: skip or fail without root."""
    if os.geteuid() != 0:
        missing(f"{what} needs root")
