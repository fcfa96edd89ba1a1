"""What a stream is about."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from pillars.store.rows import Standing


@dataclass(frozen=True, slots=True)
class Topics:
    """Jobs by their ids, by the names of their definitions, by their tags."""

    jobs: frozenset[UUID] = frozenset()
    names: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls, *, jobs: Collection[UUID] = (), names: Collection[str] = (), tags: Collection[str] = ()
    ) -> "Topics":
        return cls(frozenset(jobs), frozenset(names), frozenset(tags))

    def __len__(self) -> int:
        return len(self.jobs) + len(self.names) + len(self.tags)

    @property
    def wide(self) -> bool:
        """Whether jobs belong to it that nobody has named: so it never ends."""
        return bool(self.names or self.tags)

    def cover(self, other: "Topics") -> bool:
        """Whether each of the other's topics is one of these."""
        return other.jobs <= self.jobs and other.names <= self.names and other.tags <= self.tags

    def have(self, job: Standing) -> bool:
        """Whether a job belongs to it."""
        if job.job_id in self.jobs or job.name in self.names:
            return True
        return not self.tags.isdisjoint(job.tags or ())
