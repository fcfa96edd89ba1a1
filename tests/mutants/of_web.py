"""Mutants of the gate before the API, and of the dispatcher."""

from mutants.kinds import Mutant, Promise, edit

ACCESS = "pillars/service/access.py"
TESTS = "tests/web/test_access.py::"

WEB = [
    Mutant(
        name="any-host",
        without="Without tokens only a loopback Host is answered, or a page could rebind its name to this machine.",
        promise=Promise.GUARDED,
        edits=edit(
            ACCESS,
            "if not (is_loopback(bound) and is_local(headers)):",
            "if not is_loopback(bound):",
        ),
        tests=(TESTS + "test_without_tokens_only_a_loopback_host_is_answered",),
    ),
    Mutant(
        name="any-binding",
        without="Without tokens nothing is answered beyond loopback.",
        promise=Promise.GUARDED,
        edits=edit(
            ACCESS,
            "if not (is_loopback(bound) and is_local(headers)):",
            "if not is_local(headers):",
        ),
        tests=(TESTS + "test_without_tokens_nothing_is_answered_beyond_loopback",),
    ),
    Mutant(
        name="through-a-proxy",
        without="Without tokens what came through a proxy is refused.",
        promise=Promise.GUARDED,
        edits=edit(
            ACCESS,
            'name == b"forwarded" or name.startswith(b"x-forwarded") for name in names',
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
        without="The view token only reads.",
        promise=Promise.GUARDED,
        edits=edit(
            ACCESS,
            '        if changes:\n            return Refusal(403, "PILLARS_VIEW_TOKEN',
            '        if changes and not method:\n            return Refusal(403, "PILLARS_VIEW_TOKEN',
        ),
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
            'scope["path"] not in self._is_open',
            'scope["path"].startswith(("/api/jobs", "/api/queues", "/api/schedules", "/api/workers"))',
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
]
