"""Measuring a scores file: the lines of a second file that choose the threshold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from facepad import metrics
from facepad.errors import MetricError, ScoresError
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus, Split

FAST = metrics.Resampling(replicates=100)


def records(split: Split | None, seed: float = 0.0, name: str = "") -> list[ScoreRecord]:
    """40 overlapping scores of 8 people; other seeds give other scores."""
    label = [Label.BONA_FIDE, Label.ATTACK]
    where = name or str(split)
    return [
        ScoreRecord(
            path=f"{where}-{number}.png",
            subject=f"{where}-{number % 8}",
            video=None,
            frame=None,
            label=label[number % 2],
            attack_type=AttackType.PRINT if number % 2 else None,
            split=split,
            status=ScoreStatus.SCORED,
            score=(number * 7 % 40 + 15 * (number % 2 == 0) + seed) / 60,
        )
        for number in range(40)
    ]


def write(path: Path, *parts: list[ScoreRecord]) -> Path:
    metrics.write_scores(path, [record for part in parts for record in part])
    return path


def test_only_the_dev_lines_of_a_second_file_choose_the_threshold(tmp_path, facepad):
    dev, test = records(Split.DEV, 0.3, "a"), records(Split.TEST, 0.9, "b")
    second = write(tmp_path / "a.csv", dev, records(Split.TEST, 5.0, "c"))
    first = write(tmp_path / "b.csv", test, records(Split.DEV, 8.0, "d"))
    code, out, err = facepad("metrics", first, "--dev", second, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    origin = found["threshold"]["origin"]
    assert (origin["source"], origin["split"], origin["n_bona_fide"], origin["n_attack"]) == (
        str(second),
        "dev",
        20,
        20,
    )
    assert origin["sha256"] == metrics.scores_sha256(dev)
    texts = [note["text"] for note in found["notes"]]
    assert "in a.csv: 40 lines of other splits are not used for the threshold" in texts


def test_a_second_file_without_dev_lines_is_refused(tmp_path):
    first = write(tmp_path / "b.csv", records(Split.TEST))
    second = write(tmp_path / "a.csv", records(Split.TEST, name="a"), records(Split.TRAIN, name="c"))
    with pytest.raises(ScoresError, match=r"a\.csv: expected dev lines.*got 40 test, 40 train"):
        metrics.metrics_from_file(first, dev=second, resampling=FAST)


def test_a_second_file_with_a_split_on_some_lines_is_refused(tmp_path):
    first = write(tmp_path / "b.csv", records(Split.TEST))
    second = write(tmp_path / "a.csv", records(Split.DEV), records(None))
    with pytest.raises(ScoresError, match=r"a\.csv: expected a split on every line or on none"):
        metrics.metrics_from_file(first, dev=second, resampling=FAST)


def test_all_lines_of_a_second_file_without_splits_choose_with_a_note(tmp_path):
    first, second = write(tmp_path / "b", records(None, name="b")), write(tmp_path / "a", records(None, name="a"))
    summary = metrics.metrics_from_file(first, dev=second, resampling=FAST)
    assert "in a: no line names a split, so all lines choose the threshold" in map(str, summary.notes)


def test_the_same_lines_cannot_choose_and_be_measured(tmp_path, facepad):
    for number, split in enumerate((None, Split.DEV)):
        first = write(tmp_path / f"{number}.csv", records(split))
        copy = write(tmp_path / f"{number}-copy.csv", records(split)[::-1])
        for dev in (first, copy):
            code, out, err = facepad("metrics", first, "--dev", dev)
            assert (code, out) == (2, "")
            assert "the lines that would choose the threshold are the measured lines" in err


def test_the_same_file_twice_is_measured_on_its_own_splits(tmp_path):
    path = write(tmp_path / "scores.csv", records(Split.DEV), records(Split.TEST, 0.5))
    twice, once = (metrics.metrics_from_file(path, dev=dev, resampling=FAST) for dev in (path, None))
    assert (twice.threshold, twice.rates) == (once.threshold, once.rates)


def test_samples_that_choose_and_are_measured_are_noted(tmp_path):
    first = write(tmp_path / "b.csv", records(None, 0.5)[:30], records(None, name="other"))
    second = write(tmp_path / "a.csv", records(None))
    summary = metrics.metrics_from_file(first, dev=second, resampling=FAST)
    [note] = [note for note in summary.notes if note.kind is metrics.NoteKind.OVERLAP]
    assert note.text.startswith("30 of 70 measured samples have the path, subject and frame of a sample in")


def test_samples_without_names_are_not_taken_for_the_same(tmp_path):
    first, second = (tmp_path / name for name in ("b.csv", "a.csv"))
    for path, scores in ((first, (0.9, 0.2)), (second, (0.9, 0.3))):
        path.write_text("label,score\n" + f"live,{scores[0]}\nspoof,{scores[1]}\n" * 20)
    summary = metrics.metrics_from_file(first, dev=second, resampling=FAST)
    assert not metrics.has_note(summary.notes, metrics.NoteKind.OVERLAP)


def test_equal_lines_without_names_are_refused_only_in_a_copy_of_the_file(tmp_path):
    first, other, copy = (tmp_path / name for name in ("b.csv", "a.csv", "copy.csv"))
    for path, newline in ((first, "\n"), (other, "\r\n"), (copy, "\n")):
        path.write_bytes(newline.join(["label,score", *["live,1", "spoof,0"] * 20, ""]).encode())
    [note] = [
        note.text
        for note in metrics.metrics_from_file(first, dev=other, resampling=FAST).notes
        if note.kind is metrics.NoteKind.OVERLAP
    ]
    assert note.startswith("all measured lines are also lines of a.csv")
    with pytest.raises(ScoresError, match="are the measured lines of"):
        metrics.metrics_from_file(first, dev=copy, resampling=FAST)


def test_a_second_file_and_a_number_are_refused(tmp_path):
    first, second = write(tmp_path / "b.csv", records(Split.TEST)), write(tmp_path / "a.csv", records(Split.DEV))
    with pytest.raises(MetricError, match=r"a\.csv would choose the threshold, but the threshold is given as a number"):
        metrics.metrics_from_file(first, 0.5, dev=second)


def test_video_scores_of_a_second_file_are_of_its_dev_split(tmp_path):
    def clips(part: list[ScoreRecord]) -> list[ScoreRecord]:
        return [replace(record, video=f"v{record.label}", frame=number) for number, record in enumerate(part)]

    first = write(tmp_path / "b.csv", clips(records(Split.TEST, 0.5)))
    second = write(tmp_path / "a.csv", clips(records(Split.DEV)), clips(records(Split.TEST, name="c")))
    summary = metrics.metrics_from_file(first, dev=second, aggregation="mean", resampling=FAST)
    origin = summary.threshold.origin
    assert (origin.split, origin.n_bona_fide, origin.n_attack) == (Split.DEV, 4, 4)
