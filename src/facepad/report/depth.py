"""Predicted depth maps beside their images, chosen over the whole range of scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from facepad.errors import ImageError
from facepad.report.cards import Card
from facepad.report.content import DepthExample, ReportContent
from facepad.report.pictures import jpeg_uri, png_uri
from facepad.types import Label, ScoreRecord

__all__ = ["DepthCard", "depth_cards", "depth_examples", "depth_scale"]

_SIDE = 160  # pixels of a shown image: two fit side by side on a phone
_COLOURS = "viridis"  # even steps of depth look even, also to the colour-blind and in grey
_Predict = Callable[[ScoreRecord], tuple[NDArray[np.uint8], NDArray[np.float32]]]


def depth_examples(
    records: Sequence[ScoreRecord], threshold: float, predict: _Predict, *, per_class: int = 6
) -> list[DepthExample]:
    """Choose images of both classes, and predict their depth.

    The images of a class are spread evenly over the ranks of its scores, so that sure decisions and mistakes are both
    shown. Each instrument gets an equal share of the attacks.

    Args:
        records: Scores of single images, or of videos; those without a score are left out.
        threshold: Accept when score >= threshold.
        predict: Gives, for a record, the image that the network saw, uint8 (H, W, 3), and its depth, (h, w) in [0, 1].
            If it raises `ImageError`, the image is left out.
        per_class: Number of images of each class.

    Returns:
        The bona fide examples first; within a class, by ascending score.
    """
    examples = []
    for label in Label:
        for record in _spread([r for r in records if r.label is label], per_class):
            assert record.score is not None
            try:
                image, depth = predict(record)
            except ImageError:
                continue  # one unreadable picture must not stop a report
            accepted = record.score >= threshold
            examples.append(DepthExample(record.path, label, record.attack_type, record.score, accepted, image, depth))
    return examples


def _spread(records: Sequence[ScoreRecord], n: int) -> list[ScoreRecord]:
    """``n`` scored records, spread over the ranks of each instrument's scores, in ascending order of scores."""
    scored = sorted((r for r in records if r.score is not None), key=lambda r: (r.score, r.path, r.frame or 0))
    kinds = sorted({str(record.attack_type) for record in scored})
    chosen: list[ScoreRecord] = []
    for place, kind in enumerate(kinds):
        group = [record for record in scored if str(record.attack_type) == kind]
        share = min(len(group), n // len(kinds) + (place < n % len(kinds)))
        ranks = np.linspace(0, len(group) - 1, share).round().astype(int) if share > 1 else [len(group) // 2] * share
        chosen += [group[rank] for rank in ranks]
    return sorted(chosen, key=lambda record: record.score or 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthCard(Card):
    """One image beside its depth map.

    Attributes:
        mean_depth: Mean of the map, two decimals.
        aspect: Width / height of the input, as CSS writes it; the map covers the same view.
        image: The input as a ``data:`` URI.
        depth: The depth map in colours as a ``data:`` URI.
    """

    mean_depth: str
    aspect: str
    image: str
    depth: str


def depth_cards(content: ReportContent) -> dict[Label, list[DepthCard]]:
    """The cards of the examples by class, in their order; no cards if the report shows no thumbnails."""
    shown = content.depth_examples if content.thumbnails else ()
    return {label: [_depth_card(example) for example in shown if example.label is label] for label in Label}


def _depth_card(example: DepthExample) -> DepthCard:
    return DepthCard.of(
        example.path,
        example.label,
        example.attack_type,
        example.score,
        example.accepted,
        mean_depth=f"{float(example.depth.mean()):.2f}",
        aspect=f"{example.image.shape[1]} / {example.image.shape[0]}",
        image=jpeg_uri(example.image, _SIDE),
        depth=png_uri(_coloured(example.depth)),
    )


def depth_scale() -> str:
    """The colours from depth 0 to depth 1 as a ``data:`` URI, one pixel high."""
    return png_uri(_coloured(np.linspace(0, 1, 64, dtype=np.float32)[None]))


def _coloured(depth: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Depth (h, w) in [0, 1] as RGB (h, w, 3)."""
    colours: NDArray[np.uint8] = colormaps[_COLOURS](depth, bytes=True)[..., :3]
    return np.ascontiguousarray(colours)
