"""Running the pillars together in one terminal, through honcho."""

import re
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

from honcho.printer import Message, Printer

from pillars.dev.restarting import Restarter

READY = re.compile(
    r"(?:\b|\x1b\[[0-9;]*m)(web|worker|cron)\.ready\b"
)  # a colour may stand before it
ASKED_TO_STOP = {130, 143}  # honcho's codes after SIGINT and SIGTERM


class Lines(Printer):  # type: ignore[misc]
    """Prints every process's lines under its name, and notices when all pillars are ready."""

    def __init__(self, awaited: set[str], on_ready: Callable[[], str]) -> None:
        super().__init__(sys.stdout)
        self._awaited = awaited
        self._on_ready = on_ready

    def write(self, message: Any) -> None:
        super().write(message)
        text = (
            message.data.decode("utf-8", "replace")
            if isinstance(message.data, bytes)
            else message.data
        )
        for role in READY.findall(text):
            if self._awaited and not self._awaited.difference({role}):
                super().write(
                    Message("line", f"{self._on_ready()}\n", message.time, "system", None)
                )
            self._awaited.discard(role)


def run(
    commands: Mapping[str, str],
    environ: Mapping[str, str],
    *,
    pillars: Collection[str],
    on_ready: Callable[[], str],
) -> int:
    """Run until a signal comes, or a process ends that is not started again, then end all.

    Returns 0 after a signal, else what that process returned. Of the commands, those of `pillars` are started again.
    """
    manager = Restarter(Lines(set(pillars), on_ready), pillars=pillars)
    for name, command in commands.items():
        manager.add_process(name, command, env=dict(environ))
    manager.loop()
    code = int(manager.returncode or 0)
    return 0 if code in ASKED_TO_STOP else code
