"""Measure the input of training: time per image and step, packed shards compared with loose files, and CPU load.

    python benchmarks/pipeline.py [--images 1024] [--repeat 3] [--model NAME] [--out docs/results/pipeline.md]

The script generates the files: 64 different synthetic JPEGs per kind, in the size of a webcam (640x480, like NUAA's
images) and of a photo (1920x1080). Hard links give the number of --images. All files are in the system's cache. The
input is the training input of the recipe tla-mobilenetv2: 2.7 x the face square at 160 px, augmented, in batches of 64.
The times of the steps are CPU time of one thread. All other times are wall time, the best of --repeat runs. Run the
script on a machine without other load.
"""

from __future__ import annotations

import io
import math
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

import facepad
from _common import best, made_by, markdown, parser, processor_time, publish
from facepad.datasets.manifest import read_manifest, resolve, write_manifest
from facepad.datasets.pack import PackSettings, pack
from facepad.datasets.synthetic import SyntheticSet, generate
from facepad.faces import map_box
from facepad.files.shards import open_file
from facepad.media.images import image_size, read_image
from facepad.modelfile.bundle import Bundle
from facepad.modelfile.scorers import BundleScorer
from facepad.models import create_model
from facepad.models.pixels import to_input
from facepad.runtime.parallel import available_cpus
from facepad.training.batches import Batches, SeededShuffle, batch_loader
from facepad.training.crops import CropProcesses, CropSource
from facepad.training.data import CropDataset
from facepad.training.recipe import load_recipe
from facepad.types import Sample, Split
from facepad.workflow.scoring import score_samples

Floats = NDArray[np.float64]

PACKS = {
    "JPEG, 480 px": PackSettings(),
    "JPEG, 240 px": PackSettings(size=240),
    "PNG, 480 px": PackSettings(format="png"),
    "JPEG, every pixel": PackSettings(size=None),
    "PNG, every pixel": PackSettings(size=None, format="png"),
}
LOOSE = "loose JPEG"
REDUCED = "loose JPEG, decoded at 1/2 to 1/8 size if the crop allows it (facepad does not do this)"
USUAL, SMALLER = "JPEG, 480 px", "JPEG, 240 px"
# Loader -> number of processes that make the batches. With 0 processes, threads make them: while the network waits ("in
# turn"), or while it is trained on the previous batch ("a batch ahead").
LOADERS = {"in turn": 0, "a batch ahead": 0, "1 process": 1, "2 processes": 2}


@dataclass(frozen=True)
class Plan:
    """The extent of the measurements.

    Attributes:
        images: Number of images of each kind.
        repeat: Number of runs. The best run counts.
        model: The model whose scores are compared. None means the shipped model.
        kinds: Title of a kind of images -> (height, width).
        different: Number of different images of each kind.
        batch: Number of images in a batch.
        loaders: The loaders for the table of training.
        trained: The stores for the table of training.
        rated: The loaders for the table of the input without training. The first loader decodes in threads.
        groups: Numbers of rows in a row group of a Parquet file.
    """

    images: int = 1024
    repeat: int = 3
    model: str | None = None
    kinds: Mapping[str, tuple[int, int]] = field(
        default_factory=lambda: {"webcam, 640x480": (480, 640), "photo, 1920x1080": (1080, 1920)}
    )
    different: int = 64
    batch: int = 64
    loaders: Sequence[str] = tuple(LOADERS)
    trained: Sequence[str] = (LOOSE, USUAL, SMALLER)
    rated: Sequence[str] = ("in turn", "1 process", "2 processes")
    groups: Sequence[int] = (1, 16, 128)


@dataclass(frozen=True)
class Set:
    """A manifest of generated images, as loose files or packed."""

    manifest: Path

    @property
    def root(self) -> Path:
        return self.manifest.parent

    def samples(self) -> list[Sample]:
        return read_manifest(self.manifest)

    def source(self) -> CropSource:
        recipe = load_recipe("tla-mobilenetv2")
        return CropSource(self.root, self.samples(), recipe.preprocess.spec(), augment=recipe.augment.augmentation())

    def bytes_per_image(self) -> int:
        sizes = []
        for sample in self.samples():
            with open_file(self.root / sample.path) as stream:
                sizes.append(stream.seek(0, io.SEEK_END))
        return sum(sizes) // len(sizes)


