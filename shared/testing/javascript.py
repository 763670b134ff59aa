"""Node.js programs with packages of npm, for the clients that are written in JavaScript.

Packages are installed once per test run at the exact versions below, without running their scripts, into the folder that
PILLARBOX_TEST_CACHE names or a temporary one. What can fail: the package manager without its registry (the test then fails or
is skipped, as for a missing program), ClientFailed when the program ends with an error.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

from shared.testing.clients import run
from shared.testing.runner import missing, require

PACKAGES: Final = {"imapflow": "2.10.2", "node-pop3": "0.11.0", "nodemailer": "10.6.0"}
INSTALL_SECONDS: Final = 90.0


def packages_folder(cache: Path) -> Path:
    """A folder whose ``node_modules`` hold PACKAGES; made when it is not there yet."""
    wanted = json.dumps({"name": "tests", "private": True, "dependencies": PACKAGES}, sort_keys=True)
    folder = cache / ("npm-" + hashlib.sha256(wanted.encode()).hexdigest()[:12])
    if folder.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix="npm-", dir=cache))
    (making / "package.json").write_text(wanted)
    argv = [require("npm"), "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"]
    done = subprocess.run(argv, cwd=making, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS)
    if done.returncode:
        shutil.rmtree(making)
        missing(f"npm packages cannot be had: {done.stderr[-500:]}")
    try:
        making.rename(folder)
    except OSError:  # somebody else was faster
        shutil.rmtree(making)
    return folder


def run_script(script: Path, cache: Path, home: Path, **values: Any) -> Any:
    """Run a script of ours with PACKAGES to be required; `values` reach it as JSON in ``PILLARBOX_TEST``; its JSON on stdout."""
    require("node")
    folder = packages_folder(Path(os.environ.get("PILLARBOX_TEST_CACHE", cache)))
    environment = f"NODE_PATH={folder / 'node_modules'}", f"PILLARBOX_TEST={json.dumps(values)}"
    return json.loads(run(["env", *environment, "node", str(script)], home, seconds=60.0))
