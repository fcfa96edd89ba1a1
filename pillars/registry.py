"""Finding the app's jobs and schedules: every module of the packages `jobs` and `crons` is imported, its values collected."""

import importlib
import os
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from pillars.codec.plain import one_line
from pillars.errors import ConfigurationError, DefinitionError, UnknownJob, UsageError
from pillars.jobs.canary import BUILT_IN
from pillars.jobs.definition import Job
from pillars.schedules import Schedule

JOBS, CRONS = "jobs", "crons"
RUNTIME = str(Path(__file__).parent) + os.sep


@dataclass(frozen=True, slots=True)
class Registry:
    """What the app defines, by name."""

    jobs: Mapping[str, Job[..., Any]]
    schedules: Mapping[str, Schedule]

    @property
    def known(self) -> Mapping[str, Job[..., Any]]:
        """The app's jobs, and the runtime's own."""
        return {**self.jobs, **BUILT_IN}

    def job(self, name: str) -> Job[..., Any]:
        """The definition of a name; raises `UnknownJob` with the nearest one."""
        if name in self.jobs:
            return self.jobs[name]
        raise UnknownJob.among(name, self.jobs)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that keeps the app from starting, and where it stands, as "file:line"."""

    error: UsageError
    place: str | None

    def raised(self) -> UsageError:
        """The error, with its place in the message."""
        return type(self.error)(f"{self.error} ({self.place})") if self.place else self.error


OnFault = Callable[[Fault], None]


def load(
    *, project: Path, jobs: str = JOBS, crons: str = CRONS, leave: str | None = None
) -> Registry:
    """Import the packages `jobs` and `crons` of `project`, or others that were named, and collect what they define.

    Of the two, one that `project` lacks defines nothing, whatever else goes by that name on this machine. `leave` names a
    module not to import: the web app's, which the other pillars do without.
    Raises `DefinitionError` for a name defined twice, and `ConfigurationError` for a module that does not import.
    """
    return survey(project=project, jobs=jobs, crons=crons, leave=leave, on_fault=_raise)


def survey(
    *, project: Path, jobs: str, crons: str, on_fault: OnFault, leave: str | None = None
) -> Registry:
    """As `load`, but go on after a fault: `on_fault` is told each, and what it concerns is left out."""
    _put_first(project)
    found = _Found(on_fault)
    for module in _modules(jobs, JOBS, project, leave, on_fault):
        found.collect_jobs(module)
    for module in _modules(crons, CRONS, project, leave, on_fault):
        found.collect_jobs(module)
        found.collect_schedules(module)
    return found.registry()


def web_app(target: str, *, project: Path) -> Any:
    """The user's ASGI app, from "module:app"."""
    _put_first(project)
    name, separator, attribute = target.partition(":")
    if not (name and separator and attribute):
        raise ConfigurationError(f'web: expected "module:app", got "{target}"')
    module = _import(name)
    if isinstance(module, Fault):
        raise module.raised() from module.error.__cause__
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise ConfigurationError(f'web: module "{name}" has no "{attribute}"') from None


def _raise(fault: Fault) -> None:
    raise fault.raised() from fault.error.__cause__


def _put_first(project: Path) -> None:
    """Before all else: an editable install, too, puts folders on the path, behind site-packages."""
    sys.path[:] = [str(project), *(entry for entry in sys.path if entry != str(project))]


def _modules(
    package: str, default: str, project: Path, leave: str | None, on_fault: OnFault
) -> Iterator[ModuleType]:
    here = (project / package).is_dir() or (project / f"{package}.py").is_file()
    if package == default and not here:
        return
    top = _import(package)
    if isinstance(top, Fault):
        on_fault(top)
        return
    if package == default and not _stands_in(project, top):
        said = f'importing "{package}" gave {top.__file__}, not the folder of this project; give {package}/ an __init__.py'
        on_fault(Fault(ConfigurationError(said), None))
        return
    yield top
    for one in pkgutil.walk_packages(
        getattr(top, "__path__", []), prefix=f"{package}.", onerror=lambda _name: None
    ):
        if one.name == leave:
            continue
        module = _import(one.name)
        if isinstance(module, Fault):
            on_fault(module)
        else:
            yield module


