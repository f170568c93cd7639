"""The cross-data-set protocols of the field by name: the sets that train, and the set that is tested."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from facepad.datasets import DATASETS
from facepad.datasets.origin import origin_of
from facepad.errors import InputError, unknown_choice
from facepad.workflow.cross.sets import Division, ManifestSet

__all__ = ["PROTOCOLS", "CrossProtocol", "divide_by_protocol"]

_SETS = {"M": "msu-mfsd", "C": "casia-mfsd", "I": "replay-attack", "O": "oulu-npu"}
_LETTER = re.compile(r"(?P<letter>[A-Za-z])=(?P<path>.+)")
_WHOLE = ("grandtest", "official")


@dataclass(frozen=True, slots=True)
class CrossProtocol:
    """A protocol over M (MSU-MFSD), C (CASIA-MFSD), I (Idiap Replay-Attack) and O (OULU-NPU).

    Attributes:
        summary: One line for listings.
        runs: (letters of the sets that train, letters of the sets that are tested), for each training.
    """

    summary: str
    runs: tuple[tuple[str, str], ...]

    @property
    def letters(self) -> list[str]:
        """The letters of all sets of the protocol."""
        used = "".join(train + test for train, test in self.runs)
        return [letter for letter in _SETS if letter in used]


PROTOCOLS: Mapping[str, CrossProtocol] = {
    "mcio": CrossProtocol(
        "train on three of M, C, I and O, and test on the fourth",
        (("OCI", "M"), ("OMI", "C"), ("OCM", "I"), ("ICM", "O")),
    ),
    "limited": CrossProtocol("train on M and I, and test on C and on O", (("MI", "CO"),)),
    "single": CrossProtocol("train on C and test on I, and the reverse", (("C", "I"), ("I", "C"))),
}
"""The protocols of ``facepad cross --protocol``, by name."""


def divide_by_protocol(name: str, data: Sequence[str | Path]) -> Division:
    """The sources and test sets of a protocol. Nothing is merged or written.

    Args:
        name: A name in ``PROTOCOLS``.
        data: The manifests of the protocol's sets, in any order. The prepare.json beside a manifest names its data set;
            ``M=path`` names the set of a manifest without prepare.json.

    Raises:
        InputError: the protocol is unknown, a set is missing, given twice or not part of the protocol, or a manifest's
            set is not known.
    """
    if name not in PROTOCOLS:
        raise InputError(unknown_choice("protocol", name, PROTOCOLS))
    protocol = PROTOCOLS[name]
    paths, notes = _paths_by_letter(name, protocol, data)
    titles = {letter: DATASETS[_SETS[letter]].name for letter in paths}
    return Division(
        tests=[
            ManifestSet(f"{train}-to-{letter}", {train: paths[letter]})
            for train, tested in protocol.runs
            for letter in tested
        ],
        sources={train: {titles[letter]: paths[letter] for letter in train} for train, _ in protocol.runs},
        source=f"the sources of {name}",
        paired=frozenset(f"{train}-to-{letter}" for train, tested in protocol.runs for letter in tested),
        notes=notes,
    )


def _paths_by_letter(
    name: str, protocol: CrossProtocol, data: Sequence[str | Path]
) -> tuple[dict[str, Path], list[str]]:
    """Letter -> manifest, and a note for each set that was not prepared whole."""
    paths: dict[str, Path] = {}
    notes: list[str] = []
    for text in map(str, data):
        match = _LETTER.fullmatch(text)
        path = Path(match["path"] if match else text)
        if not path.is_file():
            raise InputError(f"manifest {path} does not exist")
        origin = origin_of(path)
        given = match["letter"].upper() if match else None
        letter = _letter(name, protocol, path, given, origin.get("dataset"))
        if letter in paths:
            raise InputError(f"{paths[letter]} and {path} are both {_words(letter)}; name each set once")
        if other := next((other for other, known in paths.items() if known.samefile(path)), None):
            raise InputError(f"{path} is given as {_words(other)} and as {_words(letter)}; name each set once")
        paths[letter] = path
        if (part := origin.get("protocol", _WHOLE[0])) not in _WHOLE:
            notes.append(f"{_words(letter)} was prepared with its protocol {part}, but {name} takes the whole set")
    if missing := [letter for letter in protocol.letters if letter not in paths]:
        raise InputError(f"protocol {name} needs --data with {', '.join(map(_words, missing))} too")
    return paths, notes


def _sets(protocol: CrossProtocol) -> str:
    return ", ".join(map(_words, protocol.letters))


def _letter(name: str, protocol: CrossProtocol, path: Path, given: str | None, dataset: object) -> str:
    """The letter of a manifest's set: as given, else by the data set that its prepare.json names."""
    known = next((letter for letter, adapter in _SETS.items() if adapter == dataset), None)
    letter = given or known
    if letter is None:
        if dataset is not None:
            raise InputError(f"{path} is of the data set {dataset}, which is not a set of {name}: {_sets(protocol)}")
        choices = ", ".join(f"{letter}={path}" for letter in protocol.letters)
        raise InputError(f"{path}: no prepare.json says which set of {name} this is; write one of {choices}")
    if letter not in protocol.letters:
        raise InputError(f"{path}: {letter} is not a set of {name}: {_sets(protocol)}")
    if dataset is not None and _SETS[letter] != dataset:
        raise InputError(f"{path} is given as {_words(letter)}, but its prepare.json says {dataset}")
    return letter


def _words(letter: str) -> str:
    return f"{letter} ({_SETS[letter]})"
