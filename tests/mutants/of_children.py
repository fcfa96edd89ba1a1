"""Mutants of jobs in processes of their own: what they are given, how they are held and ended, what is heard of them."""

from mutants.kinds import Mutant, Promise, edit

PLACE = "pillars/worker/children/"
NURSERY, PERFORMING, PROCESS = (
    PLACE + f"{name}.py" for name in ("nursery", "performing", "process")
)
CHILDREN = "tests/worker/test_children.py::"
SHELL = "tests/worker/test_shell_jobs.py::"
ORPHANS = "tests/process/test_orphans.py::"

CHILDREN_MUTANTS = [
    Mutant(
        name="orphans-live",
        without="What a child has started does not outlive its worker.",
        promise=Promise.STOPPED,
        edits=edit(PROCESS, "        warden.watch(self.pid)\n", ""),
        tests=(ORPHANS + "test_a_warden_that_was_killed_is_replaced",),
    ),
    Mutant(
        name="idle-children-make-no-room",
        without="Processes that wait for a job of their setup make room for one of another.",
        promise=Promise.UNHINDERED,
        edits=edit(NURSERY, "        self._make_room(settings.children)\n", ""),
        tests=(
            CHILDREN + "test_one_that_waits_for_its_next_job_makes_room_for_one_of_another_setup",
        ),
    ),
    Mutant(
        name="children-have-no-default-bound",
        without="A process that names no bound on its memory has that of its worker.",
        promise=Promise.UNHINDERED,
        edits=edit(
            NURSERY,
            "return setup if bound is None or setup.memory is not None else replace(setup, memory=bound)",
            "return setup",
        ),
        tests=(CHILDREN + "test_what_names_no_bound_on_memory_has_that_of_its_worker",),
    ),
    Mutant(
        name="what-left-its-session-lives",
        without="What has left its session ends with the worker.",
        promise=Promise.STOPPED,
        edits=edit(
            PLACE + "warden.py",
            '            return mark in file.read().split(b"\\0")\n',
            "            return False\n",
        ),
        tests=(ORPHANS + "test_none_outlives_its_worker",),
    ),
    Mutant(
        name="groups-are-left",
        without="What a program leaves in its group ends with it.",
        promise=Promise.ENDED,
        edits=edit(
            PROCESS,
            "            self._exhaust(inlet)\n        self.signal(signal.SIGKILL)\n",
            "            self._exhaust(inlet)\n",
        ),
        tests=(SHELL + "test_what_a_program_leaves_in_its_group_ends_with_it",),
    ),
    Mutant(
        name="term-and-no-more",
        without="A process that does not heed SIGTERM is killed.",
        promise=Promise.ENDED,
        edits=edit(
            PERFORMING,
            "            self._process.signal(signal.SIGKILL)\n\n    def _was",
            "            pass\n\n    def _was",
        ),
        tests=(CHILDREN + "test_a_process_that_heeds_nothing_is_killed",),
    ),
    Mutant(
        name="stubborn-children-outlive-a-drain",
        without="What does not heed the end of its worker is killed before its job is given back.",
        promise=Promise.STOPPED,
        edits=edit(
            "pillars/worker/crew.py",
            "        for attempt in left:\n            attempt.rest.kill()\n",
            "        for attempt in left:\n",
        )
        + edit(NURSERY, "                child.signal(signal.SIGKILL)\n", "                pass\n")
        + edit(
            PLACE + "warding.py",
            "                self._popen.stdin.close()\n",
            "                pass\n",
        ),
        tests=(CHILDREN + "test_a_drain_ends_it_and_gives_its_attempt_back",),
    ),
    Mutant(
        name="paused-processes-run-on",
        without="A process that is paused stands still.",
        promise=Promise.ENDED,
        edits=edit("pillars/worker/rest.py", "            self._outside.stop()\n", ""),
        tests=(CHILDREN + "test_a_paused_process_stands_still_with_slot_and_lock_and_goes_on",),
    ),
    Mutant(
        name="ended-in-peace-is-completed",
        without="A program that was told to end, and does, has not completed its job.",
        promise=Promise.ENDED,
        edits=edit(
            PERFORMING,
            "if ended_well and (cancelled is None or self._result is not None):",
            "if ended_well:",
        ),
        tests=(
            SHELL + "test_a_program_that_was_told_to_end_has_not_completed_though_it_ends_in_peace",
        ),
    ),
    Mutant(
        name="the-dead-are-given-jobs",
        without="A process that has died while it waited is not given a job.",
        promise=Promise.COUNTED,
        edits=edit(
            NURSERY,
            "            if not child.gone.is_set():\n                return child, order\n",
            "            return child, order\n",
        ),
        tests=(CHILDREN + "test_a_process_that_was_killed_while_it_waited_is_not_given_a_job",),
    ),
    Mutant(
        name="leftovers-go-on-beside-the-next-job",
        without="A process in which a job has left something behind is not used again.",
        promise=Promise.ENDED,
        edits=edit(
            PLACE + "inside.py",
            "            return False  # a process, ended or not\n",
            "            pass\n",
        ),
        tests=(CHILDREN + "test_one_that_leaves_a_process_behind_is_not_used_again",),
    ),
    Mutant(
        name="children-inherit-all",
        without="A child has the variables that are on its list, and no other.",
        promise=Promise.SECRET,
        edits=edit(
            PLACE + "environment.py",
            "        if any(fnmatchcase(name, one) for one in patterns)\n        and not any",
            "        if not any",
        ),
        tests=(CHILDREN + "test_its_environment_is_a_list",),
    ),
    Mutant(
        name="children-have-the-tokens",
        without="No child has the tokens of the API.",
        promise=Promise.SECRET,
        edits=edit(
            PLACE + "environment.py",
            'NEVER = ("PILLARS_TOKEN", "PILLARS_VIEW_TOKEN", ',
            "NEVER = (",
        ),
        tests=(CHILDREN + "test_its_environment_is_a_list",),
    ),
    Mutant(
        name="full-workers-cut-jobs-off",
        without="A worker that has grown too large lets what runs end.",
        promise=Promise.COUNTED,
        edits=edit(
            "pillars/worker/pillar.py",
            "            await self.crew.until_idle()\n            either.cancel_scope.cancel()\n",
            "            either.cancel_scope.cancel()\n",
        ),
        tests=(
            "tests/process/test_memory.py::test_what_runs_goes_on_to_its_end_and_what_comes_waits",
        ),
    ),
    Mutant(
        name="jobs-of-a-process-share-their-context",
        without="No job of a process sees the context variables that another has set.",
        promise=Promise.FENCED,
        edits=edit(
            PLACE + "inside.py",
            "return self._context.copy().run(partial(job.function, **arguments))",
            "return job.function(**arguments)",
        ),
        tests=(CHILDREN + "test_no_job_sees_what_the_one_before_it_in_its_process_has_set",),
    ),
    Mutant(
        name="half-a-line-is-the-next-jobs",
        without="A line that a job has not ended is its own.",
        promise=Promise.FENCED,
        edits=edit(PERFORMING, "            process.end_lines()\n", ""),
        tests=(CHILDREN + "test_a_line_that_a_job_has_not_ended_is_its_own",),
    ),
    Mutant(
        name="silence-after-a-flood",
        without="After a flood the next job of the process is heard.",
        promise=Promise.UNHINDERED,
        edits=edit(
            PERFORMING,
            "            process.unhush()  # those lines may have been too many again\n",
            "",
        ),
        tests=(CHILDREN + "test_after_a_flood_the_next_job_of_the_process_is_heard",),
    ),
    Mutant(
        name="the-dead-speak",
        without="What a job has left behind does not speak as the next one.",
        promise=Promise.FENCED,
        edits=edit(PLACE + "inside.py", "        attempted.close()\n", ""),
        tests=(CHILDREN + "test_what_a_job_left_behind_does_not_speak_as_the_next_one",),
    ),
    Mutant(
        name="floods-are-kept",
        without="Of what a process prints beyond its share no lines are made.",
        promise=Promise.UNHINDERED,
        edits=edit(
            PERFORMING,
            "        if self._printed > MOST_LINES or self._printed_bytes > MOST_BYTES:\n",
            "        if self._hushed:\n",
        ),
        tests=(SHELL + "test_a_flood_harms_neither_the_job_nor_the_worker",),
    ),
    Mutant(
        name="lines-that-nobody-wants",
        without="Once nobody wants them, no lines are made of what was read already.",
        promise=Promise.UNHINDERED,
        edits=edit(
            PROCESS,
            "if inlet.last is not None and not self._at_tail:",
            "if self.listening is None:",
        ),
        tests=(SHELL + "test_once_nobody_wants_them_no_lines_are_made_of_what_was_read_already",),
    ),
    Mutant(
        name="left-out-in-silence",
        without="That the rest of a flood is left out is itself never left out.",
        promise=Promise.UNHINDERED,
        edits=edit(PERFORMING, "self._ear.printed_too_much(", "self._ear.printed("),
        tests=(SHELL + "test_a_flood_harms_neither_the_job_nor_the_worker",),
    ),
]
