"""The cross-data-set evaluation: it trains, scores, measures and writes the report, and resumes an interrupted call."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from facepad.datasets.manifest import manifest_hash
from facepad.errors import OutputExistsError
from facepad.files.disk import write_json
from facepad.files.locks import exclusive
from facepad.metrics import NoteKind, has_note
from facepad.report.cross import (
    PUBLISHED_CROSS,
    CrossCell,
    CrossContent,
    CrossNote,
    PublishedCross,
    SetFacts,
    SystemFacts,
    write_cross,
)
from facepad.runtime.progress import progress_bar
from facepad.types import AttackType
from facepad.workflow.cross.cells import ScoredCell, Workplace, score_cells, train_runs
from facepad.workflow.cross.figures import find, measure_cell, sum_up
from facepad.workflow.cross.plan import Cell, CrossSettings, Plan, make_plan
from facepad.workflow.cross.sets import ManifestSet
from facepad.workflow.overlap import detector_notes, measured_notes, origin_notes
from facepad.workflow.versions import installed_versions

__all__ = ["Crossed", "cross"]

_LOG = logging.getLogger(__name__)
_PLAN_FILE = "cross-plan.json"
#: Number of names in the title.
_NAMED = 3
_SAID_ELSEWHERE = (NoteKind.CHOSEN_ON_ITSELF, NoteKind.GIVEN, NoteKind.LEVEL, NoteKind.READING, NoteKind.REMARK)
_PACKAGES = ("facepad", "numpy", "onnxruntime", "opencv-python-headless", "torch")


@dataclass(frozen=True)
class Crossed:
    """The result of `cross`.

    Attributes:
        content: The content of the report.
        page: The path of the HTML page.
        unreadable: Path -> reason, for each image that could not be read.
    """

    content: CrossContent
    page: Path
    unreadable: dict[str, str]


def cross(out: Path, settings: CrossSettings, *, progress: bool = False) -> Crossed:
    """Measure every model, and every run trained here, on every test set, and write the evidence to ``out``.

    A line in the log describes the plan before the work begins. An interrupted call continues with the same arguments:
    finished runs and cells are read from ``out``. More models, test sets or seeds may be added later.

    Args:
        out: New folder, or the folder of an earlier call.
        settings: The settings.
        progress: Draw a progress bar on stderr.

    Raises:
        InputError: the input is wrong. Then nothing is trained or scored.
        BusyError: another process works in ``out``.
        RunError: a training failed, or ``out`` cannot be written.
    """
    out = Path(out)
    _require_ours(out)
    plan = make_plan(settings, out)
    with exclusive(out, "measuring"):
        write_json(out / _PLAN_FILE, _settings(plan))
        work = Workplace(out)
        done, images = work.finished(plan), work.to_score(plan)
        finished = f" ({done} cells are finished)" if done else ""
        _LOG.info("plan: %s; %s images to score, with dev%s", plan.words(), f"{images:,}", finished)
        runs = sum(member.recipe is not None for member in plan.members)
        cells: list[CrossCell] = []
        scored: list[ScoredCell] = []
        with progress_bar("scoring", images + runs + len(plan.cells), shown=progress) as advance:
            train_runs(plan, advance)
            for each in score_cells(plan, out, advance):
                place = work.of_cell(each.cell).relative_to(out).as_posix()
                cells += measure_cell(each, settings, place)
                scored.append(each)
                advance()
        content = _content(plan, cells, scored)
        page = write_cross(out, content)
    return Crossed(content, page, {name: why for each in scored for name, why in each.unreadable.items()})


def _require_ours(out: Path) -> None:
    if not out.is_dir() or (out / _PLAN_FILE).exists():
        return
    # A call that was killed early leaves only a lock and the merged manifest.
    if any(path.name != "train" and not path.name.startswith(".") for path in out.iterdir()):
        raise OutputExistsError(f"output folder {out} is not empty and not from cross; choose another, or remove it")


def _settings(plan: Plan) -> dict[str, object]:
    settings = plan.settings
    return {
        "plan": plan.words(),
        "train": {fold: [str(path), manifest_hash(path)] for fold, path in plan.train.items()},
        "test": {test.name: list(map(str, test.folds.values())) for test in plan.tests},
        "models": list(map(str, settings.models)),
        "recipes": [recipe.model_dump(mode="json") for recipe in settings.recipes],
        "seeds": settings.seeds,
        **({"protocol": settings.protocol} if settings.protocol else {}),
        "criterion": settings.criterion,
        "aggregation": settings.aggregation,
    }


def _content(plan: Plan, cells: list[CrossCell], scored: list[ScoredCell]) -> CrossContent:
    return CrossContent(
        title=_title(plan),
        systems=list(_systems(plan, scored)),
        sets=[_set_facts(plan, test) for test in plan.tests],
        cells=cells,
        rows=sum_up(cells, plan.settings.resampling),
        notes=_grouped([*((note, "") for note in plan.notes), *_notes(plan, scored), *_notes_of_figures(cells)]),
        aggregation=plan.settings.aggregation,
        settings=_settings(plan),
        published=_published(plan),
        facts={name: number for name, number in installed_versions(_PACKAGES).items() if number},
        findings=find(cells, plan.settings.requirements),
    )


def _published(plan: Plan) -> list[PublishedCross]:
    """The published rows of the protocol's test sets; empty without a protocol."""
    tested = {test.name for test in plan.tests} if plan.settings.protocol else set()
    return [row for row in PUBLISHED_CROSS if tested & row.hter.keys()]