Sets = Mapping[str, Mapping[str, Set]]
"""Kind of image -> store -> set."""


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--images", type=int, default=1024, help="number of images of each kind (default: 1024)")
    options.add_argument("--repeat", type=int, default=3, help="number of runs, of which the best counts (default: 3)")
    options.add_argument("--model", help="the model whose scores are compared (default: the shipped model)")
    options.add_argument("--out", type=Path, help="also write the page to this file")
    chosen = options.parse_args(words)
    plan = Plan(chosen.images, chosen.repeat, chosen.model)
    with tempfile.TemporaryDirectory(prefix="facepad-pipeline-") as name:
        text = "\n\n".join([heading(plan), *tables(plan, Path(name))])
    publish(text, chosen.out)


def tables(plan: Plan, folder: Path) -> list[str]:
    """All tables. Their sets are made in ``folder``."""
    sets = {kind: make_sets(plan, folder / str(n), size) for n, (kind, size) in enumerate(plan.kinds.items())}
    return [
        steps(plan, sets),
        rates(plan, sets),
        training(plan, sets),
        reading(plan, sets, folder),
        changes_table(plan, sets),
    ]


def make_sets(plan: Plan, folder: Path, size: tuple[int, int]) -> dict[str, Set]:
    """Store -> set: the set of loose files, which are hard links to few files, and its packed copies."""
    few = generate(folder / "few", SyntheticSet(subjects=8, images_per_subject=plan.different // 8, size=size))
    samples = []
    for number in range(plan.images):
        original = few[number % len(few)]
        path = folder / "loose" / f"{number:06}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.hardlink_to(folder / "few" / original.path)
        samples.append(replace(original, path=path.name, video=None, frame=None, split=Split.TRAIN))
    write_manifest(folder / "loose" / "manifest.csv", samples)
    sets = {LOOSE: Set(folder / "loose" / "manifest.csv")}
    for number, (name, settings) in enumerate(PACKS.items()):
        sets[name] = Set(pack(sets[LOOSE].manifest, folder / str(number), settings).manifest)
    return sets


def heading(plan: Plan) -> str:
    command = f"python benchmarks/pipeline.py --images {plan.images} --repeat {plan.repeat}"
    return (
        f"# The input of training\n\n{made_by(command)}, torch {torch.__version__}. The images are generated. The "
        f"input is 2.7 x the face square at 160 px, augmented, in batches of {plan.batch}."
    )


def table(title: str, columns: Sequence[str], rows: Iterable[Iterable[object]], *after: str) -> str:
    return "\n".join([f"## {title}\n", markdown(columns, rows).rstrip("\n"), *(f"\n{text}" for text in after)])


def steps(plan: Plan, sets: Sets) -> str:
    """The table of CPU milliseconds per image for each step of the input, and for a training step."""
    rows = []
    for kind, stores in sets.items():
        for name in (LOOSE, *PACKS):
            spent = step_times(plan, stores[name])
            slowest = max(spent, key=lambda step: spent[step])
            rows.append([kind, name, *(f"{1000 * seconds:.2f}" for seconds in spent.values()),
                         f"{1000 * sum(spent.values()):.2f}", slowest])  # fmt: skip
    works = compute_steps(plan.batch)
    compute = {name: best(work, plan.repeat, time.process_time) / plan.batch for name, work in works.items()}
    feeding = ", ".join(f"{name} {1000 * seconds:.1f}" for name, seconds in compute.items())
    return table(
        "Time per image, by step",
        [
            "images",
            "store",
            "read, ms",
            "decode, ms",
            "cut, ms",
            "augment, ms",
            "to tensor, ms",
            "total, ms",
            "slowest",
        ],
        rows,
        f"CPU time per image of a training step of MobileNetV2 at 160 px, in ms: {feeding}. The input limits the speed "
        "of training if the input of an image takes longer than its training step.",
    )


def step_times(plan: Plan, stored: Set) -> dict[str, float]:
    """Step -> CPU seconds per image, measured for each step alone, on the first images."""
    source, few = stored.source(), stored.samples()[: plan.different]
    contents = [open_bytes(stored.root / sample.path) for sample in few]
    images = [read_image(content) for content in contents]
    crops = [source.spec.apply(image, sample.box) for image, sample in zip(images, few, strict=True)]
    augment = source.augment
    assert augment is not None
    works: dict[str, Callable[[], object]] = {
        "read": lambda: [open_bytes(stored.root / sample.path) for sample in few],
        "decode": lambda: [read_image(content) for content in contents],
        "cut": lambda: [source.spec.apply(image, sample.box) for image, sample in zip(images, few, strict=True)],
        "augment": lambda: [augment(crop, [0, 0, n], bona_fide=True) for n, crop in enumerate(crops)],
        "to tensor": lambda: to_input(torch.from_numpy(np.stack(crops))),
    }
    return {name: best(work, plan.repeat, time.thread_time) / len(few) for name, work in works.items()}


def open_bytes(path: Path) -> bytes:
    with open_file(path) as stream:
        return stream.read()


def compute_steps(size: int) -> dict[str, Callable[[], object]]:
    """Name -> training step: of all layers, and of the layers that the recipe's second stage trains."""
    works = {}
    for name, start in (("all layers", None), ("layers from features.12.conv.1", "features.12.conv.1")):
        network = create_model("mobilenet_v2", weights="none")
        network.freeze_before(start)
        works[name] = trainer(network)
    batch = torch.rand(size, 3, 160, 160).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 2, (size,)).float()
    return {name: lambda work=work: work(batch, labels) for name, work in works.items()}  # type: ignore[misc]


def trainer(network: Any) -> Callable[[torch.Tensor, torch.Tensor], None]:
    """A function that makes one training step of a network on a batch."""
    network.train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW([value for value in network.parameters() if value.requires_grad], lr=1e-4)
    loss = torch.nn.BCEWithLogitsLoss()

    def step(batch: torch.Tensor, labels: torch.Tensor) -> None:
        optimizer.zero_grad()
        loss(network(batch).reshape(-1), labels).backward()
        optimizer.step()

    return step


@contextmanager
def loader_of(stored: Set, how: str, batch: int) -> Iterator[DataLoader[Any]]:
    dataset = CropDataset(stored.source())
    batches = Batches(SeededShuffle(len(dataset), 0), batch)
    if how == "in turn":
        yield DataLoader(dataset, batch_sampler=batches, collate_fn=as_is)
        return
    count = LOADERS[how]
    with CropProcesses([dataset.source], count) if count else nullcontext() as processes:
        yield batch_loader(dataset, batches, processes)


def as_is(batch: Any) -> Any:
    return batch


def rates(plan: Plan, sets: Sets) -> str:
    """The table of samples per second of the input without training, by store and loader."""
    rows = []
    for kind, stores in sets.items():
        loose: dict[str, float] = {}
        for name, stored in stores.items():
            cells = []
            for how in plan.rated:
                with loader_of(stored, how, plan.batch) as loader:
                    next(iter(loader))  # starts the processes
                    rate = len(loader.dataset) / best(lambda loader=loader: list(loader), plan.repeat)  # type: ignore[arg-type, misc]
                loose.setdefault(how, rate)
                cells.append(f"{rate:.0f} ({rate / loose[how]:.2f})")
            rows.append([kind, name, f"{stored.bytes_per_image() / 1000:.1f}", *cells])
    return table(
        "Samples per second without training (x loose JPEG)",
        ["images", "store", "kB per image", *plan.rated],
        rows,
    )


def training(plan: Plan, sets: Sets) -> str:
    """The table of samples per second and CPU load of a training of MobileNetV2."""
    rows = []
    for kind, stores in sets.items():
        for name in plan.trained:
            for how in plan.loaders:
                rate, busy = max(train_epoch(stores[name], how, plan.batch) for _ in range(plan.repeat))
                rows.append([kind, name, how, f"{rate:.1f}", f"{100 * busy:.0f}"])
    return table(
        "Training all layers of MobileNetV2 on CPUs",
        ["images", "store", "loader", "samples/s", "CPU load, %"],
        rows,
        "The CPU load is the CPU time of this process and of the processes that make its batches, as a share of all "
        "CPU cores. Other work on the machine counts as idle.",
    )


def train_epoch(stored: Set, how: str, batch: int) -> tuple[float, float]:
    """Samples per second and CPU load (0 to 1) of one epoch, without its first batch."""
    step = trainer(create_model("mobilenet_v2", weights="none"))
    step(torch.rand(batch, 3, 160, 160).contiguous(memory_format=torch.channels_last), torch.zeros(batch))
    spent, count = processor_time(), 0
    with loader_of(stored, how, batch) as loader:
        next(iter(loader))  # starts the processes
        started = time.perf_counter()
        for pixels, labels in loader:
            step(to_input(pixels), labels)
            count += len(labels)
        seconds = time.perf_counter() - started
    spent = processor_time() - spent  # includes the loader's processes, because they have ended
    return count / seconds, spent / seconds / available_cpus()


def reading(plan: Plan, sets: Sets, folder: Path) -> str:
    """The table of reading images in random order: from loose files, tar shards and Parquet files."""
    stored = next(iter(sets.values()))[USUAL]
    names = [sample.path for sample in stored.samples()]
    contents = {name: open_bytes(stored.root / name) for name in names}
    loose = folder / "unpacked"
    for name, content in contents.items():
        (loose / name).parent.mkdir(parents=True, exist_ok=True)
        (loose / name).write_bytes(content)
    random.Random(0).shuffle(names)
    works: dict[str, Callable[[], object]] = {
        "loose files": lambda: [open_bytes(loose / name) for name in names],
        "tar shards": lambda: [open_bytes(stored.root / name) for name in names],
    }
    works |= {f"Parquet, {rows} rows per group": parquet_reader(folder, contents, rows) for rows in plan.groups}
    rows = [[name, f"{1e6 * best(work, plan.repeat) / len(names):.0f}"] for name, work in works.items()]
    return table("Reading in random order, from the system's cache", ["store", "microseconds per image"], rows)


def parquet_reader(folder: Path, contents: dict[str, bytes], rows: int) -> Callable[[], object]:
    """A function that reads all images of a Parquet file in random order, each with its complete row group."""
    import pyarrow as pa  # imported late, because pyarrow is in facepad[scale]
    from pyarrow import parquet

    path = folder / f"{rows}.parquet"
    parquet.write_table(pa.table({"bytes": list(contents.values())}), path, row_group_size=rows, compression="none")
    order = list(range(len(contents)))
    random.Random(0).shuffle(order)
    file = parquet.ParquetFile(path, memory_map=True)
    return lambda: [file.read_row_group(row // rows).column(0)[row % rows].as_py() for row in order]


def changes_table(plan: Plan, sets: Sets) -> str:
    """The table of score changes if images are packed, or if JPEG is decoded at a reduced size."""
    bundle = facepad.load(plan.model).bundle
    rows = []
    for kind, stores in sets.items():
        for name, change in changes(bundle, stores, plan.different).items():
            moved = f"{np.abs(change.scores).mean():.4f}", f"{np.abs(change.scores).max():.4f}"
            decided = f"{change.flipped} of {len(change.scores)}"
            rows.append([kind, name, *moved, f"{change.scores.mean():+.4f}", decided])
    return table(
        f"Effect of packing on the scores of {bundle.description.name}, {plan.different} different images",
        ["images", "store", "mean absolute difference", "largest", "mean difference", "changed decisions"],
        rows,
    )


@dataclass(frozen=True)
class Change:
    """The differences of the scores, and the number of changed decisions."""

    scores: Floats
    flipped: int


def changes(bundle: Bundle, stores: Mapping[str, Set], count: int) -> dict[str, Change]:
    """Store -> change of the scores of the first images, compared with the loose files."""
    plain = scores_of(bundle, stores[LOOSE], count)
    others = {name: scores_of(bundle, stored, count) for name, stored in stores.items() if name != LOOSE}
    others[REDUCED] = reduced_scores(bundle, stores[LOOSE], count)
    chosen = bundle.description.threshold
    limit = math.inf if chosen is None else chosen.value
    return {
        name: Change(scores - plain, int(((scores >= limit) != (plain >= limit)).sum()))
        for name, scores in others.items()
    }


def scores_of(bundle: Bundle, stored: Set, count: int) -> Floats:
    records = score_samples(BundleScorer(bundle), stored.root, stored.samples()[:count]).records
    return np.array([record.score for record in records], dtype=np.float64)


def reduced_scores(bundle: Bundle, stored: Set, count: int) -> Floats:
    """Scores if each JPEG is decoded at the smallest size that the crop allows."""
    scorer, found = BundleScorer(bundle), []
    for sample in stored.samples()[:count]:
        path, box = resolve(stored.manifest, sample), sample.box
        assert box is not None
        full = image_size(path)
        need = max(max(spec.size) / ((spec.crop_scale or 1) * box.width) for spec in scorer.preprocess)
        least = int(np.ceil(max(full) * min(1.0, need)))
        image = read_image(path, min_size=(least, least))
        moved = map_box(box, full, (image.shape[0], image.shape[1]))
        found.append(float(scorer.score([scorer.prepare(image, moved)]).values[0]))
    return np.array(found)


if __name__ == "__main__":
    main()
