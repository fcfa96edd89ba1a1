"""What a job in a child says, brought to the voice of its attempt and to the worker's log."""

import logging
from collections.abc import Mapping
from typing import Any

from msgspec import UNSET

from pillars import log
from pillars.codec import from_json
from pillars.errors import LockLost, UsageError
from pillars.jobs.options import checked_name
from pillars.jobs.saying import MOST_OUTPUT, Progress, encoded
from pillars.worker.attempts import Attempt
from pillars.worker.children.protocol import Answer, Emitted

_OWN = ("level", "event", "logger", "timestamp", "job_id", "job_name", "attempt", "self")


class Hearing:
    """Of one attempt."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    @property
    def full(self) -> bool:
        """Whether more than can soon be written has come: its process had better wait."""
        exchange = self._attempt.exchanged
        return exchange is not None and exchange.voice.full

    def printed(self, stream: str, line: str) -> None:
        self._attempt.exchange.voice.say_line(stream, line)

    def printed_too_much(self, stream: str, remark: str) -> None:
        self._attempt.exchange.voice.say_surely(stream, remark)

    def said(self, answer: Answer) -> None:
        """Raises `UsageError` for what no job may say."""
        voice = self._attempt.exchange.voice
        if answer.progress is not None:
            told = answer.progress
            voice.watch(Progress(told.done, told.total, told.message))
        if answer.output is not None:
            self._emitted(answer.output)
        if answer.metadata is not UNSET:
            self._beside(from_json(bytes(answer.metadata).decode()))
        if answer.log is not None:
            self._logged(answer.log)

    def _emitted(self, output: Emitted) -> None:
        name = checked_name(output.name, "output: name")
        told = from_json(bytes(output.data).decode())
        data = encoded(told, what=f"output {name}", most=MOST_OUTPUT)
        try:
            self._attempt.exchange.voice.emit(name, data)
        except LockLost:  # its process is being ended
            return

    def _beside(self, told: object) -> None:
        if not isinstance(told, Mapping):
            raise UsageError("metadata: expected an object")
        metadata = self._attempt.exchange.voice.metadata
        for name in [name for name in metadata if name not in told]:
            del metadata[name]
        metadata.update(told)

    def _logged(self, line: dict[str, Any]) -> None:
        """A line of `ctx.log` is said, too; other loggers of the process have the worker's log alone."""
        fields = {name: value for name, value in line.items() if name not in _OWN}
        known = logging.getLevelNamesMapping()
        level = known.get(str(line.get("level", "info")).upper(), logging.INFO)
        name = line.get("logger")
        claimed = self._attempt.claimed
        # A job that has ended may have left something behind that goes on: it is not this one that says it.
        of_this = line.get("job_id") in {None, str(claimed.job_id)}
        own = of_this and (name is None or name == claimed.name)
        logger = self._attempt.exchange.log if own else log.get(str(name))
        logger.log(level, str(line.get("event", "")), **fields)
