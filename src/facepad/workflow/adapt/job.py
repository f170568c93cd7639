"""The adaptation of a model to one site: from a folder of images to a model file with its evidence."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from facepad.datasets.manifest import manifest_hash, manifest_words, read_manifest, require_both_classes
from facepad.datasets.origin import origin_of
from facepad.depth import DepthMaps, load_depth, make_depth
from facepad.depth.facemesh import FACEMESH
from facepad.errors import DivergedError, InputError, MetricError, OutputExistsError, number_of, reason
from facepad.files.disk import read_json, refuse_unwritable, write_json
from facepad.files.downloads import find_local
from facepad.files.locks import exclusive
from facepad.metrics import (
    check_columns,
    check_videos,
    remarks,
    weak_notes,
    with_groups,
    write_scores,
)
from facepad.modelfile.bundle import Bundle, write_bundle
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.runtime.progress import progress_bar
from facepad.types import Label, Sample
from facepad.workflow.adapt.adapted import Adapted, AdaptSettings
from facepad.workflow.adapt.amounts import MIN_PEOPLE, can_train, people_of
from facepad.workflow.adapt.candidates import Candidate, find_candidates, require_networks
from facepad.workflow.adapt.choice import (
    Judged,
    ThresholdChoice,
    fused_logits,
    judge,
    presets_of,
    require_criterion,
    winner,
)
from facepad.workflow.adapt.evidence import Chosen, Evidence, gather_evidence
from facepad.workflow.adapt.final import final_model
from facepad.workflow.adapt.findings import Finding, look_at_site, refuse_stops
from facepad.workflow.adapt.fitting import FITS, FitData
from facepad.workflow.adapt.plan import Plan, make_plan
from facepad.workflow.adapt.race import needless
from facepad.workflow.adapt.report import with_card, write_report
from facepad.workflow.adapt.scores import OutOfFold
from facepad.workflow.adapt.site import prepare_site, read_site, require_usable

__all__ = ["adapt"]

_LOG = logging.getLogger(__name__)
_DIVERGED = "its training diverged: its weights are no longer finite"
_MODEL, _SCORES, _FACTS, _BEGUN = "model.facepad", "scores.csv", "adapt.json", "begun.json"


def adapt(site: Path, out: Path, settings: AdaptSettings | None = None, *, progress: bool = False) -> Adapted:
    """Make a model for one site from images of a few people.

    A killed adaptation continues if it is called again with the same site, folder and settings.

    Args:
        site: The folder ``live/PERSON/...``, ``spoof/KIND/PERSON/...``, or a manifest.
        out: New folder, or the folder of an unfinished adaptation.
        settings: The settings.
        progress: Draw progress bars on stderr.

    Raises:
        InputError: the site cannot be used, ``out`` holds another adaptation or other files, or a column makes no
            groups.
        ModelError: no network is on this machine, or PyTorch is not installed and networks may be trained.
        BusyError: another process adapts in the folder.
        RunError: the disk is full.
    """
    settings, started = settings or AdaptSettings(), time.monotonic()
    require_criterion(settings.criterion)
    read = read_site(site)
    check_columns(read.samples, settings.by)
    _require_own(out)
    require_usable(read, out)
    require_networks(train=can_train(read.samples))  # before the search for faces, which takes minutes
    with exclusive(out, "adapting"):
        manifest = prepare_site(read, out, settings.jobs, progress)
        samples = read_manifest(manifest)
        findings = look_at_site(manifest, samples, settings.jobs, progress)
        for finding in findings:
            for line in finding.lines():
                _LOG.info("%s", line)
        refuse_stops(findings, read.name)
        usable = _usable(samples, manifest)
        if settings.requirements:
            check_videos(usable)
        check_columns(usable, settings.by)
        _require_same(out, manifest, settings)
        job = _Job(read.name, out, manifest, usable, settings, progress, started)
        plan = job.plan()
        for line in plan.lines():
            _LOG.info("%s", line)
        adapted = job.run(plan, findings)
        write_scores(out / _SCORES, adapted.winner.scores())
        write_json(out / _FACTS, adapted.to_dict())
        write_report(adapted, thumbnails=settings.thumbnails)
        write_bundle(out / _MODEL, with_card(adapted))  # last: a folder with a model is finished
    return adapted


@dataclass(frozen=True)
class _Job:
    """The fits and the choice of one adaptation."""

    site: str
    out: Path
    manifest: Path
    samples: list[Sample]
    settings: AdaptSettings
    progress: bool
    started: float

    def plan(self) -> Plan:
        """The plan for the candidates on this machine."""
        train = can_train(self.samples)
        found = find_candidates(self._detector(), train=train, depth=find_local(FACEMESH) is not None)
        if self.settings.only:
            kept = tuple(each for each in found.candidates if each.name in self.settings.only)
            found = replace(found, candidates=kept)
        return make_plan(self.samples, found, seed=self.settings.seed, minutes=self.settings.minutes)

    def run(self, plan: Plan, findings: tuple[Finding, ...]) -> Adapted:
        """Judge all candidates, choose the winner, and make its final model."""
        candidates = {each.name: each for each in (*plan.candidates, *plan.fused)}
        fits = sum(1 if each.bundle else len(plan.folds) for each in plan.candidates)
        data = FitData(self.manifest.parent, self.out / "work" / "features", self._depth(plan), self.settings.seed)
        with progress_bar("adapting", fits, shown=self.progress) as advance:
            oof = OutOfFold(data, self.samples, plan.folds, self.out / "work", advance)
            judged, left_out, seconds = self._judged(plan, oof)
        notes = self._notes()
        with _timed(seconds, "final"):
            best, final = self._final(candidates, judged, oof, left_out)
        grouped = with_groups(best.summary, best.decided, self.settings.by)
        with _timed(seconds, "evidence"):
            evidence = self._evidence(best, candidates, judged, oof, plan, plan.pace(seconds))
        bundle = self._described(final, best, plan, notes, evidence)
        ranked = [each for each in judged.values() if each.name not in left_out]
        return Adapted(
            site=self.site,
            out=self.out,
            settings=self.settings,
            manifest=self.manifest,
            plan=plan,
            findings=findings,
            judged=tuple(sorted(ranked, key=lambda each: (each is not best, each.fold_eer, each.size))),
            winner=replace(best, summary=grouped),
            bundle=bundle,
            left_out=left_out,
            notes=notes,
            seconds=seconds,
            evidence=evidence,
        )

    def _final(
        self, candidates: dict[str, Candidate], judged: dict[str, Judged], oof: OutOfFold, left_out: dict[str, str]
    ) -> tuple[Judged, Bundle]:
        """The winner and its final model. A candidate whose final training diverges is left out."""
        while True:
            best = winner([each for each in judged.values() if each.name not in left_out])
            try:
                return best, final_model(best, candidates, judged, oof)
            except DivergedError:
                left_out[best.name] = _DIVERGED

    def _evidence(
        self,
        best: Judged,
        candidates: dict[str, Candidate],
        judged: dict[str, Judged],
        oof: OutOfFold,
        plan: Plan,
        pace: float,
    ) -> Evidence:
        """The evidence for the winner, within the time of the plan and of ``minutes``."""
        parts = tuple(candidates[name] for name in candidates[best.name].members or (best.name,))
        refits, seconds = plan.refits_of(parts)
        chosen = Chosen(
            best,
            parts,
            judged,
            oof,
            self.settings.criterion,
            refits,
            started=self.started,
            minutes=self.settings.minutes,
            refit_seconds=pace * seconds,
        )
        return gather_evidence(chosen, seed=self.settings.seed, progress=self.progress)

    def _judged(self, plan: Plan, oof: OutOfFold) -> tuple[dict[str, Judged], dict[str, str], dict[str, float]]:
        """Judge the candidates, each fusion as soon as all its members have a result."""
        judged: dict[str, Judged] = {}
        left_out, seconds = dict(plan.left_out), dict[str, float]()
        for candidate in plan.candidates:
            if why := self._not_trained(candidate, judged, plan, plan.pace(seconds)):
                left_out[candidate.name] = why
                for _ in plan.folds:
                    oof.done()
                continue
            for each in (candidate, *(fused for fused in plan.fused if candidate.name in fused.members)):
                if not {*each.members} <= judged.keys():
                    continue  # a later member brings this fusion; a member without a result tells its reason itself
                begun = time.monotonic()
                try:
                    judged[each.name] = self._judge(each, judged, plan, oof)
                except DivergedError:
                    left_out[each.name] = _DIVERGED
                except MetricError as error:
                    left_out[each.name] = str(error)
                # a fusion costs what its members cost
                seconds[each.name] = time.monotonic() - begun + sum(seconds[name] for name in each.members)
        if not judged:
            raise InputError(f"no candidate tells the classes apart: {'; '.join(left_out.values())}")
        return judged, left_out, seconds

    def _not_trained(self, candidate: Candidate, judged: dict[str, Judged], plan: Plan, pace: float) -> str | None:
        """The reason why a candidate is not trained; None if it is, or if it needs no training."""
        if judged and candidate.training and self._too_late(pace * (plan.seconds[candidate.name] + plan.final)):
            return f"no time is left of --minutes {self.settings.minutes:g}"
        return needless(candidate, plan.candidates, judged)

    def _judge(self, candidate: Candidate, judged: dict[str, Judged], plan: Plan, oof: OutOfFold) -> Judged:
        members = [judged[name] for name in candidate.members]
        logits = fused_logits(members) if members else oof.logits(candidate)
        source = f"out-of-fold scores of {manifest_words(self.manifest)}"
        return judge(candidate.name, candidate.size, logits, self._choice(candidate, plan), source=source)

    def _choice(self, candidate: Candidate, plan: Plan) -> ThresholdChoice:
        parts = candidate.members or (candidate.name,)
        trained = sum(each.training is not None for each in plan.candidates if each.name in parts)
        return ThresholdChoice(plan.folds, self.settings.criterion, trained)

    def _detector(self) -> str:
        """The detector that made the boxes of the site."""
        return str(origin_of(self.manifest).get("detector", PreprocessSpec().detector))

    def _too_late(self, seconds: float) -> bool:
        minutes = self.settings.minutes
        return minutes is not None and time.monotonic() - self.started + seconds > 60 * minutes

    def _depth(self, plan: Plan) -> DepthMaps | None:
        if not any(each.training and each.training.depth for each in plan.candidates):
            return None
        make_depth(self.manifest, labeller="facemesh", jobs=self.settings.jobs, progress=self.progress)
        return load_depth(self.manifest, self.samples, "facemesh")

    def _notes(self) -> tuple[str, ...]:
        if can_train(self.samples):
            return ()
        live, attacked = (len(people_of(self.samples, label)) for label in Label)
        counts = f"{number_of(live, 'person is', 'people are')} bona fide and {attacked} in attacks"
        return (f"calibrated only, not trained: {counts}, and training needs {MIN_PEOPLE} of each",)

    def _described(self, bundle: Bundle, best: Judged, plan: Plan, notes: Sequence[str], evidence: Evidence) -> Bundle:
        """The final model with its origin and with the notes that limit it."""
        weak = weak_notes(best.logits)
        extra = [*remarks(["chosen by cross-validation over people, not on a test", *notes]), *weak]
        origin = replace(best.threshold.origin, notes=(*best.threshold.origin.notes, *extra))
        [candidate] = [each for each in (*plan.candidates, *plan.fused) if each.name == best.name]
        calibration = bundle.description.calibration
        expected = {name: rate.to_dict() for name, rate in best.expected.items()}
        facts = {
            **bundle.description.facts,
            "manifest": self.manifest.name,
            "manifest_sha256": manifest_hash(self.manifest),
            "adapted": {
                "candidate": best.name,
                "notes": list(notes),
                "expected": expected,
                **plan.to_dict(),
                "folds": [len(fold.people) for fold in plan.folds],  # a model file names no person of the site
                "evidence": evidence.to_dict(),
            },
        }
        # Threshold and calibration hold for these boxes. Public networks, and copies of them, name YuNet.
        networks = [
            network.model_copy(update={"preprocess": replace(network.preprocess, detector=self._detector())})
            for network in bundle.description.networks
        ]
        changes = {
            "networks": tuple(networks),
            "threshold": replace(best.threshold, origin=origin),
            "presets": presets_of(best, self._choice(candidate, plan), extra),
            "calibration": calibration.model_copy(update={"notes": (*calibration.notes, *remarks(notes), *weak)}),
            "facts": facts,
        }
        return replace(bundle, description=bundle.description.model_copy(update=changes))


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Store the seconds that the block takes under a name."""
    begun = time.monotonic()
    yield
    seconds[name] = time.monotonic() - begun


