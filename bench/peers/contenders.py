"""What the peers add to the workloads: measures by name, as every workload has them."""

from collections.abc import Mapping
from functools import partial

from bench.peers import measuring
from bench.peers.rivals import PEERS
from bench.running import Measure

DRAIN: Mapping[str, Measure] = {peer.name: partial(measuring.drain, peer=peer) for peer in PEERS}
ENQUEUE: Mapping[str, Measure] = {
    peer.name: partial(measuring.enqueue, peer=peer) for peer in PEERS
}
BULK: Mapping[str, Measure] = {peer.name: partial(measuring.bulk, peer=peer) for peer in PEERS}
