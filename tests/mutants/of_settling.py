"""Mutants of giving jobs up: the fence, what counts as done, when a claim's lock goes."""

from mutants.kinds import Mutant, Promise, edit

FINISH = "sql/pillars/jobs/finish.sql"
FUNCTIONS = "sql/pillars/migrations/0002_functions.sql"
PUT_BACK = "sql/pillars/jobs/put_back.sql"
TABLES = "sql/pillars/migrations/0001_tables.sql"
TESTS = "tests/store/test_settling.py::"

LOST = "tests/store/test_lost_claims.py::"
FENCE = "where job.job_id = outcome.job_id and job.lock_token = outcome.lock_token and job.locked_by = $1::uuid\n        for update skip locked"
WITHOUT_CHECK = edit(
    TABLES,
    "check ((locked_by is null) = (lock_token is null))",
    "check (job_id is not null)",
)

SETTLING = [
    Mutant(
        name="finish-without-fence",
        without="A finish is fenced by its lock token.",
        promise=Promise.FENCED,
        edits=edit(
            FINISH, FENCE, "where job.job_id = outcome.job_id\n        for update skip locked"
        ),
        tests=(TESTS + "test_a_late_completion_changes_nothing",),
    ),
    Mutant(
        name="finish-fenced-by-state",
        without="The fence is the token, not that the job runs.",
        promise=Promise.FENCED,
        edits=edit(
            FINISH,
            FENCE,
            "where job.job_id = outcome.job_id and job.locked_by is not null\n        for update skip locked",
        ),
        tests=(TESTS + "test_a_late_completion_changes_nothing",),
    ),
    Mutant(
        name="finish-fenced-by-owner",
        without="The fence is the token, not who holds the job: a worker may hold it anew.",
        promise=Promise.FENCED,
        edits=edit(
            FINISH,
            FENCE,
            "where job.job_id = outcome.job_id and job.locked_by = $1::uuid\n        for update skip locked",
        ),
        tests=(TESTS + "test_a_worker_that_holds_a_job_anew_cannot_settle_it_by_its_old_claim",),
    ),
    Mutant(
        name="finish-without-worker",
        without="The fence names the worker too: a standby that was promoted gives tokens a second time.",
        promise=Promise.FENCED,
        edits=edit(
            FINISH,
            FENCE,
            "where job.job_id = outcome.job_id and job.lock_token = outcome.lock_token\n        for update skip locked",
        ),
        tests=(LOST + "test_what_a_lost_claim_says_is_not_taken_for_the_claim_that_got_its_token",),
    ),
    Mutant(
        name="claim-repeats-tokens",
        without="A worker is given no token a second time, also by a standby that has lost the last ones.",
        promise=Promise.FENCED,
        edits=edit(
            "sql/pillars/jobs/claim.sql",
            "when drawn.lock_token > $11::bigint then",
            "when $11::bigint is not null then",
        ),
        tests=(LOST + "test_no_worker_is_given_a_token_that_it_had_before",),
    ),
    Mutant(
        name="claimer-forgets-its-tokens",
        without="A worker says which tokens it was given.",
        promise=Promise.FENCED,
        edits=edit("pillars/worker/holdings.py", "self.highest = max(self.highest, token)", "pass"),
        tests=(
            "tests/worker/test_claimer.py::test_a_worker_is_given_no_token_twice_by_a_database_that_lost_its_last_claims",
        ),
    ),
    Mutant(
        name="put-back-without-fence",
        without="Giving back is fenced by the lock token, also where it ends the job.",
        promise=Promise.FENCED,
        edits=edit(
            PUT_BACK, FENCE, "where job.job_id = outcome.job_id\n        for update skip locked"
        ),
        tests=(TESTS + "test_a_late_completion_changes_nothing",),
    ),
    Mutant(
        name="put-back-mixes-claims",
        without="Two outcomes of one job in one flush are told apart by their tokens.",
        promise=Promise.FENCED,
        edits=edit(
            PUT_BACK,
            "left join gone on gone.job_id = outcome.job_id and gone.lock_token = outcome.lock_token\n",
            "left join gone on gone.job_id = outcome.job_id\n",
        ),
        tests=(
            TESTS + "test_two_give_backs_of_one_job_in_one_flush_are_told_apart_by_their_tokens",
        ),
    ),
    Mutant(
        name="put-back-keeps-the-token",
        without="Whatever takes a row out of running takes its token with it.",
        promise=Promise.FENCED,
        edits=edit(
            PUT_BACK,
            "set locked_by = null, lock_token = null, locked_at",
            "set locked_by = null, locked_at",
        )
        + WITHOUT_CHECK,
        tests=(
            TESTS + "test_a_first_finish_that_finds_nothing_is_lost_also_where_nothing_is_kept",
        ),
    ),
    Mutant(
        name="no-check-of-the-token",
        without="The table itself refuses a token without a holder.",
        promise=Promise.FENCED,
        edits=WITHOUT_CHECK,
        tests=("tests/store/test_settling.py::test_the_table_refuses_a_token_without_a_holder",),
    ),
    Mutant(
        name="complete-without-fence",
        without="A job that ends itself in its transaction undoes its effects where it was given away.",
        promise=Promise.FENCED,
        edits=edit(
            FUNCTIONS,
            "where held.job_id = complete.job_id and held.lock_token = complete.lock_token and held.locked_by = complete.worker_id\n    for update skip locked;",
            "where held.job_id = complete.job_id for update skip locked;",
        ),
        tests=(
            "tests/worker/test_complete.py::test_an_older_claims_token_completes_nothing",
            "tests/worker/test_complete.py::test_a_job_that_was_given_away_undoes_its_effects",
        ),
    ),
    Mutant(
        name="finish-counts-what-it-locked",
        without="Only what the delete returned is done: a row changed between snapshot and lock is locked and not deleted.",
        promise=Promise.CLAIMED,
        edits=edit(
            FINISH,
            "removed.job_id, removed.lock_token, removed.state, removed.keep from removed\n)",
            "locked.job_id, locked.lock_token, locked.state, locked.keep from locked\n)",
        ),
        tests=(TESTS + "test_a_row_changed_between_snapshot_and_lock_is_busy_then_done",),
    ),
    Mutant(
        name="put-back-counts-what-it-locked",
        without="Only what the write returned was given back.",
        promise=Promise.CLAIMED,
        edits=edit(
            PUT_BACK,
            "case when gone.job_id is not null then 'done'",
            "case when outcome.job_id in (select locked.job_id from locked) then 'done'",
        ),
        tests=(TESTS + "test_a_row_changed_between_snapshot_and_lock_is_not_put_back",),
    ),
    Mutant(
        name="finish-reads-every-job",
        without="The plan of a finish that is kept reads no more than its rows, also where it was made while the tables were empty.",
        promise=Promise.WOKEN,
        edits=edit(
            FINISH, "job.lock_token = lock.lock_token limit 1", "job.lock_token = lock.lock_token"
        ),
        tests=(
            "tests/store/test_kept_plans.py::test_no_kept_plan_reads_all_of_a_table_that_grows",
        ),
    ),
    Mutant(
        name="finish-drops-the-lock-of-others",
        without="A claim's lock goes with its last job: while one bears the token it stays, or nobody would rescue that one.",
        promise=Promise.CLAIMED,
        edits=edit(
            FINISH,
            "member.job_id and job.lock_token = lock.lock_token limit 1",
            "member.job_id and job.lock_token = lock.lock_token limit 0",
        ),
        tests=(TESTS + "test_a_busy_job_keeps_its_claims_lock",),
    ),
    Mutant(
        name="put-back-drops-the-lock-of-others",
        without="A claim's lock goes with its last job, also where that is given back.",
        promise=Promise.CLAIMED,
        edits=edit(
            PUT_BACK,
            "member.job_id and job.lock_token = lock.lock_token limit 1",
            "member.job_id and job.lock_token = lock.lock_token limit 0",
        ),
        tests=(TESTS + "test_the_lock_goes_with_the_last_job_of_the_claim_and_never_earlier",),
    ),
    Mutant(
        name="finish-waits-for-locked-rows",
        without="A finish waits for nobody's row lock.",
        promise=Promise.UNHINDERED,
        edits=edit(FINISH, FENCE, FENCE.removesuffix(" skip locked")),
        tests=(TESTS + "test_a_job_whose_row_another_holds_is_busy_and_is_done_when_asked_again",),
    ),
    Mutant(
        name="finish-does-not-know-itself",
        without="A finish repeated after an unknown outcome recognises itself in the history.",
        promise=Promise.IN_ONE_PLACE,
        edits=edit(
            FINISH,
            "case when $10::boolean then pillars.ended_as",
            "case when false then pillars.ended_as",
        ),
        tests=(TESTS + "test_a_repeat_recognises_itself_whatever_is_kept",),
    ),
    Mutant(
        name="finish-takes-a-rescue-for-itself",
        without="A repeated finish is done where what it offers is stored, and not where something else is.",
        promise=Promise.FENCED,
        edits=edit(
            FINISH, "when ended.state = unmoved.state then", "when ended.state is not null then"
        ),
        tests=(TESTS + "test_a_repeat_does_not_take_what_a_rescue_wrote_for_its_own",),
    ),
    Mutant(
        name="put-back-takes-a-rescue-for-itself",
        without="A repeated give-back is done where its own outcome is noted, and not where a crash is.",
        promise=Promise.FENCED,
        edits=edit(
            FUNCTIONS,
            "and noted.outcome in (was_noted.outcome, 'cancelled')",
            "and was_noted.outcome is not null",
        ),
        tests=(TESTS + "test_a_repeat_does_not_take_what_a_rescue_wrote_for_its_own",),
    ),
    Mutant(
        name="put-back-does-not-know-itself",
        without="A give-back repeated after an unknown outcome recognises itself by its attempts row.",
        promise=Promise.COUNTED,
        edits=edit(
            PUT_BACK,
            "when $11::boolean and pillars.was_noted",
            "when false and pillars.was_noted",
        ),
        tests=(TESTS + "test_a_repeated_give_back_recognises_itself_by_its_attempts_row",),
    ),
    Mutant(
        name="put-back-passes-a-cancel-over",
        without="No way back to ready passes a row whose end was asked for.",
        promise=Promise.ENDED,
        edits=edit(PUT_BACK, "job.cancel_requested_at is not null as ends", "false as ends"),
        tests=(TESTS + "test_a_job_whose_end_was_asked_for_ends_instead_of_going_back",),
    ),
    Mutant(
        name="put-back-counts-every-attempt",
        without="A snooze and a release give the attempt back.",
        promise=Promise.COUNTED,
        edits=edit(
            PUT_BACK,
            "attempt = case when outcome.given_back then greatest(job.attempt - 1, 0) else job.attempt end",
            "attempt = job.attempt",
        ),
        tests=(TESTS + "test_a_snooze_and_a_release_give_the_attempt_back",),
    ),
    Mutant(
        name="snooze-is-an-attempt",
        without="A snooze is not counted as a try.",
        promise=Promise.COUNTED,
        edits=edit(
            "pillars/worker/finishing.py",
            '"snoozed", wait, given_back=True',
            '"snoozed", wait, given_back=False',
        ),
        tests=("tests/stories/test_enqueue_to_result.py::test_a_snooze_is_no_attempt",),
    ),
    Mutant(
        name="release-wakes-nobody",
        without="What was released wakes workers.",
        promise=Promise.WOKEN,
        edits=edit(PUT_BACK, "where returned.outcome = 'released' and", "where false and"),
        tests=(TESTS + "test_only_what_was_released_and_is_due_soon_wakes_workers",),
    ),
]
