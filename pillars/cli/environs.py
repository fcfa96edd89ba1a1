"""What `app check --role` says of the variables of the process that it is to be run for."""

import os
from dataclasses import dataclass

from pillars.settings import Settings
from pillars.settings.belonging import TABLE


@dataclass(frozen=True, slots=True)
class VariableLine:
    """A variable of the application's own: who needs it, and whether it is set here."""

    name: str
    roles: tuple[str, ...]
    is_set: bool


def variables(settings: Settings) -> list[VariableLine]:
    """All that are named, in the order in which they are."""
    roles: dict[str, tuple[str, ...]] = {}
    for role, names in settings.belonging.items():
        for name in names:
            roles[name] = (*roles.get(name, ()), role)
    return [VariableLine(name, those, _is_set(name, settings)) for name, those in roles.items()]


def faults(settings: Settings, role: str, found: list[VariableLine]) -> list[str]:
    """What this role lacks, and what it is given although only others need it."""
    said = []
    if settings.env == "prod" and settings.database_url is None:
        said.append(f"DATABASE_URL is not set: in prod {role} does not start without it")
    for one in found:
        if role in one.roles and not one.is_set:
            said.append(
                f"{one.name} is not set: {role} needs it, says [tool.pillars.{TABLE}] of pyproject.toml"
            )
        elif role not in one.roles and os.environ.get(one.name):
            said.append(
                f"{one.name} is set, and is for {' and '.join(one.roles)} alone: take it out of the environment of {role},"
                f" or name it under [tool.pillars.{TABLE}] {role}"
            )
    return said


def hint(message: str, role: str, found: list[VariableLine]) -> str:
    """What to do where a module reads another process's variable as it is imported; empty where it does not."""
    missing = [one for one in found if role not in one.roles and f"'{one.name}'" in message]
    if not missing or "KeyError" not in message:
        return ""
    return f"; {role} has no {missing[0].name}: read it when the job runs, not as its module is imported"


def _is_set(name: str, settings: Settings) -> bool:
    return bool(os.environ.get(name) or settings.dotenv.get(name))
