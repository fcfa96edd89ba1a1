"""The workloads, one a module."""

from .backlog import BACKLOG
from .draining import BRIEF, DRAIN
from .enqueueing import BULK, ENQUEUE
from .history import HISTORY
from .idle import IDLE
from .latency import FUTURE, LATENCY
from .peers import PEERS, PEERS_BULK, PEERS_ENQUEUE
from .snapshot import SNAPSHOT
from .starting import STARTING
from .steady import STEADY
from .streams import STREAMING
from .trials import TRIALS

WORKLOADS = {
    one.name: one
    for one in (
        DRAIN, BRIEF, ENQUEUE, BULK, LATENCY, FUTURE, SNAPSHOT, BACKLOG, STARTING, HISTORY, IDLE, STREAMING, STEADY, PEERS,
        PEERS_ENQUEUE, PEERS_BULK, TRIALS,
    )
}  # fmt: skip
"""In the order in which a run goes through them: the longest last."""
