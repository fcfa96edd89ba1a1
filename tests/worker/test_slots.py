"""How many jobs a worker asks for."""

from pillars.worker.slots import AHEAD, MEMORY, MOST_AHEAD, Slots


def ended(slots: Slots, count: int) -> None:
    for _ in range(count):
        slots.take("async", "default")
        slots.free_up("async", "default")


def fill(slots: Slots) -> None:
    while slots.free("async") > 0:
        slots.take("async", "default")


def test_with_nothing_known_of_the_pace_only_free_slots_are_filled() -> None:
    slots = Slots({"async": 10})
    assert slots.wanted("async") == 10
    fill(slots)
    assert slots.wanted("async") == 0


def test_where_jobs_end_fast_as_many_more_are_asked_for_as_will_soon_have_ended() -> None:
    slots = Slots({"async": 10})
    ended(slots, 200)
    most = 10 + 200 / MEMORY * AHEAD
    assert 10 < slots.wanted("async") <= most
    fill(slots)
    assert 0 < slots.wanted("async") <= most - 10


def test_no_more_than_a_crash_may_count_against_are_ever_ahead() -> None:
    slots = Slots({"async": 10})
    ended(slots, 100_000)
    assert slots.wanted("async") == 10 + MOST_AHEAD


def test_with_more_than_half_of_them_waiting_nothing_is_asked_for() -> None:
    slots = Slots({"async": 10})
    ended(slots, 100_000)
    fill(slots)
    slots.waiting["async"] = MOST_AHEAD // 2
    assert slots.wanted("async") == 0
    slots.waiting["async"] -= 1
    assert slots.wanted("async") == MOST_AHEAD // 2 + 1


def test_jobs_of_limited_queues_never_wait() -> None:
    slots = Slots({"async": 10}, {"mail": 5, "default": None})
    ended(slots, 100_000)
    assert slots.wanted("async") == 10


def test_the_pace_is_forgotten_while_none_ends() -> None:
    slots = Slots({"async": 10})
    ended(slots, 100_000)
    pace = slots._paces["async"]
    pace.per_second()
    pace._at -= 2.0  # seconds ago
    assert slots.wanted("async") == 10
