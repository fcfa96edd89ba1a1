"""Mutants of what an app's own tests stand on."""

from mutants.kinds import Mutant, Promise, edit

JOBS = "pillars/testing/jobs.py"
WORKING = "pillars/testing/working.py"
STAGE = "pillars/testing/stage.py"
MATCHING = "pillars/testing/matching.py"
DATABASES = "pillars/testing/databases.py"
DRAINS = "tests/plugin/test_jobs.py::TestDrain::"
RUNS = "tests/plugin/test_jobs.py::TestRun::"
TIMES = "tests/plugin/test_time.py::"
ASSERTS = "tests/plugin/test_asserting.py::"
LEFT = "tests/plugin/test_databases.py::"
STUCK = "tests/plugin/test_stuck.py::"

TESTING = [
    Mutant(
        name="run-takes-the-next",
        without="`run` runs the job that it enqueued, or none.",
        promise=Promise.TESTED,
        edits=edit(WORKING, "if claimed.job_id != row.job_id:", "if not claimed.job_id:"),
        tests=(STUCK + "test_a_job_that_another_was_faster_to_run_is_not_made_up_for_by_the_next",),
    ),
    Mutant(
        name="stuck-parents-are-kept",
        without="Where what a job awaits cannot run, all that waits is given back.",
        promise=Promise.TESTED,
        edits=edit(WORKING, "for running in self._running:", "for running in self._running[-1:]:"),
        tests=(STUCK + "test_a_job_that_awaits_what_is_due_later",),
    ),
    Mutant(
        name="run-stays-cut-off",
        without="A run of tests connects again where its connection was cut.",
        promise=Promise.TESTED,
        edits=edit(
            DATABASES, "if not await store.answers(self._session):", "if self._session is None:"
        ),
        tests=(LEFT + "test_a_run_whose_connection_was_cut_goes_on_and_is_seen_to_live",),
    ),
    Mutant(
        name="run-is-cut-off-when-idle",
        without="No server ends the run's connection for being idle.",
        promise=Promise.TESTED,
        edits=edit(DATABASES, '{"idle_session_timeout": "0"}', "dict[str, str]()"),
        tests=(LEFT + "test_a_runs_connection_may_sit_idle_for_as_long_as_a_test_takes",),
    ),
    Mutant(
        name="drain-leaves-retries",
        without="A drain runs a retry that is due.",
        promise=Promise.TESTED,
        edits=edit(
            WORKING,
            "claimed = await self._claim(list(self._jobs), Places())",
            "claimed = await self._claim(sorted(self._jobs.keys() - {one.name for one in self.ran}), Places())",
        ),
        tests=(DRAINS + "test_runs_a_retry_that_is_due_in_the_same_drain",),
    ),
    Mutant(
        name="drain-keeps-errors-to-itself",
        without="A job's error is the test's, unless the test expects it.",
        promise=Promise.TESTED,
        edits=edit(JOBS, "            failed(hand.surprise or ran)\n", "            pass\n"),
        tests=(DRAINS + "test_raises_the_first_error_once_it_is_written_and_leaves_the_rest",),
    ),
    Mutant(
        name="drain-hears-of-last-tries-alone",
        without="An error is told at the first attempt, not when no tries are left.",
        promise=Promise.TESTED,
        edits=edit(
            "pillars/testing/telling.py",
            'self.outcome == "retried" and not isinstance(self.error, Retry)',
            "self.outcome == self.name",
        ),
        tests=(DRAINS + "test_raises_the_first_error_once_it_is_written_and_leaves_the_rest",),
    ),
    Mutant(
        name="drain-passes-strangers-by",
        without="A due job that no code defines fails the test.",
        promise=Promise.TESTED,
        edits=edit(
            JOBS, "fell_short(await self._stage.strangers())", "await self._stage.strangers()"
        ),
        tests=(DRAINS + "test_fails_for_a_due_job_that_nobody_defines",),
    ),
    Mutant(
        name="drain-does-not-sweep",
        without="A drain ends what has expired, as a worker's sweep would.",
        promise=Promise.TESTED,
        edits=edit(JOBS, "            await self._stage.sweep()\n", ""),
        tests=(DRAINS + "test_ends_what_has_expired",),
    ),
    Mutant(
        name="run-takes-what-is-first",
        without="jobs.run runs the job that it was given, whatever is due before it.",
        promise=Promise.TESTED,
        edits=edit(
            WORKING,
            "Places({Lane(row.queue, row.priority): before})",
            "Places({} if before else {Lane(row.queue, row.priority): before})",
        ),
        tests=(RUNS + "test_returns_what_the_job_returned_and_runs_no_other",),
    ),
    Mutant(
        name="awaited-jobs-are-left-waiting",
        without="A job that awaits another's result has that one run.",
        promise=Promise.TESTED,
        edits=edit(
            WORKING,
            "            crew.start_soon(self._look_for_awaited, crew, looking, running)\n",
            "",
        ),
        tests=(RUNS + "test_runs_what_the_job_awaits",),
    ),
    Mutant(
        name="clock-stands-still",
        without="Time that a test moves is the database's own.",
        promise=Promise.TESTED,
        edits=edit(
            "sql/pillars/testing/clock.sql",
            "return pg_catalog.now() + (select clock.shift from pillars_test.clock clock);",
            "return pg_catalog.now();",
        ),
        tests=(TIMES + "test_time_moves_for_the_database_and_for_this_one_alone",),
    ),
    Mutant(
        name="clock-is-turned-back",
        without="A test's clock is never turned back: handles look for what has ended since a job was made.",
        promise=Promise.TESTED,
        edits=edit(
            "sql/pillars/testing/set_clock.sql",
            "where $1::timestamptz >= pg_catalog.now() + clock.shift",
            "where true",
        ),
        tests=(TIMES + "test_time_moves_to_a_time_and_never_back",),
    ),
    Mutant(
        name="schedules-begin-after-the-move",
        without="Schedules begin before a test's time first moves, or nothing would be due.",
        promise=Promise.TESTED,
        edits=edit(
            STAGE,
            "        await self._sync()\n        return await store.move_clock",
            "        return await store.move_clock",
        ),
        tests=(TIMES + "test_a_schedule_whose_job_is_unfinished_skips_its_tick_as_it_would",),
    ),
    Mutant(
        name="assert-takes-any-argument",
        without="An argument that a job does not take is refused: it would make every denial true.",
        promise=Promise.TESTED,
        edits=edit(MATCHING, "    if unknown:\n", "    if not parameters and unknown:\n"),
        tests=(ASSERTS + "test_refuses_what_could_never_be_found",),
    ),
    Mutant(
        name="assert-reads-calls-in-part",
        without="Of a whole call every argument counts.",
        promise=Promise.TESTED,
        edits=edit(MATCHING, "        if self.exactly:\n", "        if not self:\n"),
        tests=(ASSERTS + "test_finds_a_whole_call_by_all_its_arguments",),
    ),
    Mutant(
        name="assert-forgets-options",
        without="Options that an assertion names count.",
        promise=Promise.TESTED,
        edits=edit(
            MATCHING,
            "    return {name: value for name, value in given.items() if value is not None}",
            "    return {}",
        ),
        tests=(ASSERTS + "test_finds_a_job_by_the_options_that_are_named",),
    ),
    Mutant(
        name="sweep-drops-the-living",
        without="A run drops databases of runs that are gone, and no others.",
        promise=Promise.TESTED,
        edits=edit(
            "sql/pillars/testing/left_behind.sql",
            "where session.application_name = 'pillars test '",
            "where session.application_name = 'nobody '",
        ),
        tests=(
            LEFT
            + "test_a_run_that_is_gone_left_what_the_next_one_sweeps_and_the_living_keep_theirs",
        ),
    ),
    Mutant(
        name="half-made-templates-serve",
        without="A template that nobody finished is made anew.",
        promise=Promise.TESTED,
        edits=edit(
            DATABASES, "any(one.sealed and one.name == name for", "any(one.name == name for"
        ),
        tests=(LEFT + "test_a_template_that_nobody_finished_is_made_anew",),
    ),
    Mutant(
        name="plugin-brings-the-runtime",
        without="A run of pytest without our fixtures loads nothing of the runtime.",
        promise=Promise.TESTED,
        edits=edit(
            "pillars/testing/plugin.py",
            "import pytest\n\nif",
            "import pytest\n\nimport pillars.store.pool\n\nif",
        ),
        tests=(
            "tests/plugin/test_plugin.py::TestBesideOthers::test_importing_it_costs_next_to_nothing",
        ),
    ),
    Mutant(
        name="connections-outlive-their-loop",
        without="A loop that ends cancels the last notifications, and its connections are closed all the same.",
        promise=Promise.TESTED,
        edits=edit(
            "pillars/store/wakeups.py", "await asyncio.wait([self._sending])", "await self._sending"
        )
        + edit(
            "pillars/store/database.py",
            "        finally:\n            self._loop = None\n            await self.pool.close()",
            "        except ValueError:\n            raise\n        else:\n            self._loop = None\n            await self.pool.close()",
        ),
        tests=("tests/plugin/test_connections.py::test_they_end_with_their_loop",),
    ),
]
