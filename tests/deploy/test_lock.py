"""requirements.lock is what pyproject.toml asks for today, each by its hash."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement

from deploy.reading import PIN, pins, text

EXTRAS = ("starter",)  # as `make lock` says
DISTRIBUTION = "three-pillars (pyproject.toml)"


def wanted() -> dict[str, Requirement]:
    project = tomllib.loads(text("pyproject.toml"))["project"]
    told = [*project["dependencies"]]
    for extra in EXTRAS:
        told += project["optional-dependencies"][extra]
    return {requirement.name: requirement for requirement in map(Requirement, told)}


def test_it_is_pins_with_hashes_and_nothing_else() -> None:
    assert PIN.sub("", text("requirements.lock")) == ""


def test_it_names_no_host() -> None:
    assert not re.search(
        r"https?:|--(extra-)?index-url|--find-links|--trusted-host", text("requirements.lock")
    )


def test_it_holds_what_is_asked_for_and_no_more() -> None:
    direct = {name for name, found in pins().items() if DISTRIBUTION in found["via"]}
    assert direct == set(wanted()), "run: make lock"
    for name, found in pins().items():
        asking = re.findall(r"^    #   (?:via )?(.+)$|^    # via (.+)$", found["via"], re.MULTILINE)
        assert {one or other for one, other in asking} <= {DISTRIBUTION, *pins()}, name


@pytest.mark.parametrize("name", sorted(wanted()))
def test_a_pin_is_within_its_bounds_and_for_the_same_systems(name: str) -> None:
    asked, pinned = wanted()[name], Requirement(pins()[name]["pin"])
    [version] = [one.version for one in pinned.specifier]
    assert asked.specifier.contains(version), "run: make lock"
    assert str(asked.marker or "") == str(pinned.marker or ""), "run: make lock"


def test_make_lock_takes_the_same_extras() -> None:
    [line] = re.findall(r"uv pip compile.*", text("Makefile"))
    assert tuple(re.findall(r"--extra (\S+)", line)) == EXTRAS
    assert "--generate-hashes" in line
    assert "--no-emit-index-url" in line
