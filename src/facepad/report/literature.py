"""The figures that the implemented papers published, as data with their own names, to set beside measured ones."""

from __future__ import annotations

from dataclasses import dataclass

from facepad.errors import InputError, unknown_choice

__all__ = ["PUBLISHED", "PublishedRow", "published_rows"]


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One row of a paper; rates are fractions in [0, 1], None is not published.

    Attributes:
        name: The method's name in the paper.
        paper: The paper that prints the row.
        dataset: The data set that it was measured on.
        protocol: The division of that data.
        accuracy: Share of images decided rightly.
        eer: Equal error rate.
        apcer: Share of attacks accepted.
        bpcer: Share of bona fide images rejected.
        hter: Mean of both.
        precision: With the attack as the positive class, as are ``recall`` and ``f1``.
        recall: See ``precision``.
        f1: See ``precision``.
        loss: Validation loss.
        seconds: Training time on the authors' GPU.
        remark: How the printed figures were interpreted; empty when they need no interpretation.
        consistent: Whether the row's figures can all hold at once.
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


_TLA = "Vinutha & Thippeswamy 2023 (TLA Framework)"
_FUSION = "Zhou (MobileNetV2-based Face Anti-spoofing Algorithm)"
_RANDOM_IMAGES = "random 80/20 of all images, leaky"
_RANDOM_FRAMES = "frames divided at random"
_CITED = "cited, protocol not given"


def _tla_rows() -> tuple[PublishedRow, ...]:
    nuaa = "NUAA"
    return (
        PublishedRow(
            "TLA-ResNet34",
            _TLA,
            nuaa,
            _RANDOM_IMAGES,
            accuracy=0.997623,
            apcer=0.00333,
            bpcer=0.00097,
            hter=0.00213,
            precision=0.9993,
            recall=0.9966,
            f1=0.9979,
            loss=0.0102,
            seconds=44,
            remark=(
                "printed as FAR 0.00097 %, FRR 0.00333 %, HTER 0.00213 %: these are fractions, not percent; precision "
                "and recall fit them only with the attack as the positive class, so FRR is the APCER and FAR the BPCER"
            ),
        ),
        PublishedRow(
            "TLA-MobileNetV2",
            _TLA,
            nuaa,
            _RANDOM_IMAGES,
            accuracy=0.996,
            hter=0.0024,
            seconds=197,
            remark=(
                "printed as HTER 0.0024 %, a fraction; at this class mix an accuracy of 99.6 % goes with a HTER of at "
                "least 0.34 %, so accuracy and HTER cannot both hold"
            ),
            consistent=False,
        ),
        PublishedRow("TLA-MobileNetV2, after stage 1", _TLA, nuaa, _RANDOM_IMAGES, accuracy=0.9955, loss=0.0222),
        PublishedRow("TLA-MobileNetV2, before training", _TLA, nuaa, _RANDOM_IMAGES, accuracy=0.51, loss=0.87),
        PublishedRow("Transfer learnt VGG-16", _TLA, "CASIA-MFSD", _CITED, accuracy=0.9375),
        PublishedRow("FASNet (VGG-16)", _TLA, "Replay-Attack", _CITED, accuracy=0.9904, hter=0.012),
    )


def _fusion_rows() -> tuple[PublishedRow, ...]:
    casia = {
        "AttentionFusion": 0.0287,
        "Siddiqui et al.": 0.0314,
        "DPCNN": 0.045,
        "Yang et al.": 0.0492,
        "LSTM-CNN": 0.0517,
        "Fine-tuned VGG-Face": 0.052,
    }
    replay = {"AttentionFusion": 0.0194, "Yang et al.": 0.0214, "DPCNN": 0.029, "Fine-tuned VGG-Face": 0.084}
    return tuple(
        PublishedRow(name, _FUSION, dataset, _RANDOM_FRAMES if name == "AttentionFusion" else _CITED, eer=eer)
        for dataset, rows in (("CASIA-MFSD", casia), ("Replay-Attack", replay))
        for name, eer in rows.items()
    )


PUBLISHED: tuple[PublishedRow, ...] = _tla_rows() + _fusion_rows()
"""All rows, by paper, in the order in which a reader compares them."""


def published_rows(name: str | None, dataset: str | None = None) -> tuple[PublishedRow, ...]:
    """The rows to set beside a result: those of the named method first, then the others of the same paper.

    Args:
        name: A method's name in its paper; None gives the rows of the data set alone.
        dataset: The data set of the result, as the rows name it; unused if a method is named.

    Raises:
        InputError: no paper has a method of this name.

    >>> [row.name for row in published_rows("TLA-MobileNetV2")[:3]]
    ['TLA-MobileNetV2', 'TLA-MobileNetV2, after stage 1', 'TLA-MobileNetV2, before training']
    """
    if name is None:
        return tuple(row for row in PUBLISHED if row.dataset == dataset)
    methods = {row.name.partition(",")[0]: row.paper for row in PUBLISHED}
    if name not in methods:
        raise InputError(unknown_choice("published method", name, methods))
    table = [row for row in PUBLISHED if row.paper == methods[name]]
    return tuple(sorted(table, key=lambda row: row.name.partition(",")[0] != name))
