"""The embedded Postgres keeps its word whoever is killed: real servers, real kills, and the data afterwards.

The torture runs on the wheel's Postgres and on Debian's 15; what does not depend on the version, on the wheel's alone.
"""

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from pillars import embedded
from pillars.embedded import TEST_SETTINGS, Cluster, Server, layout, postmaster
from pillars.embedded.accounts import servant
from pillars.embedded.locks import held
from pillars.embedded.sockets import make_socket_folder
from pillars.embedded.spawning import keeper_pid
from pillars.errors import ConfigurationError, DatabaseTrouble

T = TypeVar("T")

CLIENT = Path(__file__).with_name("embedded_client.py")
IDLE = timedelta(seconds=0.4)
ROOT = os.geteuid() == 0
PR_SET_CHILD_SUBREAPER = 36

WHEEL = pytest.param(None, id="wheel")
DEBIAN = pytest.param(
    "/usr/lib/postgresql/15/bin", id="postgres-15", marks=pytest.mark.needs("postgres-15")
)


def until(look: Callable[[], T], *, seconds: float = 20) -> T:
    limit = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < limit, "it did not come about"
        time.sleep(0.01)
    return seen


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder in memory if there is room, which the server's user can pass through."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 1 << 30
    made = Path(tempfile.mkdtemp(prefix="pillars-", dir=memory if roomy else None))
    made.chmod(0o711)
    try:
        yield made
    finally:
        shutil.rmtree(made)


