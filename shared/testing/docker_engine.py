"""A Docker engine of the test's own: dockerd on its own data root and socket, and an image to build on.

    with DockerEngine() as engine:
        engine.import_base(base_image(), "base:test")
        engine.docker("run", "--rm", "base:test", "true")

Laws: the engine lives in a PID and a mount namespace of its own whose first process dies with the test, so that no
container, shim or mount outlives it, not even a killed test run (a network bridge does, and is removed next time). It
touches neither the machine's firewall nor a Docker engine that the machine runs. Nothing is pulled: the base image is a
minimal Debian of this machine's release, made by debootstrap from this machine's package sources, with our dependencies
as wheels inside, so that building needs no network.

PILLARBOX_TEST_CACHE names a folder in which the Debian tree is kept from run to run. Needs root.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from shared.testing.process import ROOT, Process, ProcessFailed
from shared.testing.runner import require, require_root

DEBOOTSTRAP_SECONDS: Final = 600.0
COMMAND_SECONDS: Final = 300.0
ADDRESS_POOL: Final = "base=10.213.0.0/16,size=24"
"""Networks of the test's containers."""
BRIDGE: Final = "pillarboxtest0"
"""The one interface that a test may make on this machine; removed at both ends of an engine's life."""


class CommandFailed(AssertionError):
    """A command ended with an error; the text holds its output."""


def run(argv: Sequence[str], environment: Mapping[str, str] | None = None, seconds: float = COMMAND_SECONDS,
        data: bytes | None = None) -> str:  # fmt: skip
    """Standard output of a command. Raises CommandFailed."""
    env = {**os.environ, **(environment or {})}
    try:
        done = subprocess.run(argv, env=env, input=data, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        output = (error.stdout or b"") + (error.stderr or b"")
        raise CommandFailed(
            f"{argv[:4]} took more than {seconds} s\n{output[-3000:].decode(errors='replace')}"
        ) from None
    if done.returncode:
        output = done.stdout[-4000:] + done.stderr[-4000:]
        raise CommandFailed(f"{list(argv)} ended with {done.returncode}\n{output.decode(errors='replace')}")
    return done.stdout.decode(errors="replace")


def debian_release() -> str:
    """The code name of this machine's release."""
    with open("/etc/os-release", encoding="utf-8") as file:
        fields = dict(line.rstrip().split("=", 1) for line in file if "=" in line)
    return fields.get("VERSION_CODENAME", "stable").strip('"')


def debian_mirror(release: str) -> list[str]:
    """Where this machine gets its packages from, as debootstrap's argument; nothing leaves the choice to it."""
    form = "$(SITE) $(RELEASE) $(COMPONENT)"
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", form, "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=False,
    )
    for line in listed.stdout.splitlines():
        site, _, rest = line.partition(" ")
        if rest.split() == [release, "main"]:
            return [site]
    return []


def make_debian(target: Path) -> None:
    """A minimal Debian with Python and its venv module."""
    release = debian_release()
    options = ["--variant=minbase", "--include=python3,python3-venv"]
    run([require("debootstrap"), *options, release, str(target), *debian_mirror(release)], seconds=DEBOOTSTRAP_SECONDS)
    shutil.rmtree(target / "var" / "cache" / "apt", ignore_errors=True)
    shutil.rmtree(target / "usr" / "share" / "doc", ignore_errors=True)


SOURCE_ONLY = ("dkimpy",)
"""Packages without a wheel on the index; they are pure Python, so one that is built here serves every Python."""


