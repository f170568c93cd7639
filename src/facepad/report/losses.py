"""Cards of the images with the highest loss."""

from __future__ import annotations

import math
from dataclasses import dataclass

from facepad.errors import ImageError
from facepad.media.images import read_image
from facepad.report.cards import Card
from facepad.report.content import ReportContent
from facepad.report.pictures import jpeg_uri
from facepad.types import Label, ScoreRecord

__all__ = ["IMAGE_SIDE", "TopLoss", "hardest_records", "loss", "top_losses"]

_PER_CLASS = 10
IMAGE_SIDE = 132
"""Side of a picture in pixels: it has a few kB and still shows the details of a presentation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopLoss(Card):
    """The card of an image with a high loss.

    Attributes:
        loss: Cross-entropy in nats, as text; None if scores are not probabilities.
        picture: The image as a ``data:`` URI; None if the image is unreadable or the report shows no images.
        why: The image with its occlusion map as a ``data:`` URI; None without a map.
    """

    loss: str | None
    picture: str | None
    why: str | None


def loss(record: ScoreRecord) -> float:
    """Return the cross-entropy of a scored record in nats, infinite for a wrong score of exactly 0 or 1.

    >>> from facepad.types import ScoreStatus
    >>> loss(ScoreRecord("a.jpg", "anna", None, None, Label.BONA_FIDE, None, None, ScoreStatus.SCORED, 1.0))
    0.0
    """
    assert record.score is not None
    right = record.score if record.label is Label.BONA_FIDE else 1 - record.score
    return -math.log(right) + 0.0 if right > 0 else math.inf


def hardest_records(content: ReportContent) -> dict[Label, list[ScoreRecord]]:
    """Return the measured records with the highest loss, by class, in descending order of loss.

    The records are sorted by score, because the loss of bona fide samples falls with the score and the loss of attacks
    rises with the score. This order also exists for scores that are not probabilities. Ties keep the order of records.
    """
    scored = [(record.score, record) for record in content.measured if record.score is not None]
    hardest = {}
    for label in Label:
        sign = 1 if label is Label.BONA_FIDE else -1
        ranked = sorted(
            ((sign * score, record) for score, record in scored if record.label is label), key=lambda pair: pair[0]
        )
        hardest[label] = [record for _, record in ranked[:_PER_CLASS]]
    return hardest


def top_losses(content: ReportContent) -> dict[Label, list[TopLoss]]:
    """Return the cards of `hardest_records`."""
    probabilities = all(0 <= record.score <= 1 for record in content.measured if record.score is not None)
    hardest = hardest_records(content).items()
    return {label: [_top_loss(content, record, probabilities) for record in records] for label, records in hardest}


def _top_loss(content: ReportContent, record: ScoreRecord, probabilities: bool) -> TopLoss:
    assert record.score is not None
    value = loss(record) if probabilities else None
    return TopLoss.of(
        record.path,
        record.label,
        record.species,
        record.score,
        record.score >= content.threshold.value,
        loss=None if value is None else "∞" if math.isinf(value) else f"{value:.3f}",
        picture=_picture_uri(content, record.path),
        why=content.why.get(record.path),
    )


def _picture_uri(content: ReportContent, path: str) -> str | None:
    if content.image_root is None or not content.thumbnails:
        return None
    try:
        pixels = read_image(content.image_root / content.pictures.get(path, path), min_size=(IMAGE_SIDE, IMAGE_SIDE))
    except ImageError:
        return None  # an unreadable image must not stop a report, and the page shows a placeholder
    return jpeg_uri(pixels, IMAGE_SIDE)
