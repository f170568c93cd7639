"""The polarity of scores: a note on swapped scores, negation, and files with mixed polarity."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from facepad import metrics
from facepad.errors import ScoresError
from facepad.metrics.polarity import turned
from facepad.types import Label, Split

FAST = metrics.Resampling(replicates=100)


def lines(split: str, high: str, seed: int = 0) -> list[str]:
    """80 lines of one split. Scores of the class `high` are mostly above those of the other class."""
    draw = random.Random(seed)
    means = {True: 0.7, False: 0.3}
    return [f"{label},{split},{draw.gauss(means[label == high], 0.15)!r}" for label in ["live", "spoof"] * 40]


def write(path: Path, *parts: list[str]) -> Path:
    path.write_text("\n".join(["label,split,score", *(line for part in parts for line in part), ""]))
    return path


def test_swapped_scores_get_a_note_that_names_the_option_and_the_option_turns_them(tmp_path, facepad):
    right = write(tmp_path / "right.csv", lines("dev", "live", 1), lines("test", "live", 2))
    swapped = tmp_path / "swapped.csv"
    turned_back = [f"{a},{b},{0.0 - float(c)!r}" for a, b, c in (x.split(",") for x in right.read_text().split()[1:])]
    write(swapped, turned_back)
    code, out, err = facepad("metrics", swapped)
    assert (code, err) == (0, "")
    assert "note: the AUC is " in out
    assert "below 50 %" in out
    assert "add --higher-is attack" in out
    code, out, _ = facepad("metrics", swapped, "--higher-is", "attack", "--json")
    found = json.loads(out)
    expected = json.loads(facepad("metrics", right, "--json")[1])
    assert found["threshold"]["value"] == expected["threshold"]["value"]
    assert all(found[measure] == expected[measure] for measure in ("eer", "auc", "apcer", "bpcer"))
    assert [note["kind"] for note in found["notes"]] == ["reading"]
    assert "every score is negated" in found["notes"][0]["text"]
    code, out, _ = facepad("metrics", right, "--higher-is", "attack")
    assert "leave out --higher-is attack" in out


def test_a_comparison_turns_both_files(tmp_path, facepad):
    first = write(tmp_path / "a.csv", lines("dev", "spoof", 1), lines("test", "spoof", 2))
    second = write(tmp_path / "b.csv", lines("dev", "spoof", 3), lines("test", "spoof", 4))
    code, out, err = facepad("compare", first, second)
    assert (code, err) == (0, "")
    assert out.count("add --higher-is attack") == 2
    code, out, _ = facepad("compare", first, second, "--higher-is", "attack", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["differences"]["eer"]["a"] < 0.2
    assert all("negated" in note["text"] for note in found["notes"] if note["kind"] == "reading")


def test_negation_keeps_ties_and_the_order_of_tiny_scores(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("label,score\nlive,1e-30\nlive,0\nspoof,2e-30\nspoof,2e-30\n")
    scores = [record.score for record in turned(metrics.read_scores(path).records)]
    assert scores == [-1e-30, 0.0, -2e-30, -2e-30]
    assert str(scores[1]) == "0.0"


def test_scores_of_mixed_polarity_in_one_file_are_refused(tmp_path, facepad):
    mixed = write(tmp_path / "mixed.csv", lines("dev", "live", 1), lines("test", "spoof", 2))
    code, out, err = facepad("metrics", mixed)
    assert (code, out) == (2, "")
    assert "the polarity of the scores is mixed" in err
    assert len(err.splitlines()) == 1


def test_scores_of_mixed_polarity_in_two_files_are_refused(tmp_path):
    dev, test = write(tmp_path / "dev.csv", lines("dev", "spoof")), write(tmp_path / "test.csv", lines("test", "live"))
    with pytest.raises(ScoresError, match=r"test\.csv \(test\) and .*dev\.csv \(dev\); all lines"):
        metrics.metrics_from_file(test, dev=dev, resampling=FAST)


def test_a_weak_system_is_not_taken_for_mixed_polarity(tmp_path):
    draw = random.Random(5)
    weak = [f"{label},test,{draw.random()!r}" for label in ["live", "spoof"] * 40]
    path = write(tmp_path / "weak.csv", lines("dev", "live"), weak)
    summary = metrics.metrics_from_file(path, resampling=FAST)
    assert summary.split is Split.TEST
    assert 0.3 < summary.rates["auc"].value < 0.7
    assert metrics.metrics_from_file(path, resampling=FAST, higher_is=Label.ATTACK).rates["auc"].value < 0.7
