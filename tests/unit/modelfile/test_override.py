"""The threshold of a loaded model, set by hand or by a preset."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facepad.errors import InputError
from facepad.metrics import PRESETS, Note, NoteKind, Rate, ThresholdOrigin, make_preset
from facepad.modelfile.bundle import Calibration, read_bundle, write_bundle
from facepad.modelfile.override import with_threshold

RATE = Rate(0.1, 0.05, 0.2, 30, "by hand")


@pytest.fixture
def plain(make_model, tmp_path):
    return read_bundle(make_model(tmp_path / "plain.facepad", threshold=0.5))


@pytest.fixture
def with_presets(plain):
    origin = ThresholdOrigin("desk", notes=(Note(NoteKind.WEAK, "weak: few people"),))
    presets = tuple(
        make_preset(name, value, origin, RATE, RATE) for name, value in zip(PRESETS, (0.9, 0.5, 0.2), strict=True)
    )
    changes = {"presets": presets, "calibration": Calibration(notes=(Note(NoteKind.WEAK, "weak: few people"),))}
    return type(plain)(plain.description.model_copy(update=changes), plain.files, plain.sha256)


@pytest.mark.parametrize("wanted", [0.25, "0.25", "2.5e-1"])
def test_a_number_replaces_the_threshold_and_says_that_it_was_set_by_hand(plain, wanted):
    done = with_threshold(plain, wanted)
    threshold = done.description.threshold
    assert (threshold.value, threshold.criterion, threshold.origin.source) == (0.25, "0.25", "set by hand")
    assert [note.kind for note in threshold.origin.notes] == [NoteKind.GIVEN]
    assert done.digest == plain.digest
    assert done.description.networks == plain.description.networks


def test_a_model_without_a_file_keeps_its_hash(plain):
    unnamed = replace(plain, sha256="")
    assert with_threshold(unnamed, 0.25).digest == unnamed.digest


def test_none_keeps_the_model(plain):
    assert with_threshold(plain, None) is plain


@pytest.mark.parametrize(("name", "value"), [("strict", 0.9), ("balanced", 0.5), ("lenient", 0.2)])
def test_a_preset_brings_its_origin_and_the_rates_to_expect(with_presets, tmp_path, name, value):
    write_bundle(tmp_path / "presets.facepad", with_presets)
    threshold = with_threshold(read_bundle(tmp_path / "presets.facepad"), name).description.threshold
    assert (threshold.value, threshold.criterion, threshold.origin.source) == (value, PRESETS[name], "desk")
    assert threshold.origin.notes[0].text.startswith(f"preset {name}: threshold {value}; expect APCER 10.0 %")
    assert threshold.origin.notes[-1].kind is NoteKind.WEAK


def test_a_weak_calibration_stays_weak_at_a_threshold_by_hand(with_presets):
    assert with_threshold(with_presets, "0.7").description.threshold.origin.notes[-1].kind is NoteKind.WEAK


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("1.5", r"lies in \[0, 1\], got 1.5"),
        (-0.1, r"lies in \[0, 1\], got -0.1"),
        ("nan", r"lies in \[0, 1\], got nan"),
        ("strickt", r"did you mean 'strict'\?\); choices: strict, balanced, lenient; or a number in \[0, 1\]"),
        ("strict", "has no preset strict"),
    ],
)
def test_other_words_are_refused_in_one_line(plain, wanted, message):
    with pytest.raises(InputError, match=message) as refused:
        with_threshold(plain, wanted)
    assert "\n" not in str(refused.value)
