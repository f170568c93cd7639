"""The words that the world's files and folders use for labels, instruments and splits."""

from __future__ import annotations

from collections.abc import Mapping

from facepad.types import AttackType, Label, Split

__all__ = ["ATTACK_TYPE_SYNONYMS", "LABEL_SYNONYMS", "SPLIT_SYNONYMS"]

LABEL_SYNONYMS: Mapping[str, Label] = {
    **dict.fromkeys(("bona_fide", "bonafide", "live", "real", "genuine", "client"), Label.BONA_FIDE),
    **dict.fromkeys(("attack", "spoof", "fake", "imposter", "impostor", "presentation_attack"), Label.ATTACK),
}
SPLIT_SYNONYMS: Mapping[str, Split] = {
    **dict.fromkeys(("train", "training"), Split.TRAIN),
    **dict.fromkeys(("dev", "devel", "development", "val", "valid", "validation"), Split.DEV),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), Split.TEST),
}
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
