"""The comparer of two source trees: what it overlooks, what it reports, and which differences are wanted."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest
from tools import compare_behaviour
from tools.compare_behaviour import Normaliser, differences, intended


@pytest.fixture
def normaliser() -> Normaliser:
    return Normaliser(Path("/tmp/one/before"), Path("/home/me/src"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("report: /tmp/one/before/report/report.html", "report: FOLDER/report/report.html"),
        ("from /home/me/src/facepad/models.py", "from SOURCE/facepad/models.py"),
        ("done in 4 min 12 s; open it", "done in TIME; open it"),
        ("scored in 3.5 s, 12.1/s", "scored in TIME, TIME"),
        ("made 2026-11-28T21:50:26.123+00:00.", "made DATE."),
        ("made 2026-11-28 21:50.", "made DATE."),
        ("left 0:01:05", "left TIME"),
        ("facepad 0.1.0", "facepad VERSION"),
        ("threshold 0.494631 on 24 samples", "threshold 0.494631 on 24 samples"),
    ],
)
def test_paths_times_and_versions_are_taken_out_of_text(normaliser, text, expected):
    assert normaliser.text(text) == expected


def test_messages_are_compared_by_their_first_words_without_progress_bars(normaliser):
    written = "scoring ━━━━ 24/24 0:00:00\nfacepad: model 'x' is unknown; try another\n\n  10%|# | 1/10\rready\n"
    assert normaliser.messages(written) == ["facepad: model 'x'", "ready"]


def test_output_is_compared_by_first_words_and_all_numbers(normaliser):
    assert normaliser.output("APCER of the worst instrument  12.5 of 24\n") == ["APCER of the | 12.5 24"]


def test_document_loses_volatile_keys_and_the_ends_of_sentences(normaliser):
    document = {
        "seconds": 3.2,
        "eer": 0.1,
        "notes": ["one two three four five", "short"],
        "path": "/tmp/one/before/a.jpg",
    }
    assert normaliser.document(document) == {
        "eer": 0.1,
        "notes": ["one two three", "short"],
        "path": "FOLDER/a.jpg",
    }


def test_archives_are_compared_by_their_members(normaliser):
    bundle, shard = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(bundle, "w") as archive:
        archive.writestr("bundle.json", json.dumps({"created": "today", "name": "first"}))
    with tarfile.open(fileobj=shard, mode="w") as archive:
        member = tarfile.TarInfo("0.txt")
        member.size, member.mtime = 3, 12345
        archive.addfile(member, io.BytesIO(b"one"))
    assert normaliser.content("a.facepad", bundle.getvalue()) == {"bundle.json": {"name": "first"}}
    assert normaliser.content("a.tar", shard.getvalue()) == {"0.txt": ["one |"]}


def test_other_files_are_compared_by_their_bytes(normaliser):
    assert normaliser.content("a.png", b"one") == normaliser.content("b.png", b"one")
    assert normaliser.content("a.png", b"one") != normaliser.content("a.png", b"two")


def test_pages_are_compared_by_the_first_words_and_the_numbers_of_each_line(normaliser):
    before, after, other = (
        normaliser.content("report.md", f"| EER | 0.3894831870884{end} | of {kind} people |".encode())
        for end, kind in (("232", "all"), ("2342", "many"), ("1", "all"))
    )
    assert before == after
    assert normaliser.content("report.md", b"| EER | 0.4 | of all people |") != before
    assert other == before  # nine digits


def test_table_of_scores_is_compared_number_by_number(normaliser):
    before, after, other = (
        normaliser.content("scores.csv", f"path,score\na.jpg,{score}\n".encode())
        for score in ("0.5", "0.50000001", "0.6")
    )
    assert list(differences(before, after)) == []
    assert list(differences(before, other, "scores.csv")) == ["scores.csv/0/score: '0.5', then '0.6'"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, ["b is new"]),
        ({"a": {"b": 1}}, {"a": {}}, ["a/b is gone"]),
        ([1, 2], [1], [": 2 entries, then 1"]),
        ({"a": 0}, {"a": 0.0}, ["a: 0, then 0.0"]),
        ({"a": 0}, {"a": False}, ["a: 0, then False"]),
        ({"a": "one"}, {"a": ["one"]}, ["a: 'one', then ['one']"]),
        ({"a": float("nan")}, {"a": float("nan")}, []),
        ({"a": 0.25}, {"a": 0.26}, ["a: 0.25, then 0.26"]),
    ],
)
def test_differences_name_their_place(before, after, expected):
    assert list(differences(before, after)) == expected


def test_only_listed_differences_are_intended(monkeypatch):
    monkeypatch.setattr(compare_behaviour, "INTENDED", (("metrics *", "stdout/notes*", "notes become lists"),))
    assert intended("metrics scores.csv --json", "stdout/notes: 'a', then ['a']") == "notes become lists"
    assert intended("metrics scores.csv --json", "stdout/eer: 0.1, then 0.2") is None
    assert intended("compare a b", "stdout/notes: 'a', then ['a']") is None
