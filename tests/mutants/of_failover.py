"""Mutants of how connections find the server that takes writes, and notice that it is gone."""

from mutants.kinds import Mutant, Promise, edit

DIALLING = "pillars/store/dialling.py"
POOL = "pillars/store/pool.py"
TESTS = "tests/store/test_failover.py::"

FAILOVER = [
    Mutant(
        name="standby-taken-for-primary",
        without="Of several servers, one that takes no writes is passed by.",
        promise=Promise.WOKEN,
        edits=edit(DIALLING, "if wish.writes and not await", "if False and not await"),
        tests=(TESTS + "test_a_dead_server_and_a_standby_are_passed_by",),
    ),
    Mutant(
        name="silent-server-first-again",
        without="A caller with little patience gets past a server that says nothing.",
        promise=Promise.WOKEN,
        edits=edit(POOL, "                route.shun(host)", "                pass"),
        tests=(TESTS + "test_a_caller_who_waits_no_longer_leaves_the_silent_server_to_the_last",),
    ),
    Mutant(
        name="old-primary-first-again",
        without="Connections go on where writes went last, whoever else comes back.",
        promise=Promise.CLAIMED,
        edits=edit(POOL, "                route.shun(host)", "                pass")
        + edit(POOL, "                route.prefer(host)\n", ""),
        tests=(TESTS + "test_connections_go_on_where_writes_went_last",),
    ),
    Mutant(
        name="one-patience-for-all-servers",
        without="A silent server leaves time for the others.",
        promise=Promise.WOKEN,
        edits=edit(POOL, "max(CONNECT_TIMEOUT / len(hosts), LEAST_TIMEOUT)", "timedelta(hours=1)"),
        tests=(TESTS + "test_a_silent_server_leaves_time_for_the_other",),
    ),
    Mutant(
        name="cut-not-noticed-by-us",
        without="A connection that waits is kept alive, so that a silent cut is noticed.",
        promise=Promise.WOKEN,
        edits=edit(DIALLING, "socket.SO_KEEPALIVE, 1)", "socket.SO_KEEPALIVE, 0)"),
        tests=(TESTS + "test_every_connection_over_tcp_is_kept_alive_from_both_ends",),
    ),
    Mutant(
        name="cut-not-noticed-by-the-server",
        without="The server, too, notices that we are cut off, and frees what we hold.",
        promise=Promise.WOKEN,
        edits=edit(DIALLING, "{**PROBED_BY_SERVER, **wish.settings}", "{**wish.settings}"),
        tests=(TESTS + "test_every_connection_over_tcp_is_kept_alive_from_both_ends",),
    ),
    Mutant(
        name="local-by-the-first-host",
        without="A database is on this machine where all of its hosts are.",
        promise=Promise.GUARDED,
        edits=edit(
            "pillars/cli/postgres.py",
            "for host in named_hosts(url))",
            "for host in [*named_hosts(url), 'localhost'][-1:])",
        ),
        tests=("tests/pure/test_hosts.py::test_a_url_is_local_where_all_of_its_hosts_are",),
    ),
]
