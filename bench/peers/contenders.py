"""What the peers add to the workloads: measures by name, as every workload has them."""

from collections.abc import Mapping
from functools import partial

from ..running import Measure
from . import measuring
from .rivals import PEERS

DRAIN: Mapping[str, Measure] = {peer.name: partial(measuring.drain, peer=peer) for peer in PEERS}
ENQUEUE: Mapping[str, Measure] = {
    peer.name: partial(measuring.enqueue, peer=peer) for peer in PEERS
}
BULK: Mapping[str, Measure] = {peer.name: partial(measuring.bulk, peer=peer) for peer in PEERS}
