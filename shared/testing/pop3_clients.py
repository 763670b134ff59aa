"""POP3 clients of the machine that remember by unique-id what they have: getmail and mpop, each with a home of its own.

Every function runs one program to its end and returns all that it has fetched so far, CRLF line ends, in no particular order.
What can fail: ClientFailed with what the client said.
"""

import re
from pathlib import Path

from shared.testing.clients import HOST, Login, run


def getmail(port: int, login: Login, *, delete: bool) -> list[bytes]:
    """getmail6 by POP3 with TLS from the first octet."""
    box = _maildir(login.home / "mail")
    # it files nothing by itself as root
    deliver = login.file("deliver", 'n=$(ls "$1" | wc -l)\ncat > "$1/$(printf %06d "$n")"\n')
    rc = login.file(
        "getmailrc",
        f"[retriever]\ntype = SimplePOP3SSLRetriever\nserver = {HOST}\nport = {port}\nusername = {login.address}\n"
        f"password = {login.password}\n[destination]\ntype = MDA_external\npath = /bin/sh\n"
        f'arguments = ("{deliver}", "{box}/new")\nallow_root_commands = True\n'
        f"[options]\ndelete = {delete}\nread_all = False\ndelivered_to = False\nreceived = False\n",
    )
    run(["getmail", f"--getmaildir={login.home}", f"--rcfile={rc}"], login.home)
    return _messages(box)


def mpop(port: int, login: Login, *, delete: bool, auth: str = "plain") -> list[bytes]:
    """mpop by POP3 with TLS from the first octet. ``auth``: its name of the mechanism."""
    box = _maildir(login.home / "mail")
    config = login.file(
        "mpoprc",
        f'account default\nhost {HOST}\nport {port}\nuser "{login.address}"\npassword "{login.password}"\nauth {auth}\n'
        f"tls on\ntls_starttls off\ntls_certcheck off\nkeep {'off' if delete else 'on'}\nonly_new on\n"
        f"uidls_file {login.home}/uidls\ndelivery maildir {box}\nreceived_header off\n",
    )
    run(["mpop", "-C", str(config)], login.home)
    return _messages(box)


def _maildir(path: Path) -> Path:
    for name in ("cur", "new", "tmp"):
        (path / name).mkdir(parents=True, exist_ok=True)
    return path


def _messages(box: Path) -> list[bytes]:
    return [re.sub(rb"\r?\n", b"\r\n", file.read_bytes()) for file in sorted((box / "new").iterdir())]
