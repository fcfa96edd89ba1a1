"""Periodic jobs as values: `every` and `crontab`, for the modules of `crons/`."""

from pillars.schedules.making import crontab, every
from pillars.schedules.value import Schedule

__all__ = ["Schedule", "crontab", "every"]
