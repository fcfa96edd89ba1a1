"""What a job tells, for eyes or for programs: lines, and a bar at a terminal."""

import json
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import click
import msgspec

from pillars.cli import saying
from pillars.cli.words import cut, pretty, visible
from pillars.jobs.following import Missed
from pillars.settings.redaction import masked, redacted
from pillars.store.rows import JobEvent
from pillars.store.streams import Item, Said, Turned

BAR = 24  # columns
TEXTS = ("message", "event", "text", "line")
"""Under which of a log line's names its text stands."""
DONE_OF = (("done", "of"), ("done", "total"), ("current", "total"))


@dataclass(slots=True)
class Teller:
    """Tells batches of a stream. `words` is where all but outputs and results go; `bar` whether that is a terminal's last line."""

    words: Callable[[str], None]
    bar: bool = False
    _drawn: str = ""

    def tell(self, batch: Iterable[Item | Missed]) -> None:
        for one in batch:
            match one:
                case Said(event=event):
                    self._said(event)
                case Turned():
                    self._turned(one)
                case Missed():
                    self._line(f"some events are missing: {one.reason}")

    def close(self) -> None:
        """Leave the terminal's last line as a line."""
        if self._drawn:
            self._drawn = ""
            click.echo(err=True)

    def _said(self, event: JobEvent) -> None:
        body = _read(event)
        match event.kind:
            case "progress":
                self._progress(body)
            case "log":
                self._line(f"{event.created_at.astimezone():%H:%M:%S} {_logged(body)}")
            case "output":
                self._clear()
                saying.lines([visible(body if isinstance(body, str) else _flat(body))])
                self._draw()
            case _:
                self._line(f"metadata {_flat(body)}")

    def _turned(self, turned: Turned) -> None:
        standing, final = turned.standing, turned.final
        tries = f", try {standing.attempt}" if standing.attempt > 1 else ""
        error = f": {final.last_error.strip()}" if final and final.last_error else ""
        self._line(f"{standing.state}{tries}{error}")
        if final is not None and final.state == "completed" and final.result is not None:
            self.close()
            saying.lines(map(visible, pretty(redacted(final.result)).split("\n")))

    def _progress(self, body: Any) -> None:
        share, text = _progress(body)
        if not self.bar:
            percent = "" if share is None else f" {share:.0%}"
            self._line(f"progress{percent}{text and ' ' + text}")
            return
        self._clear()
        full = 0 if share is None else round(share * BAR)
        percent = "" if share is None else f" {share:4.0%}"
        drawn = f"[{'#' * full}{'-' * (BAR - full)}]{percent} {text}".rstrip()
        self._drawn = cut(visible(masked(drawn)), shutil.get_terminal_size().columns - 1)
        self._draw()

    def _line(self, text: str) -> None:
        self._clear()
        self.words(text)
        self._draw()

    def _clear(self) -> None:
        if self._drawn:
            click.echo("\r\x1b[K", nl=False, err=True)

    def _draw(self) -> None:
        if self._drawn:
            click.echo(self._drawn, nl=False, err=True)


@dataclass(frozen=True, slots=True)
class Recorder:
    """Tells batches as JSON, an object a line, with the fields that streams over HTTP have."""

    def tell(self, batch: Iterable[Item | Missed]) -> None:
        for one in batch:
            for record in _records(one):
                saying.put(json.dumps(record, ensure_ascii=False, default=str))

    def close(self) -> None: ...


def teller(*, as_json: bool, words: Callable[[str], None]) -> Teller | Recorder:
    if as_json:
        return Recorder()
    return Teller(words, bar=sys.stderr.isatty())


def _records(one: Item | Missed) -> Iterable[dict[str, Any]]:
    match one:
        case Said(event=event):
            yield {
                "event": event.kind, "id": event.event_id, "job_id": event.job_id, "attempt": event.attempt,
                "at": event.created_at.isoformat().replace("+00:00", "Z"), "body": _read(event),
            }  # fmt: skip
        case Turned(standing=standing, final=final):
            about = {"job_id": standing.job_id, "name": standing.name}
            if final is not None and final.result is not None:
                result = msgspec.json.decode(redacted(final.result))
                yield {"event": "result", **about, "result": result}
            state = {
                "event": "state",
                **about,
                "state": standing.state,
                "attempt": standing.attempt,
            }
            error = None if final is None or final.last_error is None else masked(final.last_error)
            yield state if final is None else {**state, "last_error": error}
        case Missed(reason=reason):
            yield {"event": "reset", "reason": reason}


def _read(event: JobEvent) -> Any:
    return msgspec.json.decode(redacted(event.body))


def _logged(body: Any) -> str:
    """A log line: its level, its text, and what else it has."""
    if not isinstance(body, dict):
        return _flat(body)
    rest = dict(body)
    level = rest.pop("level", "")
    text = next((rest.pop(name) for name in TEXTS if name in rest), "")
    more = (f"{name}={_flat(value)}" for name, value in rest.items())
    return " ".join(str(one) for one in (level, text, *more) if one != "")


def _progress(body: Any) -> tuple[float | None, str]:
    """Which part is done, where that is said, and in which words."""
    if isinstance(body, int | float):
        return min(max(float(body), 0.0), 1.0), ""
    if not isinstance(body, dict):
        return None, _flat(body)
    text = str(next((body[name] for name in TEXTS if body.get(name)), ""))
    for done, of in DONE_OF:
        if isinstance(body.get(done), int | float) and isinstance(body.get(of), int | float):
            share = body[done] / body[of] if body[of] else 0.0
            said = f"{body[done]:,} of {body[of]:,} {text}".rstrip()
            return min(max(share, 0.0), 1.0), said
    for name, whole in (("fraction", 1), ("percent", 100)):
        if isinstance(body.get(name), int | float):
            return min(max(body[name] / whole, 0.0), 1.0), text
    return None, text or _flat(body)


def _flat(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
