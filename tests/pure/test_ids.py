"""Ids that tell when they were made."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from pillars.store.ids import new_id, new_ids
from pillars.store.results import made_at, not_ended_before


def test_an_id_tells_when_it_was_made() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=2)
    assert before <= made_at(new_id()) <= datetime.now(UTC) + timedelta(milliseconds=2)


def test_ids_of_a_process_ascend_and_never_repeat() -> None:
    made = [new_id() for _ in range(10_000)]
    assert made == sorted(set(made))
    assert {one.version for one in made} == {7}
    assert {one.variant for one in made} == {"specified in RFC 4122"}


def test_ids_made_at_once_ascend_with_those_made_alone_also_beyond_what_a_millisecond_counts() -> (
    None
):
    made = [new_id(), *new_ids(10_000), new_id(), *new_ids(1), new_id()]
    assert made == sorted(set(made))
    assert {(one.version, one.variant) for one in made} == {(7, "specified in RFC 4122")}
    assert new_ids(0) == []


def test_ids_made_at_once_are_not_to_be_guessed_from_each_other() -> None:
    tails = [one.int & (2**62 - 1) for one in new_ids(1000)]
    assert len(set(tails)) == len(tails)
    assert max(tails) > 2**61 > min(tails)


@pytest.mark.parametrize(
    "strange",
    [UUID("ffffffff-ffff-7fff-bfff-ffffffffffff"), UUID(int=0), uuid4()],
)
def test_an_id_that_nobody_made_is_still_looked_for(strange: UUID) -> None:
    assert not_ended_before(strange).tzinfo is UTC
