"""Log lines that more than one pillar writes."""

from pillars import log
from pillars.store.rows import Swept

COUNTS = ("rescued", "failed", "cancelled", "expired", "parked")


def tell_swept(swept: Swept | None) -> None:
    """One line where a sweep found something to do."""
    done = {what: count for what in COUNTS if (count := getattr(swept, what, None))}
    if done:
        log.get("pillars.sweep").warning(log.Event.SWEEP_RESCUED, **done)
