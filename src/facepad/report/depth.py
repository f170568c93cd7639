"""Predicted depth maps beside their images: what the network takes for a face with relief, and what for a flat one."""

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
    """Choose images that show what the network makes of both classes, and have their depth predicted.

    Of each class they are spread evenly over the ranks of its scores, from the lowest to the highest, so that both sure
    decisions and mistakes are shown; attacks take turns by instrument.

    Args:
        records: Scores of single images, or of videos; those without a score are left out.
        threshold: Accept when score >= threshold.
        predict: Gives, for a record, the image that the network saw, uint8 (H, W, 3), and its depth, (h, w) in [0, 1].
            An `ImageError` of its leaves the image out.
        per_class: Images of each class.

    Returns:
        Bona fide first, each class from its lowest score to its highest.
    """
    examples = []
    for label in Label:
        for record in _spread([r for r in records if r.label is label], per_class):
            assert record.score is not None
            try:
                image, depth = predict(record)
            except ImageError:
                continue  # a report must not fail for a picture
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
    """The examples by class, in their order; none where pictures are not to be shown."""
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
