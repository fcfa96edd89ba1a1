"""Mutants of putting jobs in, cancelling them and running them again."""

from mutants.kinds import Mutant, Promise, edit

ENQUEUEING = "pillars/store/enqueueing.py"
FUNCTIONS = "sql/pillars/migrations/0002_functions.sql"
REDRIVE = "sql/pillars/jobs/redrive.sql"
ENQUEUES = "tests/store/test_enqueue.py::"
MERGING = "tests/store/test_merging.py::"
CANCELS = "tests/store/test_cancel.py::"
REDRIVES = "tests/store/test_redriving.py::"

ENQUEUE = [
    Mutant(
        name="repeat-takes-nothing-back",
        without="A repeated enqueue takes its row back where the job has ended meanwhile, by a second statement.",
        promise=Promise.IN_ONE_PLACE,
        edits=edit(ENQUEUEING, "                await session.rows(TAKE_BACK, job.job_id)\n", ""),
        tests=(ENQUEUES + "TestRepeats::test_one_that_has_run_to_its_end_is_not_run_again",),
    ),
    Mutant(
        name="repeat-gives-up",
        without="An enqueue of unknown outcome is repeated under the same id.",
        promise=Promise.CLAIMED,
        edits=edit(
            ENQUEUEING,
            "        if not trouble.may_have_happened:\n            raise\n",
            "        raise\n",
        ),
        tests=(
            ENQUEUES + "TestRepeats::test_an_answer_that_is_lost_is_made_good_and_wakes_a_worker",
        ),
    ),
    Mutant(
        name="unique-looks-once",
        without="A unique enqueue asks in a loop, each time with a new snapshot, until insert or read answers.",
        promise=Promise.CLAIMED,
        edits=edit(
            FUNCTIONS,
            "            created := false;\n            return;\n        end if;\n    end loop;",
            "            created := false;\n            return;\n        end if;\n        exit;\n    end loop;",
        ),
        tests=(
            ENQUEUES + "TestUniqueKeys::test_one_whose_holder_ends_between_its_two_looks_inserts",
        ),
    ),
    Mutant(
        name="unique-is-not",
        without="At most one unfinished job holds a unique key.",
        promise=Promise.IN_ONE_PLACE,
        edits=edit(
            FUNCTIONS,
            "    key text := pillars.hashed_key(insert_job.unique_key);",
            "    key text := null;",
        ),
        tests=(
            ENQUEUES
            + "TestUniqueKeys::test_a_second_enqueue_inserts_nothing_and_returns_the_firsts_id",
        ),
    ),
    Mutant(
        name="enqueue-beside-the-transaction",
        without="An enqueue with a connection happens in its transaction, and only there.",
        promise=Promise.ATOMIC,
        edits=edit(
            "pillars/jobs/enqueuing.py",
            "        [stored] = await store.enqueue_borrowed(borrowed, [call.new_job()])\n",
            "        stored = await store.enqueue(current(), call.new_job())\n",
        ),
        tests=(
            ENQUEUES
            + "TestTransactions::test_a_rolled_back_transaction_leaves_no_job_and_no_wake_up",
        ),
    ),
    Mutant(
        name="transaction-wakes-nobody",
        without="An enqueue in the caller's transaction carries the notification.",
        promise=Promise.WOKEN,
        edits=edit(
            FUNCTIONS,
            "queue.name) from unnest(woken) queue (name);\n    for job in select",
            "queue.name) from unnest(woken[1:0]) queue (name);\n    for job in select",
        ),
        tests=(ENQUEUES + "TestTransactions::test_a_committed_one_wakes_once_a_queue",),
    ),
    Mutant(
        name="sql-enqueue-wakes-nobody",
        without="A job by plain SQL, or with a unique key, carries the notification.",
        promise=Promise.WOKEN,
        edits=edit(FUNCTIONS, "perform pg_notify('pillars', insert_job.queue);", "null;"),
        tests=(ENQUEUES + "TestTransactions::test_one_by_plain_sql_wakes_as_it_commits",),
    ),
    Mutant(
        name="enqueue-wakes-nobody",
        without="A lone enqueue of work that is due soon carries the notification.",
        promise=Promise.WOKEN,
        edits=edit(
            "sql/pillars/jobs/enqueue_telling.sql",
            "pg_notify('pillars', stored.queue) is not null",
            "true",
        ),
        tests=(ENQUEUES + "TestTimes::test_what_is_due_within_thirty_seconds_wakes_workers",),
    ),
    Mutant(
        name="crowd-wakes-nobody",
        without="Enqueues that were merged wake the workers of their queues after their commit.",
        promise=Promise.WOKEN,
        edits=edit(
            "pillars/store/inserting.py",
            "        await pool.rows(ENQUEUE, *parameters(jobs[0]))\n    wake(wakeups, jobs)\n",
            "        await pool.rows(ENQUEUE, *parameters(jobs[0]))\n",
        ),
        tests=(MERGING + "test_a_crowd_of_enqueues_is_stored_and_wakes_each_queue",),
    ),
    Mutant(
        name="bad-one-fails-the-crowd",
        without="Of enqueues that were merged, one that Postgres refuses fails alone.",
        promise=Promise.UNHINDERED,
        edits=edit(
            "pillars/store/merging.py",
            "if trouble.kind is Trouble.REFUSED and len(group) > 1:",
            "if trouble.kind is Trouble.REFUSED and not group:",
        ),
        tests=(MERGING + "test_a_bad_one_fails_alone",),
    ),
    Mutant(
        name="crowd-waits-for-one-that-left",
        without="A caller that is cancelled leaves nobody waiting who came while its statement was in flight.",
        promise=Promise.CLAIMED,
        edits=edit(
            "pillars/store/merging.py",
            "        try:\n            await self._store([job])\n        finally:\n            if self._waiting:",
            "        try:\n            await self._store([job])\n        except DatabaseTrouble:\n            raise\n        else:\n            if self._waiting:",
        ),
        tests=(MERGING + "test_where_the_first_gives_up_the_others_are_stored",),
    ),
    Mutant(
        name="many-enqueued-wake-nobody",
        without="Jobs that are enqueued together wake the workers of their queues.",
        promise=Promise.WOKEN,
        edits=edit(
            ENQUEUEING,
            "                stored = await _insert(session, jobs)\n    wake(database.wakeups, jobs)\n",
            "                stored = await _insert(session, jobs)\n",
        ),
        tests=(ENQUEUES + "TestMany::test_they_wake_each_queue_with_work_that_is_due_soon",),
    ),
    Mutant(
        name="many-in-a-transaction-wake-nobody",
        without="Jobs that are enqueued together in the caller's transaction carry the notifications.",
        promise=Promise.WOKEN,
        edits=edit(
            FUNCTIONS,
            "    perform pg_notify('pillars', queue.name) from unnest(woken) queue (name);\n    for job in select",
            "    for job in select",
        ),
        tests=(
            "tests/store/test_borrowed.py::TestTransactions::test_many_wake_once_a_queue_and_what_is_due_later_wakes_nobody",
        ),
    ),
    Mutant(
        name="crowds-deadlock",
        without="Jobs enqueued together go in the order of their keys, so that two crowds wait in one direction.",
        promise=Promise.UNHINDERED,
        edits=edit(
            "sql/pillars/jobs/enqueue_many.sql", "order by job.unique_key, job.job_id\n", ""
        ),
        tests=(
            ENQUEUES
            + "TestMany::test_two_crowds_with_the_same_keys_in_opposite_orders_do_not_deadlock",
        ),
    ),
    Mutant(
        name="cancel-reads-once",
        without="A cancel that finds neither row looks in both once more: a redrive may have moved it between two snapshots.",
        promise=Promise.ENDED,
        edits=edit(FUNCTIONS, "for look in 1..2 loop", "for look in 1..1 loop"),
        tests=(
            CANCELS
            + "test_a_cancel_overtaken_by_a_redrive_between_its_two_reads_finds_the_job_again",
        ),
    ),
    Mutant(
        name="cancel-knows-no-history",
        without="A cancel that waited for a finish answers final.",
        promise=Promise.ENDED,
        edits=edit(
            FUNCTIONS,
            "perform from pillars.finished_jobs ended where ended.job_id = cancel.job_id;",
            "perform where false;",
        ),
        tests=(CANCELS + "test_a_cancel_that_waits_for_a_finish_answers_final",),
    ),
    Mutant(
        name="cancel-takes-from-the-running",
        without="A running job is asked to end; its worker writes its end.",
        promise=Promise.FENCED,
        edits=edit(
            FUNCTIONS,
            "if found and job.locked_by is not null then",
            "if found and job.locked_by is not null and job.parked then",
        ),
        tests=(CANCELS + "test_a_running_job_is_asked_to_end_and_its_worker_is_told",),
    ),
    Mutant(
        name="cancel-tells-nobody",
        without="The worker of a job that is asked to end is told.",
        promise=Promise.ENDED,
        edits=edit(
            FUNCTIONS,
            "perform pg_notify(pillars.own_channel(job.locked_by), cancel.job_id::text);",
            "null;",
        ),
        tests=(CANCELS + "test_a_running_job_is_asked_to_end_and_its_worker_is_told",),
    ),
    Mutant(
        name="redrive-loses-the-row",
        without="A redrive inserts plainly: a unique key held by another undoes it all.",
        promise=Promise.IN_ONE_PLACE,
        edits=edit(
            REDRIVE,
            "    from taken\n    returning job_id, queue",
            "    from taken\n    on conflict do nothing\n    returning job_id, queue",
        ),
        tests=(REDRIVES + "test_a_redrive_whose_unique_key_is_held_undoes_itself",),
    ),
    Mutant(
        name="redrive-of-the-completed",
        without="What completed is left as it is.",
        promise=Promise.IN_ONE_PLACE,
        edits=edit(
            REDRIVE, "ended.state in ('failed', 'cancelled', 'expired')", "ended.state is not null"
        ),
        tests=(REDRIVES + "test_a_completed_job_is_not_redriven",),
    ),
    Mutant(
        name="redrive-wakes-nobody",
        without="A redrive wakes the queue.",
        promise=Promise.WOKEN,
        edits=edit(
            REDRIVE,
            "select redriven.job_id from redriven cross join lateral (select pg_notify('pillars', redriven.queue)) notified",
            "select redriven.job_id from redriven",
        ),
        tests=(REDRIVES + "test_a_redrive_and_a_hastening_wake_the_queue",),
    ),
    Mutant(
        name="riding-forgets",
        without="What was to be told by an enqueue that failed goes out by itself.",
        promise=Promise.WOKEN,
        edits=edit(
            "pillars/store/wakeups.py",
            "            for queue in carried:\n                self.wake(queue)\n            raise",
            "            raise",
        ),
        tests=(
            "tests/store/test_enqueue.py::test_a_wake_up_that_was_to_ride_on_an_enqueue_that_failed_goes_out_by_itself",
        ),
    ),
]