def download_wheels(target: Path, python_version: str) -> None:
    """What the image's pip will find: the pinned versions of what pyproject.toml asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"]
    pip = [sys.executable, "-I", "-m", "pip"]
    common = ["--quiet", "--no-input", "--constraint", str(ROOT / "constraints.txt")]
    source_only = [each for each in wanted if each.startswith(SOURCE_ONLY)]
    run([*pip, "wheel", *common, "--no-deps", "--wheel-dir", str(target), *source_only])
    places = ["--python-version", python_version, "--dest", str(target), "--find-links", str(target)]
    run([*pip, "download", *common, "--only-binary=:all:", *places, *wanted])


@contextmanager
def base_image() -> Iterator[Path]:
    """A tar file with the base image's tree."""
    require_root("a Docker engine of its own")
    cache = os.environ.get("PILLARBOX_TEST_CACHE")
    with tempfile.TemporaryDirectory(prefix="pillarbox-base-") as scratch:
        place = Path(cache) if cache else Path(scratch)
        place.mkdir(parents=True, exist_ok=True)
        tree = place / f"debian-{debian_release()}"
        with (place / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not tree.is_dir():
                made = Path(tempfile.mkdtemp(prefix="new-", dir=place))
                made.chmod(0o755)
                make_debian(made)
                made.rename(tree)
        version = run(
            ["chroot", str(tree), "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        ).strip()
        extra = Path(scratch) / "extra"
        (extra / "etc").mkdir(parents=True)
        (extra / "etc" / "pip.conf").write_text("[global]\nno-index = true\nfind-links = file:///wheels\n")
        download_wheels(extra / "wheels", version)
        archive = Path(scratch) / "base.tar"
        run(["tar", "-cf", str(archive), "-C", str(tree), ".", "-C", str(extra), "./etc/pip.conf", "./wheels"])
        yield archive


def remove_bridge() -> None:
    """The engine shares this machine's network; what it made there does not end with it."""
    subprocess.run([require("ip"), "link", "delete", BRIDGE], capture_output=True, check=False)


class DockerEngine:
    """dockerd, and `docker` and `docker-compose` speaking to it."""

    def __init__(self) -> None:
        require_root("a Docker engine of its own")
        for program in ("dockerd", "docker", "docker-compose", "unshare"):
            require(program)
        # One at a time on a machine, whoever runs the tests: bridge and published address are the same for all.
        self._turn = open(Path(tempfile.gettempdir()) / "pillarbox-docker-engine.lock", "w")  # noqa: SIM115 - until close
        fcntl.flock(self._turn, fcntl.LOCK_EX)
        # Short: a socket's path has some 100 octets, and containerd makes longer ones below it.
        self.folder = Path(tempfile.mkdtemp(prefix="pbx-"))
        self.socket = self.folder / "sock"
        self.environment = {
            "DOCKER_HOST": f"unix://{self.socket}",
            "DOCKER_BUILDKIT": "0",
            "COMPOSE_DOCKER_CLI_BUILD": "0",
        }
        argv = [
            *("unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc"),
            require("dockerd"),
            *("--data-root", str(self.folder / "root"), "--exec-root", str(self.folder / "exec")),
            *("--pidfile", str(self.folder / "pid"), "--host", f"unix://{self.socket}"),
            *("--bridge", "none", "--iptables=false", "--ip-masq=false", "--default-address-pool", ADDRESS_POOL),
        ]
        self._process = Process("dockerd", argv)

    def __enter__(self) -> Self:
        remove_bridge()
        try:
            self._process.start()
            self._process.wait_for_log("API listen on", seconds=60)
        except ProcessFailed:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End engine and containers, remove all of it."""
        self._process.kill()
        remove_bridge()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._turn.close()

    def docker(self, *words: str, data: bytes | None = None) -> str:
        """Standard output of a docker command. Raises CommandFailed."""
        return run(["docker", *words], self.environment, data=data)

    def import_base(self, archive: Path, name: str) -> None:
        """Make an image of a tree."""
        self.docker("import", str(archive), name)

    def inspect(self, container: str) -> dict[str, object]:
        """What the engine knows about a container."""
        described: dict[str, object] = json.loads(self.docker("inspect", container))[0]
        return described


class Compose:
    """One compose project."""

    def __init__(
        self, engine: DockerEngine, project: str, files: Sequence[Path], environment: Mapping[str, str]
    ) -> None:
        self.engine = engine
        self._command = [require("docker-compose"), "--project-name", project]
        for file in files:
            self._command += ["--file", str(file)]
        self._environment = {**engine.environment, **environment}

    def __call__(self, *words: str, data: bytes | None = None) -> str:
        """Standard output of a compose command. Raises CommandFailed."""
        return run([*self._command, *words], self._environment, data=data)

    def containers(self, service: str) -> list[str]:
        """Identifiers of a service's containers."""
        return self("ps", "--quiet", service).split()
