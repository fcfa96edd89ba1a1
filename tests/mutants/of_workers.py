"""Mutants of the worker: what it believes, when it gives up, what it does with answers that come late or never."""

from mutants.kinds import Mutant, Promise, edit

CLAIMING = "pillars/worker/claiming.py"
FINISHING = "pillars/worker/finishing.py"
GUARDING = "pillars/worker/guarding.py"
HEARTBEAT = "pillars/worker/heartbeat.py"
HOLDINGS = "pillars/worker/holdings.py"
CREW = "pillars/worker/crew.py"
PILLAR = "pillars/worker/pillar.py"
ATTEMPTS = "pillars/worker/attempts.py"
CLAIMER = "tests/worker/test_claimer.py::"
INHAND = "tests/worker/test_crew.py::"
UNKNOWN = CLAIMER + "TestUnknownOutcomes::"
FINISHER = "tests/worker/test_finisher.py::"
GUARD = "tests/worker/test_guard.py::"
HOLDING = "tests/worker/test_holdings.py::"
BEATING = "tests/worker/test_heartbeat.py::"
DRAIN = "tests/worker/test_drain.py::"
LISTEN = "tests/worker/test_listener.py::"
ATTEMPT = "tests/worker/test_attempts.py::"
PAUSE = "tests/store/test_pause.py::"
RESTING = "tests/worker/test_pauses.py::"
FUNCTIONS = "sql/pillars/migrations/0002_functions.sql"

