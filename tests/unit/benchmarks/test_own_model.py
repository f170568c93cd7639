"""The search for an own model: parts of the views, training, the page's conclusion, and the model file."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from facepad.metrics import NoteKind  # noqa: E402
from facepad.modelfile.bundle import Bundle, Description, Network  # noqa: E402
from facepad.modelfile.preprocess import PreprocessSpec  # noqa: E402
from facepad.models import create_model  # noqa: E402

own_model = importlib.import_module("own_model")
views_module, fusions = importlib.import_module("_views"), importlib.import_module("_fusions")

NETWORK = Network(name="tiny", files=("tiny.onnx",), preprocess=PreprocessSpec(crop_scale=1.8, size=(32, 32)))


def set_of(names, wrong=0, people=0):
    """Forty images, of which each model takes some for the other class."""
    rng, live = np.random.default_rng(0), np.repeat([True, False], 20)
    logits = np.where(live, 2.0, -2.0) + rng.normal(0, 0.5, 40)
    logits[:wrong] -= 5
    names_of_people = tuple(f"p{number % people}" for number in range(40)) if people else ()
    return fusions.Data(dict.fromkeys(names, logits), live, 0, names_of_people)


def test_training_part_and_held_out_part_share_no_view():
    source = np.arange(10) % 5
    views = views_module.Views(np.zeros((10, 4, 4, 3), np.uint8), source, np.arange(10) < 3, {"t": np.arange(10.0)})
    trained, held = (own_model.part(views, held_out=held_out) for held_out in (False, True))
    assert (trained.logits["t"].tolist(), held.logits["t"].tolist()) == ([*range(3, 10)], [0, 1, 2])
    assert held.bona_fide.tolist() == [True, False, True]
    assert own_model.part(views, held_out=True, logits={"new": -np.arange(10.0)}).logits["new"].tolist() == [0, -1, -2]


def test_training_changes_the_later_weights_alone(monkeypatch):
    monkeypatch.setattr(own_model, "BATCH", 4)
    model = create_model("mobilenet_v2", weights="none", width=0.25)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    candidate = own_model.Candidate("imagenet", 0.5, epochs=1, lr=1e-3)
    own_model.train(model, candidate, pixels, np.arange(4) % 2.0, "tiny")
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    early = [f"features.{number}." for number in range(4)]
    assert changed and not [name for name in changed if any(part in name for part in early)]


def test_page_names_the_candidates_that_reach_the_goal():
    names = [*own_model.FUSION, own_model.REFERENCE, *own_model.CANDIDATES]
    images, sets = set_of(names), {"office": set_of(names, wrong=4)}
    worst = [*own_model.CANDIDATES][-1]
    sets["office"].logits[worst] = -sets["office"].logits[worst]
    text = own_model.page(sets, images, set_of(names), ["+".join(own_model.FUSION), *own_model.CANDIDATES])
    reached = text.partition("Candidates that reach it:")[2].partition("\n")[0]
    assert all(f"`{name}`" in reached for name in own_model.CANDIDATES if name != worst)
    assert f"`{worst}`" not in reached
    assert f"| {worst} |" in text


def test_model_file_states_its_threshold_presets_card_and_licence(tmp_path):
    (tmp_path / own_model.LICENSE_FILE).write_text("the terms")
    bundle = Bundle(Description(name="tiny", networks=(NETWORK,)), {"tiny.onnx": b"graph"})
    images = set_of([own_model.SHIPPED], people=3)
    made = own_model.shipped(bundle, images, tmp_path)
    described = made.description
    assert (described.name, described.calibration.method) == ("distilled-research", "platt")
    assert (described.threshold.origin.n_bona_fide, described.threshold.origin.n_attack) == (20, 20)
    assert len(described.presets) == 3 and 0 < described.threshold.value < 1
    assert made.files["LICENSE"] == b"the terms" and made.files["CARD.md"].startswith(b"# distilled-research")
    [weak] = described.calibration.notes
    assert weak.kind is NoteKind.WEAK and weak in described.threshold.origin.notes
    assert all(weak in preset.threshold.origin.notes for preset in described.presets)
