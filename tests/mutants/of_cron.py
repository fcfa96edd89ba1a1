"""Mutants of leading and ticking."""

from mutants.kinds import Mutant, Promise, edit

FUNCTIONS = "sql/pillars/migrations/0002_functions.sql"
TABLES = "sql/pillars/migrations/0001_tables.sql"
LEADER = "pillars/cron/leader.py"
LEADS = "tests/cron/test_leading.py::"
TICKS = "tests/cron/test_ticking.py::"

TAKEN = "where held.name = tick.schedule and held.next_run_at = tick.computed_from and held.paused_at is null\n    for update skip locked;"

CRON = [
    Mutant(
        name="ticks-are-not-unique",
        without="The primary key of ticks is the guarantee: one row for a schedule and tick.",
        promise=Promise.TICKED,
        edits=edit(TABLES, "    primary key (schedule, tick),\n", ""),
        tests=(TICKS + "test_a_tick_that_is_noted_makes_no_second_job",),
    ),
    Mutant(
        name="a-repeated-tick-fails",
        without="A tick that is noted already makes no job, and moves the schedule on.",
        promise=Promise.TICKED,
        edits=edit(FUNCTIONS, "        on conflict do nothing;\n", "        ;\n"),
        tests=(TICKS + "test_a_tick_that_is_noted_makes_no_second_job",),
    ),
    Mutant(
        name="a-repeated-tick-makes-its-job",
        without="A tick that is noted already makes no second job.",
        promise=Promise.TICKED,
        edits=edit(
            FUNCTIONS,
            "            outcome := 'repeated';\n            job_id := null;",
            "            null;",
        ),
        tests=(TICKS + "test_a_tick_that_is_noted_makes_no_second_job",),
    ),
    Mutant(
        name="tick-of-an-old-read",
        without="A tick is decided only while next_run_at is still what its leader computed from.",
        promise=Promise.TICKED,
        edits=edit(
            FUNCTIONS, TAKEN, "where held.name = tick.schedule\n    for update skip locked;"
        ),
        tests=(LEADS + "test_a_leader_with_an_old_read_cannot_tick_what_was_paused",),
    ),
    Mutant(
        name="tick-waits",
        without="A tick waits for nobody who holds the row of its schedule.",
        promise=Promise.UNHINDERED,
        edits=edit(FUNCTIONS, TAKEN, TAKEN.replace(" skip locked", "")),
        tests=(LEADS + "test_a_second_leader_neither_waits_for_nor_repeats_a_tick",),
    ),
    Mutant(
        name="tick-without-its-job",
        without="A tick and its job are one transaction: what cannot insert the job notes no tick.",
        promise=Promise.TICKED,
        edits=edit(
            FUNCTIONS,
            "        select made.stored_id, made.created into inserted from pillars.insert_job(",
            "        begin\n        select made.stored_id, made.created into inserted from pillars.insert_job(",
        )
        + edit(
            FUNCTIONS,
            "taken.unique_key, taken.tags, null) made;",
            "taken.unique_key, taken.tags, null) made;\n        exception when lock_not_available then select null::uuid as stored_id, true as created into inserted;\n        end;",
        ),
        tests=(
            TICKS + "test_a_tick_waits_a_second_at_most_for_a_unique_key_in_an_open_transaction",
        ),
    ),
    Mutant(
        name="one-schedule-stops-all",
        without="One failing schedule stops no other.",
        promise=Promise.UNHINDERED,
        edits=edit(
            "pillars/cron/ticker.py",
            "        except Exception as error:  # noqa: BLE001 - whatever a row makes of its rule, the others tick\n",
            "        except LookupError as error:\n",
        ),
        tests=(TICKS + "test_one_failing_schedule_stops_no_other",),
    ),
    Mutant(
        name="leader-writes-through-the-pool",
        without="Every write of a tick goes through the session that holds the lock: a lost lock is a lost pen.",
        promise=Promise.TICKED,
        edits=edit(
            LEADER,
            "self._ticker = Ticker(self._session, self._settings",
            "self._ticker = Ticker(self._process.database.runtime, self._settings",
        ),
        tests=(LEADS + "test_a_tick_is_written_by_the_session_that_holds_the_lock",),
    ),
    Mutant(
        name="leader-that-stays-for-ever",
        without="The server ends the session of a leader that is silent.",
        promise=Promise.TICKED,
        edits=edit(LEADER, '        "idle_session_timeout": _ms(settings.leader_idle),\n', ""),
        tests=(LEADS + "test_the_session_is_told_its_limits",),
    ),
    Mutant(
        name="leader-that-believes",
        without="A leader whose session was ended stands by.",
        promise=Promise.TICKED,
        edits=edit(
            LEADER,
            "        led, self._process.leads = self._process.leads, False\n        if led:\n            log",
            "        led = self._process.leads\n        if led:\n            log",
        ),
        tests=(LEADS + "test_a_leader_cut_off_by_the_server_writes_nothing_and_stands_by",),
    ),
    Mutant(
        name="everybody-leads",
        without="One cron process ticks at a time.",
        promise=Promise.TICKED,
        edits=edit(
            LEADER,
            "self._pooled or await store.lead(session)\n",
            "self._pooled or await store.lead(session) or True\n",
        ),
        tests=(LEADS + "test_the_second_stands_by_and_ticks_nothing",),
    ),
    Mutant(
        name="leader-sweeps-at-once",
        without="The leader's sweep, too, waits until its connection has stood for half a lock.",
        promise=Promise.STOPPED,
        edits=edit(
            "pillars/cron/ticker.py",
            "stood >= self._settings.sweep_standing.total_seconds()",
            "stood >= 0",
        ),
        tests=(TICKS + "test_the_leaders_sweep_rides_on_its_read",),
    ),
    Mutant(
        name="overlap-is-not-looked-at",
        without="A tick whose last job is unfinished makes none.",
        promise=Promise.COUNTED,
        edits=edit(
            FUNCTIONS,
            "when previous.job_id is null or taken.overlap = 'allow' then 'enqueued'",
            "when true then 'enqueued'",
        ),
        tests=(TICKS + "test_skip_makes_no_job_while_the_last_one_is_unfinished",),
    ),
]
