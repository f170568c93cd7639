"""Replay-Mobile (Idiap): 40 people before a phone and a tablet, with attacks by prints and by a matte screen."""

from __future__ import annotations

from pathlib import Path

from facepad.datasets.adapter import Adapter, ProtocolInfo, Scan
from facepad.datasets.layout import Layout, Stated, named, read_layout, sort_samples
from facepad.files.synonyms import SPLIT_SYNONYMS
from facepad.types import AttackType, Label, Split

__all__ = ["REPLAY_MOBILE"]

_REAL = named(
    r"(?P<part>train|devel|test)/real/client(?P<client>\d{3})_session\d\d_authenticate_(?P<camera>mobile|tablet)_"
    r"(?P<light>adverse|controlled|diffuse|direct|lateral)"
)
_ATTACK = named(
    r"(?P<part>train|devel|test)/attack/attack_client(?P<client>\d{3})_session\d\d_(?P<instrument>print|mattescreen)_"
    r"(?P<support>fixed|hand)_(?P<camera>mobile|tablet)_(?P<kind>photo|video)_(?P<light>lightoff|lighton)"
)
_FACTS = ("camera", "light", "support", "instrument")


def _read(video: str) -> Stated | None:
    path = video.lower()
    match = _REAL.fullmatch(path) or _ATTACK.fullmatch(path)
    if match is None:
        return None
    facts: dict[str, str] = match.groupdict()
    kind: AttackType | None = None
    if "kind" in facts:
        shown = AttackType.REPLAY_PHOTO if facts["kind"] == "photo" else AttackType.REPLAY_VIDEO
        kind = AttackType.PRINT if facts["instrument"] == "print" else shown
    known: dict[str, str] = {name: facts[name] for name in _FACTS if name in facts}
    return Stated(f"client{facts['client']}", kind, SPLIT_SYNONYMS[facts["part"]], known)


_LAYOUT = Layout(
    title="Replay-Mobile",
    example="database/train/real/client001_session02_authenticate_mobile_adverse.mov",
    read=_read,
    published=(
        (Split.TRAIN, Label.BONA_FIDE, 120),
        (Split.TRAIN, Label.ATTACK, 192),
        (Split.DEV, Label.BONA_FIDE, 160),
        (Split.DEV, Label.ATTACK, 256),
        (Split.TEST, Label.BONA_FIDE, 110),
        (Split.TEST, Label.ATTACK, 192),
    ),
    annotations=(".face", ".txt"),
)


def _scan(root: Path, protocol: str, seed: int) -> Scan:
    del seed  # the protocols are not random
    scan, samples = read_layout(root, _LAYOUT)
    kinds = {None, "print", "mattescreen"} if protocol == "grandtest" else {None, protocol}
    scan.folds[""] = sort_samples(sample for sample in samples if sample.attribute("instrument") in kinds)
    return scan


REPLAY_MOBILE = Adapter(
    name="replay-mobile",
    title="Replay-Mobile (Idiap)",
    licence="research use only, on request from Idiap; not redistributable",
    citation=(
        "A. Costa-Pazo, S. Bhattacharjee, E. Vazquez-Fernandez, S. Marcel: The Replay-Mobile Face Presentation-Attack "
        "Database. BIOSIG 2016"
    ),
    protocols=(
        ProtocolInfo("grandtest", "all attacks; the train, devel and test folders of the data set", True),
        ProtocolInfo("print", "attacks with printed photos", True),
        ProtocolInfo("mattescreen", "attacks with photos and videos on a matte screen", True),
    ),
    scan=_scan,
    videos=True,
)
"""The adapter of Replay-Mobile. The enrolment videos, which are for recognition, are skipped."""
