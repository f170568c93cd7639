"""Published results of the papers that facepad implements, for comparison with measured results."""

from __future__ import annotations

from dataclasses import dataclass

from facepad.errors import InputError, unknown_choice

__all__ = ["PUBLISHED", "PublishedRow", "published_rows"]


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One published result. Rates are fractions in [0, 1]; None means not published.

    Attributes:
        name: Name of the method in the paper.
        paper: The paper that holds the result.
        dataset: Name of the data set.
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


_TLA = "Vinutha & Thippeswamy 2023 (TLA Framework)"
_FUSION = "Zhou (MobileNetV2-based Face Anti-spoofing Algorithm)"
_RANDOM_IMAGES = "random 80/20 split of all images, which leaks"
_RANDOM_FRAMES = "random split of frames"
_CITED = "cited without a protocol"


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
                "printed as FAR 0.00097 %, FRR 0.00333 %, HTER 0.00213 %. These figures are fractions, not percent. "
                "They agree with precision and recall only if attacks are the positive class. Therefore FRR is the "
                "APCER, and FAR is the BPCER"
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
                "printed as HTER 0.0024 %, which is a fraction. With these class sizes, an accuracy of 99.6 % implies "
                "an HTER of at least 0.34 %. Therefore accuracy and HTER cannot both be correct"
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
"""All published results, grouped by paper."""


def published_rows(name: str | None, dataset: str | None = None) -> tuple[PublishedRow, ...]:
    """Return the rows to compare with a result: the rows of the method, then the other rows of the same paper.

    Args:
        name: Name of the method in the paper. None returns the rows of the data set.
        dataset: Name of the data set, as in `PublishedRow.dataset`; used only if ``name`` is None.

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
