"""What happened to each job, from three sides: its clients, the code that ran, and the rows; and what of it must never have happened."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

FINAL = frozenset({"completed", "failed", "cancelled", "expired"})
OUTLIVED = 2.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change of a job's row, noted in the transaction that made it. `token` is of the claim that it is about."""

    number: int
    job_id: str
    what: str
    """made, claimed, taken (from a claim that held it), freed, gone, ended, redriven."""
    at: float
    """When it was noted, in seconds of the database's clock."""
    began_at: float
    """When its transaction began: what `now()` was."""
    token: int | None = None
    attempt: int = 0
    max_attempts: int | None = None
    crashes: int = 0
    run_at: float = 0.0
    swept: bool = False
    """Whether a sweep did it, and not the claim's own worker."""
    state: str | None = None
    key: str | None = None
    """Of made: the unique key."""
    told: Mapping[str, object] = field(default_factory=dict)
    """Of made: the payload. Of claimed: whether it was paused. Of ended: the result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a job's code, by the line that it wrote as it began and the one as it ended."""

    job_id: str
    token: int
    pid: int
    began_at: float
    ended_at: float | None
    parent: int = 0
    """The process that had started its process."""
    alive_at: float = 0.0
    """When it last wrote a line, if it writes any between the two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One enqueue: the job's number, and the id that it was answered with, where it was acknowledged."""

    number: int
    job_id: str | None
    key: str | None = None
    """The unique key that it named."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken, and of which job."""

    rule: str
    job_id: str
    said: str


@dataclass(frozen=True)
class History:
    """All that the three sides say, once nothing moves any more."""

    asked: Sequence[Asked]
    events: Sequence[Event]
    runs: Sequence[Run]
    expiries: Mapping[int, Sequence[tuple[int, float]]]
    """By token: since which number the claim's lock expired when."""
    cancels: Mapping[str, str]
    """By job: what a request to cancel it was answered; `no answer` where nothing was."""
    unfinished: frozenset[str] = frozenset()
    finished: Mapping[str, int] = field(default_factory=dict)
    """How many rows of the history each job has."""
    killed: Mapping[int, float] = field(default_factory=dict)
    """By process: when it was killed."""
    said: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """By job: the ids of what is stored that it said."""
    heard: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """By job that somebody followed: the ids of what came, in that order."""

    @cached_property
    def of_job(self) -> Mapping[str, Sequence[Event]]:
        events: defaultdict[str, list[Event]] = defaultdict(list)
        for event in sorted(self.events, key=lambda event: event.number):
            events[event.job_id].append(event)
        return events

    @cached_property
    def runs_of(self) -> Mapping[str, Sequence[Run]]:
        runs: defaultdict[str, list[Run]] = defaultdict(list)
        for run in sorted(self.runs, key=lambda run: run.began_at):
            runs[run.job_id].append(run)
        return runs

    def told(self, job_id: str) -> str:
        """The history of one job, a line each, in the order of time."""
        lines = [
            (event.at, f"{event.what}{' by a sweep' if event.swept else ''} token {event.token} attempt {event.attempt} crashes {event.crashes} {event.state or ''}")
            for event in self.of_job.get(job_id, ())
        ]  # fmt: skip
        for run in self.runs_of.get(job_id, ()):
            lines.append(
                (run.began_at, f"    code of token {run.token} began in process {run.pid}")
            )
            if run.ended_at is not None:
                lines.append(
                    (run.ended_at, f"    code of token {run.token} ended in process {run.pid}")
                )
        return "\n".join(f"{at:.3f}  {said.rstrip()}" for at, said in sorted(lines))


Rule = Callable[[History], Iterator[Violation]]


def violations(history: History) -> list[Violation]:
    """Every broken promise; none where all was as it should be."""
    return [violation for rule in RULES for violation in rule(history)]


def nothing_acknowledged_is_lost(history: History) -> Iterator[Violation]:
    """An enqueue that was acknowledged ended; one without an answer either is not there, or ended too."""
    rule = "nothing acknowledged is lost"
    for asked in history.asked:
        if asked.job_id is not None and not history.of_job.get(asked.job_id):
            yield Violation(
                rule, asked.job_id, f"job {asked.number} was acknowledged and is nowhere"
            )
    for job_id in history.unfinished:
        yield Violation(rule, job_id, "it has not ended")
    for job_id in history.of_job:
        if job_id not in history.unfinished and history.finished.get(job_id, 0) != 1:
            yield Violation(
                rule, job_id, f"it stands {history.finished.get(job_id, 0)} times in the history"
            )


def an_enqueue_makes_one_job(history: History) -> Iterator[Violation]:
    """However often it was repeated; and the id that it answered is that job's."""
    rule = "an enqueue makes one job"
    made: defaultdict[object, set[str]] = defaultdict(set)
    for event in history.events:
        if event.what == "made" and "number" in event.told:
            made[event.told["number"]].add(event.job_id)
    for number, job_ids in made.items():
        if len(job_ids) > 1:
            yield Violation(rule, min(job_ids), f"job {number} was made {len(job_ids)} times")
    for asked in history.asked:
        if asked.job_id is not None and asked.job_id not in made.get(asked.number, {asked.job_id}):
            yield Violation(
                rule,
                asked.job_id,
                f"the enqueue of job {asked.number} was answered with another's id",
            )


