"""The supervisor: all services of one machine as child processes, started in order, kept alive, drained in order.

Read in this order: ``child`` (what a child process does first), ``worker`` (one child: spawn, log lines, ready notice,
restart with back-off), ``supervisor`` (the order of start and drain), ``ports`` (a port in use is named before anything
starts). It knows services by name only, `python -m services.<name>`, and lives in `shared` because the command line does.

Laws:
- The store is ready before an edge starts, and is stopped after the last edge is gone.
- No child outlives its supervisor, not even one killed by SIGKILL (``child``).
- A child's output is never lost or mixed within a line, and a line has a bound.
"""
