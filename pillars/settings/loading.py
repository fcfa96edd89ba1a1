"""Find each setting: flag, environment, `.env` (dev only), `[tool.pillars]`, default."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from pillars.durations import words
from pillars.errors import ConfigurationError, nearest
from pillars.settings import values
from pillars.settings.belonging import TABLE, belonging
from pillars.settings.convert import shown
from pillars.settings.dotenv import read_dotenv
from pillars.settings.specs import ENV, PROJECT, SPECS, Found, Spec, uvloop_is_here
from pillars.settings.values import Settings

__all__ = ["load"]

PLATFORMS = ("FLY_APP_NAME", "DYNO", "RAILWAY_SERVICE_ID", "KUBERNETES_SERVICE_HOST")
"""Set by fly.io, Heroku, Railway and Kubernetes: what runs there is deployed."""

DOTENVS = (".env", ".env.local")  # the second is one developer's own, and wins
_PREFIX = "PILLARS_"
_OF_TESTS = "PILLARS_TEST_"  # read by our test suite alone
_NO_FLAGS: Mapping[str, object] = MappingProxyType({})

_Layer: TypeAlias = Callable[[Spec], tuple[object, str] | None]
"""What one source says of a setting, and under which name."""


def load(
    *,
    flags: Mapping[str, object] = _NO_FLAGS,
    environ: Mapping[str, str] | None = None,
    project: Path | None = None,
    command: str | None = None,
    refused: list[ConfigurationError] | None = None,
) -> Settings:
    """Read the settings of a command; ConfigurationError says which one is wrong, and how.

    Flags are named like the fields of Settings, None where not given; an empty variable counts as not set.
    `environ` is the process's unless given, and `project` what PILLARS_PROJECT names, else the working directory; nothing is
    written to.
    `refused`, where given, takes the errors of single settings, of which the defaults then hold.
    """
    environ = os.environ if environ is None else environ
    project, source = (project, "default") if project else _project(environ)
    project = project.absolute()
    found = Found(environ=environ, document=_document(project / "pyproject.toml"), project=project)
    found.sources[PROJECT.name] = source
    told = [_flags(flags), _variables(environ, "")]
    table = _table(found)
    _decide_env(found, [*told, table], command)
    dotenv = _add_dotenvs(found, told)
    for spec in SPECS:
        with _noted(refused):
            _decide(found, spec, [*told, table])
        if spec.name not in found.values:
            _decide(found, spec, [])
    for name in ("sql", "root"):
        found.values[name] = project / found.values[name]
    if not refused:  # else what does not go together may not have been meant
        with _noted(refused):
            _look_across(found)
    _look_for_unknown(found, environ, dotenv)
    needed: Mapping[str, tuple[str, ...]] = {}
    with _noted(refused):
        needed = belonging(found)
    return Settings(
        **found.values,
        project=project,
        belonging=needed,
        sources=MappingProxyType(found.sources),
        dotenv=MappingProxyType(dotenv),
        warnings=tuple(found.warnings),
    )


def _project(environ: Mapping[str, str]) -> tuple[Path, str]:
    """The folder that all else is read from, and who said so."""
    said = _variables(environ, "")(PROJECT)
    return (PROJECT.read(*said), said[1]) if said else (Path.cwd(), "default")


@contextmanager
def _noted(refused: list[ConfigurationError] | None) -> Iterator[None]:
    try:
        yield
    except ConfigurationError as error:
        if refused is None:
            raise
        refused.append(error)


def _decide(found: Found, spec: Spec, layers: list[_Layer]) -> bool:
    """Settle one setting; whether anybody said what it is."""
    for layer in layers:
        said = layer(spec)
        if said is not None:
            value, source = said
            found.values[spec.name] = spec.read(value, source)
            found.sources[spec.name] = source
            return True
    found.values[spec.name] = spec.default(found)
    found.sources[spec.name] = "default"
    return False


def _decide_env(found: Found, layers: list[_Layer], command: str | None) -> None:
    said = _decide(found, ENV, layers)
    if command == "dev":
        if found.values["env"] == "prod":
            found.warnings.append(f"{found.sources['env']} says prod, but `app dev` is always dev")
        found.values["env"], found.sources["env"] = "dev", "app dev"
    elif not said:
        database = next(spec for spec in SPECS if spec.name == "database_url")
        signs = [name for name in PLATFORMS if found.environ.get(name)]
        signs += [source for _, source in filter(None, (layer(database) for layer in layers[:2]))]
        if signs:
            found.values["env"], found.sources["env"] = "prod", f"default where {signs[0]} is set"


# --- sources ------------------------------------------------------------------------------------------------


def _flags(flags: Mapping[str, object]) -> _Layer:
    known = {spec.name for spec in (ENV, *SPECS)}
    for name in flags:
        if name not in known:
            raise ConfigurationError(f"no setting is named {shown(name)}{_nearest(name, known)}")

    def layer(spec: Spec) -> tuple[object, str] | None:
        value = flags.get(spec.name)
        return None if value is None else (value, f"flag --{spec.name.replace('_', '-')}")

    return layer


def _variables(variables: Mapping[str, str], file: str) -> _Layer:
    def layer(spec: Spec) -> tuple[object, str] | None:
        value = variables.get(spec.called)
        return (value, f"{file} {spec.called}".strip()) if value else None

    return layer


def _table(found: Found) -> _Layer:
    """The table of pyproject.toml, which is committed: secrets are refused there."""
    table = found.table("tool", "pillars")
    known = {spec.name: spec for spec in (ENV, *SPECS)}
    for name in table:
        if name == TABLE:
            continue
        if name not in known:
            found.warnings.append(
                f"pyproject.toml: [tool.pillars] {name} is no setting{_nearest(name, known)}"
            )
        elif known[name].secret:
            raise ConfigurationError(
                f"pyproject.toml: [tool.pillars] {name} is a secret, and the file is committed: "
                f"set {known[name].called} in the environment or, for dev, in .env"
            )

    def layer(spec: Spec) -> tuple[object, str] | None:
        value = table.get(spec.name)
        return None if value is None else (value, f"[tool.pillars] {spec.name}")

    return layer


def _document(path: Path) -> dict[str, Any]:
    text = _text(path)
    if text is None:
        return {}
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path.name}: not TOML: {error}") from None


def _add_dotenvs(found: Found, told: list[_Layer]) -> dict[str, str]:
    texts = {name: text for name in DOTENVS if (text := _text(found.project / name)) is not None}
    if found.values["env"] == "prod":
        if texts:
            found.warnings.append(f"{' and '.join(texts)} not read: only dev does, PILLARS_ENV=dev")
        return {}
    merged: dict[str, str] = {}
    for name, text in texts.items():
        variables = read_dotenv(text, name=name)
        beside = {ENV.called: "dev", PROJECT.called: ""}
        for early in [one for one, same in beside.items() if variables.get(one, same) != same]:
            found.warnings.append(
                f"{name} {early} has no effect: it is decided before {name} is read"
            )
        told.insert(2, _variables(variables, name))
        merged |= variables
    return merged


def _text(path: Path) -> str | None:
    """The text of a file, None where there is none."""
    try:
        return path.read_bytes().decode()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{path.name}: not UTF-8 at byte {error.start}: save it as UTF-8"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{path.name}: cannot be read: {error.strerror}") from None


# --- what no setting can tell by itself ---------------------------------------------------------------------


def _look_across(found: Found) -> None:
    said, sources = found.values, found.sources
    if not said["heartbeat"] * 2 < said["lock"]:
        raise ConfigurationError(
            f"heartbeat ({sources['heartbeat']}): 2 x heartbeat must be less than the lock, or one late beat loses "
            f"it; got 2 x {words(said['heartbeat'])} >= {words(said['lock'])}: lower it, or leave it at a third"
        )
    if said["poll"] > said["poll_max"]:
        raise ConfigurationError(
            f"poll_max ({sources['poll_max']}): must be at least poll, "
            f"got {words(said['poll_max'])} < {words(said['poll'])}"
        )
    if said["token"] is not None and said["token"] == said["view_token"]:
        raise ConfigurationError(
            "PILLARS_VIEW_TOKEN: must differ from PILLARS_TOKEN, or those who may look may also act"
        )
    if said["loop"] == "uvloop" and not uvloop_is_here():
        raise ConfigurationError(
            f"{sources['loop']}: uvloop is not installed: pip install uvloop, or asyncio"
        )
    if said["database_direct_url"] is not None and said["database_url"] is None:
        found.warnings.append(
            f"{sources['database_direct_url']} has no effect without DATABASE_URL"
        )
    if said["env"] == "prod":
        _doubt(found)


def _doubt(found: Found) -> None:
    lock = found.values["lock"]
    if lock < values.SAFE_LOCK:
        found.warnings.append(
            f"{found.sources['lock']}: a lock of {words(lock)} is short for prod: a database failover takes "
            f"longer, and each running job would start again; use {words(values.SAFE_LOCK)} or more"
        )
    for name in ("token", "view_token"):
        token = found.values[name]
        if token is not None and len(token) < values.LEAST_TOKEN:
            found.warnings.append(
                f"{found.sources[name]}: shorter than {values.LEAST_TOKEN} characters, it can be guessed; "
                "make one: python -c 'import secrets; print(secrets.token_urlsafe())'"
            )


def _look_for_unknown(found: Found, environ: Mapping[str, str], dotenv: Mapping[str, str]) -> None:
    known = {spec.called for spec in (PROJECT, ENV, *SPECS)}
    for name in sorted({*environ, *dotenv}):
        if name.startswith(_PREFIX) and not name.startswith(_OF_TESTS) and name not in known:
            found.warnings.append(f"{name} is no setting{_nearest(name, known)}")


def _nearest(name: str, known: Iterable[str]) -> str:
    # Without the prefix that they share, or all of them would be near.
    rests = {one: (one.removeprefix(_PREFIX),) for one in sorted(known)}
    near = nearest(name.removeprefix(_PREFIX), rests)
    return f"; did you mean {' or '.join(near)}?" if near else ""
