"""How a process has ended, as the end of its job's attempt."""

import signal
from collections.abc import Sequence

from pillars import sizes
from pillars.codec import clean_text
from pillars.errors import Outcome
from pillars.jobs.children import Child, Command
from pillars.settings.redaction import masked
from pillars.worker.children import memory
from pillars.worker.judging import Hide, Raised, judged

LAST_LINES = 20
"""Of what it has printed to stderr, kept for whoever asks why it failed."""


def told_of_end(
    code: int,
    lines: Sequence[str],
    *,
    child: Child,
    command: Command | None,
    killed_for_memory: bool,
    hide: Hide,
) -> Raised:
    """What the end of a process without a result says. `lines` are the last that it printed to stderr."""
    said = next((line for line in reversed(lines) if line.strip()), "")
    wish = (command.exits if command else {}).get(code)
    told = f"{_named(code, child, killed_for_memory, lines)}: {said}".rstrip(": ")
    traceback = clean_text("\n".join(lines), hide=hide) or None
    error = clean_text(told, limit=2_000, hide=hide)
    if isinstance(wish, Outcome):
        asked = judged(wish, told_of_end, masked)
        return Raised(
            asked.error if _has_reason(wish) else error, traceback, asked.wish, asked.wait
        )
    return Raised(error, traceback)


def _has_reason(wish: Outcome) -> bool:
    return str(wish) != (wish.__doc__ or "").partition("\n")[0]


def _named(code: int, child: Child, killed_for_memory: bool, lines: Sequence[str]) -> str:  # noqa: FBT001
    if killed_for_memory and code == -signal.SIGKILL:
        return "out of memory: the kernel has killed it"
    if code == -signal.SIGXCPU and child.cpu_seconds:
        return f"it has used up its {child.cpu_seconds} s of CPU time"
    if child.bytes and code and memory.said("\n".join(lines)):
        return f"out of memory, of which it may have {sizes.shown(child.bytes)}"
    if code < 0:
        return f"killed by {_signal(-code)}"
    return f"exit code {code}"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
