"""The input of training: what an image costs by step, packed shards beside loose files, and how busy the cores are.

    python benchmarks/pipeline.py [--images 1024] [--repeat 3] [--model NAME] [--out docs/results/pipeline.md]

Files are generated: 64 different synthetic images per kind, JPEG as a webcam's (640x480, the size of NUAA's images too)
and a photo's (1920x1080), linked as often as --images asks; all of them are in the system's cache. What is fed is the
training input of the recipe tla-mobilenetv2: 2.7 x the face square at 160 px, augmented, in batches of 64. Steps of an
image are processor time of one thread; all else is time on the clock, the best of --repeat. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

import facepad
from facepad.datasets.manifest import read_manifest, resolve, write_manifest
from facepad.datasets.pack import PackSettings, pack
from facepad.datasets.synthetic import generate
from facepad.faces import map_box
from facepad.files.shards import open_file
from facepad.media.images import image_size, read_image
from facepad.modelfile.scorers import BundleScorer
from facepad.models import create_model
from facepad.runtime.parallel import available_cpus
from facepad.training.batches import Batches, SeededShuffle, batch_loader
from facepad.training.crops import CropProcesses, CropSource
from facepad.training.data import CropDataset, to_input
from facepad.training.recipe import load_recipe
from facepad.types import Sample, Split
from facepad.workflow.scoring import score_samples

KINDS = {"webcam, 640x480": (480, 640), "photo, 1920x1080": (1080, 1920)}
DIFFERENT = 64
BATCH = 64
PACKS = {
    "JPEG, 480 px": PackSettings(),
    "JPEG, 240 px": PackSettings(size=240),
    "PNG, 480 px": PackSettings(format="png"),
    "JPEG, every pixel": PackSettings(size=None),
    "PNG, every pixel": PackSettings(size=None, format="png"),
}
LOOSE = "loose JPEG"
USUAL, SMALLER = "JPEG, 480 px", "JPEG, 240 px"
RATED = ("in turn", "1 process", "2 processes")  # the first decodes in threads of the process itself
GROUPS = (1, 16, 128)  # rows of a Parquet file that are stored together
#: Who makes the batches: so many processes, or none: threads, while the network waits (in turn) or learns.
LOADERS = {"in turn": 0, "a batch ahead": 0, "1 process": 1, "2 processes": 2}


@dataclass(frozen=True)
class Set:
    """A manifest of generated images, loose or packed."""

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


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1024, help="of each kind (default: 1024)")
    parser.add_argument("--repeat", type=int, default=3, help="the best of so many counts (default: 3)")
    parser.add_argument("--model", help="whose scores are compared; default: the shipped one")
    parser.add_argument("--out", type=Path, help="write the page there, too")
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="facepad-pipeline-") as name:
        sets = {kind: make_sets(Path(name) / str(number), size, arguments.images)
                for number, (kind, size) in enumerate(KINDS.items())}  # fmt: skip
        tables = [
            heading(arguments),
            steps(sets, arguments.repeat),
            rates(sets, arguments.repeat),
            training(sets, arguments.repeat),
            reading(sets, Path(name), arguments.repeat),
            changes(sets, arguments.model),
        ]
    text = "\n\n".join(tables)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")


def make_sets(folder: Path, size: tuple[int, int], count: int) -> dict[str, Set]:
    """The loose set, each of its files a link to one of a few, and its packs."""
    few = generate(folder / "few", subjects=8, images_per_subject=DIFFERENT // 8, size=size, progress=False)
    samples = []
    for number in range(count):
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


def heading(arguments: argparse.Namespace) -> str:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return (
        f"# The input of training\n\n`python benchmarks/pipeline.py --images {arguments.images} --repeat "
        f"{arguments.repeat}`, {date.today()}, commit {commit.stdout.strip()}: {platform.machine()}, "
        f"{available_cpus()} processors, {platform.system()}, Python {platform.python_version()}, torch "
        f"{torch.__version__}. Generated images; 2.7 x the face square at 160 px, augmented, batches of {BATCH}."
    )


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]], *after: str) -> str:
    lines = [f"## {title}", "", f"| {' | '.join(columns)} |"]
    lines.append("|" + "---|" * lines[-1].count(" | ") + "---|")
    lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join([*lines, *(line for text in after for line in ("", text))])


def best(work: Callable[[], object], repeat: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of the fastest run, after one that does not count."""
    work()
    times = []
    for _ in range(repeat):
        started = clock()
        work()
        times.append(clock() - started)
    return min(times)


