"""Mutants of what is hidden: names, passwords of URLs, the process's own secrets; and of what a hand may write."""

from mutants.kinds import Mutant, Promise, edit

ATTEMPTS = "pillars/worker/attempts.py"
LISTING = "pillars/store/listing.py"
REDACTION = "pillars/settings/redaction.py"
TABLES = "sql/pillars/migrations/0001_tables.sql"
ERRORS = "tests/worker/test_attempts.py::"
PURE = "tests/pure/test_redaction.py::"
INPUT = "tests/stories/test_bad_input.py::"
LEAKS = ERRORS + "test_an_error_is_told_without_secrets_and_without_those_of_its_arguments"

SECRETS = [
    Mutant(
        name="errors-are-stored-as-they-are",
        without="What a job raises is stored without secrets.",
        promise=Promise.SECRET,
        edits=edit(
            ATTEMPTS,
            "return partial(masked, also=secrets_in(self.claimed.payload))",
            "return str",
        ),
        tests=(LEAKS,),
    ),
    Mutant(
        name="errors-quote-their-arguments",
        without="An error does not quote the secret arguments of its job.",
        promise=Promise.SECRET,
        edits=edit(ATTEMPTS, "also=secrets_in(self.claimed.payload)", "also=()"),
        tests=(LEAKS,),
    ),
    Mutant(
        name="secrets-are-cut-in-half",
        without="Secrets are taken out before a text is cut.",
        promise=Promise.SECRET,
        edits=edit("pillars/codec/plain.py", "hide(text[: limit + _BEYOND])", "hide(text[:limit])"),
        tests=(ERRORS + "test_a_cut_leaves_no_half_of_a_secret",),
    ),
    Mutant(
        name="own-secrets-are-shown",
        without="A process hides its own secrets wherever they stand.",
        promise=Promise.SECRET,
        edits=edit(REDACTION, "for secret in (*_known.secrets, *also):", "for secret in also:"),
        tests=(PURE + "test_this_process_hides_its_own_secrets_wherever_they_stand",),
    ),
    Mutant(
        name="rows-are-shown-as-they-are",
        without="A job that is looked at has its secrets hidden.",
        promise=Promise.SECRET,
        edits=edit(LISTING, "        payload=_json(row.payload),", "        payload=row.payload,"),
        tests=(
            "tests/web/test_redaction.py::test_a_secret_argument_is_shown_to_nobody_and_reaches_its_job",
        ),
    ),
    Mutant(
        name="lists-are-shown-as-they-are",
        without="A job in a list has its secrets hidden.",
        promise=Promise.SECRET,
        edits=edit(
            LISTING,
            "replace(row, payload=_json(row.payload), last_error=_text(row.last_error))",
            "row",
        ),
        tests=(
            "tests/web/test_redaction.py::test_a_secret_argument_is_shown_to_nobody_and_reaches_its_job",
        ),
    ),
    Mutant(
        name="counters-without-end",
        without="A counter that a hand has set overflows in no claim.",
        promise=Promise.UNHINDERED,
        edits=edit(TABLES, "check (value between 0 and 1000000)", "check (value >= 0)"),
        tests=(INPUT + "test_a_row_edited_by_hand",),
    ),
    Mutant(
        name="claim-counts-past-the-bound",
        without="A row at the bound of its attempts fails no claim.",
        promise=Promise.UNHINDERED,
        edits=edit(
            "sql/pillars/jobs/claim.sql", "least(job.attempt + 1, 1000000)", "job.attempt + 1"
        ),
        tests=(INPUT + "test_b84_a_row_at_every_bound_holds_up_no_claim_and_no_rescue",),
    ),
    Mutant(
        name="a-hostile-exception-fails-the-failing",
        without="Failing does not fail, whatever an exception does when it is looked at.",
        promise=Promise.ENDED,
        edits=edit(
            "pillars/worker/judging.py",
            "    except BaseException:  # noqa: BLE001 - such as a hostile __class__",
            "    except ZeroDivisionError:",
        ),
        tests=(
            ERRORS + "test_an_exception_that_cannot_be_looked_at_fails_its_attempt_all_the_same",
        ),
    ),
]
