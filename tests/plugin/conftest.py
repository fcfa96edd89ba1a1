"""A shop to test in."""

from collections.abc import Iterator

import pytest

from pillars import embedded
from pillars.testing.house import root_of
from plugin.shop import Shop


@pytest.fixture
def shop(pytester: pytest.Pytester, server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A shop whose tests use the server of ours."""
    monkeypatch.setenv("TEST_DATABASE_URL", server)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    made = Shop(pytester)
    made.lay_out()
    yield made
    if root_of(made.path).exists():
        embedded.reset(embedded.cluster(root_of(made.path), settings=embedded.TEST_SETTINGS))
