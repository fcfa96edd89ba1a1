"""Which process is given which variables of the application's own: `[tool.pillars.environment]`."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from pillars.errors import ConfigurationError, nearest
from pillars.settings.convert import shown
from pillars.settings.specs import ENV, PROJECT, SPECS, Found

__all__ = ["ROLES", "TABLE", "belonging"]

ROLES = ("web", "worker", "cron")
TABLE = "environment"
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def belonging(found: Found) -> Mapping[str, tuple[str, ...]]:
    """The variables of each role that names any. Raises `ConfigurationError` for what is no list of names under a role."""
    table = found.table("tool", "pillars", TABLE)
    return MappingProxyType({role: _names(role, said) for role, said in table.items()})


def _names(role: str, said: object) -> tuple[str, ...]:
    where = f"pyproject.toml: [tool.pillars.{TABLE}] {role}"
    if role not in ROLES:
        near = nearest(role, {one: (one,) for one in ROLES})
        meant = f"; did you mean {near[0]}?" if near else ""
        raise ConfigurationError(f"{where} is no process: expected {', '.join(ROLES)}{meant}")
    if not isinstance(said, list):
        raise ConfigurationError(
            f'{where}: expected a list such as ["STRIPE_KEY"], got {shown(said)}'
        )
    for name in said:
        if not isinstance(name, str) or not VARIABLE.fullmatch(name):
            raise ConfigurationError(f"{where}: expected names of variables, got {shown(name)}")
        if name in OURS:
            raise ConfigurationError(
                f"{where}: {name} is a setting of the runtime, which every process may read"
            )
    return tuple(dict.fromkeys(said))


OURS = {spec.called for spec in (ENV, PROJECT, *SPECS)}
