"""Run one service under cProfile, every thread: `python profiled.py DIRECTORY services.imap`; used by `run --profile`.

At the end DIRECTORY/<service>.<thread>.prof holds a profile for each thread, to be read with `python -m pstats`.
"""

import cProfile
import runpy
import sys
import threading
from pathlib import Path

directory, module = Path(sys.argv[1]), sys.argv[2]
name = module.rpartition(".")[2]
profiles: dict[str, cProfile.Profile] = {"main": cProfile.Profile()}
_run_thread = threading.Thread.run


def run_profiled(thread: threading.Thread) -> None:
    """Every further thread has a profile of its own."""
    profile = profiles[f"thread{len(profiles)}"] = cProfile.Profile()
    profile.enable()
    try:
        _run_thread(thread)
    finally:
        profile.disable()


threading.Thread.run = run_profiled  # type: ignore[method-assign]  # there is no other way to be called in each thread
sys.argv = [module]
profiles["main"].enable()
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
finally:
    profiles["main"].disable()
    directory.mkdir(parents=True, exist_ok=True)
    for thread_name, profile in list(profiles.items()):
        profile.snapshot_stats()
        profile.dump_stats(directory / f"{name}.{thread_name}.prof")
