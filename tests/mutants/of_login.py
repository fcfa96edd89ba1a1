"""Mutants of the login: passwords, sessions, the cookie, the ways in and out."""

from mutants.kinds import Mutant, Promise, edit

TESTS = "tests/web/test_login.py::"
TRAIL = "tests/web/test_trail.py::"
LIMITS = "tests/web/test_login_limits.py::"
COOKIE = "pillars/web/dashboard/cookie.py"
ENTRANCE = "pillars/web/dashboard/entrance.py"
SESSIONS = "pillars/web/dashboard/sessions.py"

LOGIN = [
    Mutant(
        name="any-password",
        without="Only the exact password lets in.",
        promise=Promise.GUARDED,
        edits=edit(
            "pillars/service/passwords.py",
            "hmac.compare_digest(found, key) and stored is not None",
            "stored is not None",
        ),
        tests=(TESTS + "test_nothing_but_the_exact_password_lets_in",),
    ),
    Mutant(
        name="half-a-token-as-a-password",
        without="Only the exact token lets in as a password.",
        promise=Promise.GUARDED,
        edits=edit(
            SESSIONS,
            "hmac.compare_digest(_octets(password), _octets(token))",
            "password and token.startswith(password)",
        ),
        tests=(TESTS + "test_nothing_but_the_exact_password_lets_in",),
    ),
    Mutant(
        name="no-work-for-nobody",
        without="A name that nobody has costs as much work as one that somebody has.",
        promise=Promise.GUARDED,
        edits=edit(
            SESSIONS,
            "proof is None and await self._is_password(password, account) and account is not None:",
            "proof is None and account is not None and await self._is_password(password, account):",
        ),
        tests=(TESTS + "test_a_name_that_nobody_has_costs_as_much_work_and_is_answered_alike",),
    ),
    Mutant(
        name="sessions-outlive-their-password",
        without="A session is none once the password or the token that opened it is another.",
        promise=Promise.GUARDED,
        edits=edit(
            SESSIONS,
            "return secret is not None and hmac.compare_digest(seal(secret, session_id), session.seal)",
            "return secret is not None",
        ),
        tests=(
            TESTS + "test_a_session_by_token_ends_with_the_token",
            TESTS + "test_a_session_that_was_opened_while_its_password_changed_is_none",
        ),
    ),
    Mutant(
        name="sessions-without-end",
        without="A session ends after twelve hours.",
        promise=Promise.GUARDED,
        edits=edit("sql/pillars/sessions/find.sql", " and session.expires_at > pillars.now()", ""),
        tests=(TESTS + "test_a_session_ends_after_twelve_hours_whatever_is_done_in_it",),
    ),
    Mutant(
        name="the-old-session-goes-on",
        without="A login ends the session that the browser had before.",
        promise=Promise.GUARDED,
        edits=edit(
            "sql/pillars/sessions/open.sql",
            "where session.digest = $6::bytea",
            "where session.digest = $6::bytea and false",
        ),
        tests=(TESTS + "test_each_login_has_a_new_id_and_the_browsers_old_one_ends",),
    ),
    Mutant(
        name="a-logout-that-only-forgets",
        without="A logout ends the session, not only the browser's memory of it.",
        promise=Promise.GUARDED,
        edits=edit(
            "sql/pillars/sessions/close.sql",
            "where session.digest = $1::bytea",
            "where session.digest = $1::bytea and false",
        ),
        tests=(TESTS + "test_a_logout_ends_the_session_and_has_the_browser_forget_it",),
    ),
    Mutant(
        name="cookies-for-scripts",
        without="Scripts cannot read the cookie.",
        promise=Promise.GUARDED,
        edits=edit(COOKIE, "; HttpOnly", ""),
        tests=(TESTS + "test_the_cookie_is_kept_from_scripts_other_sites_and_plain_http",),
    ),
    Mutant(
        name="one-of-two-cookies",
        without="Of two cookies neither counts: one may have been slipped in.",
        promise=Promise.GUARDED,
        edits=edit(COOKIE, "if len(found) == 1 and ID", "if found and ID"),
        tests=(TESTS + "test_nothing_but_the_one_cookie_counts",),
    ),
    Mutant(
        name="their-application-gets-our-cookie",
        without="The cookie is kept from the user's application.",
        promise=Promise.GUARDED,
        edits=edit(
            "pillars/web/dispatcher.py", 'cookie.taken_out(scope["headers"])', 'scope["headers"]'
        ),
        tests=(TESTS + "test_their_application_does_not_get_the_cookie",),
    ),
    Mutant(
        name="the-api-takes-cookies",
        without="A login counts on the dashboard alone.",
        promise=Promise.GUARDED,
        edits=edit(
            "pillars/web/gate.py",
            'if not self._entrance.covers(scope["path"]):',
            'if not scope["path"]:',
        ),
        tests=(TESTS + "test_the_api_knows_no_cookie",),
    ),
    Mutant(
        name="logins-for-other-sites",
        without="No page of another site logs anybody in or out.",
        promise=Promise.GUARDED,
        edits=edit("pillars/web/gate.py", "return cross_site(scope)", "return None"),
        tests=(TESTS + "test_no_page_of_another_site_logs_anybody_in_or_out",),
    ),
    Mutant(
        name="a-login-leads-anywhere",
        without="A login leads to a page of the dashboard and nowhere else.",
        promise=Promise.GUARDED,
        edits=edit(ENTRANCE, "return inside and not turns_back and not", "return inside or not"),
        tests=(TESTS + "test_a_login_leads_to_no_page_but_the_dashboards",),
    ),
    Mutant(
        name="a-login-leads-up",
        without="A path that turns back out of the dashboard is none of its pages.",
        promise=Promise.GUARDED,
        edits=edit(ENTRANCE, "inside and not turns_back", "inside"),
        tests=(TESTS + "test_a_login_leads_to_no_page_but_the_dashboards",),
    ),
    Mutant(
        name="buttons-for-viewers",
        without="Who may only read is shown no buttons.",
        promise=Promise.GUARDED,
        edits=edit(
            "pillars/web/dashboard/frame.py",
            "who is not None and who.operates",
            "who is not None",
        ),
        tests=("tests/web/test_dashboard_safety.py::test_both_tokens_read_and_only_one_operates",),
    ),
    Mutant(
        name="names-tried-for-ever",
        without="Of one name five tries a minute are heard, whoever tries.",
        promise=Promise.GUARDED,
        edits=edit(
            ENTRANCE, "OF_A_NAME, OF_AN_ADDRESS = 5, 20", "OF_A_NAME, OF_AN_ADDRESS = 500, 20"
        ),
        tests=(LIMITS + "test_a_name_is_tried_five_times_a_minute_whoever_tries",),
    ),
    Mutant(
        name="addresses-try-for-ever",
        without="From one address twenty tries a minute are heard, whatever the names.",
        promise=Promise.GUARDED,
        edits=edit(
            ENTRANCE, "OF_A_NAME, OF_AN_ADDRESS = 5, 20", "OF_A_NAME, OF_AN_ADDRESS = 5, 2000"
        ),
        tests=(LIMITS + "test_an_address_tries_twenty_times_a_minute_whatever_the_names",),
    ),
    Mutant(
        name="addresses-by-the-dozen",
        without="All addresses of one customer's IPv6 network count as one.",
        promise=Promise.GUARDED,
        edits=edit(ENTRANCE, "HOME_NETWORK = 64", "HOME_NETWORK = 128"),
        tests=(LIMITS + "test_a_network_of_one_customer_counts_as_one_address",),
    ),
    Mutant(
        name="names-stored-as-typed",
        without="What was typed as a name, which may be a password, is not stored.",
        promise=Promise.GUARDED,
        edits=edit(ENTRANCE, "hashlib.sha256(name.encode()).hexdigest()[:32]", "name"),
        tests=(LIMITS + "test_what_was_typed_as_a_name_is_not_stored",),
    ),
    Mutant(
        name="guesses-fill-the-disk",
        without="A flood of guesses fills no table.",
        promise=Promise.GUARDED,
        edits=edit(
            "sql/pillars/logins/fail.sql",
            "where counted.attempts > $3::integer",
            "where counted.attempts > $3::integer and false",
        ),
        tests=(LIMITS + "test_a_flood_of_guesses_fills_no_table",),
    ),
    Mutant(
        name="changes-leave-no-row",
        without="Whatever is changed over HTTP leaves a row.",
        promise=Promise.TRACED,
        edits=edit(
            "pillars/web/trail.py",
            "if response.status_code < 400:",
            "if response.status_code < 200:",
        ),
        tests=(TRAIL + "test_a_request_that_changes_something_leaves_one_row",),
    ),
    Mutant(
        name="refusals-leave-a-row",
        without="What was refused is not written down as done.",
        promise=Promise.TRACED,
        edits=edit(
            "pillars/web/trail.py",
            "if response.status_code < 400:",
            "if response.status_code < 500:",
        ),
        tests=(TRAIL + "test_a_job_that_had_ended_leaves_no_row",),
    ),
    Mutant(
        name="a-route-without-an-action",
        without="A route that changes something is written down, a new one too.",
        promise=Promise.TRACED,
        edits=edit(
            "pillars/web/dashboard/table.py", 'job.cancel, "job.cancel")', 'job.cancel, "")'
        ),
        tests=(TRAIL + "test_a_request_that_changes_something_leaves_one_row",),
    ),
    Mutant(
        name="unknown-outcomes-leave-no-row",
        without="A change of which no answer came is written down as unknown.",
        promise=Promise.TRACED,
        edits=edit("pillars/web/trail.py", "if trouble.may_have_happened:", "if not trouble:"),
        tests=(TRAIL + "test_a_change_of_which_no_answer_came_is_written_down_as_unknown",),
    ),
    Mutant(
        name="viewers-see-the-trail",
        without="Only who operates sees who did what.",
        promise=Promise.GUARDED,
        edits=edit(
            "pillars/web/gate.py",
            "_is_one(scope, self._for_operators) and not asking.operates:",
            "_is_one(scope, self._for_operators) and not scope:",
        ),
        tests=(TRAIL + "test_only_operators_see_who_did_what",),
    ),
    Mutant(
        name="the-trail-forgets-early",
        without="The audit trail is kept for 400 days.",
        promise=Promise.TRACED,
        edits=edit(
            "sql/pillars/migrations/0003_people.sql",
            "and entry.at < pillars.now() - greatest(keep_audit, interval '30 days')",
            "and entry.at < pillars.now()",
        ),
        tests=(TRAIL + "test_what_is_old_is_pruned",),
    ),
    Mutant(
        name="commands-leave-no-row",
        without="A pause by a command is made and written down, both or neither.",
        promise=Promise.TRACED,
        edits=edit(
            "pillars/cli/overseeing.py",
            "async with pool.session() as session, session.transaction():",
            "async with pool.session() as session:",
        ),
        tests=("tests/cli/test_audit.py::test_a_pause_that_cannot_be_written_down_is_not_made",),
    ),
]
