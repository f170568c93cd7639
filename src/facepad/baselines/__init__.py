"""Older methods to set beside the networks: they score the same manifests into the same reports."""

from __future__ import annotations

from facepad.baselines.lbp_svm import LBP_SPEC, LbpSvmScorer, colour_texture, train_lbp_svm

__all__ = ["LBP_SPEC", "LbpSvmScorer", "colour_texture", "train_lbp_svm"]