def steps(sets: dict[str, dict[str, Set]], repeat: int) -> str:
    """Milliseconds of one thread per image, by step, and those of a training step."""
    rows = []
    for kind, stores in sets.items():
        for name in (LOOSE, *PACKS):
            spent = step_times(stores[name], repeat)
            slowest = max(spent, key=lambda step: spent[step])
            rows.append([kind, name, *(f"{1000 * seconds:.2f}" for seconds in spent.values()),
                         f"{1000 * sum(spent.values()):.2f}", slowest])  # fmt: skip
    compute = {name: best(work, repeat, time.process_time) / BATCH for name, work in compute_steps().items()}
    feeding = ", ".join(f"{name} {1000 * seconds:.1f}" for name, seconds in compute.items())
    return table(
        "An image, step by step",
        ["images", "store", "read, ms", "decode, ms", "cut, ms", "augment, ms", "to tensor, ms", "all, ms", "limit"],
        rows,
        f"Processor time per image of a training step of MobileNetV2 at 160 px, in ms: {feeding}. Input limits a "
        "training where an image's input takes longer than its step.",
    )


def step_times(stored: Set, repeat: int) -> dict[str, float]:
    """Seconds of one thread per image: each step on its own, on the first images."""
    source, few = stored.source(), stored.samples()[:DIFFERENT]
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
        "to tensor": lambda: to_input(np.stack(crops)),
    }
    return {name: best(work, repeat, time.thread_time) / len(few) for name, work in works.items()}


def open_bytes(path: Path) -> bytes:
    with open_file(path) as stream:
        return stream.read()


def compute_steps() -> dict[str, Callable[[], object]]:
    """A step of training everything, and of what the recipe's second stage trains."""
    works = {}
    for name, start in (("whole network", None), ("from features.12.conv.1", "features.12.conv.1")):
        network = create_model("mobilenet_v2", weights="none")
        network.freeze_before(start)
        works[name] = trainer(network)
    batch = torch.rand(BATCH, 3, 160, 160).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 2, (BATCH,)).float()
    return {name: lambda work=work: work(batch, labels) for name, work in works.items()}  # type: ignore[misc]


def trainer(network: Any) -> Callable[[torch.Tensor, torch.Tensor], None]:
    """One step of training a network on a batch."""
    network.train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW([value for value in network.parameters() if value.requires_grad], lr=1e-4)
    loss = torch.nn.BCEWithLogitsLoss()

    def step(batch: torch.Tensor, labels: torch.Tensor) -> None:
        optimizer.zero_grad()
        loss(network(batch).reshape(-1), labels).backward()
        optimizer.step()

    return step


@contextmanager
def loader_of(stored: Set, how: str) -> Iterator[DataLoader[Any]]:
    dataset = CropDataset(stored.source())
    batches = Batches(SeededShuffle(len(dataset), 0), BATCH)
    if how == "in turn":
        yield DataLoader(dataset, batch_sampler=batches, collate_fn=as_is)
        return
    count = LOADERS[how]
    with CropProcesses([dataset.source], count) if count else nullcontext() as processes:
        yield batch_loader(dataset, batches, processes)


def as_is(batch: Any) -> Any:
    return batch


def rates(sets: dict[str, dict[str, Set]], repeat: int) -> str:
    """Samples a second of the input alone, by store and loader."""
    rows = []
    for kind, stores in sets.items():
        loose: dict[str, float] = {}
        for name, stored in stores.items():
            cells = []
            for how in RATED:
                with loader_of(stored, how) as loader:
                    next(iter(loader))  # processes have started then
                    rate = len(loader.dataset) / best(lambda loader=loader: list(loader), repeat)  # type: ignore[arg-type, misc]
                loose.setdefault(how, rate)
                cells.append(f"{rate:.0f} ({rate / loose[how]:.2f})")
            rows.append([kind, name, f"{stored.bytes_per_image() / 1000:.1f}", *cells])
    return table(
        "Samples a second, input alone (times loose JPEG)",
        ["images", "store", "kB an image", *RATED],
        rows,
    )


