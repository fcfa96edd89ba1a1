"""Mutants of putting jobs in, cancelling them and running them again."""

from mutants.kinds import Mutant, Promise, edit

ENQUEUEING = "pillars/store/enqueueing.py"
FUNCTIONS = "sql/pillars/migrations/0002_functions.sql"
REDRIVE = "sql/pillars/jobs/redrive.sql"
ENQUEUES = "tests/store/test_enqueue.py::"
MERGING = "tests/store/test_merging.py::"
CANCELS = "tests/store/test_cancel.py::"
UNDONES = "tests/store/test_undone.py::"
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
        name="undone-is-not-repeated",
        without="An enqueue on our own pool that a deadlock or a serialization failure undid is repeated.",
        promise=Promise.CLAIMED,
        edits=edit(
            "pillars/store/inserting.py",
            "            if not (left and was_undone(trouble)):\n                raise\n",
            "            raise\n",
        ),
        tests=(UNDONES + "test_what_a_deadlock_undid_is_stored_all_the_same",),
    ),
    Mutant(
        name="undone-many-are-not-repeated",
        without="An enqueue of many jobs that was undone is repeated, as one of a single job is.",
        promise=Promise.CLAIMED,
        edits=edit(
            ENQUEUEING,
            "    await repeated(lambda: _store(database, jobs))\n",
            "    await _store(database, jobs)\n",
        ),
        tests=(UNDONES + "test_what_was_undone_for_its_snapshot_is_stored_all_the_same",),
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
            "if due <= pillars.now() + interval '30 seconds' then\n                perform",
            "if false then\n                perform",
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
            "pg_notify('pillars', queue) is not null",
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
            "    wake(database.wakeups, jobs)\n    return _created(jobs)\n",
            "    return _created(jobs)\n",
        ),
        tests=(ENQUEUES + "TestMany::test_they_wake_each_queue_with_work_that_is_due_soon",),
    ),
    Mutant(
        name="many-in-a-transaction-wake-nobody",
        without="Jobs that are enqueued together in the caller's transaction carry the notifications.",
        promise=Promise.WOKEN,
        edits=edit(
            FUNCTIONS,
            "    perform pg_notify('pillars', queue.name) from unnest(woken) queue (name);\n    return query",
            "    return query",
        ),
        tests=(
            "tests/store/test_borrowed.py::TestTransactions::test_many_wake_once_a_queue_and_what_is_due_later_wakes_nobody",
        ),
    ),
    Mutant(
        name="crowds-deadlock",
        without="Jobs enqueued together go in the order of their keys, so that two crowds wait in one direction.",
        promise=Promise.UNHINDERED,
        edits=edit(FUNCTIONS, "order by key.hashed, asked.job_id\n", "order by asked.job_id\n"),
        tests=(
            ENQUEUES
            + "TestMany::test_two_crowds_with_the_same_keys_in_opposite_orders_do_not_deadlock",
        ),
    ),
    Mutant(
        name="crowd-takes-out-of-turn",
        without="A crowd that may have a key after all lets go of those that it has, and takes all in their order.",
        promise=Promise.UNHINDERED,
        edits=edit(
            FUNCTIONS, "raise exception 'a key came free' using errcode = 'PIL01';", "null;"
        ),
        tests=(
            ENQUEUES
            + "TestMany::test_a_crowd_lets_go_of_its_keys_before_it_takes_one_that_came_free",
        ),
    ),
    Mutant(
        name="undone-is-refused",
        without="A crowd that a deadlock undid is enqueued again.",
        promise=Promise.UNHINDERED,
        edits=edit(
            "pillars/store/enqueueing.py",
            "return _enqueued(await repeated(keyed))",
            "return _enqueued(await keyed())",
        ),
        tests=(ENQUEUES + "TestMany::test_a_crowd_that_a_deadlock_undid_is_enqueued_all_the_same",),
    ),
    Mutant(
        name="redrives-out-of-turn",
        without="A redrive of many waits for keys in the order in which crowds do.",
        promise=Promise.UNHINDERED,
        edits=edit(
            "sql/pillars/jobs/redrive_many.sql",
            "from taken order by taken.unique_key, taken.job_id",
            "from taken order by taken.unique_key desc",
        ),
        tests=(
            "tests/store/test_redriving.py::test_a_redrive_of_many_waits_for_keys_in_the_order_of_crowds",
        ),
    ),
    Mutant(
        name="cancel-reads-once",
        without="A cancel that finds neither row looks in both once more: a redrive may have moved it between two snapshots.",
        promise=Promise.ENDED,
        edits=edit(
            FUNCTIONS,
            "    asking text := pillars.asking(asked_by);\nbegin\n    for look in 1..2 loop",
            "    asking text := pillars.asking(asked_by);\nbegin\n    for look in 1..1 loop",
        ),
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
            "        if found and job.locked_by is not null then\n",
            "        if found and job.locked_by is not null and job.parked then\n",
        ),
        tests=(CANCELS + "test_a_running_job_is_asked_to_end_and_its_worker_is_told",),
    ),
    Mutant(
        name="cancel-bears-the-last-word",
        without="Who asked first for the end of a job stands in it.",
        promise=Promise.TRACED,
        edits=edit(
            FUNCTIONS,
            "case when held.cancel_requested_at is null then asking else held.cancel_requested_by end",
            "asking",
        ),
        tests=(CANCELS + "test_the_end_bears_who_asked_for_it_first",),
    ),
    Mutant(
        name="cancelled-by-nobody",
        without="A job that ends at somebody's word says whose it was.",
        promise=Promise.TRACED,
        edits=edit(
            "sql/pillars/jobs/finish.sql",
            "case when outcome.state = 'cancelled' then pillars.cancelled_by(job) end",
            "null",
        ),
        tests=(CANCELS + "test_the_end_bears_who_asked_for_it_first",),
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
    Mutant(
        name="wake-up-dies-with-its-loop",
        without="A notification that was cancelled with its loop is forgotten, so that the next loop's go out.",
        promise=Promise.WOKEN,
        edits=edit(
            "pillars/store/wakeups.py",
            "                await asyncio.wait([self._sending])\n                self._sending = None\n            self._silence()",
            "                await asyncio.wait([self._sending])\n            self._silence()\n            if self._sending is not None:\n                break",
        ),
        tests=(
            "tests/store/test_enqueue.py::test_a_wake_up_that_ends_with_its_loop_does_not_silence_the_next",
        ),
    ),
    Mutant(
        name="a-gone-connection-speaks-for-itself",
        without="A transaction that loses its connection says so in our words, and not in its pool's.",
        promise=Promise.ENDED,
        edits=edit(
            "pillars/store/session.py",
            "return not is_open(self.connection)",
            "return self.connection.is_closed()",
        ),
        tests=(
            "tests/store/test_pool.py::test_a_transaction_whose_connection_is_cut_ends_with_what_its_block_raised",
        ),
    ),
    Mutant(
        name="a-begin-waits-for-ever",
        without="BEGIN, COMMIT and LISTEN are given up where no answer comes.",
        promise=Promise.ENDED,
        edits=edit(
            "pillars/store/session.py",
            "                async with asyncio.timeout(within.total_seconds()):\n                    await work\n",
            "                await work\n",
        ),
        tests=(
            "tests/process/test_cut_off.py::test_a_transaction_in_a_silent_cut_fails_in_time_and_leaves_the_pool_whole",
        ),
    ),
    Mutant(
        name="last-wake-ups-are-the-first",
        without="What is woken while the last notifications are sent is sent too.",
        promise=Promise.WOKEN,
        edits=edit(
            "pillars/store/wakeups.py",
            "            if self._queues:\n                await self._notify()\n        self._silence()",
            "            if self._queues:\n                await self._notify()\n            break\n        self._silence()",
        ),
        tests=(
            "tests/store/test_enqueue.py::test_what_is_woken_while_the_last_are_sent_is_sent_too",
        ),
    ),
]
