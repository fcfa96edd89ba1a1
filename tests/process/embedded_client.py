"""Uses a cluster until its input ends or it is killed: another process, for the tests of the embedded Postgres."""

import sys
from datetime import timedelta
from pathlib import Path

from pillars.embedded import Cluster, start

root, binaries, idle = sys.argv[1:]
sys.stdout.write("at the barrier\n")
sys.stdout.flush()
sys.stdin.readline()
with start(Cluster(Path(root), Path(binaries), idle=timedelta(seconds=float(idle)))) as server:
    sys.stdout.write(f"{server.pid}\n")
    sys.stdout.flush()
    sys.stdin.read()
