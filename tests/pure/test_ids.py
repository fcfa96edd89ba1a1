"""Ids that tell when they were made."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from pillars.jobs.enqueuing import new_id
from pillars.store.results import made_at, not_ended_before


def test_an_id_tells_when_it_was_made() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=2)
    assert before <= made_at(new_id()) <= datetime.now(UTC) + timedelta(milliseconds=2)


def test_ids_of_a_process_ascend_and_never_repeat() -> None:
    made = [new_id() for _ in range(10_000)]
    assert made == sorted(set(made))
    assert {one.version for one in made} == {7}
    assert {one.variant for one in made} == {"specified in RFC 4122"}


@pytest.mark.parametrize(
    "strange",
    [UUID("ffffffff-ffff-7fff-bfff-ffffffffffff"), UUID(int=0), uuid4()],
)
def test_an_id_that_nobody_made_is_still_looked_for(strange: UUID) -> None:
    assert not_ended_before(strange).tzinfo is UTC
