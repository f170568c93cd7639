"""Published results of the field's cross-data-set protocols, which a report shows beside its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["PUBLISHED_CROSS", "PublishedCross"]

_TEST_SET = "test set"
_NOT_STATED = "not stated"


@dataclass(frozen=True, slots=True)
class PublishedCross:
    """One published row of a cross-data-set protocol.

    Attributes:
        name: Name of the method.
        paper: The paper that holds the results.
        hter: Name of the test set in the protocol, such as "OCI-to-M" -> HTER, as a fraction rounded to 0.001.
        threshold: The data that chose the threshold: "test set" if the authors' own code shows this, else "not stated".
        remark: What the reader should know before a comparison; empty if nothing.
    """

    name: str
    paper: str
    hter: Mapping[str, float]
    threshold: str
    remark: str = ""


def _mcio(*percent: float) -> dict[str, float]:
    names = ("OCI-to-M", "OMI-to-C", "OCM-to-I", "ICM-to-O")
    return {name: value / 100 for name, value in zip(names, percent, strict=True)}


PUBLISHED_CROSS: tuple[PublishedCross, ...] = (
    PublishedCross(
        "SSDG-R",
        "Jia, Zhang, Shan, Chen: Single-Side Domain Generalization for Face Anti-Spoofing, CVPR 2020",
        _mcio(7.4, 10.4, 11.7, 15.6),
        _TEST_SET,
        "its code takes the EER threshold of the tested scores, keeps the epoch with the best result on the tested "
        "set, and trains and tests on all videos of each set",
    ),
    PublishedCross(
        "SA-FAS",
        "Sun, Liu, Liu, Li, Chu: Rethinking Domain Generalization for Face Anti-spoofing, CVPR 2023",
        _mcio(6.0, 8.8, 6.6, 10.0),
        _TEST_SET,
        "its code takes the EER threshold of the tested scores, and evaluates on the tested set after each epoch",
    ),
    PublishedCross(
        "CFPL",
        "Liu, Xue, Gan, Wan, Liang, Deng, Escalera, Lei: CFPL-FAS: Class Free Prompt Learning, CVPR 2024",
        _mcio(3.1, 2.6, 5.4, 3.3),
        _TEST_SET,
        "the benchmark code of its authors takes the EER threshold of the tested scores for the HTER",
    ),
    PublishedCross(
        "CDCN",
        "Yu, Zhao, Wang, Qin, Su, Li, Zhou, Zhao: Searching Central Difference Convolutional Networks, CVPR 2020",
        {"C-to-I": 0.155, "I-to-C": 0.326},
        _NOT_STATED,
        "the function for these two sets in its code takes the EER threshold of the scores that it measures",
    ),
)
"""The published rows of the protocols ``mcio`` and ``single``. No row of the protocol ``limited`` is included."""