def _require_own(out: Path) -> None:
    """Refuse a finished adaptation, a folder with other files, and a folder that cannot be written."""
    refuse_unwritable(out)
    if (out / _MODEL).exists():
        raise OutputExistsError(f"{out} holds a finished adaptation; choose another folder")
    begun = (out / "data").exists() or (out / _BEGUN).exists()
    if out.is_dir() and any(path.name[0] != "." for path in out.iterdir()) and not begun:
        raise OutputExistsError(f"output folder {out} is not empty; choose another, or remove it first")


def _usable(samples: Sequence[Sample], manifest: Path) -> list[Sample]:
    """The samples with a face. They have no split, because they are neither training nor test samples."""
    usable = [replace(sample, split=None) for sample in samples if sample.box is not None]
    require_both_classes(usable, "adapting", where=f"{manifest} with a face")
    people = {sample.subject for sample in usable}
    if len(people) < 2:
        raise InputError(
            f"adapting needs faces of at least two people, got one ({people.pop()}): how a model works on other people "
            "could not be measured"
        )
    return usable


def _require_same(out: Path, manifest: Path, settings: AdaptSettings) -> None:
    """Refuse to continue an adaptation of other images or with other settings."""
    path = out / _BEGUN
    now = {
        "manifest_sha256": manifest_hash(manifest),
        "criterion": settings.criterion,
        "seed": settings.seed,
        "fits": FITS,
    }
    if path.exists():
        try:
            before = dict(read_json(path))
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{path} cannot be read: {reason(error)}") from error
        if before.get("fits") != FITS:
            raise InputError(f"{out} was begun by an older or newer version of facepad; choose another folder")
        for key in now:
            if before.get(key) != now[key]:
                raise InputError(f"{out} was begun with another {key}; choose another folder, or the same settings")
    else:
        write_json(path, now)