def a_key_has_one_unfinished_job(history: History) -> Iterator[Violation]:
    """From its being made until it is gone, and again from a redrive on; and an enqueue with a key is answered with a job that has it."""
    rule = "a key has one unfinished job"
    holders: dict[str, str] = {}
    keys: dict[str, str] = {}
    for event in sorted(history.events, key=lambda event: event.number):
        if event.what == "made" and event.key is not None:
            holder = holders.get(event.key)
            if holder is not None:
                said = f"it was made with the key {event.key}, which job {holder} held"
                yield Violation(rule, event.job_id, said)
            holders[event.key], keys[event.job_id] = event.job_id, event.key
        elif event.what == "gone" and holders.get(keys.get(event.job_id, "")) == event.job_id:
            del holders[keys[event.job_id]]
    for asked in history.asked:
        if asked.key is None or asked.job_id is None or asked.job_id not in history.of_job:
            continue
        if keys.get(asked.job_id) != asked.key:
            said = f"an enqueue with the key {asked.key} was answered with it, which has {keys.get(asked.job_id)}"
            yield Violation(rule, asked.job_id, said)


def a_job_is_held_by_one_claim(history: History) -> Iterator[Violation]:
    """From its claim until it is given up; each claim's token is higher than all before, and it counts one attempt."""
    for job_id, events in history.of_job.items():
        for said in _held(events):
            yield Violation("a job is held by one claim", job_id, said)


def _held(events: Sequence[Event]) -> Iterator[str]:
    held: int | None = None
    highest = attempts = crashes = 0
    for event in events:
        if event.what in {"claimed", "taken"}:
            if held is not None or event.what == "taken":
                yield f"claim {event.token} took it from claim {held}"
            yield from _claimed(event, highest, attempts)
            held = event.token
            highest = max(highest, event.token or 0)
        elif event.what in {"freed", "gone"}:
            if event.token != held:
                yield f"{event.what} as of claim {event.token}, held by {held}"
            held = None
            if event.what == "freed" and event.crashes != crashes + event.swept:
                yield f"{event.crashes} crashes after {crashes}, freed by {'a sweep' if event.swept else 'its worker'}"
        elif event.what == "ended" and event.crashes != crashes + (
            event.swept and event.state != "expired"
        ):
            yield f"it ended with {event.crashes} crashes after {crashes}"
        attempts, crashes = event.attempt, event.crashes


def _claimed(event: Event, highest: int, attempts: int) -> Iterator[str]:
    if event.token is None or event.token <= highest:
        yield f"token {event.token} came after token {highest}"
    if event.attempt != attempts + 1:
        yield f"claim {event.token} counted attempt {event.attempt} after {attempts}"
    if event.max_attempts is not None and event.attempt > event.max_attempts:
        yield f"attempt {event.attempt} of {event.max_attempts}"
    if event.run_at > event.began_at:
        yield f"claim {event.token} came {event.run_at - event.began_at:.3f} s too early"


def rescue_waits_for_the_lock(history: History) -> Iterator[Violation]:
    """A sweep takes a job from a claim only when its lock has expired."""
    rule = "rescue waits for the lock"
    for event in history.events:
        if not event.swept or event.token is None or event.what not in {"freed", "gone"}:
            continue
        known = [
            at for number, at in history.expiries.get(event.token, ()) if number < event.number
        ]
        if not known:
            yield Violation(rule, event.job_id, f"claim {event.token} had no lock to expire")
        elif known[-1] > event.began_at:
            early = known[-1] - event.began_at
            yield Violation(rule, event.job_id, f"claim {event.token} had {early:.3f} s left")


def what_is_given_up_is_over(history: History) -> Iterator[Violation]:
    """Only a sweep takes a job whose code goes on: a worker gives up what has ended, or, as it stops, what ends before the job may begin again."""
    for job_id, events in history.of_job.items():
        runs = {run.token: run for run in history.runs_of.get(job_id, ())}
        for event in events:
            run = runs.get(event.token or 0)
            if event.what not in {"freed", "gone"} or event.swept or run is None:
                continue
            over_by = max(event.at, event.run_at) if event.what == "freed" else event.at
            if run.ended_at is not None and run.ended_at > over_by:
                late = run.ended_at - event.at
                yield Violation(
                    "what is given up is over",
                    job_id,
                    f"the code of claim {event.token} ended {late:.3f} s after its job was {event.what}",
                )


