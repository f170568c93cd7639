"""The polarity of scores: a note on swapped scores, negation, and files with mixed polarity."""

from __future__ import annotations

import random

from facepad import metrics
from facepad.metrics.polarity import turned
from facepad.types import Label, Split
from helpers.two_classes import lines, write

FAST = metrics.Resampling(replicates=100)


def test_negation_keeps_ties_and_the_order_of_tiny_scores(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("label,score\nlive,1e-30\nlive,0\nspoof,2e-30\nspoof,2e-30\n")
    scores = [record.score for record in turned(metrics.read_scores(path).records)]
    assert scores == [-1e-30, 0.0, -2e-30, -2e-30]
    assert str(scores[1]) == "0.0"


def test_scores_of_mixed_polarity_in_one_file_have_a_note(tmp_path, facepad):
    mixed = write(tmp_path / "mixed.csv", lines("dev", "live", 1), lines("test", "spoof", 2))
    code, out, _ = facepad("metrics", mixed)
    assert code == 0
    assert "the rates at this threshold are worthless" in out


def test_scores_of_mixed_polarity_in_two_files_have_a_note(tmp_path):
    dev, test = write(tmp_path / "dev.csv", lines("dev", "spoof")), write(tmp_path / "test.csv", lines("test", "live"))
    summary = metrics.metrics_from_file(test, dev=dev, resampling=FAST)
    [note] = [note for note in summary.notes if note.kind is metrics.NoteKind.POLARITY]
    assert "high scores mean bona fide on one side and attack on the other" in note.text


def test_a_weak_system_is_not_taken_for_mixed_polarity(tmp_path):
    draw = random.Random(5)
    weak = [f"{label},test,{draw.random()!r}," for label in ["live", "spoof"] * 40]
    path = write(tmp_path / "weak.csv", lines("dev", "live"), weak)
    summary = metrics.metrics_from_file(path, resampling=FAST)
    assert summary.split is Split.TEST
    assert not any("worthless" in note.text for note in summary.notes)
    assert 0.3 < summary.rates["auc"].value < 0.7
    assert metrics.metrics_from_file(path, resampling=FAST, higher_is=Label.ATTACK).rates["auc"].value < 0.7
