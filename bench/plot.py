"""Charts as GitHub draws them from text, in its light and its dark theme."""

from collections.abc import Mapping, Sequence

from .measurements import Measurements
from .report import judged

MOST_POINTS = 60  # of a line: more is a blur
# Seen on white and on black: the palette of Mermaid's light theme begins with one that is nearly white.
COLOURS = '%%{init: {"themeVariables": {"xyChart": {"plotColorPalette": "#3b82f6, #f59e0b"}}}}%%'
OF_MORE_IS_BETTER = ("at least", "more than")


def charts(measurements: Measurements) -> list[str]:
    """Every chart for which there are figures."""
    return [*_ratios(measurements), *_drains(measurements), *_sizes(measurements)]


def bars(
    title: str, axis: str, values: Mapping[str, float], bounds: Sequence[float] = ()
) -> list[str]:
    """Bars that lie, and a line of what is demanded of each."""
    names = ", ".join(f'"{name}"' for name in values)
    most = max([*values.values(), *bounds])
    return _chart(
        "xychart-beta horizontal",
        f'title "{title}"',
        f"x-axis [{names}]",
        f'y-axis "{axis}" 0 --> {_above(most)}',
        f"bar {_listed(list(values.values()))}",
        *([f"line {_listed(bounds)}"] if bounds else []),
    )


def lines(
    title: str, axes: tuple[str, str], until: float, courses: Sequence[Sequence[float]]
) -> list[str]:
    """Lines over an even course from 0 to `until`."""
    thinned = [_thinned(course) for course in courses]
    return _chart(
        "xychart-beta",
        f'title "{title}"',
        f'x-axis "{axes[0]}" 0 --> {_plain(until)}',
        f'y-axis "{axes[1]}" 0 --> {_above(max(map(max, thinned)))}',
        *(f"line {_listed(course)}" for course in thinned),
    )


def _ratios(measurements: Measurements) -> list[str]:
    found = [
        one
        for one in judged(measurements)
        if one.spread is not None
        and one.target.computed.is_ratio
        and one.target.bound.word in OF_MORE_IS_BETTER
    ]
    if not found:
        return []
    values = {one.target.name: one.spread.median for one in found if one.spread is not None}
    bounds = [one.target.bound.value for one in found]
    return bars("Ratios: measured (bars) and demanded (line)", "more is better", values, bounds)


def _drains(measurements: Measurements) -> list[str]:
    """One process each."""
    found = {
        one: spread.median
        for one in measurements.contenders("drain")
        if (spread := measurements.figure("drain", one, "jobs_per_s")) is not None
        and "processes" not in one
    }
    return bars("Drain of no-op jobs, one process", "jobs/s", found) if found else []


def _sizes(measurements: Measurements) -> list[str]:
    for record in measurements.of("steady", "pillars"):
        minutes = record.course("minutes")
        if len(minutes) > 1:
            courses = [record.course(name) for name in ("jobs_mb", "jobs_indexes_mb")]
            title = "Steady load: the jobs table (blue) and its indexes (orange)"
            return lines(title, ("minutes", "MB"), minutes[-1], courses)
    return []


def _chart(kind: str, *told: str) -> list[str]:
    return ["```mermaid", COLOURS, kind, *(f"    {line}" for line in told), "```", ""]


def _listed(values: Sequence[float]) -> str:
    return f"[{', '.join(map(_plain, values))}]"


def _plain(value: float) -> str:
    """Mermaid reads no exponents."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3f}"


def _above(most: float) -> str:
    return _plain(most * 1.1 or 1)


def _thinned(course: Sequence[float]) -> Sequence[float]:
    step = -(-len(course) // MOST_POINTS)
    return course[::step]
