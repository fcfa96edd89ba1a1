"""Take out one protection after another, in a copy of the checkout, and see the test that guards it fail.

    python deploy/mutate.py                every mutant
    python deploy/mutate.py fence rescue   those whose name contains a word
    python deploy/mutate.py --sample 8     some, drawn by the commit: each commit tries others, and the same ones again
    python deploy/mutate.py --list         what there is, by promise

A mutant that survives is a test that is missing. Ends with 1 where one survives, where the tests fail without any mutant, or where a
mutant is no working program, so that its test fails for the wrong reason.
"""

import argparse
import asyncio
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from mutants.kinds import EditError, Mutant, mutated  # noqa: E402
from mutants.table import MUTANTS  # noqa: E402
from pillars import embedded  # noqa: E402

LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "dist", "node_modules")
HANG = 20  # seconds for one test; a mutant that hangs is noticed
LIMIT = 120  # seconds for all tests of a mutant
AT_ONCE = min(2, os.cpu_count() or 1)
# Plugins that cost half of a run's start, or would order the tests.
UNNEEDED = [f"-pno:{name}" for name in ("cacheprovider", "hypothesispytest", "randomly")]
STARTED = re.compile(r"^(tests/\S+?::\S+)", re.MULTILINE)
FAILED = re.compile(r"^(?:FAILED|ERROR) (tests/\S+?::\S+)", re.MULTILINE)
# A test that fails by these says nothing: the mutant does not run at all.
NO_PROGRAM = re.compile(
    r"^E\s+(?:\S*\.)?(SyntaxError|IndentationError|ImportError|NameError|UnboundLocalError|PostgresSyntaxError|Undefined\w+Error"
    r"|DatatypeMismatchError|AmbiguousColumnError|IndeterminateDatatypeError|GroupingError)\b"
    r"|^ERROR collecting|sqlstate='42(?:601|703|883|P01)'",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Found:
    """What became of a mutant."""

    mutant: Mutant
    verdict: str
    """caught, SURVIVED or BROKEN"""
    said: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Run:
    code: int
    output: str

    @property
    def last_test(self) -> str:
        """The test that failed, or that was running at the end."""
        named = FAILED.findall(self.output) or STARTED.findall(self.output)
        return named[-1] if named else "no test at all"


class Copy:
    """A copy of the checkout, for one mutant at a time."""

    def __init__(self, folder: Path, server: str) -> None:
        self.folder = folder
        self._server = server
        shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
        # By content, not by time: an edit may leave size and second as they were.
        compiling = [
            sys.executable,
            "-m",
            "compileall",
            "-qq",
            "--invalidation-mode",
            "checked-hash",
        ]
        subprocess.run([*compiling, "pillars"], cwd=folder, check=True)

    @contextmanager
    def having(self, files: dict[str, str]) -> Iterator[None]:
        """Have these texts in the copy for the block."""
        before = {file: (self.folder / file).read_text() for file in files}
        for file, text in files.items():
            (self.folder / file).write_text(text)
        try:
            yield
        finally:
            for file, text in before.items():
                (self.folder / file).write_text(text)

    async def run(self, tests: Sequence[str], *, limit: float, stop_at_first: bool) -> Run:
        """Run tests in the copy; whatever they have started is ended with them."""
        words = ["-m", "pytest", "-v", "-rfE", "--tb=short", "-n0", *UNNEEDED, f"--timeout={HANG}", "--timeout-method=thread",
                 *(["-x"] if stop_at_first else []), *tests]  # fmt: skip
        environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("COVERAGE_", "PYTEST_"))
        }
        environ |= {
            "PYTHONPATH": f"{self.folder}{os.pathsep}{self.folder / 'tests'}",
            "TEST_DATABASE_URL": self._server,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, *words, cwd=self.folder, env=environ, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            output, _ = await asyncio.wait_for(process.communicate(), limit)
        except TimeoutError:
            output = b"hung"
        finally:
            _end_group(process.pid)
        return Run(
            process.returncode if process.returncode is not None else 1,
            output.decode("utf-8", "replace"),
        )


def _end_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


async def tried(mutant: Mutant, copy: Copy) -> Found:
    """Run a mutant's tests with it in the code."""
    began = time.monotonic()
    try:
        files = mutated(mutant.edits, copy.folder)
    except EditError as error:
        return Found(mutant, "BROKEN", str(error), 0.0)
    with copy.having(files):
        run = await copy.run(mutant.tests, limit=LIMIT, stop_at_first=True)
    seconds = time.monotonic() - began
    if run.code == 0:
        return Found(mutant, "SURVIVED", f"{mutant.without} No test noticed.", seconds)
    wrong = NO_PROGRAM.search(run.output)
    if wrong or run.code not in {1, -signal.SIGKILL}:
        said = wrong.group(0).strip() if wrong else f"pytest ended with {run.code}"
        return Found(mutant, "BROKEN", f"{said}\n{run.output[-3000:]}", seconds)
    return Found(mutant, "caught", f"by {run.last_test}", seconds)


async def all_tried(mutants: Sequence[Mutant], copies: Sequence[Copy]) -> list[Found]:
    """Try each, a copy for each at once, and tell of each as it comes."""
    left = list(mutants)
    found: list[Found] = []

    async def work(copy: Copy) -> None:
        while left:
            one = await tried(left.pop(0), copy)
            found.append(one)
            print(
                f"{one.verdict:8}  {one.mutant.name:38} {one.seconds:5.1f} s  {one.said}",
                flush=True,
            )

    await asyncio.gather(*(work(copy) for copy in copies))
    return found


async def sound(mutants: Sequence[Mutant], copy: Copy) -> bool:
    """Whether the tests pass without any mutant: else they would catch everything."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    run = await copy.run(tests, limit=LIMIT * 5, stop_at_first=False)
    if run.code:
        print(run.output[-6000:])
        print(f"the tests fail without any mutant: {run.last_test}")
    return run.code == 0


async def main(mutants: Sequence[Mutant], folder: Path, server: str) -> int:
    began = time.monotonic()
    copies = [Copy(folder / str(number), server) for number in range(min(AT_ONCE, len(mutants)))]
    if not await sound(mutants, copies[0]):
        return 1
    checked = time.monotonic() - began
    found = await all_tried(mutants, copies)
    bad = [one for one in found if one.verdict != "caught"]
    print(
        f"{len(found) - len(bad)} of {len(found)} mutants caught"
        f" in {time.monotonic() - began:.0f} s, {checked:.0f} s of them to see the tests pass without"
    )
    for one in bad:
        print(f"{one.verdict}: {one.mutant.name}: {one.mutant.without}")
    return 1 if bad else 0


def sampled(count: int, seed: str | None) -> list[Mutant]:
    """Some mutants, drawn by the commit."""
    if seed is None:
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        seed = head.stdout.strip()[:12] or str(random.randrange(10**6))
    print(f"{count} of {len(MUTANTS)} mutants, drawn by --seed {seed}")
    return random.Random(seed).sample(MUTANTS, min(count, len(MUTANTS)))


def told(mutants: Sequence[Mutant]) -> None:
    for promise in dict.fromkeys(one.promise for one in mutants):
        print(f"\n{promise}")
        for one in mutants:
            if one.promise is promise:
                print(f"  {one.name:38} {one.without}")


def asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", help="only mutants whose name contains one of these")
    parser.add_argument(
        "--sample", type=int, metavar="COUNT", help="so many of them, drawn by the commit"
    )
    parser.add_argument("--seed", help="draw the sample by this instead")
    parser.add_argument("--list", action="store_true", help="say what there is and run nothing")
    return parser.parse_args()


if __name__ == "__main__":
    said = asked()
    chosen = sampled(said.sample, said.seed) if said.sample else MUTANTS
    chosen = [
        one for one in chosen if not said.words or any(word in one.name for word in said.words)
    ]
    if said.list or not chosen:
        told(chosen)
        sys.exit(0 if chosen else "no mutant has such a name; --list tells them all")
    with tempfile.TemporaryDirectory(prefix="pillars-mutants-") as name:
        here = Path(name)
        here.chmod(0o711)
        cluster = embedded.cluster(
            here / "postgres", settings=embedded.TEST_SETTINGS, idle=timedelta(0)
        )
        with embedded.start(cluster) as running:
            code = asyncio.run(main(chosen, here, running.url))
        embedded.stop(cluster)
    sys.exit(code)
