"""Choice and cards of images that are shown beside their predicted depth maps."""

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

_IMAGE_SIDE = 160  # pixels of a shown image; two images fit side by side on a phone
_COLOUR_MAP = "viridis"  # perceptually uniform, also for colour-blind readers and in greyscale
_Predict = Callable[[ScoreRecord], tuple[NDArray[np.uint8], NDArray[np.float32]]]


def depth_examples(
    records: Sequence[ScoreRecord], threshold: float, predict: _Predict, *, per_class: int = 6
) -> list[DepthExample]:
    """Choose images of both classes, and predict their depth.

    The chosen images are spread evenly over the sorted scores of a class, from the lowest to the highest score. Each
    instrument gets an equal share of the attacks.

    Args:
        records: Records of images or videos. Records without a score are left out.
        threshold: Accept when score >= threshold.
        predict: Function from a record to the network's input, uint8 (H, W, 3), and the predicted depth, (h, w) in
            [0, 1]. An image is left out if this function raises `ImageError`.
        per_class: Maximum number of images per class.

    Returns:
        The bona fide examples, then the attacks; each class in ascending order of scores.
    """
    examples = []
    for label in Label:
        for record in _evenly_spread([r for r in records if r.label is label], per_class):
            assert record.score is not None
            try:
                image, depth = predict(record)
            except ImageError:
                continue  # an unreadable image must not stop a report
            accepted = record.score >= threshold
            examples.append(DepthExample(record.path, label, record.species, record.score, accepted, image, depth))
    return examples


def _evenly_spread(records: Sequence[ScoreRecord], n: int) -> list[ScoreRecord]:
    """Choose ``n`` records spread evenly over the sorted scores of each instrument, in ascending order of scores."""
    scored = sorted((r for r in records if r.score is not None), key=lambda r: (r.score, r.path, r.frame or 0))
    kinds = sorted({str(record.species) for record in scored})
    chosen: list[ScoreRecord] = []
    for place, kind in enumerate(kinds):
        group = [record for record in scored if str(record.species) == kind]
        share = min(len(group), n // len(kinds) + (place < n % len(kinds)))
        ranks = np.linspace(0, len(group) - 1, share).round().astype(int) if share > 1 else [len(group) // 2] * share
        chosen += [group[rank] for rank in ranks]
    return sorted(chosen, key=lambda record: record.score or 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthCard(Card):
    """One image beside its depth map.

    Attributes:
        mean_depth: Mean of the depth map, with two decimals.
        aspect: Width / height of the image in CSS syntax. The depth map has the same field of view.
        image: The network's input as a ``data:`` URI.
        depth: The depth map in colours as a ``data:`` URI.
    """

    mean_depth: str
    aspect: str
    image: str
    depth: str


def depth_cards(content: ReportContent) -> dict[Label, list[DepthCard]]:
    """Return the cards of the depth examples by class; no cards if the report shows no images."""
    shown = content.depth_examples if content.thumbnails else ()
    return {label: [_depth_card(example) for example in shown if example.label is label] for label in Label}


def _depth_card(example: DepthExample) -> DepthCard:
    return DepthCard.of(
        example.path,
        example.label,
        example.species,
        example.score,
        example.accepted,
        mean_depth=f"{float(example.depth.mean()):.2f}",
        aspect=f"{example.image.shape[1]} / {example.image.shape[0]}",
        image=jpeg_uri(example.image, _IMAGE_SIDE),
        depth=png_uri(_depth_colours(example.depth)),
    )


def depth_scale() -> str:
    """Return the colour scale from depth 0 to depth 1 as a ``data:`` URI of an image one pixel high."""
    return png_uri(_depth_colours(np.linspace(0, 1, 64, dtype=np.float32)[None]))


def _depth_colours(depth: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Map depth (h, w) in [0, 1] to RGB colours (h, w, 3)."""
    colours: NDArray[np.uint8] = colormaps[_COLOUR_MAP](depth, bytes=True)[..., :3]
    return np.ascontiguousarray(colours)
