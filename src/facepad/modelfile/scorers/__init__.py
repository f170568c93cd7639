"""Scorers, which compute P(bona fide) of images on any inference engine."""

from facepad.modelfile.scorers.bundle_scorer import BundleScorer
from facepad.modelfile.scorers.occlusion import OcclusionMap, occlusion_map
from facepad.modelfile.scorers.scorer import Prepared, Scorer, Scores, calibrated, cut_crops, sigmoid

__all__ = [
    "BundleScorer",
    "OcclusionMap",
    "Prepared",
    "Scorer",
    "Scores",
    "calibrated",
    "cut_crops",
    "occlusion_map",
    "sigmoid",
]