@contextlib.contextmanager
def dropped(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster, and nothing left of it afterwards."""
    try:
        yield cluster
    finally:
        embedded.reset(cluster)


@pytest.fixture(scope="module")
def original(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """An initialised cluster with one row, to be copied: initdb is what takes time."""
    binaries = embedded.find_binaries(getattr(request, "param", None))
    with folder() as place, dropped(Cluster(place / "original", binaries, idle=IDLE)) as cluster:
        with embedded.start(cluster) as server:
            psql(server, "create table kept (word text); insert into kept values ('first')")
        embedded.stop(cluster)
        yield cluster


@pytest.fixture
def cluster(original: Cluster) -> Iterator[Cluster]:
    with folder() as place:
        subprocess.run(["cp", "-a", original.root, place / "root"], check=True)
        with dropped(replace(original, root=place / "root")) as copy:
            yield copy


torture = pytest.mark.parametrize("original", [WHEEL, DEBIAN], indirect=True)


def psql(server: Server, statement: str) -> str:
    command = [str(embedded.tool(server.cluster, "psql")), "-XAtq", "-c", statement, server.url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout.strip()


def words(server: Server) -> str:
    return psql(server, "select string_agg(word, ' ') from kept")


@contextlib.contextmanager
def clients(cluster: Cluster, count: int = 1) -> Iterator[list[subprocess.Popen[str]]]:
    """Other processes that use the cluster."""
    command = [sys.executable, str(CLIENT), str(cluster.root), str(cluster.binaries)]
    command += [str(cluster.idle.total_seconds())]
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(count)
        ]
        try:
            for process in processes:
                assert process.stdout
                assert process.stdout.readline() == "at the barrier\n"
            for process in processes:
                assert process.stdin
                process.stdin.write("go\n")
                process.stdin.flush()
            yield processes
        finally:
            for process in processes:
                process.kill()


def served_pid(client: subprocess.Popen[str]) -> int:
    assert client.stdout
    return int(client.stdout.readline())


def keeper_of(cluster: Cluster) -> int:
    keeper = keeper_pid(cluster.keeper)
    assert keeper
    return keeper


def postmaster_of(cluster: Cluster) -> int:
    found = postmaster.find(cluster.data)
    assert found
    return found.pid


def gone(cluster: Cluster) -> bool:
    return not held(cluster.keeper) and postmaster.find(cluster.data) is None


def kill_both(cluster: Cluster) -> tuple[int, int]:
    """Kill keeper and postmaster so that neither can say goodbye: the keeper cannot reap while it is stopped."""
    keeper, server = keeper_of(cluster), postmaster_of(cluster)
    os.kill(keeper, signal.SIGSTOP)
    os.kill(server, signal.SIGKILL)
    os.kill(keeper, signal.SIGKILL)
    return keeper, server


@torture
def test_a_killed_client_does_not_keep_the_server_running(cluster: Cluster) -> None:
    with clients(cluster) as (client,):
        served = served_pid(client)
        with embedded.start(cluster) as server:
            assert server.pid == served
            client.kill()
            client.wait()
            assert words(server) == "first"
        until(lambda: gone(cluster))


@torture
def test_the_server_stops_when_the_last_user_has_gone_and_not_before(cluster: Cluster) -> None:
    first, second = embedded.start(cluster), embedded.start(cluster)
    first.close()
    first.close()
    closed = time.monotonic() + 2 * IDLE.total_seconds()
    until(lambda: time.monotonic() > closed)
    assert embedded.running(cluster)
    second.close()
    until(lambda: gone(cluster))
    assert "no user for 0.4 s" in cluster.keeper_log.read_text()


@torture
def test_a_server_whose_keeper_is_killed_shuts_down_cleanly_and_revives(cluster: Cluster) -> None:
    with embedded.start(cluster) as server:
        psql(server, "insert into kept values ('second')")
        os.kill(keeper_of(cluster), signal.SIGKILL)
        until(lambda: gone(cluster))
        server.revive()
        assert words(server) == "first second"
        assert "database system was shut down at" in cluster.log.read_text()
        assert "not properly shut down" not in cluster.log.read_text()


@torture
def test_a_killed_postmaster_takes_its_keeper_along_and_loses_no_row(cluster: Cluster) -> None:
    with embedded.start(cluster) as server:
        psql(server, "insert into kept values ('second')")
        os.kill(postmaster_of(cluster), signal.SIGKILL)
        until(lambda: not held(cluster.keeper))
    with embedded.start(cluster) as server:
        assert words(server) == "first second"


@torture
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process inherit orphans")
def test_a_zombie_is_not_taken_for_a_server(cluster: Cluster) -> None:
    libc = ctypes.CDLL(None)
    # As in a container whose pid 1 reaps nobody: the orphans are ours, and we leave them unburied.
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        with embedded.start(cluster):
            dead = kill_both(cluster)
            until(lambda: Path(f"/proc/{dead[1]}/stat").read_text().split()[2] == "Z")
            lines = (cluster.data / "postmaster.pid").read_text().splitlines()
            assert int(lines[0]) == dead[1]
            with embedded.start(cluster) as server:
                assert words(server) == "first"
            embedded.stop(cluster)
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


@torture
def test_a_stranger_who_got_the_pid_is_not_taken_for_a_server(cluster: Cluster) -> None:
    # One bears the right name in the wrong folder, one the wrong name in the right folder.
    owner = cluster.data.owner() if ROOT else None
    namesake = cluster.root / "postgres"
    namesake.symlink_to(shutil.which("sleep") or "sleep")
    for program, place in ((namesake, "/"), ("sleep", cluster.data)):
        with embedded.start(cluster):
            kill_both(cluster)
        until(lambda: gone(cluster))
        # Of the server's own user: Postgres itself passes over the processes of others.
        with subprocess.Popen([program, "60"], cwd=place, user=owner) as stranger:
            try:
                for file in (cluster.data / "postmaster.pid", Path(f"{cluster.door.socket}.lock")):
                    _, _, rest = file.read_text().partition("\n")
                    file.write_text(f"{stranger.pid}\n{rest}")
                with embedded.start(cluster) as server:
                    assert words(server) == "first"
                    assert server.pid != stranger.pid
            finally:
                stranger.kill()


@torture
def test_a_busy_orphan_of_a_dead_server_is_waited_for(cluster: Cluster) -> None:
    query = "select count(*) from generate_series(1, 100000000) a"
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(embedded.start(cluster))
        program = embedded.tool(cluster, "psql")
        busy = stack.enter_context(
            subprocess.Popen([program, "-Xqc", query, first.url], stderr=subprocess.DEVNULL)
        )
        stack.callback(busy.kill)
        running = f"select pid from pg_stat_activity where query = '{query}' and state = 'active'"
        orphan = int(until(lambda: psql(first, running)))
        kill_both(cluster)
        reviving = threading.Thread(target=first.revive)
        reviving.start()
        refused = "pre-existing shared memory block"
        until(lambda: cluster.log.read_text().count(refused) >= 2)
        assert reviving.is_alive()
        os.kill(orphan, signal.SIGKILL)
        reviving.join(timeout=30)
        assert words(first) == "first"


@torture
def test_four_processes_that_start_at_once_share_one_server(cluster: Cluster) -> None:
    with clients(cluster, 4) as processes:
        assert len({served_pid(client) for client in processes}) == 1
    assert cluster.keeper_log.read_text().count("started postgres") == 2  # once for the original


@torture
def test_a_user_revives_its_server_again_and_again_on_one_lease(cluster: Cluster) -> None:
    def leases() -> int:
        return sum(
            os.path.samestat(cluster.users.stat(), os.fstat(number))
            for number in open_descriptors()
        )

    with embedded.start(cluster) as server:
        alive = server.pid
        server.revive()
        assert server.pid == alive
        assert leases() == 1
        for victim in (postmaster_of, keeper_of, postmaster_of):
            os.kill(victim(cluster), signal.SIGKILL)
            until(lambda: not embedded.running(cluster))
            server.revive()
            assert words(server) == "first"
        assert server.pid != alive
        assert leases() == 1
    with pytest.raises(DatabaseTrouble, match="was closed"):
        server.revive()


def open_descriptors() -> Iterator[int]:
    for number in range(3, 256):
        with contextlib.suppress(OSError):
            os.fstat(number)
            yield number


def test_data_is_kept_between_runs(cluster: Cluster) -> None:
    with embedded.start(cluster) as server:
        psql(server, "insert into kept values ('second')")
    assert embedded.stop(cluster)
    assert not embedded.running(cluster)
    assert not embedded.stop(cluster)
    with embedded.start(cluster) as server:
        assert words(server) == "first second"


def test_stop_stops_a_server_in_use_and_its_user_revives_it(cluster: Cluster) -> None:
    with embedded.start(cluster) as server:
        assert embedded.stop(cluster)
        assert server.pid is None
        server.revive()
        assert words(server) == "first"


def test_a_server_that_outlived_its_keeper_is_adopted(cluster: Cluster) -> None:
    account = servant(cluster.user, data=cluster.data)
    make_socket_folder(cluster.door.folder, owner=account)
    command = [str(cluster.binaries / "postgres"), "-D", str(cluster.data)]
    command += ["-c", "listen_addresses="]
    command += ["-c", f"unix_socket_directories={cluster.door.folder}"]
    uid, gid = (account.uid, account.gid) if ROOT else (None, None)
    with subprocess.Popen(
        command, cwd="/", stderr=subprocess.DEVNULL, user=uid, group=gid
    ) as orphan:
        until(lambda: postmaster.find(cluster.data))
        with embedded.start(cluster) as server:
            assert server.pid == orphan.pid
            assert held(cluster.keeper)
            assert words(server) == "first"
        assert orphan.wait(timeout=20) == 0
    until(lambda: gone(cluster))


def test_a_server_whose_folder_is_deleted_ends(cluster: Cluster) -> None:
    with embedded.start(cluster) as server:
        moved = replace(cluster, root=cluster.root.with_name("elsewhere"))
        cluster.root.rename(moved.root)
        until(lambda: gone(moved))
        # Who still uses it begins afresh in its place.
        server.revive()
        assert psql(server, "select to_regclass('kept') is null") == "t"


def test_a_half_made_cluster_is_made_anew(cluster: Cluster) -> None:
    shutil.rmtree(cluster.data)
    (cluster.home / "init-1" / "base").mkdir(parents=True)
    with embedded.start(cluster) as server:
        assert psql(server, "select current_database()") == "dev"
    assert not list(cluster.home.glob("init-*"))


def test_a_dropped_database_is_made_again(cluster: Cluster) -> None:
    with embedded.start(cluster) as server:
        url = server.url.replace("/dev?", "/postgres?")
        program = embedded.tool(cluster, "psql")
        subprocess.run([program, "-Xqc", "drop database dev", url], check=True)
        with embedded.start(cluster) as again:
            assert psql(again, "select current_database(), current_user") == "dev|app"


def test_reset_drops_the_data_and_nothing_else(cluster: Cluster) -> None:
    (cluster.root / "mine").touch()
    with embedded.start(cluster) as server:
        embedded.reset(cluster)
        assert server.pid is None
    assert {path.name for path in cluster.root.iterdir()} == {
        "keeper.log",
        "lock",
        "mine",
        "users",
    }


def test_a_path_too_long_for_a_socket_is_no_hindrance(cluster: Cluster) -> None:
    deep = cluster.root.with_name("d" * 150) / "root"
    deep.parent.mkdir(0o711)
    cluster.root.rename(deep)
    with dropped(replace(cluster, root=deep)) as moved, embedded.start(moved) as server:
        assert words(server) == "first"


@pytest.mark.skipif(not ROOT, reason="only root can be another user")
def test_another_os_user_is_refused(cluster: Cluster) -> None:
    with embedded.start(cluster) as server:
        assert shut_out(server).endswith("Permission denied")
        # The folder shuts everyone out; open it, and the server itself refuses.
        cluster.door.folder.chmod(0o755)
        cluster.door.socket.chmod(0o777)
        assert "Peer authentication failed" in shut_out(server)
        assert words(server) == "first"


def shut_out(server: Server) -> str:
    nobody = pwd.getpwnam("nobody")
    program = ["/usr/bin/python3", "-c", SHUT_OUT, str(server.cluster.door.socket)]
    said = subprocess.run(
        program,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
    )
    return said.stdout.strip() or said.stderr.strip()


SHUT_OUT = r"""
import socket, struct, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect(sys.argv[1])
    body = struct.pack("!i", 3 << 16) + b"user\0app\0database\0dev\0\0"
    line.sendall(struct.pack("!i", len(body) + 4) + body)
    print(line.recv(4096))
"""


def test_a_port_wants_the_password_of_a_file_that_only_its_owner_reads(cluster: Cluster) -> None:
    with_port = replace(cluster, port=free_port())
    with embedded.start(with_port) as server:
        assert words(server) == "first"
        assert stat.S_IMODE(with_port.password.stat().st_mode) == 0o600
        word = with_port.password.read_text().strip()
        assert by_tcp(with_port, word) == (0, "first")
        assert by_tcp(with_port, "guessed")[0] == 2
        with embedded.start(cluster) as other:
            assert other.url == server.url
    embedded.stop(with_port)
    with embedded.start(cluster), pytest.raises(ConfigurationError, match="without port"):
        embedded.start(with_port)


def by_tcp(cluster: Cluster, word: str) -> tuple[int, str]:
    command = [str(embedded.tool(cluster, "psql")), "-XAtqc", "select word from kept"]
    command += [f"postgresql://app@127.0.0.1:{cluster.port}/dev"]
    environment = {"PGPASSWORD": word}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    return done.returncode, done.stdout.strip()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert isinstance(port, int)
        return port


def test_a_failed_start_tells_what_the_server_said(cluster: Cluster) -> None:
    wrong = replace(cluster, settings={"max_connections": "many"})
    with pytest.raises(DatabaseTrouble, match='invalid value for parameter "max_connections"'):
        embedded.start(wrong)
    assert gone(cluster)
    with embedded.start(cluster) as server:
        assert words(server) == "first"


def test_a_start_that_is_late_says_so_and_leaves_the_lock(cluster: Cluster) -> None:
    with embedded.start(cluster) as server:
        keeper, served = keeper_of(cluster), server.pid
        assert served
        os.kill(served, signal.SIGSTOP)
        os.kill(keeper, signal.SIGKILL)
        try:
            with pytest.raises(DatabaseTrouble, match="was not ready in time"):
                server.revive(timeout=timedelta(seconds=0.1))
        finally:
            os.kill(served, signal.SIGCONT)
        until(lambda: gone(cluster))
        server.revive()
        assert words(server) == "first"


def test_data_of_another_major_is_not_passed_over(cluster: Cluster) -> None:
    shutil.rmtree(cluster.home)
    (cluster.root / "pg14" / "data").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="holds data of Postgres 14") as refusal:
        embedded.start(cluster)
    assert "app db reset" in str(refusal.value)
    embedded.reset(cluster)
    assert not (cluster.root / "pg14").exists()


def test_a_folder_without_postgres_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no Postgres programs in"):
        embedded.find_binaries(tmp_path)
    with pytest.raises(ConfigurationError, match=r"no program 'psqk' in .*; there are: .*psql"):
        embedded.tool(Cluster(tmp_path, embedded.find_binaries()), "psqk")


def test_a_socket_folder_that_somebody_else_laid_out_is_refused(tmp_path: Path) -> None:
    us = servant(None, data=tmp_path) if not ROOT else servant("nobody", data=tmp_path / "none")
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    with pytest.raises(ConfigurationError, match="must be a folder of the OS user"):
        make_socket_folder(tmp_path / "link" / "hash", owner=us)
    (tmp_path / "there").chmod(0o777)
    with pytest.raises(ConfigurationError, match="no other can write to"):
        make_socket_folder(tmp_path / "there" / "hash", owner=us)


@pytest.mark.skipif(not ROOT, reason="only root runs Postgres as another user")
def test_root_keeps_its_cluster_where_the_servers_user_can_reach_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    hidden = embedded.cluster(tmp_path)
    assert hidden.root.parent == Path("/var/lib/pillars")
    with folder() as place:
        assert embedded.cluster(place).root == place / ".pillars"
    with pytest.raises(ConfigurationError, match="cannot reach"):
        embedded.start(replace(hidden, root=tmp_path / "root"))


@pytest.mark.skipif(not ROOT, reason="only root runs Postgres as another user")
def test_programs_that_the_servers_user_cannot_reach_are_copied_once(cluster: Cluster) -> None:
    with folder() as closed:
        installed = cluster.binaries.parents[1]
        for part in (installed, installed.with_name(f"{installed.name}.libs")):
            subprocess.run(["cp", "-a", part, closed], check=True)
        closed.chmod(0o700)
        own = replace(cluster, binaries=closed / installed.name / "pginstall" / "bin")
        for _ in range(2):
            with embedded.start(own) as server:
                assert words(server) == "first"
            embedded.stop(own)
        copies = list((own.root / layout.COPIES).iterdir())
        assert len(copies) == 1
        psql_copy = next(copies[0].glob("**/bin/psql"))
        subprocess.run([psql_copy, "--version"], check=True, stdout=subprocess.DEVNULL)


def test_settings_for_tests_are_taken(cluster: Cluster) -> None:
    with embedded.start(replace(cluster, settings=TEST_SETTINGS)) as server:
        assert psql(server, "show max_connections") == "300"
        assert psql(server, "show fsync") == "off"
        assert "pg_stat_statements" in psql(server, "show shared_preload_libraries")