def _title(plan: Plan) -> str:
    """The systems and test sets, by name if they are few."""
    systems, sets = list(dict.fromkeys(member.system for member in plan.members)), [test.name for test in plan.tests]
    shown = [
        ", ".join(names) if len(names) <= _NAMED else f"{len(names)} {what}"
        for names, what in ((systems, "systems"), (sets, "test sets"))
    ]
    return " on ".join(shown)


def _systems(plan: Plan, scored: list[ScoredCell]) -> Iterator[SystemFacts]:
    bundles = {each.cell.member.key: each.bundle for each in scored}
    for name in dict.fromkeys(member.system for member in plan.members):
        members = [member for member in plan.members if member.system == name]
        first, bundle = members[0], bundles[members[0].key]
        description = bundle.description
        facts = {
            "file": bundle.sha256 and f"SHA-256 {bundle.sha256}",
            "licence": description.license,
            "source": description.source,
            "runs": ", ".join(member.key for member in members) if first.recipe else "",
        }
        kind = "recipe" if first.recipe else "model"
        yield SystemFacts(name, kind, first.trained_on, {key: value for key, value in facts.items() if value})


def _set_facts(plan: Plan, test: ManifestSet) -> SetFacts:
    samples = [sample for path in test.folds.values() for sample in plan.samples[path]]
    kinds = Counter(sample.species for sample in samples if sample.species is not None)
    known = [kind.value for kind in AttackType if kind.value in kinds]
    return SetFacts(
        name=test.name,
        bona_fide=len(samples) - kinds.total(),
        attack=kinds.total(),
        instruments={kind: kinds[kind] for kind in [*known, *sorted(kinds.keys() - set(known))]},
        subjects=len({sample.subject for sample in samples}),
        videos=len({(sample.subject, sample.video) for sample in samples if sample.video}),
        manifests={str(path): manifest_hash(path) for path in test.folds.values()},
    )


def _notes(plan: Plan, scored: list[ScoredCell]) -> Iterator[tuple[str, str]]:
    """Notes on overlap, detectors and unreadable images, each with the system and set that it is about."""
    for each in scored:
        cell, about = each.cell, _about(each.cell)
        run = cell.member.found.run
        if run is not None:
            overlap = measured_notes(run, cell.manifest, plan.samples[cell.manifest])
        else:
            overlap = origin_notes(cell.manifest, each.bundle.description.facts)
        yield from ((note, about) for note in [*overlap, *detector_notes(cell.manifest, each.bundle)])
        if each.unreadable:
            yield f"{len(each.unreadable)} images cannot be read", about


def _about(cell: Cell) -> str:
    return f"{cell.member.system} on {cell.test}"


def _notes_of_figures(cells: Iterable[CrossCell]) -> Iterator[tuple[str, str]]:
    for cell in cells:
        about = f"{cell.system} on {cell.test}, {cell.level}s"
        for origin, summary in cell.summaries.items():
            of_threshold = summary.threshold.origin.notes if origin == "dev" else ()
            of_rates = summary.notes if origin == "test" else ()
            yield from (
                (f"threshold of dev: {note}", about) for note in of_threshold if note.kind not in _SAID_ELSEWHERE
            )
            yield from ((str(note), about) for note in of_rates if note.kind not in _SAID_ELSEWHERE)
        for origin, name in (("dev", "the source's dev samples name no videos: their threshold"),
                             ("model", "the model's own threshold")):  # fmt: skip
            of = cell.summaries.get(origin)
            if of and cell.level == "video" and not has_note(of.threshold.origin.notes, NoteKind.LEVEL):
                yield f"{name} was chosen on single images, and is applied to videos here", about


def _grouped(notes: Iterable[tuple[str, str]]) -> list[CrossNote]:
    """Merge equal notes. Each note keeps all systems and sets that it is about."""
    about: dict[str, dict[str, None]] = {}
    for text, where in notes:
        about.setdefault(text, {}).update({where: None} if where else {})
    return [CrossNote(text, tuple(where)) for text, where in about.items()]
