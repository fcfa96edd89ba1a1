"""The fixture `jobs` and jobs that would have a process of their own."""

import os
import sys

import pytest

from pillars import JobFailed, job, shell_job
from pillars.testing import Jobs

pytestmark = pytest.mark.asyncio
seen: list[int] = []


@job(process=True)
def in_a_child() -> int:
    seen.append(os.getpid())
    return os.getpid()


@job(process=True)
async def awaited_in_a_child() -> int:
    return os.getpid()


prints = shell_job(
    [sys.executable, "-c", "import os; os.write(4, b'{{\"result\": {number}}}\\n')"],
    name="plugin.prints",
)
breaks = shell_job(["sh", "-c", "echo no such luck >&2; exit 3"], name="plugin.breaks")


async def test_a_function_runs_here_where_the_tests_patches_are(jobs: Jobs) -> None:
    assert await jobs.run(in_a_child.call()) == os.getpid() == seen.pop()
    assert await jobs.run(awaited_in_a_child.call()) == os.getpid()


async def test_a_program_runs(jobs: Jobs) -> None:
    assert await jobs.run(prints.call(number=7)) == 7


async def test_a_program_that_fails_fails_the_test_with_what_it_said(jobs: Jobs) -> None:
    with pytest.raises(JobFailed, match="exit code 3: no such luck"):
        await jobs.run(breaks.call())
