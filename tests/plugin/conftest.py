"""A shop to test in."""

import shutil
from collections.abc import Iterator

import pytest

from pillars import embedded
from pillars.testing.databases import Databases
from pillars.testing.house import House, root_of
from plugin.shop import Shop


@pytest.fixture
def shop(
    pytester: pytest.Pytester, _pillars_house: House, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    """A shop whose tests use the server of ours. Nothing is left of it."""
    monkeypatch.setenv("TEST_DATABASE_URL", _pillars_house.server)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    made = Shop(pytester)
    made.lay_out()
    yield made
    _pillars_house.portal.call(_forget, Databases(_pillars_house.server, [], project=made.path))
    if root_of(made.path).exists():
        embedded.reset(embedded.cluster(root_of(made.path), settings=embedded.TEST_SETTINGS))
        shutil.rmtree(root_of(made.path))


async def _forget(databases: Databases) -> None:
    await databases.open()
    await databases.forget_templates()
    await databases.close()
