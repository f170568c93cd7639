"""API keys: the owner of a key, files that change, and malformed files."""

from __future__ import annotations

import re
import secrets
import stat
import threading
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest

from facepad.errors import InputError
from facepad.service.keys import ApiKeys, KeyLimits, KeyScope, add_key
from helpers.patience import PATIENCE


def name_of(keys: ApiKeys, key: str) -> str | None:
    found = keys.find(key)
    return found and found.name


@pytest.fixture
def looks_always(monkeypatch):
    monkeypatch.setattr("facepad.service.watched.CHECK_SECONDS", 0.0)


def test_key_belongs_to_the_name_that_it_was_added_for(tmp_path):
    file = tmp_path / "keys.txt"
    first, second = add_key(file, "login"), add_key(file, "door-2")
    keys = ApiKeys(file)
    assert [name_of(keys, first), name_of(keys, second)] == ["login", "door-2"]
    assert name_of(keys, first + "x") is None
    assert name_of(keys, "") is None
    assert name_of(keys, "käse\udcff") is None


def test_file_holds_no_key_and_is_its_owners_alone(tmp_path):
    file = tmp_path / "keys.txt"
    key = add_key(file, "login")
    assert key not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(key) >= 43  # 256 random bits


def test_name_is_taken_once(tmp_path):
    add_key(tmp_path / "keys.txt", "login")
    with pytest.raises(InputError, match="has a key 'login' already"):
        add_key(tmp_path / "keys.txt", "login")


def test_keys_that_are_added_at_once_are_added_one_after_the_other(tmp_path, monkeypatch):
    file, made, refused = tmp_path / "keys.txt", [], []
    both, random = threading.Barrier(2), secrets.token_urlsafe

    def token(length):
        with suppress(threading.BrokenBarrierError):
            both.wait(5)  # both threads have begun
        return random(length)

    def add():
        try:
            made.append(add_key(file, "login"))
        except InputError as error:
            refused.append(str(error))

    monkeypatch.setattr(secrets, "token_urlsafe", token)
    threads = [threading.Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert [name_of(ApiKeys(file), key) for key in made] == ["login"]
    assert [text.split(": ", 1)[1] for text in refused] == [
        "has a key 'login' already; remove its line to revoke the key"
    ]


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\nb", "x" * 65, "#a"])
def test_name_that_would_break_the_file_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="a key's name has"):
        add_key(tmp_path / "keys.txt", name)
    assert not (tmp_path / "keys.txt").exists()


def test_key_is_added_below_a_line_without_end(tmp_path):
    file = tmp_path / "keys.txt"
    first = add_key(file, "a")
    file.write_text("# ours\n\n" + file.read_text().rstrip("\n"))
    second = add_key(file, "b")
    keys = ApiKeys(file)
    assert [name_of(keys, first), name_of(keys, second)] == ["a", "b"]


def test_changed_file_is_read_again(tmp_path, looks_always):
    file = tmp_path / "keys.txt"
    old = add_key(file, "old")
    keys = ApiKeys(file)
    new = add_key(file, "new")
    assert name_of(keys, new) == "new"
    file.write_text("".join(line for line in file.read_text().splitlines(True) if not line.startswith("old")))
    assert name_of(keys, old) is None


@pytest.mark.parametrize("broken", [None, "login: no hash"])
def test_file_that_breaks_later_leaves_the_keys_in_force(tmp_path, looks_always, broken, caplog):
    file = tmp_path / "keys.txt"
    key = add_key(file, "login")
    keys = ApiKeys(file)
    if broken is None:
        file.unlink()
    else:
        file.write_text(broken)
    assert [name_of(keys, key), name_of(keys, key)] == ["login", "login"]
    (record,) = caplog.records  # The warning comes once, not at every request.
    assert str(file) in record.getMessage()


def test_file_without_keys_admits_no_caller(tmp_path, looks_always):
    file = tmp_path / "keys.txt"
    key = add_key(file, "login")
    keys = ApiKeys(file)
    file.write_text("# all withdrawn\n")
    assert name_of(keys, key) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no key"),
        ("# nothing\n\n", "holds no key"),
        ("login:abc\n", "line 1: expected name:sha256"),
        ("secret-key-in-plain-text\n", "line 1: expected name:sha256"),
        (f"a:{'0' * 64}\na:{'1' * 64}\n", "line 2: a second key with this name"),
        (f"a:{'0' * 64} expires=soon", "line 1: expected a day"),
        (f"a:{'0' * 64} scopes=session", "line 1: unknown scope 'session' (did you mean 'sessions'?)"),
        (f"a:{'0' * 64} scopes=", "line 1: unknown scope"),
        (f"a:{'0' * 64} admin", "line 1: expected expires=DAY"),
        (f"a:{'0' * 64} scopes=liveness challenge-only", "line 1: a challenge-only key has other scopes than liveness"),
    ],
)
def test_broken_file_is_refused_with_its_line_and_without_its_content(tmp_path, text, message):
    file = tmp_path / "keys.txt"
    file.write_text(text)
    with pytest.raises(InputError, match=re.escape(message)) as error:
        ApiKeys(file)
    assert "secret-key" not in str(error.value)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        ApiKeys(tmp_path / "none.txt")


def test_limits_are_kept_in_the_file(tmp_path):
    file = tmp_path / "keys.txt"
    limits = KeyLimits(date(2999, 12, 31), frozenset({KeyScope.SESSIONS}), challenge_only=True)
    keys = {name: add_key(file, name, given) for name, given in (("free", None), ("bound", limits))}
    found = ApiKeys(file)
    assert found.find(keys["free"]).limits == KeyLimits()
    assert found.find(keys["bound"]).limits == limits
    assert KeyLimits.of(challenge_only=True).scopes == {KeyScope.SESSIONS, KeyScope.METRICS}
    assert KeyLimits.parse(str(KeyLimits.of(challenge_only=True))) == KeyLimits.of(challenge_only=True)
    assert file.read_text().endswith(" expires=2999-12-31 scopes=sessions challenge-only\n")


def test_key_is_valid_until_the_end_of_its_last_day(tmp_path, monkeypatch):
    now = datetime(2026, 5, 31, 23, 59, 59, tzinfo=UTC)
    monkeypatch.setattr("facepad.service.keys.datetime", SimpleNamespace(now=lambda zone: now.astimezone(zone)))
    today = now.date()
    assert not KeyLimits(today).expired() and KeyLimits(today - timedelta(1)).expired()
    with pytest.raises(InputError, match="would be expired"):
        add_key(tmp_path / "keys.txt", "late", KeyLimits(today - timedelta(1)))
    assert not (tmp_path / "keys.txt").exists()
