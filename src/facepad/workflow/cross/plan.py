"""The plan of a cross-data-set evaluation: models and runs to train, test sets, and one cell for each pair."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from facepad.datasets.manifest import manifest_hash, manifest_words, read_manifest, require_both_classes
from facepad.datasets.merge import merge_manifests
from facepad.errors import InputError, MetricError, number_of
from facepad.metrics import Aggregation, Requirement, Resampling, check_columns, parse_criterion
from facepad.metrics.levels import with_shared_attributes
from facepad.modelfile.bundle import Bundle
from facepad.modelfile.catalog import FoundModel, find_model
from facepad.modelfile.run_folder import RunFolder
from facepad.types import Label, Sample, Split
from facepad.workflow.cross.protocols import divide_by_protocol
from facepad.workflow.cross.sets import Division, ManifestSet, divide_by_lists, measured_samples, with_videos
from facepad.workflow.overlap import attack_notes, coverage_notes, image_files, threshold_notes
from facepad.workflow.scoring import dev_samples

if TYPE_CHECKING:
    from facepad.training.recipe import Recipe  # needs PyTorch

__all__ = ["Cell", "CrossSettings", "Member", "Plan", "identity", "make_plan"]

_NO_NAME = re.compile(r"[^\w.+-]+")


@dataclass(frozen=True)
class CrossSettings:
    """The settings of a cross-data-set evaluation.

    Attributes:
        test: The measured manifests; a pattern such as ``nuaa/manifest-fold*.csv`` names all folds of a protocol. Empty
            with ``protocol``.
        train: The source. The recipes are trained on its train samples, and its dev samples choose thresholds. Several
            sets become one merged training manifest. At most one of the sets has folds. Empty with ``protocol``.
        protocol: A cross-data-set protocol of the field (`facepad.workflow.cross.protocols.PROTOCOLS`), which decides
            the source and the test sets; None takes ``train`` and ``test``.
        data: The manifests of the sets of ``protocol``; ``M=path`` names the set of a manifest without prepare.json.
        models: Model files, run folders, or names in the catalogue.
        recipes: Recipes to train on the source.
        seeds: Number of runs of each recipe. The first run has the seed of the recipe, and each further run the next
            seed.
        criterion: The rule that chooses thresholds on dev. None takes the criterion of the recipe or of the model's own
            threshold, else ``eer``.
        aggregation: The aggregation of a video's frames.
        batch_size: Images per batch.
        resampling: The settings of the bootstrap.
        requirements: Requirements to hold against the decisions of each cell.
        by: The attributes whose groups are measured in each cell (`facepad.metrics.with_groups`).
    """

    test: Sequence[str | Path] = ()
    train: Sequence[str | Path] = ()
    protocol: str | None = None
    data: Sequence[str | Path] = ()
    models: Sequence[str | Path] = ()
    recipes: Sequence[Recipe] = ()
    seeds: int = 1
    criterion: str | float | None = None
    aggregation: Aggregation = "mean"
    batch_size: int = 32
    resampling: Resampling = field(default_factory=Resampling)
    requirements: tuple[Requirement, ...] = ()
    by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Member:
    """One network that is scored: a given model, or one run of a recipe (with one seed, on one fold).

    Attributes:
        system: Name of the model or recipe: the row of the tables.
        key: Unique name of the member, for files.
        trained_on: The training data, for readers.
        found: The model; for a run of a recipe, the run folder that the training writes.
        recipe: The recipe with its seed; None for a given model.
        fold: The fold of the source; empty without folds.
        criterion: The rule that chooses thresholds on dev.
        needs_face: Whether a network cuts its crop around the face.
        has_threshold: Whether the model has a threshold of its own.
    """

    system: str
    key: str
    trained_on: str
    found: FoundModel
    recipe: Recipe | None = None
    fold: str = ""
    criterion: str | float = "eer"
    needs_face: bool = True
    has_threshold: bool = False

    @property
    def seed(self) -> int | None:
        """The seed of the run; None for a given model."""
        return None if self.recipe is None else self.recipe.train.seed


@dataclass(frozen=True)
class Cell:
    """One member on one test manifest.

    Attributes:
        member: The member.
        test: Name of the test set.
        fold: Fold of the test set; empty without folds.
        manifest: The test manifest.
        dev: The manifest whose dev samples choose the threshold; None without such a manifest.
    """

    member: Member
    test: str
    fold: str
    manifest: Path
    dev: Path | None

    @property
    def key(self) -> str:
        """Name of the test manifest, for files."""
        return "-".join(filter(None, (self.test, self.fold)))


@dataclass(frozen=True)
class Plan:
    """Everything that is trained and measured.

    Attributes:
        settings: The settings.
        tests: The test sets.
        train: Fold of the source -> its (merged) training manifest; empty without a source.
        source: Name of the source, for readers.
        members: The scored networks.
        cells: The pairs of a member and a test manifest.
        samples: Test manifest -> its measured samples.
        notes: Notes on the choice of dev sets.
    """

    settings: CrossSettings
    tests: list[ManifestSet]
    train: dict[str, Path]
    source: str
    members: list[Member]
    cells: list[Cell]
    samples: dict[Path, list[Sample]]
    notes: list[str]

    def words(self) -> str:
        """The plan in one line."""
        given = sum(member.recipe is None for member in self.members)
        runs = len(self.members) - given
        parts = [number_of(given, "model")] * bool(given)
        parts += [f"{number_of(runs, 'run')} to train on {self.source}"] * bool(runs)
        manifests = sum(len(test.folds) for test in self.tests)
        folds = f" ({manifests} manifests)" if manifests != len(self.tests) else ""
        images = sum(len(self.samples[cell.manifest]) for cell in self.cells)
        work = f"{number_of(len(self.cells), 'cell')} with {images:,} image{'s' * (images != 1)}"
        return f"{' and '.join(parts)}, {number_of(len(self.tests), 'test set')}{folds}: {work}"


def make_plan(settings: CrossSettings, out: Path) -> Plan:
    """Read and check all input, before anything is trained or scored. Only a merged training manifest is written.

    Raises:
        InputError: there is no model and no recipe, a manifest or model is missing or wrong, a test set lacks a class,
            a column makes no groups, or a recipe has no source with train and dev samples.
    """
    _check(settings)
    if settings.protocol is None:
        division = divide_by_lists(settings.train, settings.test)
    else:
        division = divide_by_protocol(settings.protocol, settings.data)
    tests = division.tests
    samples = {path: measured_samples(path) for test in tests for path in test.folds.values()}
    _check_groups(samples, settings.by)
    if settings.recipes:
        _check_sources(division)
    found = [(model, find_model(model)) for model in settings.models]
    names = _unique([*(_name_of(model, each) for model, each in found), *(each.name for each in settings.recipes)])
    members = [_given(name, each, settings) for name, (_, each) in zip(names, found, strict=False)]
    recipes = dict(zip(names[len(found) :], settings.recipes, strict=True))
    faces = [member.system for member in members if member.needs_face]
    faces += [name for name, recipe in recipes.items() if recipe.preprocess.spec().needs_face]
    _require_boxes(samples, faces)
    train = _training_manifests(division, out / "train")
    for name, recipe in recipes.items():
        members += _runs(name, recipe, settings, train, division.source, out)
    notes = list(division.notes)
    cells = list(_cells(members, division, train, notes))
    if settings.requirements or settings.by:
        _require_thresholds(cells)
    notes += _threshold_notes(cells, samples)
    return Plan(settings, tests, train, division.source, members, cells, samples, list(dict.fromkeys(notes)))


def _check(settings: CrossSettings) -> None:
    if settings.protocol is None and settings.data:
        raise InputError("--data names the sets of a --protocol; without one, use --train and --test")
    if settings.protocol is not None and (settings.train or settings.test):
        raise InputError("a --protocol decides what trains and what is tested: name its sets with --data alone")
    if settings.protocol is None and not settings.test:
        raise InputError("cross needs a test set: --test manifest.csv")
    if not settings.models and not settings.recipes:
        raise InputError("cross needs a model or a recipe: --model NAME, or --recipe NAME with --train manifest.csv")
    if settings.recipes and settings.protocol is None and not settings.train:
        raise InputError("a recipe needs a source to be trained on: --train manifest.csv")
    if settings.seeds < 1:
        raise InputError(f"the number of seeds must be at least 1, got {settings.seeds}")
    if settings.criterion is not None and parse_criterion(settings.criterion).name == "fixed":
        raise InputError(f"cross chooses thresholds on dev sets; {settings.criterion} is a threshold, not a criterion")


def _check_groups(samples: dict[Path, list[Sample]], columns: Sequence[str]) -> None:
    """Refuse columns that make no groups of a test set, at the level at which groups are measured."""
    for path, measured in samples.items():
        try:
            check_columns(with_shared_attributes(measured) if with_videos(measured) else measured, columns)
        except MetricError as error:
            raise MetricError(f"{path}: {error}") from None


def _require_thresholds(cells: Sequence[Cell]) -> None:
    """Refuse a cell whose only threshold is chosen on its own test scores: its decisions would prove nothing."""
    for cell in cells:
        if cell.dev is None and not cell.member.has_threshold:
            raise InputError(
                f"{cell.member.system} has no threshold for {cell.test}, so no requirement can be checked and no group "
                "be measured: name a source whose dev samples choose it (--train manifest.csv), or a model file with a "
                "threshold"
            )


def _require_boxes(samples: dict[Path, list[Sample]], needs_face: Sequence[str]) -> None:
    for path, measured in samples.items():
        if needs_face and all(sample.box is None for sample in measured):
            raise InputError(
                f"{path} has no face boxes, and {needs_face[0]} needs them: "
                f"facepad data prepare manifest {path} OUT finds the faces"
            )


def _check_sources(division: Division) -> None:
    for parts in division.sources.values():
        together = [sample for path in parts.values() for sample in read_manifest(path)]
        for split in (Split.TRAIN, Split.DEV):
            part = [s for s in together if s.split is split or (split is Split.TRAIN and not s.split)]
            where = f"split '{split}' of {', '.join(map(str, parts.values()))}"
            require_both_classes(part, "training", where=where)


def _training_manifests(division: Division, out: Path) -> dict[str, Path]:
    """Fold -> training manifest: the given file, or the merged file of several sets."""
    return {
        fold: next(iter(parts.values())) if len(parts) == 1 else merge_manifests(parts, out / fold / "manifest.csv")
        for fold, parts in division.sources.items()
    }


def _name_of(model: str | Path, found: FoundModel) -> str:
    """The name of a model; of the file or folder; or of the folder of ``adapt``, whose file is always model.facepad."""
    if found.kind in ("shipped", "described"):
        return str(model)
    path = found.path.resolve()
    return path.parent.name if path.name == "model.facepad" else path.name.removesuffix(".facepad")


def _unique(names: Sequence[str]) -> list[str]:
    counts, seen, result = Counter(names), Counter[str](), []
    for name in names:
        seen[name] += 1
        result.append(f"{name} ({seen[name]})" if counts[name] > 1 else name)
    return result


def _given(name: str, found: FoundModel, settings: CrossSettings) -> Member:
    bundle = found.read()
    own = bundle.description.threshold
    criterion: str | float = "eer"
    if found.run:
        criterion = str(found.run.read_recipe()["criterion"])
    elif own is not None:
        criterion = own.criterion
    criterion = settings.criterion or ("eer" if parse_criterion(criterion).name == "fixed" else criterion)
    stated = (bundle.description.facts.get(fact) for fact in ("training_data", "manifest"))
    trained_on = "; ".join(str(data) for data in stated if data) or "not stated"
    needs_face = any(network.preprocess.needs_face for network in bundle.description.networks)
    key = _NO_NAME.sub("-", name)
    return Member(
        name, key, trained_on, found, criterion=criterion, needs_face=needs_face, has_threshold=own is not None
    )


def _runs(
    name: str, recipe: Recipe, settings: CrossSettings, train: dict[str, Path], source: str, out: Path
) -> Iterator[Member]:
    fixed = parse_criterion(recipe.criterion).name == "fixed"
    criterion = settings.criterion or ("eer" if fixed else recipe.criterion)
    for number in range(settings.seeds):
        seed = recipe.train.seed + number
        seeded = recipe.model_copy(update={"train": recipe.train.model_copy(update={"seed": seed})})
        for fold in train:
            key = _NO_NAME.sub("-", "-".join(filter(None, (name, f"seed{seed}", fold))))
            run = FoundModel("run", out / "runs" / key)
            yield Member(name, key, source, run, seeded, fold, criterion)


def _cells(members: Sequence[Member], division: Division, train: dict[str, Path], notes: list[str]) -> Iterator[Cell]:
    """The cells, with the dev sets that choose thresholds: the member's own source, else the source of the command."""
    dev_of_source = cache(lambda fold: _dev_of_source(fold, train, notes))
    for member in members:
        own = _dev_of_member(member, train, notes)
        for test in division.tests:
            paired = test.name in division.paired
            for fold, path in test.folds.items():
                if not (member.recipe and member.fold and paired) or member.fold == fold:
                    yield Cell(member, test.name, fold, path, own or dev_of_source(fold if paired else ""))


