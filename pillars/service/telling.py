"""Log lines that more than one pillar writes."""

from pillars import log
from pillars.service.tally import Tally
from pillars.store.rows import Swept

COUNTS = ("rescued", "failed", "cancelled", "expired")


def tell_swept(swept: Swept | None, tally: Tally) -> None:
    """One line where a sweep found something to do."""
    done = {what: count for what in COUNTS if (count := getattr(swept, what, None))}
    tally.swept.update(done)
    if done:
        log.get("pillars.sweep").warning(log.Event.SWEEP_RESCUED, **done)
    if swept is not None and swept.parked:
        tally.swept["parked"] += swept.parked
        hint = "no process defines their names; select name, last_error from pillars.all_jobs where state = 'waiting'"
        log.get("pillars.sweep").warning(log.Event.JOB_PARKED, jobs=swept.parked, hint=hint)
