"""Marks of jobs in memory that processes share: how often each job's code was run, and when it last was."""

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
        self._times = memoryview(self._map)[_start(jobs) :].cast("q")

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

    def ran(self, first: int | None = None) -> int:
        """How many jobs were run at least once, of all or of the first so many."""
        counts = self._map[: self.jobs if first is None else first]
        return len(counts) - counts.count(0)

    def times(self) -> list[int]:
        return self._times.tolist()

    def check(self, *numbers: range) -> None:
        """Raise unless each of these jobs (of all, where none are named) was run once, and no other was run."""
        counts = self._map[: self.jobs]
        wanted = numbers or (range(self.jobs),)
        once = sum(counts[part.start : part.stop].count(1) for part in wanted)
        jobs = sum(map(len, wanted))
        if once != jobs or self.ran() != jobs:
            raise AssertionError(f"of {jobs} jobs {once} were run once; {self.ran()} were run")

    def check_none_twice(self) -> None:
        """Raise where a job was run twice; some may not have been run."""
        counts = self._map[: self.jobs]
        twice = len(counts) - counts.count(0) - counts.count(1)
        if twice:
            raise AssertionError(f"{twice} jobs were run more than once")


def _start(jobs: int) -> int:
    return (jobs + TIME - 1) // TIME * TIME
