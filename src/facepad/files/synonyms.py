"""The words for labels, attack instruments and splits in files of other systems, converted to facepad's names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from functools import lru_cache

from facepad.types import AttackType, Label, Split

__all__ = [
    "ATTACK_TYPE_SYNONYMS",
    "LABEL_SYNONYMS",
    "SPLIT_SYNONYMS",
    "normalise_name",
    "parse_attack_type",
    "parse_label",
    "parse_split",
    "similar_attack_type",
]

LABEL_SYNONYMS: Mapping[str, Label] = {
    **dict.fromkeys(("bona_fide", "bonafide", "live", "real", "genuine", "client"), Label.BONA_FIDE),
    **dict.fromkeys(("attack", "spoof", "fake", "imposter", "impostor", "presentation_attack"), Label.ATTACK),
}
"""Words for the two labels, normalised."""

SPLIT_SYNONYMS: Mapping[str, Split] = {
    **dict.fromkeys(("train", "training"), Split.TRAIN),
    **dict.fromkeys(("dev", "devel", "development", "val", "valid", "validation"), Split.DEV),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), Split.TEST),
}
"""Words for the splits, normalised."""

ATTACK_TYPE_SYNONYMS: Mapping[str, AttackType] = {
    **{member.value: member for member in AttackType},
    **dict.fromkeys(("printed", "photo", "paper"), AttackType.PRINT),
    **dict.fromkeys(("warped", "warped_photo"), AttackType.WARPED_PRINT),
    **dict.fromkeys(("cut", "cut_photo"), AttackType.CUT_PRINT),
    # "replay" alone nearly always means a video shown on a screen.
    **dict.fromkeys(("replay", "video_replay"), AttackType.REPLAY_VIDEO),
    **dict.fromkeys(("photo_replay",), AttackType.REPLAY_PHOTO),
    **dict.fromkeys(("mask",), AttackType.MASK_3D),
}
"""Words for attack instruments, normalised."""

# The first match wins. More specific words come first, because "cut photo" is not a plain photo.
_INSTRUMENT_WORDS: tuple[tuple[frozenset[str], AttackType], ...] = (
    (frozenset({"mask", "mask3d", "3dmask"}), AttackType.MASK_3D),
    (frozenset({"cut"}), AttackType.CUT_PRINT),
    (frozenset({"warped", "warp", "bent"}), AttackType.WARPED_PRINT),
    (frozenset({"print", "printed", "paper", "hardcopy"}), AttackType.PRINT),
    (frozenset({"video"}), AttackType.REPLAY_VIDEO),
)
_SCREEN_WORDS = frozenset({"replay", "mobile", "highdef", "phone", "tablet", "screen", "display", "monitor"})
_PHOTO_WORDS = frozenset({"photo", "image", "picture"})
_INSTRUMENT_NAMES = frozenset(instrument.value for instrument in AttackType)
_ALIKE = 0.8
_NO_INSTRUMENT = frozenset({"", "unknown", *(word for word, label in LABEL_SYNONYMS.items() if label is Label.ATTACK)})


def normalise_name(text: str) -> str:
    """A word in the form of the keys of the tables of synonyms: lower case, with underscores.

    >>> normalise_name(" Bona-Fide ")
    'bona_fide'
    """
    return re.sub(r"[\s-]+", "_", text.strip().lower())


@lru_cache(maxsize=1024)  # a file repeats a few words in every line
def parse_label(text: str) -> Label | None:
    """The label that a word stands for; None for an unknown word.

    Numbers are unknown: 1 means "real" in some files, and "attack" in others.

    >>> parse_label("Genuine"), parse_label("spoof"), parse_label("1")
    (<Label.BONA_FIDE: 'bona_fide'>, <Label.ATTACK: 'attack'>, None)
    """
    return LABEL_SYNONYMS.get(normalise_name(text))


@lru_cache(maxsize=1024)
def parse_split(text: str) -> Split | None:
    """The split that a word stands for; None for an unknown word.

    >>> parse_split("devel")
    <Split.DEV: 'dev'>
    """
    return SPLIT_SYNONYMS.get(normalise_name(text))


@lru_cache(maxsize=1024)
def parse_attack_type(text: str) -> AttackType | None:
    """The attack instrument that a name stands for; None for an unknown name.

    A name such as "attack", without an instrument, gives `AttackType.UNKNOWN`. The word "photo" alone gives a print.
    The word "replay" alone, or a screen such as "tablet", gives a video replay.

    >>> parse_attack_type("mobile/photo")
    <AttackType.REPLAY_PHOTO: 'replay_photo'>
    >>> parse_attack_type("attack").value, parse_attack_type("sculpture")
    ('unknown', None)
    """
    name = normalise_name(text)
    if name in _NO_INSTRUMENT:
        return AttackType.UNKNOWN
    if name in _INSTRUMENT_NAMES:
        return AttackType(name)
    words = set(re.split(r"[^a-z0-9]+", name))
    for known, instrument in _INSTRUMENT_WORDS:
        if words & known:
            return instrument
    if words & _PHOTO_WORDS:
        return AttackType.REPLAY_PHOTO if words & _SCREEN_WORDS else AttackType.PRINT
    return AttackType.REPLAY_VIDEO if words & _SCREEN_WORDS else None


@lru_cache(maxsize=1024)
def similar_attack_type(text: str) -> str | None:
    """The word for an instrument that a name probably misspells; None if the name is a name of its own.

    >>> similar_attack_type("prnt"), similar_attack_type("print2"), similar_attack_type("silicone")
    ('print', None, None)
    """
    name = normalise_name(text)
    if any(word in name for word in ATTACK_TYPE_SYNONYMS):
        return None
    return next(iter(difflib.get_close_matches(name, ATTACK_TYPE_SYNONYMS, n=1, cutoff=_ALIKE)), None)
