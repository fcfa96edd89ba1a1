"""A server of their own for tests of roles: roles are a server's, and these log in with passwords."""

import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import anyio
import pytest
from roles.standing import Standing, fresh, ready

from pillars import embedded


@contextmanager
def server(folders: pytest.TempPathFactory) -> Iterator[Standing]:
    """The superuser's database of a server on which nobody but the test's roles are."""
    folder = folders.mktemp("guarded")
    folder.parent.chmod(0o711)
    folder.chmod(0o711)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    cluster = embedded.cluster(
        folder, settings=embedded.TEST_SETTINGS, idle=timedelta(0), port=port
    )
    with embedded.start(cluster) as running:
        yield Standing(running.url, port, secrets.token_hex(12))
    embedded.stop(cluster)


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """A server for all tests."""
    with server(tmp_path_factory) as running:
        yield running


@pytest.fixture
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """A server for one test, without a role of ours."""
    with server(tmp_path_factory) as running:
        yield running


@pytest.fixture
async def empty(guarded: Standing) -> Standing:
    """A database with nothing in it."""
    return await fresh(guarded)


@pytest.fixture
async def standing(empty: Standing) -> Standing:
    """A database in which our roles have their rights."""
    return await ready(empty)


@pytest.fixture(scope="session")
def standing_for_all(guarded: Standing) -> Standing:
    """One such database for statements that are rolled back."""

    async def make() -> Standing:
        return await ready(await fresh(guarded))

    return anyio.run(make)
