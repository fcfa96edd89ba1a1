"""The judge of the chaos suite: a sound history passes, and each broken one fails by its rule."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from chaos.history import Asked, Event, History, Run, violations

JOB = "01890a5d-ac96-774b-bcce-b302099a8057"
NUMBER, TOKEN = 7, 11


def event(number: int, what: str, **said: Any) -> Event:
    return Event(
        number=number, job_id=JOB, what=what, at=float(number), began_at=float(number), **said
    )


STORY = (
    event(1, "made", told={"number": NUMBER}),
    event(2, "claimed", token=TOKEN, attempt=1, max_attempts=2, run_at=1.0),
    event(3, "freed", token=TOKEN, attempt=0, crashes=1, run_at=3.5, swept=True),
    event(4, "claimed", token=TOKEN + 1, attempt=1, crashes=1, run_at=3.5),
    event(5, "gone", token=TOKEN + 1, attempt=1, crashes=1),
    event(
        6,
        "ended",
        token=TOKEN + 1,
        attempt=1,
        crashes=1,
        state="completed",
        told={"token": TOKEN + 1, "number": NUMBER},
    ),
)
RUNS = (
    Run(job_id=JOB, token=TOKEN, pid=1, began_at=2.1, ended_at=None),
    Run(job_id=JOB, token=TOKEN + 1, pid=2, began_at=4.1, ended_at=4.2),
)


def history(
    events: Sequence[Event] = STORY,
    runs: Sequence[Run] = RUNS,
    asked: Sequence[Asked] = (Asked(number=NUMBER, job_id=JOB),),
    *,
    cancels: Mapping[str, str] | None = None,
    expires_at: float | None = 2.9,
    **said: Any,
) -> History:
    return History(
        asked=asked, events=events, runs=runs, cancels=cancels or {},
        expiries={} if expires_at is None else {TOKEN: [(2, expires_at)]}, **{"finished": {JOB: 1}, **said},
    )  # fmt: skip


def changed(number: int, **said: Any) -> tuple[Event, ...]:
    return tuple(replace(one, **said) if one.number == number else one for one in STORY)


def without(*numbers: int) -> tuple[Event, ...]:
    return tuple(one for one in STORY if one.number not in numbers)


def test_a_job_that_was_rescued_once_and_completed_is_sound() -> None:
    assert not violations(history())


BROKEN = {
    "claimed while it is paused": (
        history(changed(2, told={"paused": True})),
        "what is paused is not claimed",
    ),
    "a child that goes on": (
        history(runs=(replace(RUNS[0], parent=9, alive_at=3.2), RUNS[1]), killed={9: 1.0}),
        "no child outlives its worker",
    ),
    "an event that did not come": (
        history(said={JOB: [1, 2, 3]}, heard={JOB: [1, 3]}),
        "what is said is heard once",
    ),
    "an event that came twice": (
        history(said={JOB: [1, 2]}, heard={JOB: [1, 2, 2]}),
        "what is said is heard once",
    ),
    "acknowledged and nowhere": (history((), (), finished={}), "nothing acknowledged is lost"),
    "not ended": (history(unfinished=frozenset({JOB})), "nothing acknowledged is lost"),
    "twice in the history": (history(finished={JOB: 2}), "nothing acknowledged is lost"),
    "in neither table": (history(finished={}), "nothing acknowledged is lost"),
    "made twice": (
        history(
            (*STORY, replace(STORY[0], job_id="another", number=9)), finished={JOB: 1, "another": 1}
        ),
        "an enqueue makes one job",
    ),
    "claimed while it is held": (history(without(3)), "a job is held by one claim"),
    "taken over": (history(changed(4, what="taken")), "a job is held by one claim"),
    "a token again": (
        history(tuple(replace(one, token=TOKEN) if one.token else one for one in STORY)),
        "a job is held by one claim",
    ),
    "a claim that counts nothing": (history(changed(2, attempt=0)), "a job is held by one claim"),
    "an attempt too many": (history(changed(4, max_attempts=0)), "a job is held by one claim"),
    "begun too early": (history(changed(4, run_at=4.5)), "a job is held by one claim"),
    "given up by another": (history(changed(5, token=TOKEN)), "a job is held by one claim"),
    "rescued before its time": (history(expires_at=3.1), "rescue waits for the lock"),
    "ended twice": (
        history((*STORY, replace(STORY[-1], number=7))),
        "an end is of the claim that held",
    ),
    "ended by a claim that did not hold it": (
        history(changed(6, token=TOKEN)),
        "an end is of the claim that held",
    ),
    "ended with another claim's result": (
        history(changed(6, told={"token": TOKEN, "number": NUMBER})),
        "an end is of the claim that held",
    ),
    "ended with another job's result": (
        history(changed(6, told={"token": TOKEN + 1, "number": NUMBER + 1})),
        "an end is of the claim that held",
    ),
    "completed without a result": (
        history(changed(6, told={})),
        "an end is of the claim that held",
    ),
    "completed while its code went on": (
        history(runs=(RUNS[0], replace(RUNS[1], ended_at=6.1))),
        "an end is of the claim that held",
    ),
    "freed by a worker whose code went on": (
        history(changed(3, swept=False, crashes=0), runs=(replace(RUNS[0], ended_at=3.6), RUNS[1])),
        "what is given up is over",
    ),
    "a crash that is not counted": (history(changed(3, crashes=0)), "a job is held by one claim"),
    "a crash that was none": (history(changed(3, swept=False)), "a job is held by one claim"),
    "a last crash that is not counted": (
        history(changed(6, swept=True, state="failed")),
        "a job is held by one claim",
    ),
    "rescued from a claim that never locked": (
        history(expires_at=None),
        "rescue waits for the lock",
    ),
    "failed, as its worker died": (history(changed(6, state="failed")), "what can be done is done"),
    "answered with another's id": (
        history(
            (*STORY, replace(STORY[0], job_id="another", number=9, told={"number": NUMBER + 1})),
            asked=(Asked(number=NUMBER + 1, job_id=JOB),),
            finished={JOB: 1, "another": 1},
        ),
        "an enqueue makes one job",
    ),
    "a cancel that does not know it": (history(cancels={JOB: "unknown"}), "a cancel is heeded"),
    "completed by code that never began": (
        history(runs=RUNS[:1]),
        "an end is of the claim that held",
    ),
    "completed before its code had ended": (
        history(runs=(RUNS[0], replace(RUNS[1], ended_at=None))),
        "an end is of the claim that held",
    ),
    "run under no claim": (
        history(runs=(*RUNS, replace(RUNS[0], token=99))),
        "code runs under a claim",
    ),
    "run twice under one claim": (
        history(runs=(*RUNS, replace(RUNS[0], pid=3))),
        "code runs under a claim",
    ),
    "cancelled and completed": (history(cancels={JOB: "cancelled"}), "a cancel is heeded"),
    "two unfinished jobs with one key": (
        history(
            (
                replace(STORY[0], key="k"),
                *STORY[1:],
                replace(STORY[0], job_id="another", number=2, told={}, key="k"),
            ),
            finished={JOB: 1, "another": 1},
        ),
        "a key has one unfinished job",
    ),
    "redriven beside the job that has its key now": (
        history(
            (
                *changed(1, key="k"),
                replace(STORY[0], job_id="another", number=7, told={}, key="k"),
                event(8, "redriven", token=TOKEN + 1),
                event(9, "made", told={"number": NUMBER}, key="k"),
            ),
            finished={JOB: 1, "another": 1},
        ),
        "a key has one unfinished job",
    ),
    "answered with the job of another key": (
        history(changed(1, key="k"), asked=(Asked(number=8, job_id=JOB, key="l"),)),
        "a key has one unfinished job",
    ),
    "cancelled, redriven, and never cancelled": (
        history(
            (*STORY, event(7, "redriven", token=TOKEN + 1), event(8, "made")),
            cancels={JOB: "cancelled"},
        ),
        "a cancel is heeded",
    ),
    "cancelled, and nobody asked": (history(changed(6, state="cancelled")), "a cancel is heeded"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_history_fails_by_its_rule(name: str) -> None:
    broken, rule = BROKEN[name]
    assert rule in {violation.rule for violation in violations(broken)}


def test_an_enqueue_without_an_answer_may_be_nowhere() -> None:
    assert not violations(history((), (), (Asked(number=NUMBER, job_id=None),), finished={}))


def test_a_redriven_job_may_end_again() -> None:
    again = (
        event(7, "redriven", token=TOKEN + 1),
        event(8, "made", told={"number": NUMBER}),
        event(9, "claimed", token=TOKEN + 2, attempt=1, run_at=8.0),
        event(10, "gone", token=TOKEN + 2, attempt=1),
        event(
            11,
            "ended",
            token=TOKEN + 2,
            attempt=1,
            state="completed",
            told={"token": TOKEN + 2, "number": NUMBER},
        ),
    )
    run = Run(job_id=JOB, token=TOKEN + 2, pid=2, began_at=9.1, ended_at=9.2)
    assert not violations(history((*STORY, *again), (*RUNS, run)))


def test_code_may_end_after_its_worker_gave_its_job_back_for_later() -> None:
    """As a thread does that outlives the drain, until its process ends."""
    freed = replace(STORY[2], swept=False, crashes=0)
    again = [replace(one, crashes=0) for one in STORY[3:]]
    runs = (replace(RUNS[0], ended_at=3.4), RUNS[1])
    assert not violations(history((*STORY[:2], freed, *again), runs))


def test_a_key_may_be_had_again_once_its_job_is_gone() -> None:
    another = replace(STORY[0], job_id="another", number=7, told={}, key="k")
    again = Asked(number=8, job_id=JOB, key="k")
    assert not violations(
        history(
            (*changed(1, key="k"), another),
            asked=(Asked(number=NUMBER, job_id=JOB, key="k"), again),
            finished={JOB: 1, "another": 1},
        )
    )


def test_a_job_that_was_cancelled_and_redriven_may_complete() -> None:
    first = (STORY[0], event(2, "gone"), event(3, "ended", state="cancelled"))
    again = (
        event(4, "redriven"),
        event(5, "made", told={"number": NUMBER}),
        event(6, "claimed", token=TOKEN, attempt=1, run_at=5.0),
        event(7, "gone", token=TOKEN, attempt=1),
        event(
            8, "ended", token=TOKEN, attempt=1, state="completed",
            told={"token": TOKEN, "number": NUMBER},
        ),
    )  # fmt: skip
    run = Run(job_id=JOB, token=TOKEN, pid=2, began_at=6.1, ended_at=6.2)
    assert not violations(history((*first, *again), (run,), cancels={JOB: "cancelled"}))


def test_the_history_of_one_job_is_told_in_the_order_of_time() -> None:
    words = [line.split()[1] for line in history().told(JOB).splitlines()]
    assert words == [
        "made",
        "claimed",
        "code",
        "freed",
        "claimed",
        "code",
        "code",
        "gone",
        "ended",
    ]
