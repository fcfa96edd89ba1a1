"""The numbers that this runtime is held to: each a sentence, how it is computed, its bound, and whether it is met."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .figures import label, number, unit
from .measurements import Measurements
from .spread import Spread


@dataclass(frozen=True, slots=True)
class Computed:
    """A number of a run: from which measurements, and in words."""

    how: str
    of: Callable[[Measurements], Spread | None]
    unit: str = ""
    is_ratio: bool = False


@dataclass(frozen=True, slots=True)
class Bound:
    """What a number must keep to; the median decides."""

    word: str
    value: float
    keeps: Callable[[float, float], bool]


@dataclass(frozen=True, slots=True)
class Target:
    """One promise in numbers."""

    name: str
    says: str
    computed: Computed
    bound: Bound

    def judged(self, measurements: Measurements) -> "Judged":
        return Judged(self, self.computed.of(measurements))


@dataclass(frozen=True, slots=True)
class Judged:
    """A target and what was measured of it: None where it was not."""

    target: Target
    spread: Spread | None

    @property
    def met(self) -> bool | None:
        bound = self.target.bound
        return None if self.spread is None else bound.keeps(self.spread.median, bound.value)

    @property
    def verdict(self) -> str:
        return {True: "met", False: "not met", None: "not measured"}[self.met]

    @property
    def bound(self) -> str:
        bound = self.target.bound
        return f"{bound.word} {bound.value:g}{self.target.computed.unit}"

    @property
    def measured(self) -> str:
        return "" if self.spread is None else spread(self.spread, self.target.computed.unit)


def spread(found: Spread, unit: str = "") -> str:
    """The median, and the range where there is one."""
    median, least, most = map(number, (found.median, found.least, found.most))
    return f"{median}{unit}" if least == most else f"{median}{unit} ({least} to {most})"


def ratio(workload: str, contender: str, against: str, figure: str = "jobs_per_s") -> Computed:
    return Computed(
        f"`{workload}`: {contender} / {against}, {label(figure)}",
        lambda seen: seen.ratio(workload, contender, against, figure),
        is_ratio=True,
    )


def figure(workload: str, contender: str, name: str) -> Computed:
    return Computed(
        f"`{workload}`: {contender}, {label(name)}",
        lambda seen: seen.figure(workload, contender, name),
        unit(name),
    )


def total(*parts: Computed) -> Computed:
    """The sum; not known unless each part is."""

    def add(seen: Measurements) -> Spread | None:
        spreads = [found for part in parts if (found := part.of(seen)) is not None]
        if len(spreads) < len(parts):
            return None
        return Spread(
            sum(one.median for one in spreads),
            sum(one.least for one in spreads),
            sum(one.most for one in spreads),
        )

    return Computed(" + ".join(part.how for part in parts), add, parts[0].unit)


def greatest(workload: str, contenders: Sequence[str], name: str) -> Computed:
    """Of several contenders the one with the most; not known unless each is."""

    def find(seen: Measurements) -> Spread | None:
        spreads = [seen.figure(workload, one, name) for one in contenders]
        known = [one for one in spreads if one is not None]
        return max(known, key=lambda one: one.median) if len(known) == len(spreads) else None

    how = f"`{workload}`: the most of {', '.join(contenders)}, {label(name)}"
    return Computed(how, find, unit(name))


def fastest(workload: str, against: str, *, besides: Sequence[str] = ()) -> Computed:
    """Of a workload's other contenders the one with the most jobs a second, beside one of them."""

    def find(seen: Measurements) -> Spread | None:
        others = [one for one in seen.contenders(workload) if one not in {against, *besides}]
        ratios = [seen.ratio(workload, one, against, "jobs_per_s") for one in others]
        known = [one for one in ratios if one is not None]
        return max(known, key=lambda one: one.median, default=None)

    return Computed(
        f"`{workload}`: the fastest other / {against}, {label('jobs_per_s')}", find, is_ratio=True
    )


