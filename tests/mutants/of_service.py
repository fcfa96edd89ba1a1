"""Mutants of what pillars have in common while they run."""

from mutants.kinds import Mutant, Promise, edit

RUNNING = "pillars/service/running.py"
TESTS = "tests/process/test_all_process.py::"
FAILURES = "tests/process/test_failures.py::"
ENQUEUES = "tests/worker/test_enqueue_now.py::"

SERVICE = [
    Mutant(
        name="one-fails-all-fall",
        without="Where one pillar of a process fails, the others drain: their jobs are finished or given back.",
        promise=Promise.ENDED,
        edits=edit(
            RUNNING,
            "            self._failures.append(error)\n",
            "            self._failures.append(error)\n            raise\n",
        ),
        tests=(TESTS + "test_a_pillar_that_fails_lets_the_others_drain_and_the_exit_code_says_so",),
    ),
    Mutant(
        name="deaf-code-ends-all",
        without="Code that heeds no cancellation ends its process only once every pillar has put its things in order.",
        promise=Promise.ENDED,
        edits=edit(
            "pillars/worker/pillar.py",
            "                    self.process.ended.set()\n",
            '                    __import__("os")._exit(0)\n',
        ),
        tests=(
            TESTS + "test_code_that_heeds_no_cancellation_ends_with_the_others_and_holds_up_none",
        ),
    ),
    Mutant(
        name="deaf-code-never-ends",
        without="Code that heeds no cancellation does not keep its process from ending.",
        promise=Promise.ENDED,
        edits=edit(RUNNING, "if self._returned < len(self._pillars):", "if not self._pillars:"),
        tests=(
            TESTS + "test_code_that_heeds_no_cancellation_ends_with_the_others_and_holds_up_none",
        ),
    ),
    Mutant(
        name="an-end-without-a-reason",
        without="A pillar that failed is an exit code other than 0, whatever the others did.",
        promise=Promise.ENDED,
        edits=edit(RUNNING, "            raise self._failures[0]\n", "            return DONE\n"),
        tests=(TESTS + "test_schedules_of_another_deployment_end_all_three",),
    ),
    Mutant(
        name="deaf-requests-never-end",
        without="A request that heeds no cancellation does not keep its process from ending.",
        promise=Promise.ENDED,
        edits=edit(
            "pillars/cli/serving.py", "    leave(code)\n    return code\n", "    return code\n"
        ),
        tests=(TESTS + "test_a_request_that_heeds_no_cancellation_does_not_outlive_the_drain",),
    ),
    Mutant(
        name="a-code-of-its-own",
        without="A failure's exit code is its own, also where code heeds no cancellation.",
        promise=Promise.ENDED,
        edits=edit(RUNNING, "leave(self._code_of(self._failures[0]) if", "leave(1 if"),
        tests=(
            FAILURES
            + "test_where_code_heeds_no_cancellation_the_exit_code_is_still_that_of_the_failure",
        ),
    ),
    Mutant(
        name="the-first-to-leave-closes",
        without="Blocks of `connect()` that share connections need not end in order.",
        promise=Promise.ENDED,
        edits=edit(
            "pillars/store/database.py",
            "            if self._holders == 0:",
            "            if True:",
        ),
        tests=(
            ENQUEUES + "test_blocks_of_several_tasks_share_connections_until_the_last_has_ended",
        ),
    ),
]
