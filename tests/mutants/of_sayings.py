"""Mutants of what running jobs say: the fence, the order of ids, the order with the outcome."""

from mutants.kinds import Mutant, Promise, edit

WRITE = "sql/pillars/job_events/write.sql"
SAYING = "pillars/worker/saying.py"
VOICE = "pillars/worker/voice.py"
INBOX = "pillars/worker/inbox.py"
REMOVE = "sql/pillars/job_messages/remove.sql"
SENT = "tests/store/test_job_messages.py::"
READ = "tests/worker/test_inbox.py::"
STORED = "tests/store/test_job_events.py::"
SAID = "tests/worker/test_sayings.py::"
SPOKEN = "tests/worker/test_voice.py::"

SAYINGS = [
    Mutant(
        name="late-words-are-written",
        without="What is said under an old token is not written.",
        promise=Promise.FENCED,
        edits=edit(
            WRITE,
            "where job.job_id = claim.job_id and job.lock_token = claim.lock_token and job.locked_by = $1::uuid limit 1",
            "where job.job_id = claim.job_id and $1::uuid is not null limit 1",
        ),
        tests=(
            STORED + "test_who_does_not_hold_a_job_says_nothing_of_it",
            SAID + "test_what_is_said_after_the_lock_was_lost_changes_nothing",
        ),
    ),
    Mutant(
        name="events-out-of-turn",
        without="Whoever reads events up to an id has missed none before it.",
        promise=Promise.HEARD,
        edits=edit(WRITE, "pg_advisory_xact_lock(1885957228, 6)::text", "'nobody waits'::text"),
        tests=(STORED + "test_one_writes_after_the_other_so_no_lower_id_comes_later",),
    ),
    Mutant(
        name="outcome-before-the-last-words",
        without="Who reads that a job has ended finds all that it said.",
        promise=Promise.HEARD,
        edits=edit(
            "pillars/worker/crew.py",
            "            if attempt.exchanged is not None:\n                await",
            "            if False:\n                await",
        ),
        tests=(SAID + "test_who_reads_that_a_job_has_ended_finds_all_that_it_said",),
    ),
    Mutant(
        name="complete-before-the-last-words",
        without="What is said before a job completes itself is kept.",
        promise=Promise.HEARD,
        edits=edit(
            "pillars/worker/completing.py",
            "        if self._attempt.exchanged is not None:\n            await",
            "        if False:\n            await",
        ),
        tests=(SAID + "test_what_is_said_before_a_job_completes_itself_is_kept",),
    ),
    Mutant(
        name="trouble-loses-words",
        without="What could not be written is tried again.",
        promise=Promise.HEARD,
        edits=edit(
            SAYING,
            "self._batch = left or self._taken()",
            "self._batch = self._taken()",
        ),
        tests=(SAID + "test_in_trouble_it_is_tried_again_and_no_job_waits",),
    ),
    Mutant(
        name="a-flood-has-no-bounds",
        without="Of a flood, what is too much is left out.",
        promise=Promise.UNHINDERED,
        edits=edit(
            VOICE,
            "return self._closed or self._cut or len(self._lines) >= MOST_BUFFERED",
            "return self._closed or self._cut",
        )
        + edit(
            VOICE,
            " or len(self._lines) >= MOST_BUFFERED:\n                self._left_out",
            ":\n                self._left_out",
        ),
        tests=(SPOKEN + "test_of_a_flood_what_is_too_much_is_left_out_and_counted",),
    ),
    Mutant(
        name="one-refusal-costs-all",
        without="What Postgres refuses of one job costs no other its words.",
        promise=Promise.UNHINDERED,
        edits=edit(SAYING, "            elif len(batch) == 1:", "            elif batch:"),
        tests=(SAID + "test_what_postgres_refuses_costs_no_other_job_its_words",),
    ),
    Mutant(
        name="late-hands-remove-messages",
        without="Who has lost the lock removes no message.",
        promise=Promise.FENCED,
        edits=edit(
            REMOVE,
            "where job.job_id = asked.job_id and job.lock_token = asked.lock_token and job.locked_by = $1::uuid limit 1",
            "where job.job_id = asked.job_id and asked.lock_token is not null and $1::uuid is not null limit 1",
        ),
        tests=(
            SENT + "test_who_does_not_hold_the_job_reads_and_removes_nothing",
            READ + "test_a_worker_that_dies_leaves_its_message_to_the_next",
        ),
    ),
    Mutant(
        name="messages-come-twice",
        without="Within an attempt no message comes twice.",
        promise=Promise.HEARD,
        edits=edit(
            INBOX,
            "return [*(row.message_id for row in self._arrived), *self._given, *self.done]",
            "return [row.message_id for row in self._arrived]",
        ),
        tests=(READ + "test_the_message_at_hand_is_not_read_again",),
    ),
    Mutant(
        name="messages-of-a-failed-attempt-go",
        without="An attempt that fails leaves the message that it was at to the next.",
        promise=Promise.HEARD,
        edits=edit(
            "pillars/worker/exchange.py",
            "            if isinstance(outcome, Snoozed):",
            "            if outcome:",
        ),
        tests=(READ + "test_an_attempt_that_fails_leaves_the_message_that_it_was_at_to_the_next",),
    ),
    Mutant(
        name="messages-go-before-the-end",
        without="A job whose completion is not written gets its last message again.",
        promise=Promise.HEARD,
        edits=edit(
            "pillars/worker/exchange.py",
            "            if isinstance(outcome, Snoozed):",
            "            if isinstance(outcome, Completed | Snoozed):",
        )
        + edit(
            "pillars/worker/exchange.py", "            and not isinstance(outcome, Completed)\n", ""
        ),
        tests=(READ + "test_a_job_whose_completion_is_not_written_gets_its_last_message_again",),
    ),
    Mutant(
        name="a-lost-word-is-lost",
        without="A lost notification of a message costs a look every few seconds.",
        promise=Promise.WOKEN,
        edits=edit(INBOX, "        bounds = [stale_at]\n", "        bounds = [stale_at * 1000]\n"),
        tests=(READ + "test_a_lost_notification_costs_a_look_every_few_seconds",),
    ),
    Mutant(
        name="a-thread-waits-on",
        without="A thread that waits for a message is stopped as at a checkpoint.",
        promise=Promise.ENDED,
        edits=edit(
            "pillars/worker/attempts.py",
            "            self._exchange.move()\n",
            "            pass\n",
        )
        + edit(INBOX, "        bounds = [stale_at]\n", "        bounds = [stale_at * 1000]\n"),
        tests=("tests/worker/test_inbox_waits.py::test_who_waits_is_stopped_as_at_any_await",),
    ),
    Mutant(
        name="secrets-are-said",
        without="Secrets of the payload are hidden in lines.",
        promise=Promise.SECRET,
        edits=edit(
            "pillars/worker/lines.py",
            "    hidden = hide(text[: LONGEST + BEYOND])",
            "    hidden = text[: LONGEST + BEYOND]",
        ),
        tests=(SPOKEN + "test_secrets_are_hidden_in_lines_and_messages",),
    ),
]
