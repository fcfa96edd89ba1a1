"""Other queues for Python at the same work, each in an environment of its own and at its best settings; bench/peers/NAME.py says which."""

from ..peers import contenders
from ..running import Workload
from .draining import DRAIN
from .enqueueing import BULK, ENQUEUE

PEERS = Workload(
    "peers",
    "the drain by other queues, each at its best settings, by one worker process",
    {"pillars": DRAIN.contenders["pillars"], "raw": DRAIN.contenders["raw"], **contenders.DRAIN},
    on_request=True,
)
PEERS_ENQUEUE = Workload(
    "peers-enqueue",
    "jobs enqueued one by one into other queues, by one client",
    {"pillars": ENQUEUE.contenders["pillars, 1 client"], **contenders.ENQUEUE},
    on_request=True,
)
PEERS_BULK = Workload(
    "peers-bulk",
    "the jobs of a drain enqueued into other queues, by the best that each has for many",
    {"pillars": BULK.contenders["pillars"], **contenders.BULK},
    on_request=True,
)
