"""Mutants of what pillars have in common while they run."""

from mutants.kinds import Mutant, Promise, edit

OUTAGE = "tests/process/test_outage.py::"
FLEET = "tests/process/test_fleet.py::"

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
    Mutant(
        name="fleet-forgets-the-dead",
        without="A process of a fleet that has ended is started again.",
        promise=Promise.WOKEN,
        edits=edit(
            "pillars/service/fleet.py",
            "if self._is_hopeless(code):",
            "if code != DONE:",
        ),
        tests=(FLEET + "test_a_process_that_dies_is_started_again_and_the_others_go_on",),
    ),
    Mutant(
        name="fleet-keeps-the-drain-to-itself",
        without="A drain of a fleet is a drain of all its processes.",
        promise=Promise.COUNTED,
        edits=edit(
            "pillars/service/fleet.py",
            "        for member in self.members:\n            member.signal(number)\n",
            "        for member in self.members[:1]:\n            member.signal(number)\n",
        ),
        tests=(FLEET + "test_a_stop_drains_every_process_and_none_is_started_again",),
    ),
    Mutant(
        name="fleet-signals-by-number",
        without="A fleet's signal reaches its own process, also where another has got the number of one that ended.",
        promise=Promise.GUARDED,
        edits=edit(
            "pillars/service/fleet.py",
            "        return os.pidfd_open(child.pid)\n",
            "        return None\n",
        ),
        tests=(
            FLEET + "test_a_signal_reaches_no_stranger_who_got_the_number_of_a_process_that_ended",
        ),
    ),
    Mutant(
        name="listener-never-rests",
        without="Whatever has lost its connection waits before it tries again, and longer each time.",
        promise=Promise.GUARDED,
        edits=edit(
            "pillars/store/listener.py",
            "backoff * random.uniform(0.5, 1)",
            "0",
        ),
        tests=(OUTAGE + "test_a_process_without_its_database_tries_with_patience",),
    ),
    Mutant(
        name="fleet-outlived",
        without="A process whose fleet is gone drains: nobody would stop it any more.",
        promise=Promise.ENDED,
        edits=edit(
            "pillars/cli/serving.py",
            "    if not process.stopping.is_set():\n",
            "    if process.stopping.is_set():\n",
        ),
        tests=(FLEET + "test_processes_whose_fleet_is_killed_drain_and_end",),
    ),
    Mutant(
        name="fleet-takes-late-answers",
        without="What a process answers too late is not taken for what it was asked next.",
        promise=Promise.GUARDED,
        edits=edit(
            "pillars/service/line.py",
            "answer = self._asked.get(turn)",
            "answer = next(iter(self._asked.values()), None)",
        ),
        tests=(FLEET + "test_an_answer_that_came_too_late_is_not_taken_for_the_next",),
    ),
    Mutant(
        name="fleet-misses-a-stop",
        without="A stop that comes while a process of a fleet is being started reaches it.",
        promise=Promise.ENDED,
        edits=edit(
            "pillars/service/fleet.py",
            "            member.signal(self._told or signal.SIGTERM)\n",
            "            pass\n",
        ),
        tests=(FLEET + "test_a_stop_that_comes_while_a_process_is_being_started_reaches_it",),
    ),
    Mutant(
        name="an-end-that-signals-break-into",
        without="A signal does not break into an end whose locks its handler would ask for.",
        promise=Promise.ENDED,
        edits=edit(
            RUNNING,
            "            signal.signal(number, signal.SIG_IGN)\n",
            "            pass\n",
        ),
        tests=(
            FAILURES
            + "test_a_signal_does_not_break_into_an_end_whose_locks_its_handler_would_ask_for",
        ),
    ),
]