def training(sets: dict[str, dict[str, Set]], repeat: int) -> str:
    """Samples a second and how busy the processors are while MobileNetV2 is trained."""
    rows = []
    for kind, stores in sets.items():
        for name in (LOOSE, USUAL, SMALLER):
            for how in LOADERS:
                rate, busy = max(train_epoch(stores[name], how) for _ in range(repeat))
                rows.append([kind, name, how, f"{rate:.1f}", f"{100 * busy:.0f}"])
    return table(
        "Training the whole of MobileNetV2 on processors",
        ["images", "store", "batches", "samples/s", "processors busy, %"],
        rows,
        "Busy is the processor time of this process and those that make its batches, in parts of all processors; what "
        "else the machine does shows as idle.",
    )


def train_epoch(stored: Set, how: str) -> tuple[float, float]:
    """Samples a second and the share of the processors' time, over one epoch after a first batch."""
    step = trainer(create_model("mobilenet_v2", weights="none"))
    step(torch.rand(BATCH, 3, 160, 160).contiguous(memory_format=torch.channels_last), torch.zeros(BATCH))
    spent, count = processor_time(), 0
    with loader_of(stored, how) as loader:
        next(iter(loader))  # processes have started then
        started = time.perf_counter()
        for pixels, labels in loader:
            step(to_input(pixels), labels)
            count += len(labels)
        seconds = time.perf_counter() - started
    spent = processor_time() - spent  # also of the processes, which have ended
    return count / seconds, spent / seconds / available_cpus()


def processor_time() -> float:
    """Seconds that this process and its ended children have computed."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def reading(sets: dict[str, dict[str, Set]], folder: Path, repeat: int) -> str:
    """The bytes of images in a random order, from files, from tar shards, and from Parquet."""
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
    works |= {f"Parquet, {rows} rows a group": parquet_reader(folder, contents, rows) for rows in GROUPS}
    rows = [[name, f"{1e6 * best(work, repeat) / len(names):.0f}"] for name, work in works.items()]
    return table("Reading in random order, from the system's cache", ["store", "microseconds an image"], rows)


def parquet_reader(folder: Path, contents: dict[str, bytes], rows: int) -> Callable[[], object]:
    """Read every image of a Parquet file in a random order: the row group, then the row."""
    import pyarrow as pa  # only here: it is of facepad[scale]
    from pyarrow import parquet

    path = folder / f"{rows}.parquet"
    parquet.write_table(pa.table({"bytes": list(contents.values())}), path, row_group_size=rows, compression="none")
    order = list(range(len(contents)))
    random.Random(0).shuffle(order)
    file = parquet.ParquetFile(path, memory_map=True)
    return lambda: [file.read_row_group(row // rows).column(0)[row % rows].as_py() for row in order]


def changes(sets: dict[str, dict[str, Set]], model: str | None) -> str:
    """How far the scores of a model move when its images are packed; and when JPEG is decoded at a reduced size."""
    bundle = facepad.load(model).bundle
    rows = []
    for kind, stores in sets.items():
        plain = scores_of(bundle, stores[LOOSE])
        others = {name: scores_of(bundle, stored) for name, stored in stores.items() if name != LOOSE}
        others["loose JPEG, decoded at 1/2 to 1/8 where the crop allows (not done)"] = reduced_scores(
            bundle, stores[LOOSE]
        )
        for name, scores in others.items():
            moved = np.abs(scores - plain)
            over = (bundle.description.threshold.value,) if bundle.description.threshold else ()
            flipped = sum(int(((scores >= value) != (plain >= value)).sum()) for value in over)
            rows.append(
                [
                    kind,
                    name,
                    f"{moved.mean():.4f}",
                    f"{moved.max():.4f}",
                    f"{(scores - plain).mean():+.4f}",
                    f"{flipped} of {len(moved)}",
                ]
            )
    return table(
        f"What packing changes: scores of {bundle.description.name}, {DIFFERENT} different images",
        ["images", "store", "mean difference", "largest", "with its sign", "other decisions"],
        rows,
    )


def scores_of(bundle: Any, stored: Set) -> np.ndarray[Any, np.dtype[np.float64]]:
    records = score_samples(BundleScorer(bundle), stored.root, stored.samples()[:DIFFERENT]).records
    return np.array([record.score for record in records], dtype=np.float64)


def reduced_scores(bundle: Any, stored: Set) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Scores where each JPEG is decoded as small as its crop may be."""
    scorer, found = BundleScorer(bundle), []
    for sample in stored.samples()[:DIFFERENT]:
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
