"""The images of highest loss: their order, their loss and their thumbnails."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import replace

import pytest
from PIL import Image

from facepad.report.losses import loss, top_losses
from facepad.report.write import render
from facepad.types import Label, Split
from helpers.reports import content_of, record, simulated


def test_top_losses_are_the_hardest_of_each_class_with_their_loss(plain):
    gallery = top_losses(plain)
    measured = [r for r in plain.measured if r.score is not None]
    for label in Label:
        hardest = sorted((r for r in measured if r.label is label), key=loss, reverse=True)[:10]
        assert [entry.path for entry in gallery[label]] == [r.path for r in hardest]
        assert [entry.loss for entry in gallery[label]] == [f"{loss(r):.3f}" for r in hardest]
        assert [entry.wrong for entry in gallery[label]] == [
            (r.score >= plain.threshold.value) != (label is Label.BONA_FIDE) for r in hardest
        ]
    assert any(entry.wrong for entry in gallery[Label.ATTACK])


def test_loss_of_a_sure_mistake_is_infinite_and_of_a_sure_hit_zero():
    assert loss(record(1.0)) == math.inf
    assert str(loss(record(0.0))) == "0.0"
    assert loss(record(0.25, Label.BONA_FIDE)) == pytest.approx(-math.log(0.25))


def test_scores_that_are_no_probabilities_have_no_loss():
    dev, test = (
        [replace(r, score=r.score and 40 * r.score - 20) for r in simulated(s)] for s in (Split.DEV, Split.TEST)
    )
    content = content_of(dev, test)
    gallery = top_losses(content)
    assert {entry.loss for entries in gallery.values() for entry in entries} == {None}
    text = render(content)
    assert "<dt>Score</dt>" in text and "<dt>Loss</dt>" not in text


def test_thumbnails_are_small_jpegs_and_missing_images_placeholders(full, full_page):
    entries = [entry for part in top_losses(full).values() for entry in part]
    (picture,) = [entry.picture for entry in entries if entry.picture]
    image = Image.open(io.BytesIO(base64.b64decode(picture.partition(",")[2])))
    assert image.format == "JPEG" and max(image.size) <= 132 and image.size[0] > image.size[1]
    assert full_page.count('class="placeholder"') == len(entries) - 1


def test_thumbnails_can_be_left_out(full):
    text = render(replace(full, thumbnails=False))
    assert "<img" not in text and 'class="placeholder"' not in text
    assert "Pictures are left out." in text
    assert full.measured[5].path in text or top_losses(full)[Label.ATTACK][0].path in text
