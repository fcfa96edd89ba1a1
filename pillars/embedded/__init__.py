"""Our own Postgres, for development and tests: found, started, shared by processes, and stopped when none is left."""

from pillars.embedded.binaries import find_binaries
from pillars.embedded.clusters import DEV_SETTINGS, TEST_SETTINGS, Cluster, cluster, tool
from pillars.embedded.server import Server, reset, running, start, stop

__all__ = [
    "DEV_SETTINGS",
    "TEST_SETTINGS",
    "Cluster",
    "Server",
    "cluster",
    "find_binaries",
    "reset",
    "running",
    "start",
    "stop",
    "tool",
]
