"""Alive and ready are two questions."""

import json

from shared.observe.health import Health


def test_a_missing_store_makes_unready_not_dead() -> None:
    health = Health("pop3")
    assert health.alive
    assert not health.ready
    health.set("store", True)
    health.set("loop", True, vital=True)
    assert health.alive
    assert health.ready
    health.set("store", False, "not reachable")
    assert health.alive
    assert not health.ready
    health.set("loop", False, "stuck", vital=True)
    assert not health.alive


def test_what_it_shows() -> None:
    health = Health("pop3")
    health.set("store", False, "not reachable")
    health.set("a", True, "never shown")
    assert json.loads(health.render()) == {
        "service": "pop3",
        "alive": True,
        "ready": False,
        "checks": {"a": {"ok": True, "why": ""}, "store": {"ok": False, "why": "not reachable"}},
    }
