"""What it costs that dead rows cannot be removed."""

from ..drains import Drain
from ..running import Workload

HELD = Drain(held=True)

SNAPSHOT = Workload(
    "snapshot",
    "the drain while another transaction holds a snapshot, and without",
    {
        "raw": Drain().raw,
        "raw, snapshot held": HELD.raw,
        "pillars": Drain().pillars,
        "pillars, snapshot held": HELD.pillars,
    },
    against={"raw, snapshot held": "raw", "pillars": "raw", "pillars, snapshot held": "pillars"},
)
