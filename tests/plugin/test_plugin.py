"""The pytest plugin in other people's projects: under each runner of async tests, without a loop, in parallel, beside other plugins."""

import subprocess
import sys
from pathlib import Path

import pytest

from pillars import embedded
from pillars.testing.databases import Databases, database_of
from pillars.testing.house import root_of
from plugin.shop import Shop
from support import ask, asking

ASYNC_TESTS = """
    import httpx2
    import pytest
    from jobs.mail import count_receipts, send_receipt
    from web import app

    {imports}


    @{fixture}
    async def order(jobs):
        await send_receipt.enqueue(1, to="fixture@example.com")
        yield 1
        assert (await send_receipt.enqueue(2, to="end@example.com")).job_id


    @pytest.fixture
    def patched(monkeypatch):
        monkeypatch.setenv("PATCHED", "yes")


    async def test_what_a_fixture_enqueued_runs(jobs, order):
        jobs.assert_enqueued(send_receipt, order_id=1)
        [ran] = await jobs.drain()
        assert ran.result == "receipt 1 to fixture@example.com"


    async def test_an_app_in_the_same_loop_enqueues(jobs):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://app") as client:
            answer = await client.post("/orders", json={{"email": "ada@example.com"}})
            assert answer.status_code == 201
            assert (await client.post("/reminders")).status_code == 201
        jobs.assert_enqueued(send_receipt, to="ada@example.com", times=1)
        assert len(await jobs.drain()) == 1
        jobs.move_time("1d")
        assert len(await jobs.drain()) == 1


    async def test_a_night_goes_by(jobs, patched):
        await jobs.run(send_receipt.call(1, to="ada@example.com"))
        jobs.move_time("1d")
        [nightly] = jobs.tick()
        assert nightly.name == "jobs.mail.count_receipts"
        [ran] = await jobs.drain()
        assert ran.result == 0
"""
STRICT = (
    "import pytest_asyncio\n\n    pytestmark = pytest.mark.asyncio",
    "pytest_asyncio.fixture",
)
AUTO = ("", "pytest.fixture")
ANYIO = (
    "pytestmark = pytest.mark.anyio\n\n\n    @pytest.fixture\n    def anyio_backend():\n        return 'asyncio'",
    "pytest.fixture",
)
ONE_LOOP = (
    "import pytest_asyncio\n\n    pytestmark = pytest.mark.asyncio(loop_scope='session')",
    "pytest_asyncio.fixture(loop_scope='session')",
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("runner", "words"),
    [
        pytest.param(STRICT, ["-o", "asyncio_mode=strict"], id="pytest-asyncio, strict"),
        pytest.param(AUTO, ["-o", "asyncio_mode=auto"], id="pytest-asyncio, auto"),
        pytest.param(ONE_LOOP, ["-o", "asyncio_mode=strict"], id="pytest-asyncio, one loop"),
        pytest.param(ANYIO, ["-o", "asyncio_mode=strict"], id="anyio beside pytest-asyncio"),
        pytest.param(
            ANYIO,
            ["-p", "no:asyncio", "-W", "ignore::pytest.PytestConfigWarning"],
            id="anyio alone",
        ),
    ],
)
def test_works_under_each_runner(shop: Shop, runner: tuple[str, str], words: list[str]) -> None:
    shop.write(tests__test_shop=ASYNC_TESTS.format(imports=runner[0], fixture=runner[1]))
    shop.passes(*words, passed=3)


@pytest.mark.slow
async def test_runs_in_parallel_on_one_template_and_leaves_no_database(
    shop: Shop, server: str
) -> None:
    shop.write(
        tests__test_shop="""
        import pytest
        from jobs.mail import send_receipt

        @pytest.mark.parametrize("number", range(8))
        def test_each_has_a_database_of_its_own(sync_jobs, number):
            send_receipt.enqueue_now(number, to="a@example.com")
            assert [ran.result[:9] for ran in sync_jobs.drain()] == [f"receipt {number}"]
        """
    )
    shop.passes("-n", "2", passed=8)
    [template] = await templates(server, shop)
    (shop.path / "sql" / "app" / "0002_more.sql").write_text("create table more (id integer);")
    shop.passes("-n", "2", passed=8)
    [newer] = await templates(server, shop)
    assert newer != template, "the older template went when a newer one was made"


