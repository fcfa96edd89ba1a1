"""Take a protection out of a copy of the code, let a storm rage over it, and see the checker notice.

    python deploy/chaos_mutants.py            all of them, some minutes
    python deploy/chaos_mutants.py fence      those whose name contains a word

The edits are those of tests/mutants, where each is caught by a test of its own; here nobody tells the checker where to look.
"""

import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from deploy.mutate import Copy  # noqa: E402
from mutants.kinds import mutated  # noqa: E402
from mutants.table import MUTANTS  # noqa: E402

SEEDS = (1, 2, 3)  # one storm may pass a mutant by; three in a row do not
LIMIT = 300  # seconds, of one storm
BROKE_OFF = re.compile(r"^\w+ --seed \d+: [ +|]*(Exception Group )?Traceback")


@dataclass(frozen=True, slots=True)
class Broken:
    """A build without these protections, and the scenario that must notice."""

    name: str
    mutants: tuple[str, ...]
    scenario: str = "freezes"
    holds: bool = False
    """Whether nothing must be noticed: what it lacks is not what the builds beside it are noticed by."""


UNGUARDED = ("distrust-stops-no-job", "distrust-ends-no-process", "lost-locks-stop-no-job")
"""What stops a job whose lock is lost: beside it the fence is seldom asked."""

BUILDS = (
    Broken("the fence alone", UNGUARDED, "partitions", holds=True),
    Broken("no fence", (*UNGUARDED, "finish-without-fence"), "partitions"),
    Broken("a fence by state", (*UNGUARDED, "finish-fenced-by-state"), "partitions"),
    Broken("a fence by owner", (*UNGUARDED, "finish-fenced-by-owner"), "partitions"),
    Broken("locks that anybody extends", ("beat-of-anyone",)),
    Broken("wake-ups lost by the deaf", ("hearing-again-claims-nothing",), "waking"),
    Broken("wake-ups lost by enqueues", ("many-enqueued-wake-nobody",), "waking"),
    Broken("a release without fence", ("put-back-without-fence",)),
    Broken("a rescue that does not wait", ("rescue-of-the-living",), "storm"),
    Broken("claims of any name", ("claim-takes-any-name",), "deploys"),
    Broken("stops that cost a try", ("put-back-counts-every-attempt",), "deploys"),
    Broken("stops that give nothing back", ("drain-gives-nothing-back",), "deploys"),
    Broken("keys that are not unique", ("unique-is-not",), "contention"),
    Broken("crowds that deadlock", ("crowds-deadlock", "undone-is-refused"), "contention"),
    Broken("the key of ticks alone", ("everybody-leads",), "ticking", holds=True),
    Broken(
        "ticks that are not unique",
        ("everybody-leads", "ticks-are-not-unique", "tick-of-an-old-read"),
        "ticking",
    ),
)


def noticed(build: Broken, folder: Path) -> str | None:
    """What the checker says of a build; None where no storm showed it anything."""
    by_name = {mutant.name: mutant for mutant in MUTANTS}
    edits = tuple(edit for name in build.mutants for edit in by_name[name].edits)
    copy = Copy(folder, "")
    with copy.having(mutated(edits, copy.folder)):
        for seed in SEEDS[:1] if build.holds else SEEDS:
            words = ["deploy/chaos_suite.py", "--seed", str(seed), build.scenario]
            ended = subprocess.run(
                [sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=LIMIT, check=False,
            )  # fmt: skip
            told = [line for line in ended.stdout.splitlines() if f"--seed {seed}: " in line]
            if ended.returncode not in {0, 1} or not told or any(map(BROKE_OFF.search, told)):
                raise RuntimeError(
                    f"{build.name}: the suite broke off\n{ended.stdout}{ended.stderr}"
                )
            if ended.returncode == 1:
                return told[1]
    return None


def main(words: list[str]) -> int:
    wrong = 0
    for build in BUILDS:
        if words and not any(word in build.name for word in words):
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="pillars-mutant-") as place:
            Path(place).chmod(0o711)
            said = noticed(build, Path(place) / "copy")
        wrong += build.holds is (said is not None)
        told = said or ("nothing, as it should be" if build.holds else "SURVIVED")
        print(
            f"{build.name}, {build.scenario} ({time.monotonic() - began:.0f} s): {told}", flush=True
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
