"""LCC-FASD: photographs of faces from the web and from volunteers, in training, development and evaluation folders."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from facepad.datasets.adapter import Adapter, ProtocolInfo, Scan
from facepad.datasets.layout import Layout, Stated, named, read_layout, shared_subject_notes, sort_samples
from facepad.errors import number_of
from facepad.files.synonyms import SPLIT_SYNONYMS
from facepad.types import AttackType, Label, Split

__all__ = ["LCC_FASD"]

_NAME = named(r"(?:LCC_FASD_)?(?P<part>training|development|evaluation)/(?P<class>real|spoof)/(?P<name>[^/]+)")
_PERSON = re.compile(r"(?P<person>.*id\d+)_s\d+_\d+", re.IGNORECASE | re.ASCII)


def _read(image: str) -> Stated | None:
    match = _NAME.fullmatch(image)
    if match is None:
        return None
    person = _PERSON.fullmatch(match["name"])
    return Stated(
        subject=person["person"] if person else image,
        attack_type=AttackType.UNKNOWN if match["class"].lower() == "spoof" else None,
        split=SPLIT_SYNONYMS[match["part"].lower()],
    )


def _name_of(path: str) -> str:
    """The folders of part and class, and the name of the file: two parts have files with the same name."""
    return "/".join(path.split("/")[-3:]).lower().removeprefix("lcc_fasd_")


_LAYOUT = Layout(
    title="LCC-FASD",
    example="LCC_FASD_training/real/YOUTUBE_id99_s2_15.png",
    read=_read,
    published=(
        (Split.TRAIN, Label.BONA_FIDE, 1223),
        (Split.TRAIN, Label.ATTACK, 7076),
        (Split.DEV, Label.BONA_FIDE, 405),
        (Split.DEV, Label.ATTACK, 2543),
        (Split.TEST, Label.BONA_FIDE, 314),
        (Split.TEST, Label.ATTACK, 7266),
    ),
    images=True,
    name_of=_name_of,
)


def _scan(root: Path, protocol: str, seed: int) -> Scan:
    del protocol, seed  # the data set has one protocol, which is not random
    scan, samples = read_layout(root, _LAYOUT)
    if unnamed := sum(sample.subject.endswith(PurePosixPath(sample.path).stem) for sample in samples):
        some = f"{number_of(unnamed, 'image')} {'names' if unnamed == 1 else 'name'}"
        scan.notes.append(f"{some} no subject; each counts as a separate subject")
    scan.notes.extend(shared_subject_notes(samples))
    scan.folds[""] = sort_samples(samples)
    return scan


LCC_FASD = Adapter(
    name="lcc-fasd",
    title="Large Crowdcollected Facial Anti-Spoofing Dataset (LCC-FASD)",
    licence="research use, as its authors state; the images come from the web and from volunteers",
    citation=(
        "D. Timoshenko, K. Simonchik, V. Shutov, P. Zhelezneva, V. Grishkin: Large Crowdcollected Facial Anti-Spoofing "
        "Dataset. CSIT 2019"
    ),
    protocols=(
        ProtocolInfo("official", "the training, development and evaluation folders; not every subject is known", False),
    ),
    scan=_scan,
)
"""The adapter of LCC-FASD. The names do not state the instruments: prints and replays are together."""
