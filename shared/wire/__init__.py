"""Bytes on the wire, shared by every text protocol: pure code, no sockets, no clock.

Read in this order:
- `lines`: cut a byte stream into CRLF lines under a bound, before anything is parsed.
- `dots`: dot-stuffing both ways, safe against SMTP smuggling (SMTP DATA, POP3 multi-line responses).
- `mutf7`: names of mailboxes in modified UTF-7, as IMAP and the folders of a Maildir have them.
- `base64`: strict base64 with a bound, as SASL exchanges need it.
"""
