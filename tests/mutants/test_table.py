"""The table of mutants fits the code; `make mutants` runs it."""

import ast
from collections import Counter
from functools import cache

import pytest

from mutants.kinds import ROOT, Mutant, mutated
from mutants.table import MUTANTS


@cache
def names_in(file: str) -> set[str]:
    """The ids of a test file, without parameters."""
    found: set[str] = set()
    for node in ast.parse((ROOT / file).read_text()).body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found |= {
            prefix + one.name
            for one in inside
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
        }
    return found


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_changes_the_code_and_names_tests_that_there_are(mutant: Mutant) -> None:
    for file, text in mutated(mutant.edits).items():
        assert text != (ROOT / file).read_text()
        if file.endswith(".py"):
            ast.parse(text)
    for test in mutant.tests:
        file, _, name = test.partition("::")
        assert name in names_in(file), f"{mutant.name} names a test that is gone: {test}"


def test_each_mutant_has_a_name_and_a_sentence_of_its_own() -> None:
    for counted in (Counter(one.name for one in MUTANTS), Counter(one.without for one in MUTANTS)):
        assert [text for text, count in counted.items() if count > 1] == []
    assert all(one.without.endswith(".") for one in MUTANTS)
