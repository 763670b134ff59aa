"""Logs in at relays whose test an administrator has asked for (`pillarbox relay test`), and says what happened. No mail is sent."""

from __future__ import annotations

import trio

from services.smtp_out.connector import Connector, NoHost
from services.smtp_out.egress.guide import Guide
from services.smtp_out.outcome import Result
from shared.contract.relay_types import RelayLogin
from shared.contract.relays import RelaysApi
from shared.errors import StoreError
from shared.observe.log import Logger

TEST_SECONDS = 50.0  # the command line waits a little longer
_PAUSE_SECONDS = 1.0


class RelayTester:
    """One test at a time."""

    def __init__(self, guide: Guide, connector: Connector, relays: RelaysApi, log: Logger) -> None:
        self._guide = guide
        self._connector = connector
        self._api = relays
        self._log = log

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._guide.tests_wanted.wait()
            self._guide.tests_wanted = trio.Event()
            for relay in self._guide.tests():
                passed, text = await self._test(relay)
                self._log.info("relay tested", relay=relay.name, passed=passed, result=text)
                try:
                    await self._api.tested(relay.name, passed, text)
                except StoreError as error:
                    self._log.warning("the result of a test could not be stored", relay=relay.name, reason=str(error))
                    self._guide.tests_wanted.set()
                    await trio.sleep(_PAUSE_SECONDS)

    async def _test(self, relay: RelayLogin) -> tuple[bool, str]:
        with trio.move_on_after(TEST_SECONDS):
            try:
                return await self._log_in(relay)
            except NoHost as trouble:
                at = f"{trouble.result.step}: " if trouble.result.step else ""
                return False, f"{at}{trouble.result.text}"
            except Exception as error:
                # one relay's odd answer must not end the tests of the others
                self._log.exception("a test failed in an unforeseen way", error)
                return False, "internal error"
        return False, f"no answer within {TEST_SECONDS:.0f} seconds"

    async def _log_in(self, relay: RelayLogin) -> tuple[bool, str]:
        """Raises NoHost."""
        route = await self._guide.relay_route(relay.name)
        if isinstance(route, Result):
            return False, route.text
        session = await self._connector.open(route)
        try:
            user = f"logged in as {relay.config.username} by {session.mechanism}" if session.mechanism else "no log-in"
            return True, f"{session.remote}: {user}, {session.tls or 'no TLS'}"
        finally:
            await session.close()
