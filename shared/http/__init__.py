"""HTTP for our own ends: a small server for internal addresses (`server.py`)."""
