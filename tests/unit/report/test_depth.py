"""Predicted depth maps beside their images."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
from PIL import Image

from facepad.errors import ImageError
from facepad.report import depth_examples
from facepad.report.depth import depth_cards
from facepad.report.write import render
from facepad.types import AttackType, Label
from helpers.reports import Page, record, relief


def picture_of(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_depth_examples_are_spread_over_the_scores_of_each_class_and_instrument(plain):
    examples = depth_examples(plain.measured, plain.threshold.value, relief, per_class=5)
    by_path = {r.path: r for r in plain.measured}
    for example in examples:
        shown = by_path[example.path]
        assert (example.score, example.label, example.species) == (shown.score, shown.label, shown.species)
        assert example.accepted == (shown.score >= plain.threshold.value)
    bona_fide, attacks = ([e for e in examples if e.label is label] for label in Label)
    assert [len(bona_fide), len(attacks)] == [5, 5]
    assert [e.species for e in attacks].count(AttackType.PRINT) == 3
    scores = [r.score for r in plain.measured if r.label is Label.BONA_FIDE and r.score is not None]
    assert [e.score for e in bona_fide] == sorted(e.score for e in bona_fide)
    assert (bona_fide[0].score, bona_fide[-1].score) == (min(scores), max(scores))
    assert len({e.path for e in examples}) == 10


def test_few_records_give_few_depth_examples_and_unreadable_ones_none(plain):
    def unreadable(shown):
        raise ImageError(shown.path, "is gone")

    assert [e.path for e in depth_examples([record(0.5), record(None)], 0.5, relief)] == ["a.jpg"]
    assert depth_examples(plain.measured, 0.5, unreadable) == []


def test_depth_cards_show_input_and_map_in_colours(full):
    (dark, *_, bright) = depth_cards(full)[Label.BONA_FIDE]
    assert float(dark.mean_depth) < float(bright.mean_depth)
    assert picture_of(bright.image).format == "JPEG" and picture_of(bright.image).size == (80, 40)
    assert bright.aspect == "80 / 40"
    colours = np.asarray(picture_of(bright.depth).convert("L")).astype(int)
    assert colours.shape == (32, 32)
    assert (np.diff(colours[0]) >= 0).all() and colours[0, -1] > colours[0, 0] + 100
    wrong = [card for cards in depth_cards(full).values() for card in cards if card.wrong]
    assert all((card.decision == "accepted") == (card.actual != "bona fide") for card in wrong)


def test_depth_section_stands_beside_both_classes_and_goes_with_the_thumbnails(full, full_page):
    section = full_page[full_page.index('id="depth"') : full_page.index('id="learning"')]
    assert section.count('class="map"') == 8 and section.count("<h3>") == 2
    assert section.index("Bona fide") < section.index("<h3>Attacks")
    without = Page(render(replace(full, thumbnails=False)))
    assert "depth" not in without.sections() and "#depth" not in [attrs.get("href") for _, attrs in without.tags]
