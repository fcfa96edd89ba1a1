"""Mutants of what is said of a name: paused, resumed, made by a single POST."""

from mutants.kinds import Mutant, Promise, edit

FUNCTIONS = "sql/pillars/migrations/0002_functions.sql"
PAUSED = "where not exists (select from pillars.definitions paused where paused.name = known.name and paused.paused_at is not null)"
TASKS = "pillars/web/api/tasks.py"
TASK = "tests/web/test_tasks.py::"
NAMES = "tests/store/test_names.py::"

NAMED = [
    Mutant(
        name="paused-names-are-claimed",
        without="No claim takes a job of a paused name.",
        promise=Promise.ENDED,
        edits=edit(
            "sql/pillars/jobs/claim.sql",
            PAUSED,
            "",
        ),
        tests=(NAMES + "test_a_paused_name_gives_nothing_in_any_queue_until_it_is_resumed",),
    ),
    Mutant(
        name="paused-names-are-claimed-in-lanes",
        without="No claim in one lane takes a job of a paused name.",
        promise=Promise.ENDED,
        edits=edit(
            "sql/pillars/jobs/claim_lane.sql",
            PAUSED,
            "",
        ),
        tests=(NAMES + "test_a_paused_name_gives_nothing_in_any_queue_until_it_is_resumed",),
    ),
    Mutant(
        name="deploys-resume-names",
        without="A deploy keeps the pause of a name.",
        promise=Promise.ENDED,
        edits=edit(
            "sql/pillars/definitions/define.sql",
            "defined_at = pillars.now()\n",
            "defined_at = pillars.now(), paused_at = null\n",
        ),
        tests=(NAMES + "test_a_deploy_keeps_a_persons_pause",),
    ),
    Mutant(
        name="resumed-names-stay-parked",
        without="A resume of a name brings back what was parked.",
        promise=Promise.WOKEN,
        edits=edit(
            FUNCTIONS,
            "    perform pillars.unpark_name(resume_name.name, 20000);\n",
            "",
        ),
        tests=(NAMES + "test_a_resume_brings_back_what_is_parked_and_wakes_its_queues",),
    ),
    Mutant(
        name="resumed-names-wake-nobody",
        without="A resume of a name wakes the workers of its queues.",
        promise=Promise.WOKEN,
        edits=edit(
            FUNCTIONS,
            "    perform pg_notify('pillars', lane.queue) from (select distinct lanes.queue from pillars.lanes() lanes) lane;\n",
            "",
        ),
        tests=(NAMES + "test_a_resume_brings_back_what_is_parked_and_wakes_its_queues",),
    ),
    Mutant(
        name="sweeps-forget-resumed-names",
        without="What a resume of a name left behind is brought back by a sweep.",
        promise=Promise.CLAIMED,
        edits=edit(
            FUNCTIONS,
            "unnest(pillars.unpark_name(resumed.name, 100000))",
            "unnest('{}'::text[])",
        ),
        tests=(NAMES + "test_a_sweep_brings_back_what_was_parked_while_its_name_was_resumed",),
    ),
    Mutant(
        name="sweeps-resume-names",
        without="A sweep brings back only what belongs to a paused name no more.",
        promise=Promise.ENDED,
        edits=edit(
            FUNCTIONS,
            "where names.name not in (select paused.name from pillars.definitions paused where paused.paused_at is not null)",
            "where true",
        ),
        tests=(NAMES + "test_a_sweep_brings_back_what_was_parked_while_its_name_was_resumed",),
    ),
    Mutant(
        name="resumed-names-end-pauses",
        without="A resume of a name does not end the pause of a job by itself.",
        promise=Promise.ENDED,
        edits=edit(
            FUNCTIONS,
            "update pillars.jobs job set parked = job.paused_at is not null, waiting_for = null\n",
            "update pillars.jobs job set parked = false, waiting_for = null\n",
        ),
        tests=(NAMES + "test_a_resumed_name_leaves_a_job_paused_that_was_paused_by_itself",),
    ),
    Mutant(
        name="two-posts-make-two",
        without="Of two POSTs to a task at once, one makes the job.",
        promise=Promise.CLAIMED,
        edits=edit(TASKS, 'body.unique_key or f"task {body.name}"', "body.unique_key"),
        tests=(TASK + "test_a_post_that_waits_for_a_rivals_commit_answers_with_its_job",),
    ),
    Mutant(
        name="a-rivals-job-is-paused",
        without="A POST to a task leaves the job as it is that another made since it came.",
        promise=Promise.CLAIMED,
        edits=edit(TASKS, "found is not None and found.age < asked", "False"),
        tests=(TASK + "test_what_a_rival_made_since_a_request_came_is_left_as_it_is",),
    ),
]
