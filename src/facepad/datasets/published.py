"""Published results on a data set. Adapters list them, and reports show them beside a measured result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["CITED", "FUSION", "RANDOM_IMAGES", "TLA", "PublishedFigure", "fusion_figures"]

TLA = "Vinutha & Thippeswamy 2023 (TLA Framework)"
"""The paper of the TLA framework."""

FUSION = "Zhou (MobileNetV2-based Face Anti-spoofing Algorithm)"
"""The paper of AttentionFusion."""

RANDOM_IMAGES = "random 80/20 split of all images, which leaks"
"""The protocol of `TLA` on NUAA."""

CITED = "cited without a protocol"
"""The protocol of a result that a paper cites from another paper."""

_RANDOM_FRAMES = "random split of frames"


@dataclass(frozen=True, slots=True)
class PublishedFigure:
    """One published result. Rates are fractions in [0, 1]; None means not published.

    Attributes:
        name: Name of the method in the paper.
        paper: The paper that holds the result.
        dataset: Name of the data set in reports.
        protocol: Division of the data set into train and test.
        accuracy: Share of images that are decided correctly.
        eer: Equal error rate.
        apcer: Share of attacks accepted.
        bpcer: Share of bona fide images rejected.
        hter: Mean of APCER and BPCER.
        precision: Precision with attacks as the positive class.
        recall: Recall with attacks as the positive class.
        f1: F1 with attacks as the positive class.
        loss: Validation loss.
        seconds: Training time on the authors' GPU.
        remark: Interpretation of the printed figures; empty if they need no interpretation.
        consistent: Whether the figures of the row are consistent with each other.
    """

    name: str
    paper: str
    dataset: str
    protocol: str
    accuracy: float | None = None
    eer: float | None = None
    apcer: float | None = None
    bpcer: float | None = None
    hter: float | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    loss: float | None = None
    seconds: float | None = None
    remark: str = ""
    consistent: bool = True


def fusion_figures(dataset: str, eers: Mapping[str, float]) -> tuple[PublishedFigure, ...]:
    """The figures of the comparison in `FUSION`, which cites all methods but its own.

    Args:
        dataset: Name of the data set.
        eers: Name of the method -> equal error rate.
    """
    return tuple(
        PublishedFigure(name, FUSION, dataset, _RANDOM_FRAMES if name == "AttentionFusion" else CITED, eer=eer)
        for name, eer in eers.items()
    )
