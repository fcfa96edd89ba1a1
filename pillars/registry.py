"""Finding the app's jobs and schedules: every module of the packages `jobs` and `crons` is imported, its values collected."""

import importlib
import pkgutil
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from pillars.errors import ConfigurationError, DefinitionError, PillarsError, UnknownJob
from pillars.jobs.definition import Job
from pillars.schedules import Schedule

JOBS, CRONS = "jobs", "crons"


@dataclass(frozen=True, slots=True)
class Registry:
    """What the app defines, by name."""

    jobs: Mapping[str, Job[..., Any]]
    schedules: Mapping[str, Schedule]

    def job(self, name: str) -> Job[..., Any]:
        """The definition of a name; raises `UnknownJob` with the nearest one."""
        if name in self.jobs:
            return self.jobs[name]
        raise UnknownJob.among(name, self.jobs)


def load(
    *, project: Path, jobs: str = JOBS, crons: str = CRONS, leave: str | None = None
) -> Registry:
    """Import the packages `jobs` and `crons` of `project`, or others that were named, and collect what they define.

    Of the two, one that `project` lacks defines nothing, whatever else goes by that name on this machine. `leave` names a
    module not to import: the web app's, which the other pillars do without.
    Raises `DefinitionError` for a name defined twice, and `ConfigurationError` for a module that does not import.
    """
    _put_first(project)
    found_jobs: dict[str, tuple[Job[..., Any], str]] = {}
    found_schedules: dict[str, tuple[Schedule, str]] = {}
    for module in _modules(jobs, JOBS, project, leave):
        _collect_jobs(module, found_jobs)
    for module in _modules(crons, CRONS, project, leave):
        _collect_jobs(module, found_jobs)
        _collect_schedules(module, found_schedules)
    for schedule, _ in found_schedules.values():
        found_jobs.setdefault(schedule.job.name, (schedule.job, "a schedule"))
    return Registry(
        {name: one for name, (one, _) in sorted(found_jobs.items())},
        {name: one for name, (one, _) in sorted(found_schedules.items())},
    )


def web_app(target: str, *, project: Path) -> Any:
    """The user's ASGI app, from "module:app"."""
    _put_first(project)
    name, separator, attribute = target.partition(":")
    if not (name and separator and attribute):
        raise ConfigurationError(f'web: expected "module:app", got "{target}"')
    module = _import(name)
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise ConfigurationError(f'web: module "{name}" has no "{attribute}"') from None


def _put_first(project: Path) -> None:
    """Before all else: an editable install, too, puts folders on the path, behind site-packages."""
    sys.path[:] = [str(project), *(entry for entry in sys.path if entry != str(project))]


def _modules(package: str, default: str, project: Path, leave: str | None) -> Iterator[ModuleType]:
    here = (project / package).is_dir() or (project / f"{package}.py").is_file()
    if package == default and not here:
        return
    top = _import(package)
    if package == default and not _stands_in(project, top):
        raise ConfigurationError(
            f'importing "{package}" gave {top.__file__}, not the folder of this project; give {package}/ an __init__.py'
        )
    yield top
    for found in pkgutil.walk_packages(getattr(top, "__path__", []), prefix=f"{package}."):
        if found.name != leave:
            yield _import(found.name)


def _stands_in(project: Path, module: ModuleType) -> bool:
    """Whether it is the project's own, not one of its virtual environment, which often stands within the project."""
    places = [module.__file__] if module.__file__ else list(getattr(module, "__path__", []))
    top = project.resolve()
    return any(
        top in (Path(place).resolve().parent, Path(place).resolve().parent.parent)
        for place in places
    )


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except PillarsError as error:
        raise type(error)(f"{name}: {error}") from error
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f'importing "{name}" failed: no module named "{error.name}"'
        ) from error
    except (Exception, SystemExit) as error:
        place = _place(error)
        raise ConfigurationError(
            f'importing "{name}" failed: {type(error).__name__}: {error}{place}'
        ) from error


def _place(error: BaseException) -> str:
    """Where in the project it was raised; a library's own frames are of no help."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if _is_ours(frame.filename)]
    if isinstance(error, SyntaxError) or not ours:
        return ""
    return f" ({ours[-1].filename}:{ours[-1].lineno})"


def _is_ours(file: str) -> bool:
    """Whether a file is the project's own; its virtual environment often stands within it."""
    return file.startswith(sys.path[0]) and "site-packages" not in file


def _collect_jobs(module: ModuleType, found: dict[str, tuple[Job[..., Any], str]]) -> None:
    for value in vars(module).values():
        if not isinstance(value, Job):
            continue
        known, place = found.setdefault(value.name, (value, module.__name__))
        if known is not value:
            raise DefinitionError(
                f'two jobs are named "{value.name}": one in {place}, one in {module.__name__}; give one of them name='
            )
        value.prepare()


def _collect_schedules(module: ModuleType, found: dict[str, tuple[Schedule, str]]) -> None:
    for variable, value in vars(module).items():
        if not isinstance(value, Schedule):
            continue
        named = value if value.name else value.named(f"{module.__name__}.{variable}")
        known, place = found.setdefault(named.name, (named, module.__name__))
        if known != named:
            raise DefinitionError(
                f'two schedules are named "{named.name}": one in {place}, one in {module.__name__}; give one of them name='
            )
