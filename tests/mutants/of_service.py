"""Mutants of what pillars have in common while they run."""

from mutants.kinds import Mutant, Promise, edit

RUNNING = "pillars/service/running.py"
TESTS = "tests/process/test_all_process.py::"

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
]
