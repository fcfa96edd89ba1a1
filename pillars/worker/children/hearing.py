"""What a job in a child says, brought to its worker's log."""

import logging

from pillars import log
from pillars.worker.attempts import Attempt
from pillars.worker.children.protocol import Answer

_OWN = ("level", "event", "logger", "timestamp")


class Hearing:
    """Of one attempt."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    def printed(self, stream: str, line: str) -> None:
        claimed = self._attempt.claimed
        log.get("pillars.worker").debug(
            log.Event.JOB_PRINTED,
            job_id=str(claimed.job_id), job_name=claimed.name, attempt=claimed.attempt, stream=stream, line=line,
        )  # fmt: skip

    def said(self, answer: Answer) -> None:
        if answer.log is not None:
            fields = {name: value for name, value in answer.log.items() if name not in _OWN}
            level = logging.getLevelNamesMapping().get(
                str(answer.log.get("level", "info")).upper(), logging.INFO
            )
            logger = log.get(str(answer.log.get("logger") or self._attempt.claimed.name))
            logger.log(level, str(answer.log.get("event", "")), **fields)
