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
                saying.lines([visible(_output(body))])
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


def _output(body: Any) -> str:
    """An output: its name and its data."""
    if not isinstance(body, dict) or body.keys() != {"name", "data"}:
        return _flat(body)
    return str(body["name"]) if body["data"] is None else f"{body['name']} {_flat(body['data'])}"


def _logged(body: dict[str, Any]) -> str:
    """A line: of `ctx.log` its level, its event and its fields, of a stream of a child's as it was."""
    if "line" in body:
        return str(body["line"])
    fields = (f"{name}={_flat(value)}" for name, value in body.get("fields", {}).items())
    return " ".join([body.get("level", ""), body.get("event", ""), *fields]).strip()


def _progress(body: dict[str, Any]) -> tuple[float | None, str]:
    """Which part is done, where that is known, and in which words."""
    done, total, message = body.get("done", 0), body.get("total"), body.get("message") or ""
    if total is None:
        return None, f"{done:,} {message}".rstrip()
    share = done / total if total else 0.0
    return min(max(share, 0.0), 1.0), f"{done:,} of {total:,} {message}".rstrip()


def _flat(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
