"""Databases of tests."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Template:
    """A database that others are copied from; not `sealed` where whoever made it was killed before its end."""

    name: str
    sealed: bool


@dataclass(frozen=True, slots=True)
class Leftover:
    """A database of a run that is gone."""

    name: str