async def templates(server: str, shop: Shop) -> list[str]:
    """Of this project; those of other runs on this server come and go."""
    mark = Databases(server, [], project=shop.path)._mark
    async with asking(server) as connection:
        found = await connection.fetch(
            "select datname from pg_database where starts_with(datname, $1)", mark
        )
        return [str(row["datname"]) for row in found]


class TestWithoutALoop:
    def test_a_test_client_runs_the_app_on_a_loop_of_its_own(self, shop: Shop) -> None:
        shop.write(
            tests__test_shop="""
            import asyncio
            import pytest
            from jobs.mail import send_receipt
            from starlette.testclient import TestClient
            from web import app

            def test_each_request_a_loop(sync_jobs):
                client = TestClient(app)
                for email in ("ada@example.com", "bob@example.com"):
                    assert client.post("/orders", json={"email": email}).status_code == 201
                sync_jobs.assert_enqueued(send_receipt, times=2)
                assert len(sync_jobs.drain()) == 2

            def test_one_loop_for_all(sync_jobs):
                with TestClient(app) as client:
                    assert client.post("/reminders").status_code == 201
                    assert client.post("/orders", json={"email": "ada"}).status_code == 201
                sync_jobs.assert_enqueued(send_receipt.configure(run_in="1d"), to="sync@example.com")
                with pytest.raises(ValueError, match="no address: ada"):
                    sync_jobs.drain()

            def test_a_loop_for_a_call(sync_jobs):
                handle = asyncio.run(send_receipt.enqueue(1, to="ada@example.com"))
                sync_jobs.drain()
                assert asyncio.run(handle.result()) == "receipt 1 to ada@example.com"
            """
        )
        shop.passes("-o", "asyncio_mode=strict", passed=3)

    def test_connect_without_a_url_is_the_tests_database(self, shop: Shop) -> None:
        shop.write(
            tests__test_shop="""
            import asyncio, os
            import pillars
            from jobs.mail import send_receipt

            async def script():
                async with pillars.connect():
                    await send_receipt.enqueue(1, to="ada@example.com")

            def test_a_script(sync_jobs, app_database):
                asyncio.run(script())
                assert len(sync_jobs.drain()) == 1
                assert os.environ["DATABASE_URL"] == app_database

            def test_afterwards_the_environment_is_as_it_was():
                assert os.environ["DATABASE_URL"] == "postgresql://the.real.one/shop"
            """
        )
        shop.pytester.plugins = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DATABASE_URL", "postgresql://the.real.one/shop")
            shop.passes(passed=2)


