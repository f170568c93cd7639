"""Reports that several tests look at, drawn once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from facepad.media.images import write_image
from facepad.metrics import Rate
from facepad.metrics import remarks as remarks_of
from facepad.report import DepthExample, ShortcutProbe, depth_examples
from facepad.report.literature import published_rows
from facepad.report.losses import top_losses
from facepad.report.write import render
from facepad.types import Label, Split
from helpers.reports import EPOCHS, HOSTILE, content_of, record, relief, simulated


@pytest.fixture(scope="module")
def plain():
    return content_of(simulated(Split.DEV, seed=1), simulated(Split.TEST, seed=2))


@pytest.fixture(scope="module")
def full(plain, tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    shown = top_losses(plain)[Label.ATTACK][0].path
    write_image(root / shown, np.full((480, 640, 3), (200, 30, 30), dtype=np.uint8))
    return replace(
        plain,
        image_root=root,
        depth_examples=depth_examples(plain.measured, plain.threshold.value, relief, per_class=4),
        epochs=EPOCHS,
        recipe={"name": "mine", "train": {"seed": 7}, "stages": [{"name": "head", "lr": 1e-4}]},
        facts={"machine": "two cores"},
        probes=[ShortcutProbe("face blanked", "surroundings only", Rate(0.312, 0.2, 0.4, 120, "bootstrap"))],
        published=published_rows("TLA-MobileNetV2"),
        notes=remarks_of(["measured on a rainy day"]),
    )


@pytest.fixture(scope="module")
def full_page(full):
    return render(full)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    test = simulated(Split.TEST, seed=2, missing=0)
    hardest = [replace(record(0.999999), path=path, subject=path, video=path) for path in HOSTILE]
    unscored_ones = [replace(record(None), path=path, subject=path, video=path) for path in HOSTILE]
    nasty = HOSTILE[1]
    content = content_of(
        simulated(Split.DEV, seed=1),
        test + hardest + unscored_ones,
        image_root=tmp_path_factory.mktemp("images"),
        epochs=[{"stage": name, "epoch": 1, "train_loss": 0.5} for name in HOSTILE],
        recipe={nasty: nasty, "section": {nasty: [nasty]}},
        facts={nasty: nasty},
        probes=[ShortcutProbe(nasty, nasty, Rate(0.3, 0.2, 0.4, 10, nasty))],
        notes=remarks_of(HOSTILE),
    )
    nasty_map = DepthExample(nasty, Label.BONA_FIDE, None, 0.5, True, *relief(record(0.5)))
    return replace(content, title=nasty, dataset=nasty, depth_examples=[nasty_map])
