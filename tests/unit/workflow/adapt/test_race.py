from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus
from facepad.workflow.adapt.candidates import Candidate
from facepad.workflow.adapt.choice import ThresholdChoice, judge
from facepad.workflow.adapt.race import needless

PUBLICS = [Candidate(name, name, "as-is", name, 2) for name in ("older", "newer")]
COPIES = [
    Candidate(f"{each.name}-tuned", each.name, "trained", each.name, 2, training=SimpleNamespace()) for each in PUBLICS
]
OWN = Candidate("attention-fusion", "own", "trained", "imagenet", 7, training=SimpleNamespace())
ALL = [*PUBLICS, *COPIES, OWN]


@pytest.fixture(scope="module")
def result():
    """A function that makes a candidate's result with given EERs of its folds."""
    rows = [
        ScoreRecord(f"{person}-{label}", person, None, None, label, kind, None, ScoreStatus.SCORED, score)
        for person in ("anna", "ben", "cleo")
        for label, kind, score in ((Label.BONA_FIDE, None, 2.0), (Label.ATTACK, AttackType.PRINT, -2.0))
    ]
    made = judge("made", 1, rows, ThresholdChoice((), "eer"), source="a test")
    return lambda name, size, *eers: replace(made, name=name, size=size, fold_eers=dict(enumerate(eers)))


def test_only_the_copy_of_the_best_public_network_is_trained(result):
    judged = {"older": result("older", 2, 0.05, 0.05, 0.05), "newer": result("newer", 2, 0.02, 0.02, 0.02)}
    older, newer = (needless(copy, ALL, judged) for copy in COPIES)
    assert older is not None and older.startswith("newer does better here without training")
    assert newer is None and needless(OWN, ALL, judged) is None


def test_copies_are_trained_if_no_public_network_has_a_result():
    assert [needless(copy, ALL, {}) for copy in COPIES] == [None, None]
