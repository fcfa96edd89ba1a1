"""Marks of jobs in memory that processes share: how often each job's code was run, and when it first was."""

import mmap
import os
import time
from pathlib import Path
from typing import Self

ENVIRON = "BENCH_MARKS"
TIME = 8  # bytes


class Marks:
    """A file of `jobs` counts of one byte, then as many times: nanoseconds of the clock that all processes of a machine share."""

    def __init__(self, path: Path, jobs: int) -> None:
        self.path = path
        self.jobs = jobs
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._times = memoryview(self._map)[self._start :].cast("q")

    @classmethod
    def create(cls, path: Path, jobs: int) -> Self:
        with path.open("wb") as file:
            file.truncate(_start(jobs) + jobs * TIME)
        return cls(path, jobs)

    @classmethod
    def of_environ(cls) -> Self:
        """Those that the process was started with: `path:jobs`."""
        path, _, jobs = os.environ[ENVIRON].rpartition(":")
        return cls(Path(path), int(jobs))

    @property
    def environ(self) -> dict[str, str]:
        """What a process needs to find them."""
        return {ENVIRON: f"{self.path}:{self.jobs}"}

    def mark(self, number: int) -> None:
        """Job `number` (from 0) was run once more."""
        self._map[number] += 1

    def stamp(self, number: int) -> None:
        """As `mark`, with the time."""
        self._times[number] = time.time_ns()
        self._map[number] += 1

    def ran(self) -> int:
        """How many jobs were run at least once."""
        return self.jobs - self._map[: self.jobs].count(0)

    def times(self) -> list[int]:
        return self._times.tolist()

    def check(self) -> None:
        """Raise where a job was not run, or was run twice."""
        counts = self._map[: self.jobs]
        once = counts.count(1)
        if once != self.jobs:
            raise AssertionError(
                f"of {self.jobs} jobs {once} were run once, {counts.count(0)} never"
            )

    @property
    def _start(self) -> int:
        return _start(self.jobs)


def _start(jobs: int) -> int:
    return (jobs + TIME - 1) // TIME * TIME
