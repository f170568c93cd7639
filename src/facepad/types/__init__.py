"""The value types that all layers share: labels, boxes, samples, scores and decisions."""

from facepad.types.decisions import (
    Aggregation,
    DecidedBy,
    Decision,
    FacePolicy,
    FrameDecision,
    Policy,
    Reason,
    SourceDecision,
    VideoDecision,
)
from facepad.types.faces import DEFAULT_DETECTOR, MAP_SIZE, Box, Face, FaceQuality, Landmarks
from facepad.types.samples import (
    LONGEST_ATTRIBUTE,
    AttackType,
    Attributes,
    Label,
    Sample,
    ScoreRecord,
    ScoresFormat,
    ScoreStatus,
    Split,
)
from facepad.types.videos import VIDEO_SUFFIXES, VideoFrame

__all__ = [
    "DEFAULT_DETECTOR",
    "LONGEST_ATTRIBUTE",
    "MAP_SIZE",
    "VIDEO_SUFFIXES",
    "Aggregation",
    "AttackType",
    "Attributes",
    "Box",
    "DecidedBy",
    "Decision",
    "Face",
    "FacePolicy",
    "FaceQuality",
    "FrameDecision",
    "Label",
    "Landmarks",
    "Policy",
    "Reason",
    "Sample",
    "ScoreRecord",
    "ScoreStatus",
    "ScoresFormat",
    "SourceDecision",
    "Split",
    "VideoDecision",
    "VideoFrame",
]
