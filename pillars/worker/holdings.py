"""What a worker holds, and how long it may believe so. Shared by the loop and the heartbeat thread."""

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

JobKey = tuple[UUID, int]
"""A job and the token of the claim that holds it."""


def counted_clock() -> float:
    """Seconds by a clock that also counts while the machine is suspended, where there is one."""
    return time.clock_gettime(_CLOCK)


_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@dataclass(slots=True)
class _Claim:
    trusted_until: float
    unsettled: set[UUID] = field(default_factory=set)
    running: set[UUID] = field(default_factory=set)


class Holdings:
    """Claims by token. A lock is trusted for 5/6 of its length, from before the claim or heartbeat that last named it.

    Trust ends before the lock does, without any agreement of clocks; so what runs past it is stopped before another worker may
    begin the same job.
    """

    def __init__(self, trust: timedelta) -> None:
        self._trust = trust.total_seconds()
        self.highest = 0
        """Of the tokens of all claims there were."""
        self._claims: dict[int, _Claim] = {}
        self._guard = threading.Lock()

    def take(self, keys: Iterable[JobKey], *, asked_at: float) -> None:
        """Hold jobs of a claim that was asked for at `asked_at`."""
        with self._guard:
            for job_id, token in keys:
                claim = self._claims.get(token)
                if claim is None:
                    claim = self._claims[token] = _Claim(asked_at + self._trust)
                    self.highest = max(self.highest, token)
                claim.unsettled.add(job_id)
                claim.running.add(job_id)

    def ended(self, key: JobKey) -> None:
        """The job's code no longer runs; its outcome is still to be written."""
        claim = self._claims.get(key[1])
        if claim is not None:
            claim.running.discard(key[0])  # a single step, so it needs no guard

    def settle(self, keys: Iterable[JobKey]) -> None:
        """The jobs' outcomes are written, or lost."""
        with self._guard:
            for job_id, token in keys:
                claim = self._claims.get(token)
                if claim is None:
                    continue
                claim.unsettled.discard(job_id)
                claim.running.discard(job_id)
                if not claim.unsettled:
                    del self._claims[token]

    def last_of(self, keys: Iterable[JobKey]) -> list[int]:
        """The claims of which nothing is held beyond `keys`."""
        asked: dict[int, set[UUID]] = {}
        for job_id, token in keys:
            asked.setdefault(token, set()).add(job_id)
        with self._guard:
            return [
                token
                for token, job_ids in asked.items()
                if token not in self._claims or self._claims[token].unsettled <= job_ids
            ]

    def holds(self, key: JobKey) -> bool:
        with self._guard:
            return key[1] in self._claims and key[0] in self._claims[key[1]].unsettled

    def trusts(self, token: int) -> bool:
        """Whether the claim may still be believed to be ours."""
        with self._guard:
            return token in self._claims and counted_clock() < self._claims[token].trusted_until

    def tokens(self) -> list[int]:
        with self._guard:
            return list(self._claims)

    def running(self) -> int:
        """How many jobs' code runs."""
        with self._guard:
            return sum(len(claim.running) for claim in self._claims.values())

    def extend(self, tokens: Sequence[int], *, asked_at: float) -> None:
        """The heartbeat of `asked_at` prolonged these."""
        with self._guard:
            for token in tokens:
                if token in self._claims:
                    self._claims[token].trusted_until = asked_at + self._trust

    def distrusted(self, now: float, *, grace: float = 0.0) -> list[int]:
        """The claims with running code whose trust ended more than `grace` seconds ago."""
        with self._guard:
            return [
                token
                for token, claim in self._claims.items()
                if claim.running and claim.trusted_until + grace < now
            ]
