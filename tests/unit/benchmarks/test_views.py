"""Training views: their origins, the presentation in the middle of another picture, the effects of cameras."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import numpy as np
import pytest

from facepad.datasets.manifest import write_manifest
from facepad.media.images import write_image
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.types import AttackType, Box, Label, Sample

views = importlib.import_module("_views")

SPEC = PreprocessSpec(crop_scale=1.8, size=(32, 32), detector="yunet")
FACE = Box(40, 40, 88, 88)


@pytest.fixture(scope="module")
def manifests(tmp_path_factory):
    """The manifests of two people of NUAA, and of six portraits: the last has no face, the one before is cut."""
    folder, rng = tmp_path_factory.mktemp("views"), np.random.default_rng(0)
    nuaa = [
        Sample(f"{subject}-{label}.png", subject, label, kind, box=FACE)
        for subject in ("0001", "0005")
        for label, kind in ((Label.BONA_FIDE, None), (Label.ATTACK, AttackType.PRINT))
    ]
    boxes = [FACE] * 4 + [Box(0, 0, 120, 120), None]
    portraits = [
        Sample(f"{number}.png", f"portrait-{number}", Label.BONA_FIDE, box=box) for number, box in enumerate(boxes)
    ]
    picture = rng.integers(60, 200, (128, 128, 3), dtype=np.uint8)
    for sample in nuaa + portraits:
        write_image(folder / sample.path, picture)
    write_manifest(folder / "nuaa.csv", nuaa)
    write_manifest(folder / "portraits.csv", portraits)
    return folder / "nuaa.csv", folder / "portraits.csv"


def test_origins_are_sorted_by_kind_and_hold_people_out(manifests):
    wide, portraits, live, attacks = views.find_origins(*manifests, SPEC)
    assert [origin.person for origin in portraits] == [f"portrait-{number}" for number in range(5)]
    assert [origin.person for origin in wide] == [f"portrait-{number}" for number in range(4)]
    assert [origin.held_out for origin in portraits] == [True, False, False, False, False]
    assert [(origin.person, origin.held_out) for origin in live] == [("0001", False), ("0005", True)]
    assert len(attacks) == 2


@pytest.mark.parametrize("kinds", [views.KINDS[:1], views.HELD_OUT], ids=["training", "held out"])
def test_presentation_is_in_the_middle_of_the_other_picture(kinds):
    face, behind = np.full((200, 200, 3), 200, np.uint8), np.zeros((160, 160, 3), np.uint8)
    for seed in range(3):
        shown = views.present(face, Box(70, 70, 130, 130), behind, kinds, np.random.default_rng(seed))
        assert (shown.shape, shown.dtype) == (behind.shape, np.uint8)
        assert shown[70:90, 70:90].mean() > shown[:6].mean() + 30


def test_degraded_views_keep_their_size_and_a_quarter_is_unchanged():
    view = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    found = [views.degrade(view, np.random.default_rng(seed)) for seed in range(60)]
    assert all((each.shape, each.dtype) == (view.shape, np.uint8) for each in found)
    assert 5 <= sum(np.array_equal(each, view) for each in found) <= 27


def test_views_have_every_source_and_are_made_once(manifests, tmp_path, monkeypatch):
    scored = []

    class Teacher:
        def __init__(self, bundle, **options):
            self.name = bundle

        def prepare(self, image, box):
            return float(image.mean())

        def score(self, prepared):
            scored.append(self.name)
            return SimpleNamespace(logits=np.array(prepared))

    monkeypatch.setattr(views, "BundleScorer", Teacher)
    monkeypatch.setattr(views, "find_model", lambda name: SimpleNamespace(read=lambda: name))
    made = [views.make_views(*manifests, {"t": "teacher"}, SPEC, 10, tmp_path / "views.npz") for _ in range(2)]
    assert scored == ["teacher"] * 10
    first, again = made
    assert np.array_equal(first.pixels, again.pixels) and first.pixels.shape == (10, 32, 32, 3)
    assert first.source.tolist() == [*range(5)] * 2
    assert first.bona_fide.tolist() == [True, False, True, False, False] * 2
    assert first.teachers["t"].shape == first.held_out.shape == (10,)
