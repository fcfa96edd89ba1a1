"""Mutants of who may do what in the database, and of what the names in our statements mean."""

from mutants.kinds import Mutant, Promise, edit

RIGHTS = "tests/roles/test_rights.py::"
NAMES = "tests/roles/test_names.py::"
WORKING = "tests/roles/test_pillars_as_worker.py::"
STEPS = "sql/pillars/roles/steps.sql"
FUNCTIONS = "sql/pillars/migrations/0002_functions.sql"
CELLS = RIGHTS + "test_a_statement_is_for_the_roles_that_need_it_and_denied_to_all_others"
EVERY_FUNCTION = NAMES + "test_every_function_knows_its_names_and_few_run_with_the_owners_rights"

ROLES = [
    Mutant(
        name="an-enqueuer-reads-jobs",
        without="A role that may enqueue reads no job.",
        promise=Promise.ALLOWED,
        edits=edit(STEPS, "('jobs', '', ", "('jobs', 'select', "),
        tests=(CELLS,),
    ),
    Mutant(
        name="an-enqueue-with-the-callers-rights",
        without="A role that may enqueue needs no table.",
        promise=Promise.ALLOWED,
        edits=edit(
            FUNCTIONS,
            "returns uuid\nlanguage plpgsql security definer set",
            "returns uuid\nlanguage plpgsql set",
        ),
        tests=(CELLS,),
    ),
    Mutant(
        name="a-worker-removes-migrations",
        without="A role that works cannot change what is said to be migrated.",
        promise=Promise.ALLOWED,
        edits=edit(STEPS, "('migrations', '', 'select', ", "('migrations', '', 'select insert', "),
        tests=(CELLS,),
    ),
    Mutant(
        name="a-viewer-reads-payloads",
        without="A viewer sees no payload.",
        promise=Promise.ALLOWED,
        edits=edit(
            FUNCTIONS,
            "job.finished_at, job.parent_id, job.tags, job.timeout, job.run_at, job.locked_at, job.locked_by, job.deadline_at\nfrom pillars.all_jobs job;",
            "job.finished_at, job.payload as parent_id, job.tags, job.timeout, job.run_at, job.locked_at, job.locked_by, job.deadline_at\nfrom pillars.all_jobs job;",
        ),
        tests=(RIGHTS + "test_what_a_viewer_sees_bears_nothing_that_people_or_code_have_put_in",),
    ),
    Mutant(
        name="rights-that-are-never-taken",
        without="What was granted by hand to a role of ours is taken back.",
        promise=Promise.ALLOWED,
        edits=edit(
            STEPS,
            "from granted where granted.grantee <> 'pillars_owner'",
            "from granted where false",
        ),
        tests=(RIGHTS + "test_rights_that_were_taken_or_given_by_hand_are_found_and_mended",),
    ),
    Mutant(
        name="a-migration-without-its-rights",
        without="A migration that makes a table ends with the rights of the roles that are in use.",
        promise=Promise.ALLOWED,
        edits=edit(
            "pillars/cli/migrating.py",
            "        if roles or await rights.in_use(session):\n",
            "        if roles:\n",
        ),
        tests=(WORKING + "test_a_later_migration_brings_its_own_rights_where_roles_are_in_use",),
    ),
    Mutant(
        name="any-day-can-be-removed",
        without="A role that works removes no day that ended less than a day ago.",
        promise=Promise.ALLOWED,
        edits=edit(
            FUNCTIONS,
            "history is null or right(day, 8) >= to_char(pillars.now() at time zone 'UTC' - interval '1 day', 'YYYYMMDD')",
            "history is null",
        ),
        tests=(WORKING + "test_no_table_but_an_old_day_can_be_removed",),
    ),
    Mutant(
        name="functions-for-everybody",
        without="Nobody may call what runs with the owner's rights unless told so.",
        promise=Promise.ALLOWED,
        edits=edit(FUNCTIONS, "revoke all on all routines in schema pillars from public;\n", ""),
        tests=(EVERY_FUNCTION,),
    ),
    Mutant(
        name="a-function-of-the-callers-names",
        without="What the names in a function mean is not settled by its caller.",
        promise=Promise.ALLOWED,
        edits=edit(
            FUNCTIONS,
            "create function pillars.expire() returns integer\nlanguage plpgsql set search_path = pg_catalog, pg_temp as",
            "create function pillars.expire() returns integer\nlanguage plpgsql as",
        ),
        tests=(EVERY_FUNCTION,),
    ),
    Mutant(
        name="statements-by-the-roles-path",
        without="A function that a stranger has put on the search_path is not run by our statements.",
        promise=Promise.ALLOWED,
        edits=edit(
            "pillars/store/pool.py",
            "            if not self.pooled:\n                setting =",
            "            if not self:\n                setting =",
        ),
        tests=(NAMES + "test_neither_does_the_pruning_of_old_days",),
    ),
    Mutant(
        name="a-path-that-is-kept",
        without="Our statements find Postgres's own names on a connection that somebody's code has used.",
        promise=Promise.ALLOWED,
        edits=edit(
            "pillars/store/lending.py",
            'return f"{OWN_PATH.text};{theirs}{super().get_reset_query()}\\n{OWN_PATH.text}"',
            "return str(super().get_reset_query())",
        ),
        tests=(WORKING + "test_code_that_is_lent_a_connection_finds_the_names_of_its_own_path",),
    ),
    Mutant(
        name="a-role-that-is-kept",
        without="Who a job has made itself on its connection, the next is not.",
        promise=Promise.ALLOWED,
        edits=edit(
            "pillars/store/lending.py", "reset session authorization; reset role; discard temp;", ""
        ),
        tests=(
            "tests/store/test_pool.py::test_what_a_job_sets_on_its_connection_is_gone_for_the_next",
        ),
    ),
    Mutant(
        name="a-commit-that-was-none",
        without="A block whose commit Postgres answered with a rollback raises.",
        promise=Promise.ATOMIC,
        edits=edit(
            "pillars/store/lending.py",
            'if status == "ROLLBACK" and query',
            'if status == "" and query',
        ),
        tests=("tests/store/test_pool.py::test_a_commit_that_was_a_rollback_raises",),
    ),
    Mutant(
        name="repeats-tell-their-own-trouble",
        without="An enqueue whose answer was lost may have happened, whatever its repeats met.",
        promise=Promise.ATOMIC,
        edits=edit("pillars/store/enqueueing.py", "raise first from trouble", "raise"),
        tests=(
            "tests/process/test_cut_off.py::test_an_enqueue_whose_answer_was_lost_may_have_happened_whatever_its_repeats_met",
        ),
    ),
    Mutant(
        name="lent-without-names",
        without="Code that is lent a connection finds its tables by the role's search_path.",
        promise=Promise.ALLOWED,
        edits=edit("pillars/jobs/connected.py", "                await session.lend_names()\n", ""),
        tests=(WORKING + "test_code_that_is_lent_a_connection_finds_the_names_of_its_own_path",),
    ),
]
