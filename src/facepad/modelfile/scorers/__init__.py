"""Scorers: images in, P(bona fide) out, on any inference engine."""

from facepad.modelfile.scorers.bundle_scorer import BundleScorer
from facepad.modelfile.scorers.scorer import Prepared, Scorer, Scores, calibrated, sigmoid

__all__ = ["BundleScorer", "Prepared", "Scorer", "Scores", "calibrated", "sigmoid"]