def at_least(value: float) -> Bound:
    return Bound("at least", value, lambda seen, bound: seen >= bound)


def at_most(value: float) -> Bound:
    return Bound("at most", value, lambda seen, bound: seen <= bound)


def more_than(value: float) -> Bound:
    return Bound("more than", value, lambda seen, bound: seen > bound)


def less_than(value: float) -> Bound:
    return Bound("less than", value, lambda seen, bound: seen < bound)


PILLARS = ("web", "worker", "cron")
SINGLE, SIXTEEN, SILENT = (
    "pillars, 1 client",
    "pillars, 16 clients",
    "pillars, 16 clients, NOTIFY off",
)

TARGETS = (
    Target(
        "drain",
        "One worker process drains no-op jobs, with the history kept, as fast as the raw loop",
        ratio("drain", "pillars", "raw"),
        at_least(0.8),
    ),
    Target(
        "two processes",
        "Two worker processes drain more than one",
        ratio("drain", "pillars, 2 processes", "pillars"),
        more_than(1),
    ),
    Target(
        "peers",
        "No other queue drains as fast",
        fastest("peers", "pillars", besides=["raw"]),
        less_than(1),
    ),
    Target(
        "worker CPU",
        "A no-op job takes the worker's processor",
        figure("drain", "pillars", "worker_cpu_us"),
        at_most(40),
    ),
    Target(
        "enqueue",
        "A single enqueue is as fast as a bare INSERT",
        ratio("enqueue", SINGLE, "raw, 1 client"),
        at_least(0.9),
    ),
    Target(
        "bulk", "enqueue_many is as fast as COPY", ratio("bulk", "pillars", "raw"), at_least(0.8)
    ),
    Target(
        "WAL",
        "WAL of a job over its life: enqueued in bulk, claimed, finished, history kept",
        total(figure("bulk", "pillars", "wal_bytes"), figure("drain", "pillars", "wal_bytes")),
        at_most(900),
    ),
    Target(
        "history",
        "Each count and each list, with ten million finished and a million waiting jobs",
        figure("history", "pillars", "slowest_ms"),
        at_most(50),
    ),
    Target(
        "idle statements",
        "An idle process sends statements",
        greatest("idle", PILLARS, "statements_per_s"),
        less_than(0.5),
    ),
    Target(
        "idle CPU",
        "An idle process takes of a core",
        greatest("idle", PILLARS, "core_percent"),
        less_than(0.5),
    ),
    Target(
        "latency",
        "From enqueue to start on an idle worker, beside a bare insert with NOTIFY: half of the jobs",
        ratio("latency", "pillars", "raw", "start_p50_ms"),
        at_most(1.3),
    ),
    Target(
        "latency p99",
        "From enqueue to start on an idle worker: 99 of 100 jobs",
        figure("latency", "pillars", "start_p99_ms"),
        less_than(15),
    ),
    Target(
        "due jobs",
        "A job that is due within 30 s starts soon after its time: 99 of 100 jobs",
        figure("future", "pillars", "late_p99_ms"),
        at_most(50),
    ),
    Target(
        "backlog of a million",
        "With a backlog of a million, claims are as fast as without",
        ratio("backlog", "pillars, of a million", "pillars, alone"),
        at_least(0.9),
    ),
    Target(
        "snapshot held",
        "While a snapshot is held, a drain is as fast as without",
        ratio("snapshot", "pillars, snapshot held", "pillars"),
        at_least(0.8),
    ),
    Target(
        "streams",
        "While 200 streams are read, other jobs go on as fast as without",
        ratio("streams", "200 streams", "nobody follows"),
        at_least(0.85),
    ),
    Target(
        "memory of streams",
        "While 200 streams are read, the web process grows by",
        figure("streams", "200 streams", "web_grown_mb"),
        at_most(10),
    ),
    Target(
        "16 clients, NOTIFY on",
        "16 concurrent enqueuers are as fast as with NOTIFY off",
        ratio("enqueue", SIXTEEN, SILENT),
        more_than(0.85),
    ),
)
