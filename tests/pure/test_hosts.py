"""Which servers a URL names."""

import pytest

from pillars.cli.postgres import is_local
from pillars.errors import ConfigurationError
from pillars.settings.convert import database_url, masked_url
from pillars.settings.hosts import hosts_of, wants_writes

READ = {
    "postgresql://u:p@db/app": ["db:5432"],
    "postgresql://u:p@a:5433,b/app": ["a:5433", "b:5432"],
    "postgresql://u:p@a,b:5433,c/app?port=6000": ["a:6000", "b:5433", "c:6000"],
    "postgresql://u@[::1]:5433,[::2]/app": ["[::1]:5433", "[::2]:5432"],
    "postgresql:///app?host=a,b&port=1,2": ["a:1", "b:2"],
    "postgresql:///app?host=a,::1": ["a:5432", "[::1]:5432"],
    "postgresql:///app?host=/run/one,/run/other&port=5433": ["/run/one:5433", "/run/other:5433"],
    "postgresql://u@%2Frun%2Fone,b/app": ["/run/one:5432", "b:5432"],
    "postgresql:///app": [],
}
REFUSED = {
    "a port that is none": "postgresql://u:hunter2@a:x,b/app",
    "a port too high": "postgresql://u:hunter2@a,b:65536/app",
    "a comma too many": "postgresql://u:hunter2@a,/app",
    "ports for other hosts": "postgresql://u:hunter2@/app?host=a,b,c&port=1,2",
}
LOCAL = {
    "postgresql:///app": True,
    "postgresql://u@localhost,127.0.0.1:5433,[::1]/app": True,
    "postgresql:///app?host=/run/postgresql": True,
    "postgresql://u@localhost,db.example.com/app": False,
    "postgresql://u@localhost:5432,db.example.com:5432/app": False,
    "postgresql://u@localhost/app?host=db.example.com": False,
}


@pytest.fixture(autouse=True)
def no_host_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGPORT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("url", READ)
def test_every_host_of_a_url_is_read_with_its_port(url: str) -> None:
    assert [str(host) for host in hosts_of(url)] == READ[url]
    assert database_url(url, "DATABASE_URL") == url


def test_where_a_url_names_no_host_the_environment_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "a,b")
    monkeypatch.setenv("PGPORT", "1,2")
    assert [str(host) for host in hosts_of("postgresql:///app")] == ["a:1", "b:2"]
    assert not is_local("postgresql:///app")


@pytest.mark.parametrize("case", REFUSED)
def test_hosts_that_cannot_be_read_are_refused_without_the_password(case: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be told apart") as refusal:
        database_url(REFUSED[case], "DATABASE_URL")
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("said", ["standby", "prefer-standby", "read-only", "any", "primery"])
def test_a_way_to_a_standby_is_refused(said: str) -> None:
    with pytest.raises(
        ConfigurationError, match=f'target_session_attrs="{said}" .* set it to read-write'
    ):
        database_url(f"postgresql://u@a,b/app?target_session_attrs={said}", "DATABASE_URL")


def test_of_several_servers_only_one_that_takes_writes_is_wanted() -> None:
    assert wants_writes("postgresql://u@a,b/app")
    assert wants_writes("postgresql://u@a/app?target_session_attrs=primary")
    assert not wants_writes("postgresql://u@a/app?target_session_attrs=any")
    assert not wants_writes("postgresql://u@a/app")


@pytest.mark.parametrize("url", LOCAL)
def test_a_url_is_local_where_all_of_its_hosts_are(url: str) -> None:
    assert is_local(url) is LOCAL[url]


def test_the_password_of_several_hosts_is_masked() -> None:
    url = "postgresql://u:hun@ter2@a:5432,b:5432/app?target_session_attrs=read-write"
    assert masked_url(url) == url.replace("hun@ter2", "***")
