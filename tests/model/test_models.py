"""The protocols as models, every state of which a checker visits; and each protection taken out of them, which it must notice."""

import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LIMIT = 60  # seconds; each takes under one
FAIR = ("-a", "-f")  # every process goes on whenever it can

pytestmark = pytest.mark.needs("spin")

MUTANTS = {
    "locks": (
        "NO_FENCE", "STATE_FENCE", "OWNER_FENCE", "LOOSE_RELEASE", "REVIVE_GIVEN_AWAY", "TOKENS_REPEAT",
    ),
    "ends": ("NO_SWEEP", "SWEEP_ONCE", "BEAT_BY_OWNER", "NO_DEADLINE", "NO_END_OF_THE_STUCK", "WAKE_LOST"),
    "ticks": ("NO_COMPARE,NO_UNIQUE", "JOB_APART"),
}  # fmt: skip
BREAKS = {"locks": "assertion violated", "ends": "acceptance cycle", "ticks": "assertion violated"}
SAFE = {"ticks": ("NO_COMPARE", "NO_UNIQUE")}  # either holds by itself


def checked(model: str, folder: Path, mutant: str = "") -> str:
    """What the checker says of a model with these mutants in it."""
    words = [f"-D{word}" for word in mutant.split(",") if word]
    source = (HERE / f"{model}.pml").read_text()
    (folder / "model.pml").write_text(source)
    live = "ltl " in source
    run(folder, "spin", "-a", *words, "model.pml")
    run(folder, "gcc", "-w", "-DNFAIR=4" if live else "-DSAFETY", "-o", "pan", "pan.c")
    return run(folder, "./pan", "-m100000", *(FAIR if live else ()))


def run(folder: Path, *words: str) -> str:
    ended = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=LIMIT, check=True
    )
    return ended.stdout


@pytest.mark.parametrize("model", MUTANTS)
def test_no_state_of_a_protocol_breaks_its_promise(model: str, tmp_path: Path) -> None:
    said = checked(model, tmp_path)
    assert "errors: 0" in said
    assert "Search not completed" not in said
    assert "max search depth too small" not in said


@pytest.mark.parametrize(
    ("model", "mutant"), [(m, one) for m, all_of in MUTANTS.items() for one in all_of]
)
def test_a_protocol_without_a_protection_breaks_its_promise(
    model: str, mutant: str, tmp_path: Path
) -> None:
    said = checked(model, tmp_path, mutant)
    assert "errors: 1" in said
    assert BREAKS[model] in said


@pytest.mark.parametrize(
    ("model", "mutant"), [(m, one) for m, all_of in SAFE.items() for one in all_of]
)
def test_one_of_two_protections_is_enough(model: str, mutant: str, tmp_path: Path) -> None:
    assert "errors: 0" in checked(model, tmp_path, mutant)


@pytest.mark.parametrize("model", MUTANTS)
def test_the_checker_reaches_every_line_of_a_model(model: str, tmp_path: Path) -> None:
    """Else an assertion there would hold of nothing."""
    said = checked(model, tmp_path)
    assert "unreached in" in said
    assert not [line for line in said.splitlines() if ".pml:" in line and '"-end-"' not in line]
