"""mypy and pyright agree on what `enqueue` takes."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
WRONG = {
    number
    for number, line in enumerate((HERE / "refused.py").read_text().splitlines(), 1)
    if line.endswith("# wrong")
}


def mypy(file: str) -> set[int]:
    """The lines in which mypy sees an error."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(HERE / file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return {
        int(found[1])
        for line in done.stdout.splitlines()
        if (found := re.search(rf"{file}:(\d+): error", line))
    }


def pyright(file: str) -> set[int]:
    """The lines in which pyright sees an error."""
    program = Path(sys.executable).with_name("basedpyright")
    command = [
        str(program),
        "--outputjson",
        "--level",
        "error",
        "--pythonpath",
        sys.executable,
        str(HERE / file),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    return {
        one["range"]["start"]["line"] + 1
        for one in report["generalDiagnostics"]
        if one["severity"] == "error" and Path(one["file"]).name == file
    }


@pytest.mark.slow
@pytest.mark.parametrize("checker", [mypy, pyright])
def test_right_arguments_are_accepted(checker: Callable[[str], set[int]]) -> None:
    assert checker("accepted.py") == set()


@pytest.mark.slow
@pytest.mark.parametrize("checker", [mypy, pyright])
def test_each_wrong_argument_is_refused(checker: Callable[[str], set[int]]) -> None:
    assert checker("refused.py") == WRONG
