"""The evidence for a chosen model: refits judged on other people, within the time, and probes out of fold."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields, replace

import numpy as np
import pytest

from facepad.datasets.manifest import read_manifest
from facepad.report.adapt_sentences import outlook
from facepad.types import Label, ScoreRecord, ScoreStatus
from facepad.workflow.adapt.candidates import find_candidates
from facepad.workflow.adapt.choice import ThresholdChoice, fused_logits, judge
from facepad.workflow.adapt.evidence import Chosen, gather_evidence
from facepad.workflow.adapt.fitting import FitData
from facepad.workflow.adapt.folds import folds_by_person
from facepad.workflow.adapt.scores import OutOfFold
from helpers.adapting import tiny_model, tiny_site


def scored(samples, separation, seed=0):
    """Made-up logits: bona fide and attacks differ by ``separation`` standard deviations."""
    noise = np.random.default_rng(seed).standard_normal(len(samples))
    signs = [1 if sample.label is Label.BONA_FIDE else -1 for sample in samples]
    return [
        ScoreRecord(s.path, s.subject, None, None, s.label, s.attack_type, None, ScoreStatus.SCORED, float(value))
        for s, value in zip(samples, separation / 2 * np.array(signs) + noise, strict=True)
    ]


@dataclass(frozen=True)
class MadeUpFits(OutOfFold):
    """Fits that are better with more people. The people of every fit are kept."""

    seen: list[tuple[frozenset[str], frozenset[str]]] = field(default_factory=list)
    network: object = None

    def fold_logits(self, candidate, fold):
        trained = fold.training(self.samples)
        people = frozenset(sample.subject for sample in trained)
        self.seen.append((people, fold.people))
        return scored(fold.held_out(self.samples), 1.0 + 0.8 * len(people), seed=fold.number)

    def fold_model(self, candidate, fold):
        return self.network


def tiny_pair():
    """The tiny network as it is, and its first trained copy."""
    candidates = find_candidates("yunet", depth=False).candidates
    return tuple(next(each for each in candidates if each.kind == kind) for kind in ("as-is", "trained"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    manifest = tiny_site(tmp_path_factory.mktemp("site") / "site", people=6, images=5)
    return manifest, read_manifest(manifest)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Both candidates of a machine whose only network is "tiny"."""
    home = tmp_path_factory.mktemp("home")
    tiny_model(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FACEPAD_MODELS", raising=False)
        patch.setenv("FACEPAD_HOME", str(home))
        return tiny_pair()


@pytest.fixture(scope="module")
def judged(site, pair):
    """Name of a candidate -> made-up scores, judged: the trained copy is better."""
    _, samples = site
    folds = folds_by_person(samples)
    return {
        each.name: judge(
            each.name,
            1,
            scored(samples, separation),
            ThresholdChoice(folds, "eer", trained=1),
            source="made up",
        )
        for each, separation in zip(pair, (2.0, 4.0), strict=True)
    }


@pytest.fixture
def chosen(site, pair, judged, tmp_path):
    """The trained copy of the tiny network as the winner."""
    manifest, samples = site
    public, tuned = pair
    oof = MadeUpFits(
        FitData(manifest.parent, tmp_path / "features"),
        samples,
        folds_by_person(samples),
        tmp_path,
        lambda: None,
        network=public.bundle,
    )
    return Chosen(judged[tuned.name], (tuned,), judged, oof, "eer", refits=100)


def test_refits_are_judged_on_people_outside_the_subset(chosen):
    curve = gather_evidence(chosen).curve
    assert [at.people for at in curve.points[:-1]] == sorted({len(people) for people, _ in chosen.oof.seen})
    assert all(not people & held_out for people, held_out in chosen.oof.seen)
    assert curve.points[-1].acer == chosen.best.expected["acer"]
    assert curve.points[0].acer.value > curve.points[-1].acer.value
    assert curve.outlook and not curve.missing


def test_evidence_is_the_same_in_every_call(chosen):
    assert gather_evidence(chosen).to_dict() == gather_evidence(chosen).to_dict()


@pytest.mark.parametrize("refits", [0, 1])
def test_curve_says_that_no_time_was_left(chosen, refits):
    curve = gather_evidence(replace(chosen, refits=refits)).curve
    assert len(chosen.oof.seen) == refits and curve.outlook == ()
    assert "too few points" in curve.missing and f"{refits} of " in curve.missing


def test_no_refit_begins_after_the_deadline(chosen):
    late = replace(chosen, started=time.monotonic() - 241, minutes=4)
    curve = gather_evidence(replace(late, refits=2)).curve
    assert chosen.oof.seen == [] and "0 of " in curve.missing
    text = "o time was left of --minutes 4 for 2 refits with fewer people"
    assert curve.left_out == f"n{text}" and outlook(curve).endswith(f". N{text}.")
    curve = gather_evidence(replace(late, minutes=600, refit_seconds=1.0)).curve
    assert chosen.oof.seen and curve.left_out == curve.to_dict()["left_out"] == ""


def test_refit_whose_people_got_no_scores_is_left_out(chosen):
    class Unscored(MadeUpFits):
        def fold_logits(self, candidate, fold):
            return [
                replace(each, score=None, status=ScoreStatus.UNREADABLE)
                for each in super().fold_logits(candidate, fold)
            ]

    oof = Unscored(**{each.name: getattr(chosen.oof, each.name) for each in fields(chosen.oof)})
    assert gather_evidence(replace(chosen, oof=oof)).curve.points[:-1] == ()


def test_public_network_has_no_curve(chosen, pair):
    public, _ = pair
    evidence = gather_evidence(replace(chosen, best=chosen.judged[public.name], parts=(public,)))
    assert evidence.curve.points == () and "not trained" in evidence.curve.missing
    assert chosen.oof.seen == []


def test_fusion_is_refitted_with_all_its_members(chosen, pair):
    logits = fused_logits([chosen.judged[part.name] for part in pair])
    best = judge("both", 2, logits, ThresholdChoice(chosen.oof.folds, "eer", trained=1), source="made up")
    curve = gather_evidence(replace(chosen, best=best, parts=pair)).curve
    assert len(curve.points) > 2 and chosen.oof.seen
    evidence = gather_evidence(replace(chosen, best=best, parts=pair, refits=0))
    assert [probe.name for probe in evidence.probes] == ["face blanked", "only face"]


def test_probes_blank_the_face_and_the_surroundings(chosen):
    probes = {probe.name: probe for probe in gather_evidence(replace(chosen, refits=0)).probes}
    # Attacks are darker everywhere, so the tiny network needs no face.
    assert probes["only face"].eer.value < 0.3 and probes["face blanked"].eer.n == len(chosen.oof.samples)


def test_given_threshold_is_replaced_by_the_eer_in_refits(chosen):
    assert gather_evidence(replace(chosen, criterion="0.5")).curve == gather_evidence(chosen).curve
