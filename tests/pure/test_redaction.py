"""What is hidden, by its name or for what it is, and that everything else stays as it was."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from pillars.errors import ConfigurationError
from pillars.settings import load, redaction
from pillars.settings.redaction import HIDDEN, REDACTED, USUAL, is_secret, masked, redacted

SECRET = "hunter2"
OWN = "correct-horse-battery"


@pytest.fixture(autouse=True)
def _put_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(redaction, "_known", redaction._known)
    yield
    redaction._is_secret.cache_clear()


def hiding(folder: Path, **environ: str) -> None:
    redaction.hide(load(environ=environ, project=folder))


# --- names --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [*USUAL, "PGPASSWORD", "new_password2", "csrfToken", "accessToken", "X-Api-Key", "aws_secret_access_key", "Set-Cookie",
     "cardNumber", "credit-card", "CVV", "user.password", "credentials", "x" * 200 + "_token"],
)  # fmt: skip
def test_a_name_hides_every_key_that_has_it_however_it_is_spelt(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    ["lock_token", "tokens", "max_tokens", "discarded", "cardinality", "author", "class_name", "shipping", "key", "keys",
     "event", "error", "order_id", "", "-", "x" * 300],
)  # fmt: skip
def test_what_only_looks_alike_is_shown(name: str) -> None:
    assert not is_secret(name)


def test_the_setting_says_which_names(tmp_path: Path) -> None:
    hiding(tmp_path, PILLARS_REDACT="default, IBAN ,Geburtstag")
    assert all(map(is_secret, ("iban", "password", "der-geburtstag")))
    hiding(tmp_path, PILLARS_REDACT="iban")
    assert (is_secret("iban"), is_secret("password")) == (True, False)
    hiding(tmp_path, PILLARS_REDACT="none")
    assert not any(map(is_secret, USUAL))
    assert masked(f"postgres://u:{SECRET}@h/db") == "postgres://u:***@h/db", (
        "whatever the names are"
    )
    assert masked(f"host=h password={SECRET} user=u") == f"host=h password={REDACTED} user=u"


def test_the_setting_reads_a_list_and_refuses_what_is_no_name(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.pillars]\nredact = ["iban", "default"]\n')
    assert load(environ={}, project=tmp_path).redact == ("iban", *USUAL)
    (tmp_path / "pyproject.toml").write_text("[tool.pillars]\nredact = []\n")
    settings = load(environ={}, project=tmp_path)
    assert settings.redact == ()
    assert ("redact", "none", "[tool.pillars] redact") in settings.described()
    for wrong in ("a,*", "a,\0"):
        with pytest.raises(ConfigurationError, match="PILLARS_REDACT: expected"):
            load(environ={"PILLARS_REDACT": wrong}, project=tmp_path)


# --- JSON ---------------------------------------------------------------------------------------------------

DOCUMENTS = {
    '{"password": "hunter2", "to": "a"}': '{"password": "[redacted]", "to": "a"}',
    '{"a":{"b":[{"Token":["hunter2",{"x":"]}"}]},1]}}': '{"a":{"b":[{"Token":"[redacted]"},1]}}',
    '{"pin": 1, "otp": 123456, "secret": true, "cvv": null}': '{"pin": 1, "otp": "[redacted]", "secret": "[redacted]", "cvv": null}',
    r'{"pass\u0077ord": "hunter2"}': r'{"pass\u0077ord": "[redacted]"}',
    r'{"password": "\"hunter2\\", "n": 1}': '{"password": "[redacted]", "n": 1}',
    '{"url":"postgres://u:hunter2@h/db","to":"a@b.c"}': '{"url":"postgres://u:***@h/db","to":"a@b.c"}',
    r'{"url": "postgres://u:hun\"ter2@h/db\n"}': r'{"url": "postgres://u:***@h/db\n"}',
    r'{"text": "{\"password\": \"hunter2\"}"}': r'{"text": "{\"password\": [redacted]}"}',
    '["token", "hunter"]': '["token", "hunter"]',
    '{"n": 1e400, "m": 100000000000000000000.10, "k": "\u00e9"}': '{"n": 1e400, "m": 100000000000000000000.10, "k": "\u00e9"}',
}  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS)
def test_values_under_secret_names_go_and_all_else_stays_digit_by_digit(document: str) -> None:
    assert redacted(document) == DOCUMENTS[document]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_that_is_cut_anywhere_shows_no_more(document: str) -> None:
    if SECRET not in document:
        return
    for end in range(len(document)):
        shown = redacted(document[:end])
        assert "hunt" not in shown, document[:end]


KEYS = st.sampled_from(["password", "apiKey", "plain", "to", 'quo"te', "a\\", "\u00e9"])
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
    max_leaves=20,
)


def expected(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: REDACTED if one is not None and is_secret(key) else expected(one)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [expected(one) for one in value]
    return masked(value) if isinstance(value, str) else value


@given(ANY, st.booleans())
def test_any_document_stays_one_and_loses_its_secrets_alone(value: Any, plain: bool) -> None:  # noqa: FBT001
    shown = redacted(json.dumps(value, ensure_ascii=plain))
    assert json.loads(shown) == expected(value)
    assert redacted(shown) == shown


def test_texts_under_secret_names_are_told_apart() -> None:
    document = '{"password": {"a": ["first-secret", "short", 5]}, "to": "not-a-secret", "token": "a\\nsecret"}'
    assert set(redaction.secrets_in(document)) == {"first-secret", "a\nsecret"}


# --- texts --------------------------------------------------------------------------------------------------

TEXTS = {
    f"login(password={SECRET!r}, user='me')": "login(password=[redacted], user='me')",
    f"login(user='me', api_key={SECRET})": "login(user='me', api_key=[redacted])",
    f"{{'token': {SECRET!r}, 'n': 1}}": "{'token': [redacted], 'n': 1}",
    f'DETAIL: Failing row contains ({{"password": "{SECRET}"}}).': 'DETAIL: Failing row contains ({"password": [redacted]}).',
    f"https://h/p?token={SECRET}&page=2": "https://h/p?token=[redacted]&page=2",
    f"Command '['mysqldump', '--password={SECRET}', '-x']' failed": "Command '['mysqldump', '--password=[redacted]', '-x']' failed",
    f"401, message='Unauthorized', url='https://h/p?token={SECRET}'": "401, message='Unauthorized', url='https://h/p?token=[redacted]'",
    f"DATABASE_URL=postgresql://h/db?password={SECRET}": "DATABASE_URL=postgresql://h/db?password=[redacted]",
    f"conninfo='host=db password={SECRET} user=u'": "conninfo='host=db password=[redacted] user=u'",
    f'body=\'{{"password": "{SECRET}"}}\'': "body='{\"password\": [redacted]}'",
    f'password="{SECRET}\\\nmore" user=u': "password=[redacted] user=u",
    "x-token=one a.token=two": "x-token=[redacted] a.token=[redacted]",
    "args.token: expected int, got str": "args.token: expected int, got str",
    "password authentication failed": "password authentication failed",
    "max_tokens=5 token=None token == 5": "max_tokens=5 token=None token == 5",
    f"postgres://u:{SECRET}@h/db": "postgres://u:***@h/db",
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_that_names_a_secret_does_not_tell_it(text: str) -> None:
    assert masked(text) == TEXTS[text]
    assert masked(masked(text)) == TEXTS[text]


def test_this_process_hides_its_own_secrets_wherever_they_stand(tmp_path: Path) -> None:
    token, view = "t" + OWN, "v" + OWN
    hiding(
        tmp_path,
        DATABASE_URL=f"postgres://me:{OWN}%2F%40@h/db",
        DATABASE_DIRECT_URL="postgres://me@h/db?password=another-secret",
        PILLARS_TOKEN=token,
        PILLARS_VIEW_TOKEN=view,
    )
    for secret in (f"{OWN}%2F%40", f"{OWN}/@", "another-secret", token, view):
        assert masked(f"it is {secret}.") == f"it is {HIDDEN}."
        assert redacted(json.dumps({"text": secret})) == f'{{"text": "{HIDDEN}"}}'


@pytest.mark.parametrize("password", ["postgres", "me", "shop", "short", "password", "secret"])
def test_a_password_that_is_an_everyday_word_spoils_no_text(tmp_path: Path, password: str) -> None:
    hiding(tmp_path, DATABASE_URL=f"postgres://me:{password}@h/shop")
    assert masked(f"no {password} here") == f"no {password} here"


def test_a_value_that_is_given_is_hidden_too() -> None:
    assert masked("it said first-secret", ["first-secret"]) == f"it said {HIDDEN}"


HEAVY = {
    "urls": "a://:" * 100_000,
    "one string": '{"x": "' + "y" * 2_000_000 + '"}',
    "brackets": "[" * 500_000 + "]" * 500_000,
    "names": "token=" * 100_000,
    "keys": '"password":' * 100_000,
    "quotes": '"' * 200_000,
    "escapes": '"' + "\\" * 200_001,
    "dots": "a.b" * 200_000 + "=",
    "a deep secret": '{"password": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "broken": "'a': '" * 100_000,
    "innocent names": "a=" * 300_000,
    "quotes in quotes": "a='b=\"" * 100_000,
    "flags": "--a-b" * 100_000,
}


@pytest.mark.parametrize("case", HEAVY)
@pytest.mark.parametrize("look", [masked, redacted, redaction.secrets_in])
def test_no_text_fails_or_takes_quadratic_time(case: str, look: Any) -> None:
    assert look(HEAVY[case]) is not None  # or one waits for hours
