"""Mutants of the gate before the API and the dashboard, of its pages, and of the dispatcher."""

from mutants.kinds import Mutant, Promise, edit

ACCESS = "pillars/service/access.py"
TESTS = "tests/web/test_access.py::"
PAGES = "tests/web/test_dashboard_safety.py::"
FRAME = "pillars/web/dashboard/frame.py"

WEB = [
    Mutant(
        name="any-host",
        without="Without tokens only a loopback Host is answered, or a page could rebind its name to this machine.",
        promise=Promise.GUARDED,
        edits=edit(
            ACCESS,
            "if is_loopback(bound) and is_local(headers) else None",
            "if is_loopback(bound) else None",
        ),
        tests=(TESTS + "test_without_tokens_only_a_loopback_host_is_answered",),
    ),
    Mutant(
        name="any-binding",
        without="Without tokens nothing is answered beyond loopback.",
        promise=Promise.GUARDED,
        edits=edit(
            ACCESS,
            "if is_loopback(bound) and is_local(headers) else None",
            "if is_local(headers) else None",
        ),
        tests=(TESTS + "test_without_tokens_nothing_is_answered_beyond_loopback",),
    ),
    Mutant(
        name="through-a-proxy",
        without="Without tokens what came through a proxy is refused.",
        promise=Promise.GUARDED,
        edits=edit(
            ACCESS,
            'name in PROXIED or name.startswith(b"x-forwarded") for name in names',
            "not name for name in names",
        ),
        tests=(TESTS + "test_without_tokens_what_came_through_a_proxy_is_refused",),
    ),
    Mutant(
        name="loopback-by-its-look",
        without="Loopback is told by exact parse: 127.0.0.1.example.com is not.",
        promise=Promise.GUARDED,
        edits=edit(
            ACCESS,
            "        return IPv4Address(host).is_loopback\n",
            '        return host.startswith("127.") or IPv4Address(host).is_loopback\n',
        ),
        tests=(TESTS + "test_loopback_is_told_by_exact_parse",),
    ),
    Mutant(
        name="any-site",
        without="No page of another site changes anything: the browser's own word is heeded.",
        promise=Promise.GUARDED,
        edits=edit(ACCESS, 'return site not in (["same-origin"], ["none"])', "return False"),
        tests=(TESTS + "test_no_page_of_another_site_changes_anything",),
    ),
    Mutant(
        name="any-origin",
        without="No page of another site changes anything: older browsers send only Origin.",
        promise=Promise.GUARDED,
        edits=edit(
            ACCESS,
            'return len(origins) > 1 or origins[0] not in {f"http://{host}", f"https://{host}"}',
            "return len(origins) > 1 or not host",
        ),
        tests=(TESTS + "test_no_page_of_another_site_changes_anything",),
    ),
    Mutant(
        name="viewers-operate",
        without="Who only reads changes nothing: the view token, or an account of scope view.",
        promise=Promise.GUARDED,
        edits=edit(ACCESS, "if changes and not asking.operates:", "if changes and not scope:"),
        tests=(TESTS + "test_the_view_token_reads_and_the_token_operates",),
    ),
    Mutant(
        name="half-a-token",
        without="Only the exact token lets through.",
        promise=Promise.GUARDED,
        edits=edit(
            ACCESS,
            "hmac.compare_digest(\n        value.strip().encode(), token.encode()\n    )",
            "token.startswith(value.strip())",
        ),
        tests=(TESTS + "test_nothing_but_the_exact_bearer_token_lets_through",),
    ),
    Mutant(
        name="new-routes-are-open",
        without="A route that is added is closed.",
        promise=Promise.GUARDED,
        edits=edit(
            "pillars/web/gate.py",
            "_is_one(scope, self._is_open):",
            'not scope["path"].startswith(("/api/jobs", "/api/queues", "/api/schedules", "/api/workers", "/dashboard")):',
        ),
        tests=(TESTS + "test_a_route_added_to_the_table_is_closed",),
    ),
    Mutant(
        name="their-method-on-our-path",
        without="A path of ours is never theirs, whatever the method.",
        promise=Promise.GUARDED,
        edits=edit("pillars/web/dispatcher.py", "is not Match.NONE", "is Match.FULL"),
        tests=(
            "tests/web/test_dispatcher.py::test_a_path_of_ours_is_never_theirs_whatever_the_method",
        ),
    ),
    Mutant(
        name="unescaped-pages",
        without="What is stored is printed as text.",
        promise=Promise.GUARDED,
        edits=edit(FRAME, "autoescape=True", "autoescape=False"),
        tests=(PAGES + "test_nothing_that_is_stored_runs_on_any_page",),
    ),
    Mutant(
        name="text-that-turns-around",
        without="Characters that hide or turn the text after them are shown as what they are.",
        promise=Promise.GUARDED,
        edits=edit(FRAME, "if type(value) is str else value", "if value is None else value"),
        tests=(PAGES + "test_nothing_that_is_stored_runs_on_any_page",),
    ),
    Mutant(
        name="files-without-the-policy",
        without="Every answer of the dashboard carries its policy: redirects and refusals too.",
        promise=Promise.GUARDED,
        edits=edit(
            FRAME,
            "return RedirectResponse(link, 303, {**UNSTORED, **(headers or {})})",
            "return RedirectResponse(link, 303, headers)",
        ),
        tests=(PAGES + "test_every_answer_carries_the_policy_and_is_not_stored",),
    ),
    Mutant(
        name="deep-payloads-laid-out",
        without="A payload that nests deep is shown as it is stored.",
        promise=Promise.GUARDED,
        edits=edit("pillars/web/dashboard/job.py", "again.depth(text) > again.DEEPEST", "not text"),
        tests=("tests/web/test_dashboard.py::test_what_nests_deep_is_shown_as_it_is_stored",),
    ),
    Mutant(
        name="pages-without-turns",
        without="Open pages leave the application its connections.",
        promise=Promise.GUARDED,
        edits=edit(
            "pillars/web/dashboard/turns.py",
            "anyio.Semaphore(at_once)",
            "anyio.Semaphore(at_once + 1000)",
        ),
        tests=(
            "tests/web/test_dashboard_counting.py::test_so_many_pages_are_made_at_once_and_who_waits_too_long_is_told_so",
        ),
    ),
    Mutant(
        name="forgotten-counts-kept",
        without="Who changed something sees it: a count that began before is not kept.",
        promise=Promise.GUARDED,
        edits=edit(
            "pillars/web/dashboard/counting.py",
            "forgotten == self._forgotten and took > CHEAP",
            "took > CHEAP",
        ),
        tests=(
            "tests/web/test_dashboard_counting.py::test_a_count_that_began_before_it_was_forgotten_is_not_kept",
        ),
    ),
    Mutant(
        name="line-ends-in-a-path",
        without="A path of ours is never theirs, whatever characters a name in it has.",
        promise=Promise.GUARDED,
        edits=edit("pillars/web/operations.py", '"(?s:.*)"', '".*"'),
        tests=(
            "tests/web/test_dispatcher.py::test_a_path_of_ours_is_never_theirs_whatever_the_method",
        ),
    ),
    Mutant(
        name="steered-terminals",
        without="No text steers the terminal that shows the log.",
        promise=Promise.GUARDED,
        edits=edit("pillars/log.py", "return _harmless(line, colours=colours)", "return line"),
        tests=("tests/pure/test_log.py::test_no_text_steers_the_terminal_that_shows_it",),
    ),
]