WORKER = [
    Mutant(
        name="rest-outlasts-a-drain",
        without="A job that comes to rest during a drain is given back.",
        promise=Promise.ENDED,
        edits=edit(
            PILLAR,
            "        if self.process.stopping.is_set() or self._full:\n            # Given",
            "        if False:\n            # Given",
        ),
        tests=(RESTING + "test_one_that_comes_to_rest_during_a_drain_is_given_back_paused",),
    ),
    Mutant(
        name="rest-is-overdue",
        without="A job that rests is not taken for one that does not end.",
        promise=Promise.ENDED,
        edits=edit("sql/pillars/diagnosis/overdue.sql", " and job.paused_at is null", ""),
        tests=("tests/cli/test_doctor.py::test_code_that_runs_on_past_its_deadline_is_found",),
    ),
    Mutant(
        name="silence-is-a-small-pool",
        without="A server that never answers is not taken for a pool that is too small.",
        promise=Promise.UNHINDERED,
        edits=edit("pillars/store/pool.py", "if connected >= self.size:", "if connected >= 0:"),
        tests=(
            "tests/store/test_pool.py::test_a_server_that_never_answers_is_not_taken_for_a_pool_that_is_too_small",
        ),
    ),
    Mutant(
        name="pause-after-the-end",
        without="What is to end does not come to rest.",
        promise=Promise.ENDED,
        edits=edit(
            ATTEMPTS,
            "        if self.why is None:\n            self.rest.pause()\n",
            "        self.rest.pause()\n",
        ),
        tests=(RESTING + "test_a_thread_whose_end_was_asked_for_does_not_come_to_rest",),
    ),
    Mutant(
        name="rest-in-spite-of-an-end",
        without="A job whose end was asked for is not written down as paused.",
        promise=Promise.ENDED,
        edits=edit(
            "sql/pillars/jobs/rest.sql",
            "job.pause_requested_at is not null and job.cancel_requested_at is null",
            "job.pause_requested_at is not null",
        ),
        tests=(PAUSE + "test_what_is_to_end_does_not_come_to_rest",),
    ),
    Mutant(
        name="rest-for-ever",
        without="Tasks that a job's code leaves at a checkpoint do not wait there for ever.",
        promise=Promise.ENDED,
        edits=edit(ATTEMPTS, "        self.rest.end()  # for tasks that it has left behind\n", ""),
        tests=(RESTING + "test_tasks_that_the_code_leaves_at_a_checkpoint_do_not_wait_for_ever",),
    ),
    Mutant(
        name="checkpoints-cut-cleanup",
        without="What cleans up after a checkpoint that ends it is left in peace.",
        promise=Promise.ENDED,
        edits=edit(
            ATTEMPTS,
            "            if not self._asked:\n                self._cancel()\n            await asyncio.sleep(0)\n",
            "",
        ),
        tests=(RESTING + "test_what_cleans_up_after_a_checkpoint_is_left_in_peace",),
    ),
    Mutant(
        name="resting-threads-are-left-alone",
        without="A thread that rests is not left alone with its cleanup at a drain.",
        promise=Promise.ENDED,
        edits=edit(
            ATTEMPTS,
            '        if self.job.kind != "thread":\n            self.stop(why)\n        else:\n            self._note(why)\n',
            "        self.stop(why)\n",
        ),
        tests=(RESTING + "test_a_thread_that_rests_is_not_left_alone_with_its_cleanup_at_a_drain",),
    ),
    Mutant(
        name="definitions-end-pauses",
        without="What a paused job waited for does not end its pause.",
        promise=Promise.ENDED,
        edits=edit(
            "sql/pillars/definitions/define.sql",
            "parked = job.paused_at is not null,",
            "parked = false,",
        ),
        tests=(PAUSE + "test_what_it_waited_for_does_not_end_its_pause",),
    ),
    Mutant(
        name="jobs-before-end-pauses",
        without="The end of the job before it does not end a job's pause.",
        promise=Promise.ENDED,
        edits=edit(
            "sql/pillars/schedules/free.sql",
            "parked = job.paused_at is not null,",
            "parked = false,",
        ),
        tests=(PAUSE + "test_what_it_waited_for_does_not_end_its_pause",),
    ),
    Mutant(
        name="deadlines-stay-in-the-row",
        without="The deadline in the row of a job that runs moves by its rest.",
        promise=Promise.ENDED,
        edits=edit(
            FUNCTIONS,
            "deadline_at = held.deadline_at + coalesce(pillars.now() - held.paused_at, interval '0')",
            "deadline_at = held.deadline_at",
        ),
        tests=(PAUSE + "test_the_deadline_of_one_that_runs_moves_by_its_rest",),
    ),
    Mutant(
        name="pause-ends-with-the-attempt",
        without="A job that is to pause, or rests, is paused where it goes back into its queue.",
        promise=Promise.ENDED,
        edits=edit(
            "sql/pillars/jobs/put_back.sql",
            "parked = job.paused_at is not null or job.pause_requested_at is not null,",
            "parked = false,",
        ),
        tests=(PAUSE + "test_one_that_goes_back_into_its_queue_is_paused_there",),
    ),
    Mutant(
        name="pause-ends-with-its-worker",
        without="A job that is to pause, or rests, is paused where its worker has died.",
        promise=Promise.ENDED,
        edits=edit(
            FUNCTIONS,
            "parked = job.paused_at is not null or job.pause_requested_at is not null,",
            "parked = false,",
        ),
        tests=(PAUSE + "test_one_that_goes_back_into_its_queue_is_paused_there",),
    ),
    Mutant(
        name="others-say-that-it-rests",
        without="Only the worker that holds a job says that its code rests.",
        promise=Promise.FENCED,
        edits=edit(
            "sql/pillars/jobs/rest.sql",
            "job.lock_token = asked.lock_token and job.locked_by = $1::uuid",
            "$1::uuid is not null",
        ),
        tests=(PAUSE + "test_only_its_own_worker_says_that_it_rests",),
    ),
    Mutant(
        name="an-older-reply-is-heeded",
        without="A reply that was asked for before the last word on a pause changes nothing.",
        promise=Promise.ENDED,
        edits=edit(
            "pillars/worker/pausing.py",
            "            if attempt.rest.told_at >= asked_at:\n                continue\n",
            "",
        ),
        tests=(RESTING + "test_a_reply_that_was_asked_for_before_the_last_word_is_not_heeded",),
    ),
    Mutant(
        name="deadlines-never-rest",
        without="The deadline of a job that rests rests, too.",
        promise=Promise.ENDED,
        edits=edit(ATTEMPTS, "            + self.rest.seconds()\n", ""),
        tests=(RESTING + "test_the_deadline_rests_too",),
    ),
    Mutant(
        name="drain-waits-for-what-rests",
        without="A worker that stops gives back at once what rests.",
        promise=Promise.ENDED,
        edits=edit(
            PILLAR,
            "        self.crew.stop_resting(Why.DRAIN)\n        latest",
            "        latest",
        ),
        tests=(RESTING + "test_a_worker_that_stops_gives_it_back_paused_and_the_attempt_with_it",),
    ),
    Mutant(
        name="cleanup-without-end",
        without="Cleanup that lasts for longer than its grace is cancelled too.",
        promise=Promise.ENDED,
        edits=edit(
            ATTEMPTS,
            "            self._timer = asyncio.get_running_loop().call_later(self.patience(), self._cancel)\n",
            "",
        ),
        tests=(ATTEMPT + "TestStopping::test_what_cleans_up_for_too_long_is_cancelled_too",),
    ),
    Mutant(
        name="threads-are-not-told",
        without="A thread that looks ends where its end was asked for.",
        promise=Promise.ENDED,
        edits=edit(
            ATTEMPTS,
            "return self.why is not None or (self.overdue_by(time.monotonic()) or -1.0) >= 0",
            "return (self.overdue_by(time.monotonic()) or -1.0) >= 0",
        ),
        tests=(
            ATTEMPT + "TestStopping::test_code_that_swallowed_its_end_ends_at_its_next_checkpoint",
        ),
    ),
    Mutant(
        name="threads-know-no-deadline",
        without="A thread that looks ends at its deadline.",
        promise=Promise.ENDED,
        edits=edit(
            ATTEMPTS,
            "return self.why is not None or (self.overdue_by(time.monotonic()) or -1.0) >= 0",
            "return self.why is not None",
        ),
        tests=(
            ATTEMPT
            + "TestStopping::test_a_thread_that_looks_ends_at_its_deadline_and_is_tried_again",
        ),
    ),
    Mutant(
        name="trust-from-the-claims-answer",
        without="Trust in a claim counts from before it was asked for.",
        promise=Promise.STOPPED,
        edits=edit(
            CLAIMING,
            "        asked_at = counted_clock()\n        claim = await store.claim(self._process.database.runtime, demand, places)\n",
            "        claim = await store.claim(self._process.database.runtime, demand, places)\n        asked_at = counted_clock()\n",
        ),
        tests=(CLAIMER + "test_a_claim_is_trusted_from_before_it_was_asked_for",),
    ),
    Mutant(
        name="alarm-stays-when-it-rang",
        without="An alarm that has rung, if early, hides none that comes after.",
        promise=Promise.WOKEN,
        edits=edit(
            CLAIMING, "        self._alarm = None\n        self.wake()", "        self.wake()"
        ),
        tests=(CLAIMER + "test_an_alarm_that_rang_before_its_time_hides_none_that_comes_after",),
    ),
    Mutant(
        name="alarm-overdue-is-put-off",
        without="An alarm that is overdue and has not rung is not put off by a later one.",
        promise=Promise.WOKEN,
        edits=edit(
            CLAIMING,
            "self._alarm is not None and self._alarm_at <= at:",
            "self._alarm is not None and loop.time() < self._alarm_at <= at:",
        ),
        tests=(CLAIMER + "test_an_alarm_that_is_overdue_and_has_not_rung_is_not_put_off",),
    ),
    Mutant(
        name="trust-from-the-beats-answer",
        without="Trust in a heartbeat counts from before it was sent.",
        promise=Promise.STOPPED,
        edits=edit(
            HEARTBEAT,
            "        self._holdings.extend(reply.extended, asked_at=asked_at)",
            "        self._holdings.extend(reply.extended, asked_at=counted_clock())",
        ),
        tests=(BEATING + "test_a_beat_is_trusted_from_before_it_was_sent",),
    ),
    Mutant(
        name="trust-in-what-was-not-extended",
        without="A heartbeat renews trust only in what it extended.",
        promise=Promise.STOPPED,
        edits=edit(
            HOLDINGS,
            "            for token in tokens:\n                if token in self._claims:",
            "            for token in list(self._claims):\n                if token in self._claims:",
        ),
        tests=(
            HOLDING
            + "test_a_heartbeat_renews_trust_from_before_it_was_sent_and_only_of_what_it_extended",
        ),
    ),
    Mutant(
        name="trust-sleeps-with-the-machine",
        without="Trust is measured by a clock that counts suspended time.",
        promise=Promise.STOPPED,
        edits=edit(
            HOLDINGS,
            'getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)',
            "time.CLOCK_MONOTONIC",
        ),
        tests=(HOLDING + "test_trust_is_measured_by_a_clock_that_counts_suspended_time",),
    ),
    Mutant(
        name="start-without-trust",
        without="What a claim brings after its trust has run out is not begun.",
        promise=Promise.FENCED,
        edits=edit(
            CREW,
            "if stopping or one.lock_token not in trusted:",
            "if stopping:",
        ),
        tests=(CLAIMER + "test_what_comes_when_trust_in_it_is_over_is_given_back_and_not_begun",),
    ),
    Mutant(
        name="late-ones-are-begun",
        without="A job that was claimed ahead and not begun within a second is another worker's to begin.",
        promise=Promise.CLAIMED,
        edits=edit(CREW, "if now - came_at < LONGEST_WAIT:", "if came_at:"),
        tests=(INHAND + "test_what_is_late_is_not_begun_even_where_nobody_looked",),
    ),
    Mutant(
        name="late-ones-are-kept",
        without="What was claimed ahead is given back while the slots stay taken.",
        promise=Promise.CLAIMED,
        edits=edit(CREW, "lambda _one, came_at: came_at <= latest", "lambda _one, came_at: False"),
        tests=(INHAND + "test_what_has_waited_for_too_long_is_given_back_unharmed",),
    ),
    Mutant(
        name="waiting-ones-are-not-stopped",
        without="A job that waits for a slot is given back where its end is asked for or its lock is lost.",
        promise=Promise.ENDED,
        edits=edit(
            CREW,
            "                attempt.stop(why)\n        self._give_back_waiting(lambda one, _came_at: concerns(one))\n",
            "                attempt.stop(why)\n",
        ),
        tests=(
            INHAND + "test_a_job_that_waits_ends_cancelled_where_its_end_is_asked_for",
            INHAND + "test_a_job_that_waits_is_not_begun_once_its_lock_is_lost",
        ),
    ),
    Mutant(
        name="drain-keeps-what-waits",
        without="A worker that stops gives back at once what it has not begun.",
        promise=Promise.ENDED,
        edits=edit(
            PILLAR,
            "        self.crew.give_back_waiting()\n        self._claiming",
            "        self._claiming",
        ),
        tests=(INHAND + "test_at_a_drain_what_waits_is_given_back_while_what_runs_ends",),
    ),
    Mutant(
        name="jobs-share-a-context",
        without="No job sees the context variables that another has set.",
        promise=Promise.FENCED,
        edits=edit(CREW, "context=self._context.copy()", "context=self._context"),
        tests=(INHAND + "test_no_job_sees_what_the_one_before_it_in_its_slot_has_set",),
    ),
    Mutant(
        name="self-cancelled-for-ever",
        without="A job that cancels its own task has failed, and its slot is free.",
        promise=Promise.ENDED,
        edits=edit(
            CREW, "            return attempt.cancelled_itself(error)\n", "            raise\n"
        ),
        tests=(INHAND + "test_a_job_that_cancels_its_own_task_has_failed_and_frees_its_slot",),
    ),
    Mutant(
        name="nobody-heeds-deadlines",
        without="A job that goes on past its deadline is cancelled.",
        promise=Promise.ENDED,
        edits=edit(CREW, "                attempt.heed_deadline()\n", "                pass\n"),
        tests=(INHAND + "test_a_job_is_cancelled_at_its_deadline",),
    ),
    Mutant(
        name="outcome-lost-for-want-of-room",
        without="An outcome that waits for room is kept, whatever its job did to its task.",
        promise=Promise.CLAIMED,
        edits=edit(
            CREW,
            "                raise\n            self._finisher.take(settling)\n",
            "                raise\n            raise\n",
        ),
        tests=(
            INHAND
            + "test_an_outcome_is_kept_whose_task_was_cancelled_before_there_was_room_for_it",
        ),
    ),
    Mutant(
        name="start-while-stopping",
        without="What a claim brings to a worker that stops is not begun.",
        promise=Promise.ENDED,
        edits=edit(
            CREW,
            "if stopping or one.lock_token not in trusted:",
            "if one.lock_token not in trusted:",
        ),
        tests=(DRAIN + "test_what_a_claim_in_flight_brings_is_released_unharmed",),
    ),
    Mutant(
        name="drain-leaves-the-claim-in-flight",
        without="A drain awaits the claim in flight and releases what it brings.",
        promise=Promise.COUNTED,
        edits=edit(
            PILLAR,
            "self._claiming.deadline = anyio.current_time() + self.process.settings.drain.total_seconds()",
            "self._claiming.deadline = anyio.current_time()",
        ),
        tests=(DRAIN + "test_what_a_claim_in_flight_brings_is_released_unharmed",),
    ),
    Mutant(
        name="drain-gives-nothing-back",
        without="A drain gives back what has not ended in time.",
        promise=Promise.COUNTED,
        edits=edit(
            PILLAR, "            return\n        await self._stop_all()\n", "            return\n"
        ),
        tests=(DRAIN + "test_what_does_not_end_in_time_is_given_back_for_others",),
    ),
    Mutant(
        name="distrust-stops-no-job",
        without="Jobs whose locks can no longer be trusted are cancelled.",
        promise=Promise.STOPPED,
        edits=edit(
            GUARDING,
            "        self._main.call_soon_threadsafe(self._on_distrusted, distrusted)\n",
            "",
        ),
        tests=(GUARD + "test_locks_that_cannot_be_trusted_stop_their_jobs_and_then_the_process",),
    ),
    Mutant(
        name="distrust-ends-no-process",
        without="A worker whose code does not stop once trust is over ends itself.",
        promise=Promise.STOPPED,
        edits=edit(
            GUARDING,
            '            self.fence("jobs still run although their locks can no longer be trusted")',
            "            pass",
        ),
        tests=(GUARD + "test_locks_that_cannot_be_trusted_stop_their_jobs_and_then_the_process",),
    ),
    Mutant(
        name="fence-is-looked-at-too-seldom",
        without="With any lock the old worker is gone before the lock is.",
        promise=Promise.STOPPED,
        edits=edit(
            "pillars/settings/values.py",
            "return min(self.lock * WATCH, LONGEST_WATCH)",
            "return LONGEST_WATCH",
        ),
        tests=(
            "tests/pure/test_settings.py::test_with_any_lock_the_old_worker_is_gone_before_the_lock_is",
        ),
    ),
    Mutant(
        name="watch-hangs-with-the-beat",
        without="The watch goes on while a heartbeat hangs.",
        promise=Promise.STOPPED,
        edits=edit(
            HEARTBEAT,
            '                both.start_soon(self._beat, name="beat")\n',
            "                await self._try_to_beat()\n",
        ),
        tests=(BEATING + "test_the_watch_goes_on_while_a_beat_hangs",),
    ),
    Mutant(
        name="lost-locks-stop-no-job",
        without="A job whose lock the heartbeat reports lost is cancelled.",
        promise=Promise.STOPPED,
        edits=edit(
            PILLAR,
            "            self.crew.stop(Why.LOST, lambda claimed: claimed.lock_token in lost)\n",
            "            pass\n",
        ),
        tests=(BEATING + "test_a_job_whose_lock_was_lost_is_cancelled",),
    ),
    Mutant(
        name="sweep-at-once",
        without="A worker sweeps only on a connection that has stood for half a lock: after an outage the living beat first.",
        promise=Promise.FENCED,
        edits=edit(
            "pillars/worker/sweeping.py",
            "        stood = time.monotonic() - self._connected_at\n",
            "        stood = time.monotonic()\n",
        ),
        tests=(
            "tests/worker/test_sweeper.py::test_only_a_connection_that_has_stood_for_half_a_lock_sweeps",
        ),
    ),
    Mutant(
        name="strays-are-left",
        without="A claim whose answer never came is given back, without a crash.",
        promise=Promise.COUNTED,
        edits=edit(
            CLAIMING,
            "                self._owes_recovery = True\n                await self._sleep",
            "                await self._sleep",
        ),
        tests=(UNKNOWN + "test_a_claim_whose_answer_is_lost_is_made_good_by_the_next_turn",),
    ),
    Mutant(
        name="beat-finds-no-strays",
        without="A claim that committed after its worker looked is found by a heartbeat.",
        promise=Promise.COUNTED,
        edits=edit(PILLAR, "        if reply.unnamed:\n            self.claimer.recover()\n", ""),
        tests=(UNKNOWN + "test_one_that_commits_after_its_worker_looked_is_found_by_a_heartbeat",),
    ),
    Mutant(
        name="recovery-beside-a-claim",
        without="What a claim still in flight may own is never given back.",
        promise=Promise.FENCED,
        edits=edit(
            PILLAR,
            "            self.claimer.recover()\n",
            '            self._crew and self._crew.start_soon(self.claimer._recover, name="recovery")\n',
        ),
        tests=(
            UNKNOWN
            + "test_what_a_claim_in_flight_brings_is_not_given_back_by_a_heartbeat_that_overtakes_it",
        ),
    ),
    Mutant(
        name="recovery-of-what-is-held",
        without="What is held is left alone when strays are given back.",
        promise=Promise.FENCED,
        edits=edit(
            CLAIMING,
            "strays = [one for one in mine if not self._holdings.holds((one.job_id, one.lock_token))]",
            "strays = list(mine)",
        ),
        tests=(UNKNOWN + "test_what_is_held_is_left_alone",),
    ),
    Mutant(
        name="recovery-ends-a-held-claim",
        without="Where a part of a claim is held, its lock stays.",
        promise=Promise.CLAIMED,
        edits=edit(
            CLAIMING, "        held = set(self._holdings.tokens())\n", "        held = set[int]()\n"
        )
        + edit(
            "sql/pillars/jobs/put_back.sql",
            "member.job_id and job.lock_token = lock.lock_token limit 1",
            "member.job_id and job.lock_token = lock.lock_token limit 0",
        ),
        tests=(UNKNOWN + "test_only_the_unheld_part_of_a_claim_is_given_back",),
    ),
    Mutant(
        name="wake-does-not-look-from-the-front",
        without="A wake-up has the front of all lanes looked at, also in a streak.",
        promise=Promise.WOKEN,
        edits=edit(
            CLAIMING,
            "            for front in self._fronts.values():\n                front.wake()\n",
            "",
        ),
        tests=(CLAIMER + "test_a_wake_up_in_a_streak_has_the_claimer_look_at_the_front",),
    ),
    Mutant(
        name="front-is-not-woken",
        without="The first claim after a wake-up starts at the front.",
        promise=Promise.WOKEN,
        edits=edit(
            "pillars/worker/fronts.py",
            "        self._woken = True\n",
            "        self._woken = False\n",
        ),
        tests=("tests/worker/test_fronts.py::test_a_wake_up_in_a_streak_has_the_front_looked_at",),
    ),
    Mutant(
        name="contention-is-an-end",
        without="A claim whose picks others took asks again lane by lane.",
        promise=Promise.WOKEN,
        edits=edit(
            CLAIMING,
            "        if contended and taken < free:\n",
            "        if contended and taken > free:\n",
        ),
        tests=(CLAIMER + "test_picks_that_another_took_are_made_good_in_the_lanes",),
    ),
    Mutant(
        name="deaf-and-believed",
        without="A listener that has not proved itself is given up.",
        promise=Promise.WOKEN,
        edits=edit(
            "pillars/store/listener.py",
            "while self.proved and not session.closed:",
            "while not session.closed:",
        ),
        tests=(LISTEN + "test_a_channel_that_has_gone_deaf_is_given_up",),
    ),
    Mutant(
        name="hearing-again-claims-nothing",
        without="A worker that hears again claims at once.",
        promise=Promise.WOKEN,
        edits=edit(
            PILLAR,
            "        self.claimer.wake()\n        self.claimer.recover()  # cut off",
            "        # cut off",
        ),
        tests=(LISTEN + "test_a_worker_whose_listener_was_cut_claims_at_once_when_it_hears_again",),
    ),
    Mutant(
        name="lost-flush-is-forgotten",
        without="An outcome whose flush was lost is offered again.",
        promise=Promise.CLAIMED,
        edits=edit(
            FINISHING,
            "unsettled = [replace(one, again=True) for one in group]",
            "unsettled = []",
        ),
        tests=(FINISHER + "test_outcomes_survive_a_database_that_is_away",),
    ),
    Mutant(
        name="lost-flush-does-not-say-so",
        without="An outcome offered again says that it may have been written.",
        promise=Promise.IN_ONE_PLACE,
        edits=edit(
            FINISHING,
            "[replace(one, again=True) for one in group]",
            "[replace(one, again=False) for one in group]",
        ),
        tests=(FINISHER + "test_a_flush_of_unknown_outcome_is_repeated_and_recognises_itself",),
    ),
    Mutant(
        name="refused-flush-fails-all",
        without="A flush refused for its data is repeated row by row: only the culprit is changed.",
        promise=Promise.UNHINDERED,
        edits=edit(
            FINISHING,
            "        return [left for one in group for left in await self._flush([one])]",
            "        return [_shortened(one) for one in group]",
        ),
        tests=(FINISHER + "test_a_refused_result_fails_its_job_and_no_other",),
    ),
    Mutant(
        name="full-queue-holds-up-ends",
        without="Where nobody can be notified now, what has ended is written all the same.",
        promise=Promise.UNHINDERED,
        edits=edit(
            FINISHING,
            "        if not (ended and returned):\n            return list(group)\n",
            "        return list(group)\n",
        ),
        tests=(
            FINISHER + "test_what_can_wake_nobody_now_waits_and_holds_up_nothing_that_has_ended",
        ),
    ),
    Mutant(
        name="busy-is-lost",
        without="A row that another holds for a moment is asked for again.",
        promise=Promise.CLAIMED,
        edits=edit(
            FINISHING,
            'return [one for one, answer in judged if answer.answer == "busy"]',
            "return []",
        ),
        tests=(FINISHER + "test_what_is_busy_is_asked_again_and_is_in_nobodys_way",),
    ),
    Mutant(
        name="missing-day-is-an-end",
        without="A finish refused for a missing day makes it and is repeated.",
        promise=Promise.ENDED,
        edits=edit(FINISHING, 'NO_PARTITION = "23514"', 'NO_PARTITION = "none"'),
        tests=(FINISHER + "test_a_missing_day_is_made_and_the_flush_repeated",),
    ),
    Mutant(
        name="tries-without-end",
        without="The last attempt fails the job.",
        promise=Promise.ENDED,
        edits=edit(
            ATTEMPTS,
            "if self.claimed.attempt >= self.max_attempts:",
            "if self.claimed.attempt > self.max_attempts:",
        ),
        tests=(ATTEMPT + "test_the_last_attempt_fails_the_job",),
    ),
    Mutant(
        name="thread-is-left-behind",
        without="A thread past its deadline or its cancel keeps its slot and its lock: no other attempt overlaps it.",
        promise=Promise.FENCED,
        edits=edit(
            ATTEMPTS,
            'if self.job.kind != "thread" or why is Why.DRAIN:',
            "if why:",
        ),
        tests=(ATTEMPT + "TestStopping::test_a_thread_is_left_to_itself_only_at_a_drain",),
    ),
    Mutant(
        name="hostile-error-stays",
        without="Failing cannot fail, whatever an exception says of itself.",
        promise=Promise.ENDED,
        edits=edit(
            "pillars/worker/judging.py",
            "    except BaseException:  # noqa: BLE001 - a hostile __str__ must not stop a job from failing\n",
            "    except LookupError:\n",
        ),
        tests=(ATTEMPT + "test_whatever_is_raised_ends_the_attempt_and_not_the_worker",),
    ),
]
