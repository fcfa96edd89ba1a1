"""Finding an app's jobs and schedules, in a process of its own: imports leave traces."""

import subprocess
import sys
from pathlib import Path

import pytest

from pillars import DefinitionError, crontab, job, registry
from process.pillar import ROOT

LOAD = """
import sys
from pathlib import Path
from pillars import registry
from pillars.errors import PillarsError
try:
    found = registry.load(project=Path.cwd(), **{options})
except PillarsError as error:
    print(f"{{type(error).__name__}}: {{error}}")
else:
    print(*found.jobs, *found.schedules)
"""
JOB = "from pillars import job\n\n\n@job{options}\nasync def {name}() -> None: ...\n"


def write(project: Path, file: str, text: str) -> None:
    path = project / file
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "__init__.py").touch()
    path.write_text(text)


def load(project: Path, **options: str) -> str:
    code = LOAD.format(options=options)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )  # fmt: skip
    return done.stdout.strip()


def test_every_module_of_jobs_and_crons_is_found_and_named_by_its_place(tmp_path: Path) -> None:
    write(tmp_path, "jobs/mail.py", JOB.format(options="", name="send"))
    write(tmp_path, "jobs/deep/er.py", JOB.format(options="(name='other')", name="dig"))
    write(
        tmp_path,
        "crons/all.py",
        "from jobs.mail import send\nfrom pillars import every\n\nbeat = every('30s', send)\n",
    )
    assert load(tmp_path) == "jobs.mail.send other crons.all.beat"


def test_a_folder_without_jobs_defines_nothing_although_others_of_that_name_are_on_the_path(
    tmp_path: Path,
) -> None:
    assert (ROOT / "jobs").is_dir()
    assert load(tmp_path) == ""


def test_packages_of_other_names_are_found_where_they_are_named(tmp_path: Path) -> None:
    write(tmp_path, "tasks/mail.py", JOB.format(options="", name="send"))
    assert load(tmp_path, jobs="tasks") == "tasks.mail.send"
    assert 'no module named "missing"' in load(tmp_path, jobs="missing")


def test_one_name_for_two_jobs_is_an_error_that_names_both_modules(tmp_path: Path) -> None:
    write(tmp_path, "jobs/one.py", JOB.format(options="(name='same')", name="one"))
    write(tmp_path, "jobs/two.py", JOB.format(options="(name='same')", name="two"))
    said = load(tmp_path)
    assert said.startswith('DefinitionError: two jobs are named "same"')
    assert "jobs.one" in said
    assert "jobs.two" in said


def test_a_schedule_whose_variable_makes_no_name_is_an_error_with_its_file(tmp_path: Path) -> None:
    write(tmp_path, "jobs/mail.py", JOB.format(options="", name="send"))
    write(
        tmp_path,
        "crons/all.py",
        "from jobs.mail import send\nfrom pillars import every\n\ntäglich = every('1d', send)\n",
    )
    said = load(tmp_path)
    assert said.startswith("DefinitionError: schedule name: expected 1 to 100 of")
    assert r'got "crons.all.t\xe4glich" (crons/all.py:1)' in said


def test_the_web_module_is_left_to_the_web_pillar(tmp_path: Path) -> None:
    write(tmp_path, "jobs/page.py", "raise SystemExit('imported')\n")
    write(tmp_path, "jobs/mail.py", JOB.format(options="", name="send"))
    assert load(tmp_path, leave="jobs.page") == "jobs.mail.send"


def test_a_type_that_json_cannot_carry_is_found_at_boot(tmp_path: Path) -> None:
    write(
        tmp_path,
        "jobs/bad.py",
        "from pillars import job\n\n\nclass Thing: ...\n\n\n@job\nasync def use(thing: Thing) -> None: ...\n",
    )
    said = load(tmp_path)
    assert "DefinitionError" in said
    assert "thing" in said
    assert "Traceback" not in said


def test_a_second_job_of_one_name_in_a_module_is_refused_with_both_lines(tmp_path: Path) -> None:
    write(
        tmp_path,
        "jobs/twice.py",
        JOB.format(options="", name="send") + "\n\n@job\nasync def send() -> None: ...\n",
    )
    assert "two jobs are named send in jobs.twice: lines 4 and 8" in load(tmp_path)


def test_the_place_of_a_mistake_is_in_the_project_not_in_a_library(tmp_path: Path) -> None:
    library = ".venv/lib/site-packages/deep.py"
    write(tmp_path, library, "def fall() -> None:\n    raise KeyError('x')\n")
    write(
        tmp_path,
        "jobs/bad.py",
        "import sys\nfrom pathlib import Path\n"
        "sys.path.append(str(Path(__file__).parent.parent / '.venv/lib/site-packages'))\n"
        "import deep\ndeep.fall()\n",
    )
    said = load(tmp_path)
    assert "bad.py:5" in said
    assert "deep.py" not in said


def test_a_project_that_itself_stands_among_packages_is_told_its_places(tmp_path: Path) -> None:
    project = tmp_path / "site-packages" / "packed"
    write(project, "jobs/bad.py", "1 / 0\n")
    assert "jobs/bad.py:1" in load(project)


def test_a_module_that_exits_when_imported_is_one_line(tmp_path: Path) -> None:
    write(tmp_path, "jobs/leaves.py", "raise SystemExit(5)\n")
    assert 'importing "jobs.leaves" failed: SystemExit: 5' in load(tmp_path)


def test_the_place_of_a_mistake_is_the_apps_line_also_where_the_runtime_stands_in_the_project(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    with pytest.raises(DefinitionError) as refused:
        crontab("0 25 * * *", registry_sample)
    place = registry.place_of_error(refused.value)
    assert place is not None
    assert place.startswith("tests/process/test_registry.py:")


@job(name="registry.sample")
async def registry_sample() -> None: ...
