"""The SMTP client, sans-IO: bytes in, events out; no trio, socket, ssl, clock or randomness."""
