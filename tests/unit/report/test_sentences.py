"""The decision in a sentence, and the warnings and notes around it."""

from __future__ import annotations

import re
from dataclasses import replace

from facepad.metrics import Resampling, choose_threshold, fixed_threshold
from facepad.report.sentences import decision, remarks
from facepad.report.text import GAP, interval
from facepad.report.write import render
from facepad.types import AttackType, Label, Split
from helpers.reports import content_of, record, simulated


def test_decision_names_threshold_instrument_counts_and_intervals(plain):
    rates = plain.summary.rates
    text = re.sub("<.*?>", "", decision(plain)).replace(GAP, " ")
    assert f"The threshold {plain.threshold.value:.4g} was chosen on the dev scores (58 bona fide, 58 attacks)" in text
    assert "by the criterion eer (equal error rate)" in text
    worst = plain.summary.worst_instrument.replace("_", " ")
    apcer = rates["apcer"]
    assert f"of the worst instrument ({worst}) were accepted ({round(apcer.value * apcer.n)} of" in text
    assert interval(rates["bpcer"]).replace(GAP, " ") in text


def test_interval_in_the_decision_is_that_of_the_worst_instrument_itself():
    test = [record(0.1 + 0.8 * (n < 2), path=f"{n}.jpg", subject=f"s{n}") for n in range(60)]
    test += [record(0.1, path=f"m{n}.jpg", subject=f"s{n}", kind=AttackType.MASK_3D) for n in range(4)]
    test += [record(0.9, Label.BONA_FIDE, path=f"b{n}.jpg", subject=f"s{n}") for n in range(60)]
    content = content_of([], test, threshold=fixed_threshold(0.5))
    few, worst = (content.summary.instruments[name].apcer for name in ("mask_3d", "print"))
    assert (content.summary.worst_instrument, content.summary.rates["apcer"].high) == ("print", few.high)
    assert f"of the worst instrument (print) were accepted (2 of 60; 95 % interval {interval(worst)})" in decision(
        content
    )
    (note,) = [remark.text for remark in remarks(content) if "highest bounds" in remark.text]
    assert interval(content.summary.rates["apcer"]) in note


def test_decision_says_when_a_threshold_was_given():
    content = content_of(simulated(Split.DEV), simulated(Split.TEST), threshold=fixed_threshold(0.5))
    assert "given as a number and not chosen on data" in decision(content)
    assert any("not chosen on any data set" in remark.text for remark in remarks(content))


def warnings_of(content):
    return [remark.text for remark in remarks(content) if remark.kind == "warning"]


def test_ordinary_result_has_no_warning(plain):
    assert warnings_of(plain) == []


def test_separable_dev_is_a_warning():
    dev = [record(0.1, split=Split.DEV, subject=f"d{i}") for i in range(3)]
    dev += [record(0.9, Label.BONA_FIDE, Split.DEV, subject=f"d{i}", video="w") for i in range(3)]
    content = content_of(dev, simulated(Split.TEST))
    (warning,) = warnings_of(content)
    assert "perfectly separable" in warning and "from 0.1 to 0.9" in warning
    assert sum("separable" in remark.text for remark in remarks(content)) == 1
    assert 'class="warning"' in render(content)


def test_threshold_chosen_on_the_measured_scores_is_a_warning():
    test = simulated(Split.TEST)
    own = choose_threshold(test, "eer", source="scores.csv", resampling=Resampling(None, 100))
    (warning,) = warnings_of(content_of([], test, threshold=own))
    assert "on the test scores themselves" in warning


def test_threshold_chosen_on_another_test_split_is_a_warning():
    other = choose_threshold(simulated(Split.TEST, seed=9), "eer", source="other.csv", resampling=Resampling(None, 100))
    (warning,) = warnings_of(content_of([], simulated(Split.TEST), threshold=other))
    assert "test split, not on dev" in warning


def test_frames_of_one_clip_in_dev_and_test_are_a_warning():
    test = simulated(Split.TEST)
    leaked = [replace(r, split=Split.DEV, path=f"dev-{r.path}") for r in simulated(Split.TEST, seed=5)]
    (warning,) = warnings_of(content_of(leaked, test))
    assert "leaks: 12 of 12 test clips" in warning


def test_shared_subjects_without_shared_clips_are_a_note():
    dev = [replace(r, split=Split.DEV, video=f"other-{r.video}") for r in simulated(Split.TEST, seed=5)]
    content = content_of(dev, simulated(Split.TEST))
    assert warnings_of(content) == []
    assert "6 of 6 test subjects are also in dev." in [remark.text for remark in remarks(content)]


def test_frame_intervals_are_called_optimistic():
    content = content_of(simulated(Split.DEV), simulated(Split.TEST), cluster=None)
    assert any("assume independent frames" in remark.text for remark in remarks(content))
