"""Marks prove that each job was run once."""

from pathlib import Path

import pytest

from bench.marks import Marks


@pytest.fixture
def marks(tmp_path: Path) -> Marks:
    return Marks.create(tmp_path / "marks", 10)


def test_jobs_that_ran_once_pass(marks: Marks) -> None:
    for number in range(10):
        marks.mark(number)
    marks.check()
    assert marks.ran() == 10


def test_a_job_that_never_ran_is_found(marks: Marks) -> None:
    for number in range(9):
        marks.mark(number)
    with pytest.raises(AssertionError, match="of 10 jobs 9 were run once; 9 were run"):
        marks.check()


def test_a_job_that_ran_twice_is_found_though_the_count_of_runs_is_right(marks: Marks) -> None:
    for number in [*range(9), 8]:
        marks.mark(number)
    with pytest.raises(AssertionError, match="of 10 jobs 8 were run once"):
        marks.check()


def test_a_job_that_ran_twice_beside_all_others_is_found(marks: Marks) -> None:
    for number in [*range(10), 3]:
        marks.mark(number)
    with pytest.raises(AssertionError, match="of 10 jobs 9 were run once; 10 were run"):
        marks.check()
    with pytest.raises(AssertionError, match="1 jobs were run more than once"):
        marks.check_none_twice()


def test_of_a_part_none_else_may_have_run(marks: Marks) -> None:
    for number in (0, 1, 7, 8):
        marks.mark(number)
    marks.check(range(2), range(7, 9))
    with pytest.raises(AssertionError, match="of 2 jobs 2 were run once; 4 were run"):
        marks.check(range(2))
    marks.check_none_twice()


def test_another_process_finds_the_same_marks_by_its_environment(
    marks: Marks, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in marks.environ.items():
        monkeypatch.setenv(name, value)
    Marks.of_environ().stamp(4)
    assert marks.ran() == 1
    assert marks.ran(4) == 0, "of the first four"
    assert [number for number, time in enumerate(marks.times()) if time] == [4]
