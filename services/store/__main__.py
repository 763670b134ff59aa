"""``python -m services.store``: the storage service."""

import sys

from services.store.server import serve
from shared.service import run_service

if __name__ == "__main__":
    sys.exit(run_service("store", serve, uses_store=False))
