"""Presentation attack detection metrics from scores alone (numpy only): rates, curves, intervals, thresholds, files."""

from facepad.metrics.bob import write_bob_scores
from facepad.metrics.curves import DetCurve, Histogram, RocCurve, det, histogram, probit, roc
from facepad.metrics.from_file import metrics_from_file
from facepad.metrics.intervals import Rate, clopper_pearson
from facepad.metrics.names import parse_attack_type, parse_label, parse_split
from facepad.metrics.pad import (
    ConfusionMatrix,
    accuracy,
    acer,
    apcer,
    apcer_at_bpcer,
    apcer_max,
    apcer_per_instrument,
    apnrr,
    auc,
    bpcer,
    bpcer_at_apcer,
    bpnrr,
    confusion_matrix,
    eer,
    far_pooled,
    hter,
)
from facepad.metrics.scores import SCORE_COLUMNS, ScoreFile, read_scores, scores_sha256, write_scores
from facepad.metrics.summary import APCER_LIMITS, InstrumentRates, PadSummary, Reading, summarize
from facepad.metrics.table import Cluster, best_cluster
from facepad.metrics.text import format_summary
from facepad.metrics.thresholds import (
    CHOSEN_ON_ITSELF,
    Criterion,
    Threshold,
    ThresholdOrigin,
    choose_threshold,
    fixed_threshold,
    parse_criterion,
    threshold_at,
)

__all__ = [
    "APCER_LIMITS",
    "CHOSEN_ON_ITSELF",
    "SCORE_COLUMNS",
    "Cluster",
    "ConfusionMatrix",
    "Criterion",
    "DetCurve",
    "Histogram",
    "InstrumentRates",
    "PadSummary",
    "Rate",
    "Reading",
    "RocCurve",
    "ScoreFile",
    "Threshold",
    "ThresholdOrigin",
    "accuracy",
    "acer",
    "apcer",
    "apcer_at_bpcer",
    "apcer_max",
    "apcer_per_instrument",
    "apnrr",
    "auc",
    "best_cluster",
    "bpcer",
    "bpcer_at_apcer",
    "bpnrr",
    "choose_threshold",
    "clopper_pearson",
    "confusion_matrix",
    "det",
    "eer",
    "far_pooled",
    "fixed_threshold",
    "format_summary",
    "histogram",
    "hter",
    "metrics_from_file",
    "parse_attack_type",
    "parse_criterion",
    "parse_label",
    "parse_split",
    "probit",
    "read_scores",
    "roc",
    "scores_sha256",
    "summarize",
    "threshold_at",
    "write_bob_scores",
    "write_scores",
]
