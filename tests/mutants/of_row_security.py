"""Mutants of for whom a job's transaction acts, and of what is told of those that act for nobody."""

from mutants.kinds import Mutant, Promise, edit

ACTING = "tests/roles/test_row_security.py::"
BORROWED = "tests/roles/test_row_security_borrowed.py::"
TOLD = "tests/roles/test_unidentified.py::"
SECURITY = "pillars/store/row_security.py"
ACT = "sql/pillars/session/act.sql"
TOUCHED = "sql/pillars/session/touched.sql"
OUR_CODE = "pillars/jobs/acting.py"
UNRESET = ACTING + "test_a_commit_alone_takes_it_away_where_nobody_resets_the_session"
WHY = ACTING + "test_the_system_sees_all_and_leaves_a_row_that_says_why"
AFTER = BORROWED + "test_the_transaction_is_as_it_was_after_the_block"
AFTER_AN_ERROR = BORROWED + "test_an_error_that_leaves_the_block_leaves_nobody_acting"
NOT_TOLD = TOLD + "test_whoever_says_for_whom_is_not_told"

ROW_SECURITY = [
    Mutant(
        name="a-user-that-stays-on-the-session",
        without="Whom a transaction acts for ends with it.",
        promise=Promise.FOR_WHOM,
        edits=edit(
            ACT,
            "$2::pg_catalog.text, true) is not null",
            "$2::pg_catalog.text, false) is not null",
        ),
        tests=(UNRESET,),
    ),
    Mutant(
        name="a-system-that-stays-on-the-session",
        without="That the system acts ends with the transaction.",
        promise=Promise.FOR_WHOM,
        edits=edit(
            ACT,
            "$3::pg_catalog.text, true) is not null",
            "$3::pg_catalog.text, false) is not null",
        ),
        tests=(UNRESET,),
    ),
    Mutant(
        name="a-role-that-stays-on-the-session",
        without="A role that was taken ends with the transaction.",
        promise=Promise.FOR_WHOM,
        edits=edit(
            "sql/pillars/session/take_role.sql",
            "wanted.rolname::pg_catalog.text, true)",
            "wanted.rolname::pg_catalog.text, false)",
        ),
        tests=(BORROWED + "test_a_pooler_gives_nobody_what_another_said",),
    ),
    Mutant(
        name="a-system-without-a-row",
        without="Acting as the system leaves a row that says why.",
        promise=Promise.TRACED,
        edits=edit(
            SECURITY,
            "if self.reason and not (yield NOTE_SYSTEM, self._noted()):",
            "if False and not (yield NOTE_SYSTEM, self._noted()):",
        ),
        tests=(WHY,),
    ),
    Mutant(
        name="an-id-of-any-length",
        without="An id is of 1 to 200 bytes.",
        promise=Promise.FOR_WHOM,
        edits=edit(SECURITY, "if not 1 <= size <= longest:", "if False:"),
        tests=(ACTING + "test_what_is_no_id_is_refused_before_anything_is_sent",),
    ),
    Mutant(
        name="an-id-with-a-nul",
        without="An id is text that Postgres can hold.",
        promise=Promise.FOR_WHOM,
        edits=edit(SECURITY, 'if "\\0" in text:', "if False:"),
        tests=(ACTING + "test_what_is_no_id_is_refused_before_anything_is_sent",),
    ),
    Mutant(
        name="a-block-without-a-transaction",
        without="A connection in autocommit is refused.",
        promise=Promise.FOR_WHOM,
        edits=edit(SECURITY, "if not taken.acting:", "if False:"),
        tests=(
            BORROWED + "test_a_connection_outside_a_transaction_is_refused_and_nothing_is_written",
        ),
    ),
    Mutant(
        name="a-transaction-that-goes-on-as-the-user",
        without="After the block a transaction of the caller's is as it was.",
        promise=Promise.FOR_WHOM,
        edits=edit(
            SECURITY,
            "yield self._saying(convention, earlier.user_id, earlier.reason, earlier.role)",
            "yield self._saying(convention, self.user_id, self.reason, earlier.role)",
        ),
        tests=(AFTER,),
    ),
    Mutant(
        name="a-role-that-is-not-given-back",
        without="After the block a transaction of the caller's has the role that it had.",
        promise=Promise.FOR_WHOM,
        edits=edit(
            SECURITY,
            "yield self._saying(convention, earlier.user_id, earlier.reason, earlier.role)",
            "yield self._saying(convention, earlier.user_id, earlier.reason, None)",
        ),
        tests=(BORROWED + "test_a_role_is_given_back_where_the_transaction_goes_on",),
    ),
    Mutant(
        name="an-error-that-goes-on-as-the-user",
        without="A block that an error leaves is over as any other.",
        promise=Promise.FOR_WHOM,
        edits=edit(
            OUR_CODE,
            "        with suppress(Exception):\n            done_now(",
            "        with suppress(Exception):\n            () or (",
        ),
        tests=(AFTER_AN_ERROR,),
    ),
    Mutant(
        name="a-warning-for-a-foreign-keys-check",
        without="The check of a foreign key is no touch of the job's.",
        promise=Promise.FOR_WHOM,
        edits=edit(TOUCHED, "'RowShareLock'", "'NoSuchLock'"),
        tests=(NOT_TOLD,),
    ),
    Mutant(
        name="a-warning-for-who-has-said-it-by-hand",
        without="A transaction that has set the user's setting itself is left alone.",
        promise=Promise.FOR_WHOM,
        edits=edit(
            TOUCHED,
            "  and coalesce(pg_catalog.current_setting($1::pg_catalog.text, true), '') operator(pg_catalog.=) ''\n",
            "  and $1::pg_catalog.text is not null\n",
        ),
        tests=(NOT_TOLD,),
    ),
    Mutant(
        name="a-warning-each-time",
        without="A job is told once of each table.",
        promise=Promise.FOR_WHOM,
        edits=edit(SECURITY, "return not known", "return True"),
        tests=(TOLD + "test_a_job_is_told_once_of_each_table_and_each_job_by_itself",),
    ),
    Mutant(
        name="a-failure-that-is-not-looked-at",
        without="A job that fails over a hidden row is told.",
        promise=Promise.FOR_WHOM,
        edits=edit(
            OUR_CODE,
            "            await _look(security, session, actor)\n            raise",
            "            raise",
        ),
        tests=(TOLD + "test_a_job_that_fails_over_the_missing_row_is_told_too",),
    ),
    Mutant(
        name="a-question-within-the-transaction",
        without="Code may choose its transaction's isolation.",
        promise=Promise.UNHINDERED,
        edits=edit(
            "pillars/jobs/connected.py",
            "            if first is not None:\n                await first(session)\n            async with session.transaction(committing=APPLICATION_COMMIT):\n",
            "            async with session.transaction(committing=APPLICATION_COMMIT):\n                if first is not None:\n                    await first(session)\n",
        ),
        tests=(ACTING + "test_code_chooses_its_isolation_and_then_acts",),
    ),
]
