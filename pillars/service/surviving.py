"""Living through trouble with the database: said once, waited out ever longer, and its end said too."""

import random

from pillars import log
from pillars.errors import DatabaseTrouble

FIRST_WAIT = 0.1  # seconds


class Outage:
    """One loop's trouble with the database."""

    def __init__(self, logger: str, *, during: str, longest: float = 5.0) -> None:
        self._logger = logger
        self._during = during
        self._longest = longest
        self._failures = 0

    def begun(self, trouble: DatabaseTrouble) -> float:
        """Say so where it is new; returns the seconds to wait, jittered so that many do not come back at once."""
        if not self._failures:
            log.get(self._logger).warning(
                log.Event.DATABASE_LOST,
                during=self._during,
                kind=trouble.kind.value,
                error=str(trouble),
            )
        longest = min(FIRST_WAIT * 2.0**self._failures, self._longest)
        self._failures = min(self._failures + 1, 30)
        return longest * random.uniform(0.5, 1)  # noqa: S311 - not a secret

    def ended(self) -> None:
        """Say so where there was one."""
        if self._failures:
            self._failures = 0
            log.get(self._logger).info(log.Event.DATABASE_BACK, during=self._during)
