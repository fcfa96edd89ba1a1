"""Mutants of migrations that are applied while jobs run."""

from mutants.kinds import Mutant, Promise, edit

MIGRATE = "pillars/store/migrate.py"
TESTS = "tests/store/test_migrate.py::"
CLAIMS_GO_ON = (
    TESTS + "test_claims_go_on_while_a_migration_tries_for_a_table_that_a_long_transaction_holds"
)

MIGRATIONS = [
    Mutant(
        name="migration-waits-in-front",
        without="A migration that waits for a table soon gives up its place, since all who come later wait behind it.",
        promise=Promise.UNHINDERED,
        edits=edit(
            MIGRATE,
            "words(LOCK_WAIT[migration.track])",
            '"0"',
        ),
        tests=(CLAIMS_GO_ON,),
    ),
    Mutant(
        name="migration-tries-once",
        without="A migration that did not get a table tries again.",
        promise=Promise.UNHINDERED,
        edits=edit(
            MIGRATE,
            "            if anyio.current_time() >= latest:\n",
            "            if latest:\n",
        ),
        tests=(CLAIMS_GO_ON, TESTS + "test_a_migration_that_a_deadlock_undid_is_tried_again"),
    ),
    Mutant(
        name="migration-in-vacuums-queue",
        without="Before it asks for a table alone, a migration of the runtime waits for vacuum where it is in nobody's way.",
        promise=Promise.UNHINDERED,
        edits=edit(
            MIGRATE,
            "            await session.rows(HOLD_OFF_VACUUM, timeout=LONGEST)\n",
            "            pass\n",
        ),
        tests=(
            TESTS + "test_while_vacuum_has_a_table_a_migration_waits_where_it_is_in_nobodys_way",
        ),
    ),
    Mutant(
        name="half-an-index-is-one",
        without="An index whose build did not end is not noted as applied.",
        promise=Promise.UNHINDERED,
        edits=edit(
            MIGRATE,
            "        for left in await session.rows(INVALID, migration.sql):\n",
            "        for left in ():\n",
        ),
        tests=(TESTS + "test_an_index_whose_build_was_killed_is_not_taken_for_one_that_is_there",),
    ),
]
