"""The command `app`: argv to settings to one coroutine; the only place where parts are wired."""

from pillars.cli.commands import main

__all__ = ["main"]
