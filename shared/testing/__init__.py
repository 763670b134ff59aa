"""Helpers for tests: servers on loopback, real processes, fixtures. Never imported by a service."""
