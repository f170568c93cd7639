"""Reports of simulated scores, and the parsed page."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser

import numpy as np

from facepad.metrics import Resampling, choose_threshold, summarize
from facepad.report import ReportContent
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus, Split

INSTRUMENTS = (AttackType.PRINT, AttackType.REPLAY_VIDEO)


EPOCHS = [
    {"stage": "before training", "epoch": 0, "dev_loss": 0.87, "dev_accuracy": 0.51},
    {"stage": "head", "epoch": 1, "train_loss": 0.5, "train_accuracy": 0.8, "dev_loss": 0.6, "dev_accuracy": 0.75},
    {"stage": "head", "epoch": 2, "train_loss": 0.2, "train_accuracy": 0.9, "dev_loss": 0.3, "dev_accuracy": 0.85},
    {"stage": "fine-tune", "epoch": 1, "train_loss": 0.01, "train_accuracy": 1.0, "dev_loss": 0.02, "dev_accuracy": 1},
]


def record(score, label=Label.ATTACK, split=Split.TEST, path="a.jpg", subject="s0", video="v0", kind=AttackType.PRINT):
    status = ScoreStatus.NO_FACE if score is None else ScoreStatus.SCORED
    kind = None if label is Label.BONA_FIDE else kind
    return ScoreRecord(path, subject, video, 0, label, kind, split, status, score)


def simulated(split, n=60, seed=0, spread=1.5, missing=2):
    """Overlapping scores of both classes, two instruments, six subjects per split, some images without a score."""
    generator = np.random.default_rng(seed)
    records = []
    for label, middle in ((Label.BONA_FIDE, 2.0), (Label.ATTACK, -2.0)):
        for index in range(n):
            score = float(1 / (1 + math.exp(-(middle + spread * generator.standard_normal()))))
            who = f"{split.value}{index % 6}"
            records.append(
                record(
                    None if index < missing else score,
                    label,
                    split,
                    path=f"{split.value}/{label.value}/{index}.jpg",
                    subject=who,
                    video=f"{label.value}-{who}",
                    kind=INSTRUMENTS[index % 2],
                )
            )
    return records


def content_of(dev, test, threshold=None, cluster="subject", **fields):
    if threshold is None:
        threshold = choose_threshold(dev, "eer", source="scores.csv", resampling=Resampling(cluster, 100))
    summary = summarize(test, threshold, source="scores.csv", resampling=Resampling(cluster, 100))
    return ReportContent(title="a title", summary=summary, records=[*dev, *test], threshold=summary.threshold, **fields)


def relief(shown):
    """A network's view of a record: a picture twice as wide as high, and a ramp as deep as its score."""
    ramp = np.linspace(0, shown.score, 32, dtype=np.float32)
    return np.full((40, 80, 3), 90, np.uint8), np.tile(ramp, (32, 1))


class Page(HTMLParser):
    """The page as tags with attributes, and its visible text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self._open = [], [], []
        self.feed(text)
        self.text = re.sub(r"\s+", " ", "".join(self.words))
        assert not self._open, f"unclosed: {self._open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        # `p`, `li` and the like are closed explicitly too: every end tag must match.
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "style" not in self._open:
            self.words.append(data)

    def sections(self):
        return [attrs["id"] for tag, attrs in self.tags if tag == "section"]


def squeezed(text):
    return re.sub(r"\s+", " ", text)


HOSTILE = [
    "<script>alert(1)</script>.jpg",
    '"><img src=x onerror=alert(1)>.jpg',
    "'; style='background:url(http://example.org)'.jpg",
    "{{ 7 * 7 }}{% raw %}.jpg",
    "$\\frac{1}$ &amp; </section>.jpg",
    "\u202egpj.exe",
    "日本/顔.jpg",
]
