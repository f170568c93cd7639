"""A model in words and numbers: `facepad model show`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from facepad.export.preparation import decision_steps, model_words, preparation_steps
from facepad.metrics import Rate, ThresholdOrigin, make_preset, remarks
from facepad.modelfile.bundle import InputFormat, Network, OutputFormat, read_bundle
from facepad.modelfile.preprocess import PreprocessSpec

RATE = Rate(0.1, 0.05, 0.2, 30, "by hand")


def network(**changes):
    form = InputFormat(layout="nchw", channels="bgr", dtype="float32", scale=0.5, mean=(1, 2, 3), std=(4, 5, 6))
    spec = PreprocessSpec(crop_scale=2.7, size=(80, 60), border="constant", detector="yunet", shift=(0.1, -0.2))
    output = OutputFormat(name="out", kind="probabilities", bona_fide=1)
    return Network(name="net", files=("net.onnx",), preprocess=spec, input=form, output=output).model_copy(
        update=changes
    )


def test_each_number_of_a_network_is_in_its_steps():
    assert preparation_steps(network()) == [
        "Find the face in the upright RGB image with yunet: a square of side s, in pixels.",
        "Cut the square of side 2.7 x s. Its centre lies 0.1 x s to the right of and 0.2 x s above the face's centre. "
        "Fill the part outside the image with mid grey (127, 127, 127).",
        "Resize to 80 x 60 (height x width). To shrink, average the area that each new pixel covers. To enlarge, "
        "interpolate (linear).",
        "Each value p of 0..255 becomes (p x 0.5 - mean) / std, with mean = [1, 2, 3] and std = [4, 5, 6] as float32, "
        "in the order B, G, R, in the shape (1, 3, height, width).",
        "The output out has a value exp(x) for each class. Class 1 is bona fide: logit = x[1] - log(sum of exp(x[k]) "
        "over all other classes k).",
    ]


def test_a_network_of_whole_frames_and_whole_numbers_needs_no_face():
    steps = preparation_steps(
        network(preprocess=PreprocessSpec(size=(8, 8)), input=InputFormat(), output=OutputFormat())
    )
    assert steps[0] == "Take the whole image, upright, in RGB."
    assert steps[2] == "Give the pixels as uint8, unchanged, in the order R, G, B, in the shape (1, height, width, 3)."
    assert steps[3] == "The output logit is the logit, positive for bona fide."


@pytest.fixture
def bundle(make_model, tmp_path):
    return read_bundle(make_model(tmp_path / "tiny.facepad", scope="for tests"))


def test_the_decision_is_a_sum_a_line_and_a_threshold(bundle):
    networks = (network(weight=0.25), network(weight=-1.0))
    described = bundle.description.model_copy(update={"networks": networks})
    sum_, line, verdict = decision_steps(described)
    assert sum_ == "Sum the logits: z = 0.25 x logit 1 + -1 x logit 2."
    assert (
        line == "Score = P(bona fide) = 1 / (1 + exp(-(1 x z + 0)))."
        and verdict == "Live if score >= 0.5, else attack."
    )
    assert "undecided" in decision_steps(described.model_copy(update={"threshold": None}))[2]


def test_words_name_terms_and_say_that_presets_are_missing(bundle):
    text = model_words(bundle)
    assert "licence: Apache-2.0" in text and "scope: for tests" in text and bundle.digest in text
    assert "note: given as a number, not chosen on data" in text and "presets: none; facepad calibrate" in text
    desk = ThresholdOrigin("desk", notes=(*bundle.description.threshold.origin.notes, *remarks(["not separated"])))
    presets = tuple(make_preset(name, 0.9, desk, RATE, RATE) for name in ("strict", "balanced"))
    changed = type(bundle)(bundle.description.model_copy(update={"presets": presets}), bundle.files)
    text = model_words(changed)
    assert "strict: threshold 0.9; expect APCER 10.0 % (up to 20.0 %)" in text
    assert text.endswith("\n  note: not separated") and text.count("note: ") == 2


def test_command_shows_words_or_json(facepad, make_model, tmp_path):
    model = make_model(tmp_path / "tiny.facepad")
    code, out, err = facepad("model", "show", model)
    assert (code, err) == (0, "") and out.startswith("tiny\n") and "Live if score >= 0.5" in out
    document = json.loads(facepad("model", "show", model, "--json")[1])
    assert document["networks"][0]["crop"]["size"] == [16, 16] and document["threshold"]["value"] == 0.5
    code, out, err = facepad("model", "show", Path("absent"))
    assert (code, out, err.count("\n")) == (2, "", 1) and "unknown model 'absent'" in err