class TestMessages:
    def test_a_jobs_error_is_shown_where_the_job_raised_it(self, shop: Shop) -> None:
        shop.write(
            tests__test_shop="""
            from jobs.mail import send_receipt

            async def test_it(jobs):
                await send_receipt.enqueue(1, to="ada")
                await jobs.drain()
            """
        )
        result = shop.run("-o", "asyncio_mode=auto")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            [
                ">*await jobs.drain()",
                '>*raise ValueError(f"no address: {to}")',
                "E*ValueError: no address: ada",
                "E*raised by job jobs.mail.send_receipt *, attempt 1: retried",
            ]
        )
        assert "attempts.py" not in result.stdout.str()

    def test_an_assertion_that_fails_points_to_its_own_line(self, shop: Shop) -> None:
        shop.write(
            tests__test_shop="""
            from jobs.mail import send_receipt

            def test_it(sync_jobs):
                send_receipt.enqueue_now(1, to="bob@example.com")
                sync_jobs.assert_enqueued(send_receipt, to="ada@example.com")
            """
        )
        result = shop.run()
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            [
                ">*sync_jobs.assert_enqueued(send_receipt, to=*",
                "E*AssertionError: expected jobs.mail.send_receipt(to='ada@example.com') to be enqueued, found none",
                "E*enqueued are, nearest first:",
                "E*jobs.mail.send_receipt(order_id=1, to='bob@example.com') in queue \"mail\", due now (other to)",
                "*test_shop.py:*: AssertionError",
            ]
        )

    def test_a_job_that_does_not_import_is_told_by_its_line(self, shop: Shop) -> None:
        shop.write(
            jobs__broken="import nowhere\n",
            tests__test_shop="def test_it(jobs): pass\n",
        )
        result = shop.run()
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["E*no module named *nowhere* (jobs/broken.py:1)"])

    def test_a_migration_that_fails_is_told_by_its_name(self, shop: Shop) -> None:
        (shop.path / "sql" / "app" / "0001_orders.sql").write_text("create tabel orders ();")
        shop.write(tests__test_shop="def test_it(app_database): pass\n")
        result = shop.run()
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["E*migration app 0001_orders failed: *tabel*"])

    def test_a_url_of_a_server_that_is_none_is_one_line(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TEST_DATABASE_URL", "localhost:5432/shop")
        shop.write(tests__test_shop="def test_it(app_database): pass\n")
        result = shop.run()
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(
            ["E*TEST_DATABASE_URL: expected postgresql://*, got a text without ://"]
        )


class TestBesideOthers:
    def test_a_users_fixture_of_the_same_name_stands(self, shop: Shop) -> None:
        shop.write(
            conftest="""
            import pytest

            @pytest.fixture
            def jobs():
                return "mine"
            """,
            tests__test_shop="""
            def test_it(jobs):
                assert jobs == "mine"

            def test_ours(sync_jobs):
                assert sync_jobs.enqueued() == []
            """,
        )
        shop.passes(passed=2)

    def test_who_does_not_use_it_needs_no_database(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TEST_DATABASE_URL", "postgresql://nowhere.invalid/x")
        shop.write(
            tests__test_shop="""
            import sys

            def test_it():
                for module in ("asyncpg", "structlog", "pillars.store", "pillars.worker"):
                    assert module not in sys.modules
            """
        )
        shop.passes("-p", "no:anyio", passed=1)

    def test_importing_it_costs_next_to_nothing(self) -> None:
        heavy = ("anyio", "asyncio", "asyncpg", "msgspec", "structlog", "starlette")
        code = f"import sys, pytest; before = set(sys.modules); import pillars.testing.plugin; print(sorted(set({heavy}) & (set(sys.modules) - before)), len(set(sys.modules) - before))"
        said = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
        assert said[0] == "[]"
        assert int(said[1]) < 10

    def test_its_fixtures_are_listed_with_what_they_do(self, shop: Shop) -> None:
        result = shop.run("--fixtures", "-q")
        result.stdout.fnmatch_lines(["app_database*", "*URL of a database of the test's own*"])
        assert "_pillars" not in result.stdout.str()


async def test_what_a_killed_run_left_is_swept(shop: Shop, server: str, tmp_path: Path) -> None:
    shop.write(
        tests__test_killed="""
        import os

        def test_it(app_database):
            print(app_database, file=open("left", "w"))
            os._exit(9)
        """
    )
    shop.run()
    left = database_of((shop.path / "left").read_text().strip())
    next_one = Databases(server, [], project=tmp_path)
    await next_one.open()
    await next_one.close()
    assert not await ask(server, "select exists (select from pg_database where datname = $1)", left)


@pytest.mark.slow
def test_without_a_url_it_brings_a_postgres_of_its_own(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEST_DATABASE_URL")
    shop.write(tests__test_shop="def test_it(sync_jobs): assert sync_jobs.drain() == []\n")
    shop.passes(passed=1)
    cluster = embedded_of(shop)
    assert cluster.home.exists()


def embedded_of(shop: Shop) -> "embedded.Cluster":
    return embedded.cluster(root_of(shop.path), settings=embedded.TEST_SETTINGS)
