"""The states of a job, for whoever must not import more."""

UNFINISHED = ("scheduled", "ready", "running", "waiting", "paused")
FINAL = ("completed", "failed", "cancelled", "expired")
STATES = UNFINISHED + FINAL
PAUSABLE = ("scheduled", "ready", "running", "waiting")
REDRIVABLE = ("failed", "cancelled", "expired")
APART = ("running", "waiting", "paused")  # few are in them, which have an index of their own
