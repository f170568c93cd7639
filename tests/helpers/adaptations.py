"""Made-up results of an adaptation for tests of its report."""

from __future__ import annotations

from dataclasses import dataclass, replace

from facepad.metrics import Rate, Resampling, choose_threshold, summarize
from facepad.report import ReportContent, ShortcutProbe
from facepad.report.adapt_content import AdaptContent, CandidateResult, CurvePoint, LearningCurve, Outlook
from facepad.types import Split
from helpers.reports import simulated


@dataclass(frozen=True)
class MadeUpFinding:
    severity: str
    text: str
    evidence: tuple[str, ...] = ()


def rate(value, low, high, n=120):
    return Rate(value, low, high, n, "made up")


def adaptation(records=None, **fields):
    """A report's content of six people; the named fields replace the made-up ones."""
    records = records or [replace(each, split=None) for each in simulated(Split.DEV, seed=1)]
    threshold = choose_threshold(records, "eer", source="out-of-fold scores", resampling=Resampling("subject", 100))
    probe = ShortcutProbe("face blanked", "surroundings only", rate(0.42, 0.3, 0.5))
    scores = ReportContent(
        title=fields.pop("title", "Model for desk"),
        summary=summarize(records, threshold, resampling=Resampling("subject", 100)),
        records=records,
        threshold=threshold,
        image_root=fields.pop("image_root", None),
        probes=fields.pop("probes", [probe]),
    )
    points = [
        CurvePoint(2, rate(0.11, 0.07, 0.17), 3),
        CurvePoint(3, rate(0.07, 0.04, 0.12), 3),
        CurvePoint(5, rate(0.04, 0.02, 0.08), 6),
    ]
    made_up = {
        "expected": {
            "apcer": rate(0.05, 0.02, 0.11),
            "bpcer": rate(0.03, 0.01, 0.08),
            "acer": rate(0.04, 0.02, 0.08, 240),
        },
        "kinds": {"print": rate(0.05, 0.02, 0.11, 60), "replay_video": rate(0.02, 0.0, 0.07, 60)},
        "scores": scores,
        "winner": "small-tuned",
        "rule": "the lowest mean of the folds' EERs",
        "candidates": [
            CandidateResult(
                "small-tuned", "a small network, trained", "trained", rate(0.04, 0.02, 0.08), 0.03, 2e6, 61
            ),
            CandidateResult("small", "a small network", "as-is", rate(0.12, 0.07, 0.2), 0.11, 2e6, None),
        ],
        "left_out": {"large": "its files are not on this machine"},
        "findings": [
            MadeUpFinding("short-cut", "every attack is PNG", ("60 of 60 attacks are PNG",)),
            MadeUpFinding("note", "6 people"),
        ],
        "curve": LearningCurve(
            tuple(points), (Outlook(2, rate(0.03, 0.02, 0.07)), Outlook(4, rate(0.025, 0.02, 0.07)))
        ),
        "folds": 6,
        "people": 6,
        "notes": ["calibrated only"],
        "collect": ["print: 2 more people"],
        "facts": {"manifest": "SHA-256 1234"},
        "card": {"licence": "MIT"},
    }
    return AdaptContent(**{**made_up, **fields})