def _dev_of_member(member: Member, train: dict[str, Path], notes: list[str]) -> Path | None:
    """The training manifest of a member; None without such a manifest."""
    if member.recipe is not None:
        return train[member.fold]
    if member.found.run is not None:
        run = member.found.run
        environment = run.read(run.environment_file, "manifest", "manifest_sha256")
        own = Path(environment["manifest"])
        if own.is_file() and manifest_hash(own) == environment["manifest_sha256"]:
            return own
        notes.append(f"{member.system}: the training manifest {own} is missing or has changed, so its dev is not used")
    return None


def _dev_of_source(test_fold: str, train: dict[str, Path], notes: list[str]) -> Path | None:
    """The manifest of the source for a test fold; None if it lacks dev samples of both classes."""
    if not train:
        return None
    dev = train.get(test_fold) or next(iter(train.values()))
    samples = [sample for sample in read_manifest(dev) if sample.split is Split.DEV]
    if {sample.label for sample in samples} < set(Label):
        notes.append(f"{manifest_words(dev)} has no dev samples of both classes, and chooses no threshold")
        return None
    return dev


def _threshold_notes(cells: Sequence[Cell], samples: dict[Path, list[Sample]]) -> Iterator[str]:
    """Notes on what the dev samples of a source, and of a test set, do not show, and on test images among them."""
    files = {path: image_files(path, measured) for path, measured in samples.items()}
    for dev in dict.fromkeys(cell.dev for cell in cells if cell.dev):
        chooses = dev_samples(dev)
        dev_files, of_source = image_files(dev, chooses), coverage_notes(dev, chooses)
        if of_source:
            words = manifest_words(dev)
            yield from (f"{words}: {note}" for note in of_source)
        for test, path in dict.fromkeys((cell.test, cell.manifest) for cell in cells if cell.dev == dev):
            of_test = [*threshold_notes(path, files[path], dev, dev_files), *attack_notes(chooses, samples[path])]
            yield from (f"{test}: {note}" for note in of_test if note not in of_source)


def identity(found: FoundModel, bundle: Bundle) -> str:
    """A hash of a model: of its networks and its calibration, which determine the scores."""
    if found.run:
        return str(RunFolder(found.path).read(found.run.description_file, "weights_sha256")["weights_sha256"])
    digest = hashlib.sha256(bundle.description.model_dump_json(include={"networks", "calibration"}).encode())
    for name in sorted(bundle.files):
        digest.update(hashlib.sha256(bundle.files[name]).digest())
    return digest.hexdigest()
