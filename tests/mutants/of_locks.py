"""Mutants of claims, heartbeats and rescues."""

from mutants.kinds import Mutant, Promise, edit
from mutants.of_settling import WITHOUT_CHECK

CLAIM = "sql/pillars/jobs/claim.sql"
BEAT = "sql/pillars/locks/beat.sql"
FUNCTIONS = "sql/pillars/migrations/0002_functions.sql"
CLAIMS = "tests/store/test_claim.py::"
COUNTS = "tests/store/test_counts.py::"
RESCUES = "tests/store/test_rescue.py::"
BEATS = RESCUES + "TestHeartbeatAgainstRescue::"

NAMED = "where lock.lock_token = any($2::bigint[]) and lock.locked_by = $1::uuid\n    order by"

LOCKS = [
    Mutant(
        name="claim-notes-what-it-locked",
        without="A locks row lists what the claim's update returned; a claim of nothing leaves none.",
        promise=Promise.CLAIMED,
        edits=edit(
            CLAIM,
            "select taken.lock_token, $1::uuid, pillars.now() + $2::interval, array_agg(taken.job_id) from taken group by taken.lock_token",
            "select token.lock_token, $1::uuid, pillars.now() + $2::interval,"
            " array(select job.job_id from pillars.jobs job where job.ctid = any(array(select locked.place from locked))) from token",
        ),
        tests=(CLAIMS + "test_a_claim_whose_only_job_was_touched_leaves_no_lock_and_asks_again",),
    ),
    Mutant(
        name="claim-trusts-what-it-locked",
        without="A claim that locked more rows than it wrote asks again at once.",
        promise=Promise.WOKEN,
        edits=edit(
            "pillars/store/claiming.py",
            "len(jobs) < picked, now, took)",
            "(counted.locked or 0) < picked, now, took)",
        ),
        tests=(CLAIMS + "test_a_claim_whose_only_job_was_touched_leaves_no_lock_and_asks_again",),
    ),
    Mutant(
        name="claim-takes-any-name",
        without="A worker claims only names that it knows.",
        promise=Promise.CLAIMED,
        edits=edit(
            CLAIM,
            "and job.locked_by is null and job.name = any(array(",
            "and job.locked_by is null and '' <> all (array(",
        ),
        tests=(CLAIMS + "test_a_name_that_the_worker_does_not_know_is_never_taken",),
    ),
    Mutant(
        name="claim-expects-few-jobs",
        without="A claim is planned to stop early, also where all jobs have one name.",
        promise=Promise.WOKEN,
        edits=edit(
            CLAIM,
            "and job.locked_by is null and job.name = any(array(",
            "and job.locked_by is null and job.name <> all (array(select '')) and job.name = any(array(",
        ),
        tests=(
            "tests/store/test_kept_plans.py::test_a_claim_is_planned_to_stop_early_also_where_all_jobs_have_one_name",
        ),
    ),
    Mutant(
        name="claim-reads-every-job",
        without="A kept plan reads no more than its rows, also where it was made while the tables were empty.",
        promise=Promise.WOKEN,
        edits=edit(
            CLAIM,
            "any(array(select picked.place from picked))\n",
            "any(array(select picked.place from picked)) and not job.parked\n",
        ),
        tests=(
            "tests/store/test_kept_plans.py::test_no_kept_plan_reads_all_of_a_table_that_grows",
        ),
    ),
    Mutant(
        name="claim-takes-from-paused-queues",
        without="A paused queue gives nothing.",
        promise=Promise.ENDED,
        edits=edit(CLAIM, "paused.name = places.queue and paused.paused_at is not null", "false"),
        tests=(CLAIMS + "test_a_paused_queue_gives_nothing_until_it_is_resumed",),
    ),
    Mutant(
        name="claim-counts-no-attempt",
        without="An attempt is counted when it is claimed.",
        promise=Promise.COUNTED,
        edits=edit(CLAIM, "least(job.attempt + 1, 1000000)", "job.attempt"),
        tests=(CLAIMS + "test_a_claim_writes_who_holds_the_job_and_for_how_long",),
    ),
    Mutant(
        name="claim-starts-what-expired",
        without="A job past expires_at is not begun.",
        promise=Promise.ENDED,
        edits=edit(
            CLAIM, "and (job.expires_at is null or job.expires_at > pillars.now())", "and true"
        ),
        tests=(CLAIMS + "test_an_expired_job_is_never_started",),
    ),
    Mutant(
        name="tokens-repeat",
        without="A token never repeats: it is drawn from a sequence, not from what the table holds.",
        promise=Promise.FENCED,
        edits=edit(
            CLAIM,
            "select nextval('pillars.locks_lock_token_seq') as lock_token",
            "select coalesce(max(lock.lock_token), 0) + 1 as lock_token from pillars.locks lock",
        ),
        tests=(CLAIMS + "test_every_claim_has_a_token_of_its_own_and_tokens_rise",),
    ),
    Mutant(
        name="beat-by-owner",
        without="A heartbeat extends exactly the locks that it names: another may belong to a claim that its worker knows nothing of.",
        promise=Promise.CLAIMED,
        edits=edit(BEAT, NAMED, "where lock.locked_by = $1::uuid\n    order by"),
        tests=(BEATS + "test_a_beat_extends_exactly_the_locks_it_names_and_deletes_none",),
    ),
    Mutant(
        name="beat-of-anyone",
        without="A heartbeat extends no lock of another worker's: that one may have died.",
        promise=Promise.CLAIMED,
        edits=edit(BEAT, NAMED, "where true\n    order by"),
        tests=(BEATS + "test_a_beat_extends_exactly_the_locks_it_names_and_deletes_none",),
    ),
    Mutant(
        name="beat-by-job",
        without="A heartbeat goes by tokens, not by what the job rows say of their holder.",
        promise=Promise.CLAIMED,
        edits=edit(
            BEAT,
            NAMED,
            "where lock.lock_token in (select job.lock_token from pillars.jobs job where job.locked_by = $1::uuid)\n    order by",
        ),
        tests=(BEATS + "test_a_beat_extends_exactly_the_locks_it_names_and_deletes_none",),
    ),
    Mutant(
        name="beat-revives-the-given-away",
        without="A claim of which jobs were given away is revived by no heartbeat.",
        promise=Promise.FENCED,
        edits=edit(BEAT, NAMED, "where lock.lock_token = any($2::bigint[])\n    order by"),
        tests=(RESCUES + "test_a_half_rescued_claim_is_not_revived_by_its_workers_heartbeat",),
    ),
    Mutant(
        name="beat-deletes-the-unnamed",
        without="A heartbeat deletes nothing: a row not named may belong to a claim whose reply is on its way.",
        promise=Promise.CLAIMED,
        edits=edit(
            BEAT,
            "), mine as materialized (",
            "), unnamed as (\n    delete from pillars.locks lock where lock.locked_by = $1::uuid and lock.lock_token <> all($2::bigint[])\n), mine as materialized (",
        ),
        tests=(BEATS + "test_a_beat_extends_exactly_the_locks_it_names_and_deletes_none",),
    ),
    Mutant(
        name="beat-tells-of-no-loss",
        without="A heartbeat's reply names the locks that are lost.",
        promise=Promise.STOPPED,
        edits=edit(
            BEAT,
            "where not exists (select from mine where mine.lock_token = asked.token)) as lost",
            "where false) as lost",
        ),
        tests=(BEATS + "test_an_uncommitted_sweep_holds_up_no_beat_which_is_then_told",),
    ),
    Mutant(
        name="beat-tells-of-no-cancel",
        without="A heartbeat's reply names the jobs whose end was asked for, where the notification was lost.",
        promise=Promise.ENDED,
        edits=edit(BEAT, "where wished.ends) as ending", "where false) as ending"),
        tests=(BEATS + "test_a_beat_tells_which_jobs_are_asked_to_end",),
    ),
    Mutant(
        name="beat-waits-for-a-sweep",
        without="A heartbeat waits for nobody's row lock.",
        promise=Promise.UNHINDERED,
        edits=edit(
            BEAT,
            "order by lock.lock_token for update skip locked",
            "order by lock.lock_token for update",
        ),
        tests=(BEATS + "test_an_uncommitted_sweep_holds_up_no_beat_which_is_then_told",),
    ),
    Mutant(
        name="rescue-drops-the-lock-of-the-skipped",
        without="A rescue that had to skip a job keeps the lock, so that a later sweep finds the job.",
        promise=Promise.CLAIMED,
        edits=edit(
            FUNCTIONS,
            "select distinct borne.lock_token from borne\n        where exists",
            "select distinct borne.lock_token from borne\n        where false and exists",
        ),
        tests=(RESCUES + "test_a_job_that_an_open_transaction_holds_is_rescued_by_a_later_sweep",),
    ),
    Mutant(
        name="rescue-leaves-the-lock-its-owner",
        without="A half rescued claim is the nil worker's, so that no heartbeat revives it.",
        promise=Promise.FENCED,
        edits=edit(
            FUNCTIONS,
            "update pillars.locks lock set locked_by = '00000000-0000-0000-0000-000000000000'",
            "update pillars.locks lock set locked_by = lock.locked_by",
        ),
        tests=(RESCUES + "test_a_half_rescued_claim_is_not_revived_by_its_workers_heartbeat",),
    ),
    Mutant(
        name="rescue-keeps-the-token",
        without="A rescued row loses its token, or its old worker could still end it.",
        promise=Promise.FENCED,
        edits=edit(
            FUNCTIONS,
            "set locked_by = null, lock_token = null, locked_at = null, deadline_at = null,\n            attempt = greatest",
            "set locked_by = null, locked_at = null, deadline_at = null,\n            attempt = greatest",
        )
        + WITHOUT_CHECK,
        tests=("tests/store/test_settling.py::test_a_late_completion_changes_nothing",),
    ),
    Mutant(
        name="rescue-by-job",
        without="A rescue goes by the token: a job that was taken again is not the old claim's any more.",
        promise=Promise.FENCED,
        edits=edit(
            FUNCTIONS,
            "where job.job_id = borne.job_id and job.lock_token = borne.lock_token\n            for update skip locked",
            "where job.job_id = borne.job_id and job.locked_by is not null\n            for update skip locked",
        ),
        tests=(RESCUES + "test_a_rescue_goes_by_the_token_not_by_the_job",),
    ),
    Mutant(
        name="rescue-of-the-living",
        without="Only an expired lock is anybody's to take.",
        promise=Promise.FENCED,
        edits=edit(
            FUNCTIONS, "where lock.expires_at <= pillars.now()", "where lock.expires_at is not null"
        ),
        tests=(RESCUES + "test_a_lock_that_has_not_expired_is_nobodys_to_take",),
    ),
    Mutant(
        name="rescue-passes-a-cancel-over",
        without="A rescued job whose end was asked for ends.",
        promise=Promise.ENDED,
        edits=edit(
            FUNCTIONS,
            "job.cancel_requested_at is not null or job.crashes + 1 >= coalesce(",
            "job.crashes + 1 >= coalesce(",
        ),
        tests=(RESCUES + "test_a_rescued_job_whose_end_was_asked_for_ends_cancelled",),
    ),
    Mutant(
        name="rescue-without-end",
        without="A job that kills its workers fails at max_crashes.",
        promise=Promise.ENDED,
        edits=edit(
            FUNCTIONS, "or job.crashes + 1 >= coalesce(", "or job.crashes < 0 and 1 >= coalesce("
        ),
        tests=(
            RESCUES + "test_crashes_are_counted_and_the_last_one_fails_the_job_with_its_reason",
        ),
    ),
    Mutant(
        name="rescue-counts-the-attempt",
        without="A crash is counted apart, and its attempt given back.",
        promise=Promise.COUNTED,
        edits=edit(
            FUNCTIONS,
            "attempt = greatest(job.attempt - 1, 0), crashes = job.crashes + 1,",
            "crashes = job.crashes + 1,",
        ),
        tests=(RESCUES + "test_the_jobs_of_a_dead_worker_are_ready_again_after_a_short_wait",),
    ),
    Mutant(
        name="rescue-wakes-nobody",
        without="A rescue wakes workers.",
        promise=Promise.WOKEN,
        edits=edit(
            FUNCTIONS,
            "foreach queue in array coalesce(queues, '{}') loop",
            "foreach queue in array '{}'::text[] loop",
        ),
        tests=(RESCUES + "test_a_rescue_wakes_workers_once_a_queue",),
    ),
    Mutant(
        name="expire-ends-what-runs",
        without="What has begun by expires_at runs on.",
        promise=Promise.ENDED,
        edits=edit(
            FUNCTIONS,
            "where job.expires_at <= pillars.now() and job.locked_by is null",
            "where job.expires_at <= pillars.now()",
        ),
        tests=("tests/store/test_sweep.py::test_what_was_not_begun_in_time_ends_expired",),
    ),
    Mutant(
        name="expire-waits",
        without="A sweep waits for nobody's row lock.",
        promise=Promise.UNHINDERED,
        edits=edit(
            FUNCTIONS,
            "order by job.job_id limit 10000 for update skip locked",
            "order by job.job_id limit 10000 for update",
        ),
        tests=(
            "tests/store/test_sweep.py::test_an_open_transaction_on_one_expired_job_holds_up_no_sweep",
        ),
    ),
    Mutant(
        name="counts-of-the-dead",
        without="Where no sweep has counted for two minutes, whoever looks counts for himself.",
        promise=Promise.WOKEN,
        edits=edit(
            FUNCTIONS,
            "counted.part = 'jobs' and counted.counted_at > pillars.now() - greatest(interval '2 minutes', 40 * counted.took)",
            "counted.part = 'jobs'",
        ),
        tests=(COUNTS + "test_many_unfinished_jobs_are_counted_by_a_sweep_and_read_from_there",),
    ),
    Mutant(
        name="redrive-leaves-the-count",
        without="A day from which a job is run again is counted anew.",
        promise=Promise.IN_ONE_PLACE,
        edits=edit(
            "sql/pillars/jobs/redrive.sql",
            "        for update skip locked))\n), redriven",
            "          and false\n        for update skip locked))\n), redriven",
        ),
        tests=(COUNTS + "test_a_counted_day_from_which_a_job_is_run_again_is_counted_anew",),
    ),
    Mutant(
        name="page-ends-where-it-stops",
        without="A page that has looked far enough says how to go on.",
        promise=Promise.IN_ONE_PLACE,
        edits=edit(
            "pillars/store/listing.py",
            "if len(found) > wanted.limit else reached)",
            "if len(found) > wanted.limit else None)",
        ),
        tests=(
            "tests/store/test_listing.py::test_pages_that_look_only_so_far_find_what_is_rare_all_the_same",
        ),
    ),
    Mutant(
        name="crashed-together-back-together",
        without="Jobs that lost their worker together come back apart.",
        promise=Promise.COUNTED,
        edits=edit(FUNCTIONS, " * (1 + random()))", ")"),
        tests=(RESCUES + "test_jobs_that_lost_their_worker_together_come_back_apart",),
    ),
    Mutant(
        name="last-crash-is-not-counted",
        without="Each loss of a worker is counted, the last one too.",
        promise=Promise.COUNTED,
        edits=edit(
            FUNCTIONS,
            "else (ended.job).last_error end, 1) final",
            "else (ended.job).last_error end) final",
        ),
        tests=(
            RESCUES + "test_crashes_are_counted_and_the_last_one_fails_the_job_with_its_reason",
        ),
    ),
    Mutant(
        name="a-long-queue-counts-alone",
        without="A long queue does not keep days of the history from being counted.",
        promise=Promise.UNHINDERED,
        edits=edit("pillars/worker/sweeping.py", "COUNTED_AT_ONCE = 2 ", "COUNTED_AT_ONCE = 1 "),
        tests=(
            "tests/worker/test_sweeper.py::test_a_sweep_counts_what_is_large_and_is_none_the_worse_where_that_fails",
        ),
    ),
]
