"""The hunt for faults in readers: a short part of it, and what it notices."""

from __future__ import annotations

import itertools
import json
import math
import sys
import tomllib
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")  # readers of recipes, and the seeds
from tools.fuzz import __main__ as command
from tools.fuzz import seeds
from tools.fuzz.__main__ import CASES_OF_CI
from tools.fuzz.cases import changed_document, toml_text
from tools.fuzz.page import page
from tools.fuzz.readers import READERS, WrongAccept, outcome
from tools.fuzz.worker import Result, place_of

from facepad.errors import InputError
from facepad.metrics.scores import ScoreFile, read_scores

ONE = next(iter(READERS.values()))


@pytest.mark.parametrize("name", READERS)
def test_new_cases_are_accepted_or_refused_with_a_clear_message(name, tmp_path):
    reader = READERS[name]
    path = tmp_path / f"case{reader.suffix}"

    @settings(
        max_examples=CASES_OF_CI, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(reader.cases())
    def try_case(content: bytes) -> None:
        path.write_bytes(content)
        outcome(reader, path)

    try_case()


@pytest.mark.parametrize("name", READERS)
def test_a_valid_file_is_accepted(name, tmp_path):
    path = tmp_path / f"valid{READERS[name].suffix}"
    path.write_bytes(READERS[name].valid())
    assert outcome(READERS[name], path) == "accepted"


@pytest.mark.parametrize("message", ["", "two\nlines", "x" * 3000])
def test_an_unclear_message_is_noticed(message, tmp_path):
    class Error(InputError):
        def __str__(self) -> str:
            return message

    def check(path: Path) -> None:
        raise Error

    with pytest.raises(WrongAccept):
        outcome(replace(ONE, check=check), tmp_path)


def test_a_score_that_is_not_finite_is_noticed(monkeypatch, tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("label,score\nlive,0.5\n")
    (record,) = read_scores(path).records
    broken = ScoreFile((replace(record, score=math.nan),), "scores.csv")
    monkeypatch.setattr("tools.fuzz.readers.read_scores", lambda path: broken)
    with pytest.raises(WrongAccept, match="NaN"):
        outcome(READERS["scores"], path)


@given(
    st.dictionaries(
        st.text('aé. \t"', max_size=5), st.integers(0, 99) | st.booleans() | st.lists(st.integers(0, 9)), max_size=4
    )
)
@settings(max_examples=15, derandomize=True)
def test_documents_become_toml(document):
    assert tomllib.loads(toml_text(document).decode()) == document


def test_a_document_is_changed_in_a_copy():
    first = json.dumps(seeds.descriptions())

    @settings(max_examples=20, derandomize=True)
    @given(changed_document(seeds.descriptions()))
    def change(_: object) -> None:
        pass

    change()
    assert json.dumps(seeds.descriptions()) == first


def test_the_place_of_a_finding_is_the_innermost_function_of_facepad():
    one, two = '  File "/x/src/facepad/a.py", line 1, in outer', '  File "/x/src/facepad/b/c.py", line 2, in inner'
    assert place_of(f"Traceback (most recent call last):\n{one}\n{two}\n") == "in b/c.py: inner"
    crash = '  File "/x/src/facepad/b/c.py", line 2 in inner\n  File "/x/src/facepad/a.py", line 1 in outer'
    assert place_of(f"Fatal Python error: Aborted\n{crash}\n") == "in b/c.py: inner"
    assert place_of("Timeout") == "outside of facepad"


def test_a_kind_of_finding_that_comes_back_in_another_hunt_is_saved_and_fails(monkeypatch, tmp_path, capsys):
    found = SimpleNamespace(try_case=lambda name, content: Result("finding", "KeyError in a.py: read"))
    monkeypatch.setattr(command, "BATCH", 2)
    monkeypatch.setattr(command, "Worker", lambda folder: nullcontext(found))
    for corpus in (tmp_path / "first", tmp_path / "second"):
        monkeypatch.setattr(command, "time", SimpleNamespace(monotonic=itertools.count().__next__))  # a second a call
        options = {"minutes": 0.1, "progress": tmp_path / "fuzz.json", "corpus": corpus, "reader": "scores"}
        monkeypatch.setattr(sys, "argv", ["fuzz", *(f"--{key}={value}" for key, value in options.items())])
        with pytest.raises(SystemExit) as ended:
            command.main()
        assert ended.value.code == 1
        [saved] = (corpus / "scores").iterdir()
        assert capsys.readouterr().out.startswith(f"KeyError in a.py: read: {saved}")


def test_the_page_lists_counts_and_findings():
    one = {
        "cases": 1200,
        "accepted": 200,
        "refused": 999,
        "slowest_s": 0.5,
        "peak_mib": 7,
        "findings": {"slow": "a.bin"},
    }
    found = {"seconds": 7200.0, "readers": {"image": one}, "date": "today", "machine": "here", "commit": "abc"}
    text = page(found, {"seconds": 5, "memory": 256, "pixels": 1_000_000, "longest": 2000, "ci": 40})
    assert "2.0 process-hours" in text and "1,200 cases" in text
    assert "| image | 1,200 | 200 | 999 | 1 | 0.5 | 7 |" in text
    assert "| image | slow | `a.bin` |" in text