def an_end_is_of_the_claim_that_held(history: History) -> Iterator[Violation]:
    """A job ends once, by the claim that held it, with what that claim's code said, and not before that code was over."""
    rule = "an end is of the claim that held"
    for job_id, events in history.of_job.items():
        runs = {run.token: run for run in history.runs_of.get(job_id, ())}
        number = events[0].told.get("number")
        held, ends = None, 0
        for event in events:
            if event.what == "gone":
                held = event.token
            ends += (event.what == "ended") - (event.what == "redriven")
            if ends > 1:
                yield Violation(rule, job_id, f"it ended {ends} times")
            if event.what == "ended" and event.state == "completed":
                for said in _completed(event, held, runs.get(event.token or 0), number):
                    yield Violation(rule, job_id, f"completed by claim {event.token}, {said}")


def _completed(event: Event, held: int | None, run: Run | None, number: object) -> Iterator[str]:
    if event.token != held:
        yield f"held by {held}"
    if event.told.get("token") != event.token:
        yield f"with the result of claim {event.told.get('token')}"
    if event.told.get("number") != number:
        yield f"with the result of job {event.told.get('number')} and not of {number}"
    if run is None:
        yield "whose code never began"
    elif run.ended_at is None or run.ended_at > event.at:
        yield "whose code had not ended"


def what_can_be_done_is_done(history: History) -> Iterator[Violation]:
    """The jobs of clients complete, or end as they were asked to: nothing that befalls their workers fails them."""
    for job_id, events in history.of_job.items():
        if "number" in events[0].told and events[-1].state in {"failed", "expired"}:
            yield Violation("what can be done is done", job_id, f"it ended {events[-1].state}")


def code_runs_under_a_claim(history: History) -> Iterator[Violation]:
    """Each run is of one claim of its job, and no claim runs its job twice."""
    rule = "code runs under a claim"
    claims = {
        (event.job_id, event.token)
        for event in history.events
        if event.what in {"claimed", "taken"}
    }
    for (job_id, token), count in Counter((run.job_id, run.token) for run in history.runs).items():
        if (job_id, token) not in claims:
            yield Violation(rule, job_id, f"code ran under token {token}, which never held it")
        if count > 1:
            yield Violation(rule, job_id, f"code ran {count} times under token {token}")


def a_cancel_is_heeded(history: History) -> Iterator[Violation]:
    """What was cancelled at once has ended so, whatever a redrive made of it; nothing ends cancelled that nobody asked to end; a cancel
    knows every job."""
    rule = "a cancel is heeded"
    for job_id, events in history.of_job.items():
        states = [event.state for event in events if event.what == "ended"]
        redriven = any(event.what == "redriven" for event in events)
        answer = history.cancels.get(job_id)
        if "cancelled" in states and answer is None:
            yield Violation(rule, job_id, "it ended cancelled, and nobody had asked")
        if answer == "unknown":
            yield Violation(rule, job_id, "it was acknowledged, and a cancel did not know it")
        if answer == "cancelled" and (
            "cancelled" not in states if redriven else states != ["cancelled"]
        ):
            yield Violation(rule, job_id, f"it was said to be cancelled, and ended {states}")


def what_is_paused_is_not_claimed(history: History) -> Iterator[Violation]:
    """Whoever pauses a job that waits is sure that it does not begin."""
    for event in history.events:
        if event.what in {"claimed", "taken"} and event.told.get("paused"):
            said = f"claim {event.token} took it although it was paused"
            yield Violation("what is paused is not claimed", event.job_id, said)


def no_child_outlives_its_worker(history: History) -> Iterator[Violation]:
    """A worker that is killed takes its children with it."""
    for run in history.runs:
        killed_at = history.killed.get(run.parent)
        if killed_at is None:
            continue
        outlived = max(run.began_at, run.alive_at, run.ended_at or 0.0) - killed_at
        if outlived > OUTLIVED:
            said = f"process {run.pid} went on for {outlived:.1f} s after its worker {run.parent}"
            yield Violation("no child outlives its worker", run.job_id, said)


def what_is_said_is_heard_once(history: History) -> Iterator[Violation]:
    """Who follows a job hears all that is stored of it, in order, whatever befell the way."""
    for job_id, heard in history.heard.items():
        said = history.said.get(job_id, ())
        if list(heard) == list(said):
            continue
        missing, more = sorted(set(said) - set(heard)), len(heard) - len(set(heard))
        told = f"of {len(said)} events {len(heard)} came; missing {missing[:5]}, {more} repeated"
        yield Violation("what is said is heard once", job_id, told)


RULES: tuple[Rule, ...] = (
    nothing_acknowledged_is_lost,
    an_enqueue_makes_one_job,
    a_key_has_one_unfinished_job,
    a_job_is_held_by_one_claim,
    rescue_waits_for_the_lock,
    what_is_given_up_is_over,
    an_end_is_of_the_claim_that_held,
    what_can_be_done_is_done,
    code_runs_under_a_claim,
    a_cancel_is_heeded,
    what_is_paused_is_not_claimed,
    no_child_outlives_its_worker,
    what_is_said_is_heard_once,
)