def _stands_in(project: Path, module: ModuleType) -> bool:
    """Whether it is the project's own, not one of its virtual environment, which often stands within the project."""
    places = [module.__file__] if module.__file__ else list(getattr(module, "__path__", []))
    top = project.resolve()
    return any(
        top in (Path(place).resolve().parent, Path(place).resolve().parent.parent)
        for place in places
    )


def _import(name: str) -> ModuleType | Fault:
    try:
        return importlib.import_module(name)
    except UsageError as error:
        return _fault(type(error)(f"{name}: {error}"), error)
    except ModuleNotFoundError as error:
        said = f'importing "{name}" failed: no module named "{error.name}"'
        return _fault(ConfigurationError(said), error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - an app's own code may raise anything
        told = error.msg if isinstance(error, SyntaxError) else one_line(str(error))
        said = f'importing "{name}" failed: {type(error).__name__}: {told}'
        return _fault(ConfigurationError(said), error)


def _fault(said: UsageError, cause: BaseException) -> Fault:
    said.__cause__ = cause
    return Fault(said, place_of_error(cause))


def place_of_error(error: BaseException) -> str | None:
    """Where in the project it was raised; a library's own frames are of no help."""
    if isinstance(error, SyntaxError):
        return _shown(error.filename, error.lineno) if error.filename else None
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if _is_ours(frame.filename)]
    return _shown(ours[-1].filename, ours[-1].lineno) if ours else None


def _shown(file: str, line: int | None) -> str:
    """A place as people click on it, from the project's folder on."""
    return f"{file.removeprefix(sys.path[0] + os.sep)}:{line or 1}"


def _is_ours(file: str) -> bool:
    """Whether a file is the project's own; its virtual environment often stands within it, and in a clone so does the runtime.

    The project may itself stand among packages: one executable file is unpacked so.
    """
    return (
        file.startswith(sys.path[0])
        and "site-packages" not in file.removeprefix(sys.path[0])
        and not file.startswith(RUNTIME)
    )


class _Found:
    """What has been collected so far, each with the module it was first seen in."""

    def __init__(self, on_fault: OnFault) -> None:
        self._on_fault = on_fault
        self._jobs: dict[str, Job[..., Any]] = dict(BUILT_IN)
        self._schedules: dict[str, tuple[Schedule, str]] = {}

    def collect_jobs(self, module: ModuleType) -> None:
        for value in vars(module).values():
            if isinstance(value, Job):
                try:
                    self._collect(value)
                except UsageError as error:
                    self._on_fault(Fault(error, place_of(value)))

    def _collect(self, job: Job[..., Any]) -> None:
        known = self._jobs.setdefault(job.name, job)
        if known is not job:
            one, other = known.function, job.function
            raise DefinitionError(
                f'two jobs are named "{job.name}": one in {one.__module__} ({one.__qualname__}), '
                f"one in {other.__module__} ({other.__qualname__}); give one of them another name="
            )
        job.prepare()

    def collect_schedules(self, module: ModuleType) -> None:
        for variable, value in vars(module).items():
            if isinstance(value, Schedule):
                try:
                    self._collect_schedule(value, variable, module.__name__)
                except UsageError as error:
                    place = _shown(module.__file__ or module.__name__, None)
                    self._on_fault(Fault(error, place))

    def _collect_schedule(self, value: Schedule, variable: str, module: str) -> None:
        named = value if value.name else value.named(f"{module}.{variable}")
        known, place = self._schedules.setdefault(named.name, (named, module))
        if known != named:
            raise DefinitionError(
                f'two schedules are named "{named.name}": one in {place}, one in {module}; give one of them name='
            )

    def registry(self) -> Registry:
        for schedule, _ in self._schedules.values():
            self._jobs.setdefault(schedule.job.name, schedule.job)
        jobs = {name: self._jobs[name] for name in sorted(self._jobs.keys() - BUILT_IN.keys())}
        return Registry(jobs, {name: one for name, (one, _) in sorted(self._schedules.items())})


def place_of(job: Job[..., Any]) -> str:
    """Where a job is written."""
    code = job.function.__code__
    return _shown(code.co_filename, code.co_firstlineno)
