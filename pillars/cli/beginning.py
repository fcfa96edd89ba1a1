"""How a command begins: what it was told, and where its log goes."""

import os
from collections.abc import Mapping
from types import MappingProxyType

from pillars import log
from pillars.settings import Settings, load, redaction

NO_FLAGS: Mapping[str, object] = MappingProxyType({})


def settings_of(
    command: str, flags: Mapping[str, object] = NO_FLAGS, *, number: int | None = None
) -> Settings:
    """The settings of a command, with the log set up; what is doubtful about them is logged. `number`: of its process in a fleet."""
    settings = load(flags=flags, command=command)
    redaction.hide(settings)
    log.configure(level=settings.log_level, format=settings.log_format, number=number)
    for warning in settings.warnings:
        log.get("pillars.settings").warning(log.Event.SETTINGS_DOUBTFUL, warning=warning)
    return settings


def lend_dotenv(settings: Settings) -> None:
    """Let the app's own code read its `.env` from the environment, in dev; what is there already stays."""
    for name, value in settings.dotenv.items():
        os.environ.setdefault(name, value)
