"""Time per face, from the JPEG to the score: python benchmarks/latency.py [--model FILE ...] [--default] [--out FILE]

Prints a Markdown page; with --default, only the table of the default model. The other networks have random weights.
Model files that are given with --model, for example with 8 bits, are measured as well. All compared variants take
turns within one run, and the page gives medians over the rounds. Machines are noisy, so the ratios are more reliable
than the times. The image is a procedural face, so the script needs no data. "Floor" is the time of a network's
multiply-adds at the rate at which this machine multiplies matrices of 768 x 768 in one thread. This rate is measured
in the same rounds.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from _common import interleaved, made_by, markdown, medians, packages, parser, publish, timed
from _faces import VGA, WholeImage, WholeYuNet, picture, portraits
from _networks import NETWORKS, multiply_adds
from _processes import command_table, with_bytecode
from facepad.errors import FacepadError, ModelError
from facepad.faces import Detector, create_detector
from facepad.faces.yunet import YuNetDetector
from facepad.media.images import read_image
from facepad.modelfile.bundle import SUFFIX, Bundle, read_bundle, write_bundle
from facepad.modelfile.catalog import DEFAULT_MODEL, find_model
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.modelfile.runs import TrainedModel, save_trained
from facepad.modelfile.scorers import BundleScorer, Prepared
from facepad.modelfile.scorers.run_scorer import bundle_of
from facepad.models import create_model
from facepad.models.pixels import to_input
from facepad.predict.pipeline import Pipeline
from facepad.predict.predictor import Predictor
from facepad.runtime.inference import ENGINES, EngineName
from facepad.runtime.parallel import map_ahead

CROP_SCALE = 2.7
STAGES = ("read", "detect", "prepare", "score")

# Programs that run in a new process. Their arguments are the engine, the model and an image.
START = "import json, sys, time; start = time.perf_counter(); marks = {}\n"
MARK = "marks['{}'] = time.perf_counter() - start\n"
END = """
status = open('/proc/self/status').read() if sys.platform == 'linux' else ''
peak = [int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith('VmHWM')]
print(json.dumps(marks | {'memory': peak[0] if peak else None}))
"""
ON_ENGINE = f"""{START}
import facepad
{MARK.format("facepad")}
from facepad.modelfile.bundle import read_bundle
from facepad.runtime.inference import load_network
from facepad.faces import create_detector
from facepad.media.images import read_image
from facepad.modelfile.scorers import BundleScorer
__import__(sys.argv[1])
{MARK.format("import")}
scorer = BundleScorer(read_bundle(sys.argv[2]), engine=sys.argv[1], threads=1)
{MARK.format("load")}
image = read_image(sys.argv[3])
scorer.score([scorer.prepare(image, create_detector().detect(image)[0].box)])
{MARK.format("first")}{END}"""
ON_TORCH = f"""{START}
import facepad
{MARK.format("facepad")}
import pathlib, torch
from facepad.faces import create_detector
from facepad.media.images import read_image
from facepad.modelfile.runs import load_trained
from facepad.models.pixels import to_input
torch.set_num_threads(1)
{MARK.format("import")}
trained = load_trained(pathlib.Path(sys.argv[2]))
{MARK.format("load")}
image = read_image(sys.argv[3])
crop = trained.preprocess.apply(image, create_detector().detect(image)[0].box)
with torch.inference_mode():
    trained.network(to_input(torch.from_numpy(crop)[None]))
{MARK.format("first")}{END}"""


@dataclass(frozen=True)
class Sizes:
    """The networks, images and numbers of rounds of the measurements.

    Attributes:
        networks: Title -> name and options of a network with random weights.
        input: Side of the networks' input in pixels.
        pictures: Title -> (height, width) of the images in the table of image sizes.
        faces: Numbers of faces in these images.
        batch: Images in a batch.
        gemm: Rows and columns of the square matrices whose product gives the rate for the floor.
        repeat: Number of rounds. Slow tables use a tenth.
    """

    networks: Mapping[str, tuple[str, Mapping[str, Any]]]
    input: int = 224
    pictures: Mapping[str, tuple[int, int]] = field(
        default_factory=lambda: {"VGA, 640x480": VGA, "HD, 1280x720": (720, 1280), "12 MP, 4000x3000": (3000, 4000)}
    )
    faces: tuple[int, ...] = (1, 2, 4)
    batch: int = 16
    gemm: int = 768
    repeat: int = 100

    @property
    def few(self) -> int:
        """Number of rounds of slow tables."""
        return max(1, self.repeat // 10)


USUAL = {
    title: (name, options)
    for title, name, options, size in NETWORKS
    if size == 224 and name in ("mobilenet_v2", "attention_fusion")
}
"""AttentionFusion, and MobileNetV2, which is the trunk of AttentionFusion."""


@dataclass(frozen=True)
class Contestant:
    """A network in one engine."""

    title: str
    engine: str
    precision: str
    prepare: Callable[[NDArray[np.uint8], Any], Prepared]
    score: Callable[[Sequence[Prepared]], object]

    @property
    def names(self) -> tuple[str, str, str]:
        return self.title, self.engine, self.precision


@dataclass(frozen=True)
class Bench:
    """The models and the images of the measurements."""

    folder: Path
    sizes: Sizes
    models: Sequence[Path] = ()

    @cached_property
    def trained(self) -> dict[str, TrainedModel]:
        """Title -> network with random weights."""
        return {title: network(*chosen, self.sizes.input) for title, chosen in self.sizes.networks.items()}

    @cached_property
    def bundles(self) -> dict[str, Bundle]:
        """Title -> the same networks as model files, and the model files from the command line."""
        made = {title: bundle_of(one, name=title) for title, one in self.trained.items()}
        return made | {path.stem: read_bundle(path) for path in self.models}

    @cached_property
    def people(self) -> list[NDArray[np.uint8]]:
        """The images of four faces."""
        return portraits(self.folder / "people")

    @cached_property
    def jpeg(self) -> bytes:
        """A JPEG of 640x480 pixels with one face."""
        return picture(self.folder / "vga.jpg", self.people)

    @property
    def fusion(self) -> str:
        """Title of the network in tables that measure only one network."""
        return next(title for title in self.bundles if title.startswith("AttentionFusion"))


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--model", type=Path, action="append", default=[], help="a model file to measure as well")
    options.add_argument("--repeat", type=int, default=100, help="rounds (default: 100); slow tables use a tenth")
    options.add_argument("--default", action="store_true", help="measure only the default model")
    options.add_argument("--out", type=Path, help="also write the page to this file")
    chosen = options.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), Sizes(USUAL, repeat=chosen.repeat), chosen.model)
        measured = one_thread_tables(bench, (default_table,)) if chosen.default else tables(bench)
        publish("\n".join([head(chosen.repeat, " --default" * chosen.default), *measured]), chosen.out)


def head(repeat: int, option: str = "") -> str:
    names = ("torch", "onnxruntime", "openvino", "opencv-python-headless", "dlib-bin", "numpy")
    return (
        "# Latency, throughput, memory\n\n"
        f"{made_by(f'python benchmarks/latency.py --repeat {repeat}{option}')},\n{packages(*names)}.\n"
        "Times are medians in milliseconds. The compared variants took turns in one run. Times of one thread are CPU\n"
        "time, which other load on the machine hardly changes. The other times are wall time: only their ratios are "
        "reliable.\n"
    )


def tables(bench: Bench) -> list[str]:
    """All tables. They are measured with one thread unless a table says otherwise."""
    every = (latency_table, default_table, detector_table, throughput_table, size_table, start_table)
    return one_thread_tables(bench, every)


def one_thread_tables(bench: Bench, chosen: Sequence[Callable[[Bench], str]]) -> list[str]:
    """The chosen tables, without empty tables."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    return [text for table in chosen if (text := table(bench))]


def network(name: str, options: Mapping[str, Any], size: int) -> TrainedModel:
    model = create_model(name, weights="none", **options).eval().to(memory_format=torch.channels_last)
    return TrainedModel(model, name, dict(options), PreprocessSpec(crop_scale=CROP_SCALE, size=(size, size)), {})


def contestants(bench: Bench, threads: int) -> list[Contestant]:
    found = [
        Contestant(
            title, "torch", "fp32", lambda image, box, one=one: (one.preprocess.apply(image, box),), on_torch(one)
        )
        for title, one in bench.trained.items()
    ]
    for title, bundle in bench.bundles.items():
        networks = bundle.description.networks
        for engine in usable_engines(bundle):
            scorer = BundleScorer(bundle, engine=engine, threads=threads)
            precision = "+".join(sorted({one.precision for one in networks}))
            found.append(Contestant(title, engine, precision, scorer.prepare, scorer.score))
    return found


def usable_engines(bundle: Bundle) -> tuple[EngineName, ...]:
    """The installed engines that can run a model. Only OpenVINO runs OpenVINO's format."""
    onnx = all(one.format == "onnx" for one in bundle.description.networks)
    return tuple(engine for engine in ENGINES if find_spec(engine) and (onnx or engine == "openvino"))


def on_torch(trained: TrainedModel) -> Callable[[Sequence[Prepared]], object]:
    def score(batch: Sequence[Prepared]) -> object:
        crops = torch.from_numpy(np.stack([crops[0] for crops in batch]))
        with torch.inference_mode():
            return trained.network(to_input(crops))

    return score


def stages(jpeg: bytes, detector: Detector, contestant: Contestant) -> tuple[float, ...]:
    """CPU milliseconds of each of `STAGES`, and at the end the number of faces."""
    marks = [time.process_time()]
    image = read_image(jpeg)
    marks.append(time.process_time())
    faces = detector.detect(image)
    marks.append(time.process_time())
    prepared = [contestant.prepare(image, face.box) for face in faces]
    marks.append(time.process_time())
    contestant.score(prepared)
    marks.append(time.process_time())
    return (*(1000 * (after - before) for before, after in pairwise(marks)), len(faces))


def gemm(size: int) -> float:
    """CPU seconds of the product of two square matrices."""
    first, second = torch.ones(size, size), torch.ones(size, size)
    return timed(lambda: first @ second, time.process_time)


def latency_table(bench: Bench) -> str:
    found, detector = contestants(bench, threads=1), create_detector()
    ways: dict[Any, Callable[[], object]] = {one.names: partial(stages, bench.jpeg, detector, one) for one in found}
    predictor = Predictor(Pipeline(bench.bundles[bench.fusion], threads=1))
    ways["gemm"] = partial(gemm, bench.sizes.gemm)
    ways["predict"] = partial(timed, partial(predictor.predict, bench.jpeg), time.process_time)
    results = interleaved(ways, bench.sizes.repeat)
    rate = bench.sizes.gemm**3 / statistics.median(results.pop("gemm"))
    predict = 1000 * statistics.median(results.pop("predict"))
    columns = ["network", "engine", "precision", *STAGES, "total", "score, x MobileNetV2", "floor", "score, x floor"]
    return (
        f"## One face of a 640x480 JPEG, one thread, one at a time\n\n"
        f"{markdown(columns, latency_rows(bench, results, rate))}\n"
        f"`Predictor.predict` (quality checks included), {bench.fusion}, ONNX Runtime: {predict:.2f} ms. "
        f"The floor is the time of the network's multiply-adds at the rate of matrix products, {rate / 1e9:.1f} G "
        "multiply-adds per second.\n"
    )


def latency_rows(bench: Bench, results: Mapping[Any, Any], rate: float) -> list[tuple[str, ...]]:
    """A row for each contestant. ``rate`` (multiply-adds per second) gives the floor."""
    times = {names: medians(rows)[:-1] for names, rows in results.items()}
    plain = {engine: spent[-1] for (title, engine, _), spent in times.items() if title.startswith("MobileNetV2")}
    rows = []
    for names, spent in times.items():
        title, engine, _ = names
        total = statistics.median(sum(row[:-1]) for row in results[names])
        ratio = f"{spent[-1] / plain[engine]:.2f}" if engine in plain else ""
        bound = ("", "")
        if title in bench.trained:
            floor = 1000 * multiply_adds(bench.trained[title].network, bench.sizes.input) / rate
            bound = (f"{floor:.2f}", f"{spent[-1] / floor:.2f}")
        rows.append((*names, *(f"{value:.2f}" for value in (*spent, total)), ratio, *bound))
    return rows


def default_table(bench: Bench) -> str:
    """The default model with YuNet; empty if a file of them is missing."""
    try:
        bundle, detector = find_model(DEFAULT_MODEL).read(), YuNetDetector()
    except FacepadError as error:
        print(f"{DEFAULT_MODEL} is not measured: {error}", file=sys.stderr)
        return ""
    ways: dict[Any, Callable[[], object]] = {}
    for engine in usable_engines(bundle):
        scorer = BundleScorer(bundle, engine=engine, threads=1)
        one = Contestant(DEFAULT_MODEL, engine, "", scorer.prepare, scorer.score)
        ways[engine] = partial(stages, bench.jpeg, detector, one)
    rows = [
        (engine, *(f"{value:.2f}" for value in medians(found)[:-1]), f"{statistics.median(map(total, found)):.2f}")
        for engine, found in interleaved(ways, bench.sizes.repeat).items()
    ]
    title = f"## The default model ({DEFAULT_MODEL}) with YuNet, one face of a 640x480 JPEG, one thread\n\n"
    return title + markdown(["engine", *STAGES, "total"], rows)


def total(stage_times: Sequence[float]) -> float:
    """The sum of what `stages` gives, without the number of faces."""
    return sum(stage_times[:-1])


def detector_table(bench: Bench) -> str:
    image = read_image(bench.jpeg)
    detectors: list[Detector] = [create_detector("dlib"), WholeImage()]
    try:
        detectors += [YuNetDetector(), WholeYuNet()]
    except ModelError as error:
        print(f"YuNet is not measured: {error}", file=sys.stderr)
    ways = {one.name: partial(timed, partial(one.detect, image), time.process_time) for one in detectors}
    results = interleaved(ways, bench.sizes.repeat)
    times = {name: 1000 * statistics.median(found) for name, found in results.items()}
    rows = [(name, f"{spent:.2f}", f"{spent / times[WholeImage.name]:.2f}") for name, spent in times.items()]
    return "## Detectors on the same image\n\n" + markdown(["detector", "ms", "x dlib, whole"], rows)


def throughput_table(bench: Bench) -> str:
    found, batch = contestants(bench, threads=2), bench.sizes.batch
    image, detector = read_image(bench.jpeg), create_detector()
    box = detector.detect(image)[0].box

    def prepared(one: Contestant, _: int) -> Prepared:
        decoded = read_image(bench.jpeg)
        return one.prepare(decoded, detector.detect(decoded)[0].box)

    def chain(one: Contestant) -> None:
        one.score(list(map_ahead(partial(prepared, one), range(batch), threads=2)))

    ways: dict[Any, Callable[[], object]] = {}
    for one in found:
        ways["score", one.names] = partial(timed, partial(one.score, [one.prepare(image, box)] * batch))
        ways["chain", one.names] = partial(timed, partial(chain, one))
    torch.set_num_threads(2)
    times = {name: statistics.median(spent) for name, spent in interleaved(ways, bench.sizes.few).items()}
    torch.set_num_threads(1)
    rows = [(*one.names, *(f"{batch / times[part, one.names]:.0f}" for part in ("score", "chain"))) for one in found]
    columns = ["network", "engine", "precision", "score, faces/s", "from JPEG to score, faces/s"]
    return f"## Two threads, batches of {batch}\n\n" + markdown(columns, rows)


def size_table(bench: Bench) -> str:
    title, detector = bench.fusion, create_detector()
    scorer = BundleScorer(bench.bundles[title], engine="onnxruntime", threads=1)
    contestant = Contestant(title, "onnxruntime", "fp32", scorer.prepare, scorer.score)
    ways = {
        (name, faces): partial(
            stages, picture(bench.folder / "scene.jpg", bench.people, size, faces), detector, contestant
        )
        for name, size in bench.sizes.pictures.items()
        for faces in bench.sizes.faces
    }
    rows = []
    for (name, faces), results in interleaved(ways, bench.sizes.few).items():
        *spent, found = medians(results)
        total = statistics.median(sum(row[:-1]) for row in results)
        rows.append((name, str(faces), f"{found:.0f}", *(f"{value:.1f}" for value in (*spent, total, total / faces))))
    columns = ["image", "faces", "found", *STAGES, "total", "per face"]
    return f"## Size of the image and number of faces\n\n{title}, ONNX Runtime, one thread.\n\n" + markdown(
        columns, rows
    )


def start_table(bench: Bench) -> str:
    folder, repeat = bench.folder, bench.sizes.few
    image = folder / "start.jpg"
    image.write_bytes(bench.jpeg)
    ways: dict[Any, Callable[[], object]] = {}
    for number, (title, one) in enumerate(bench.trained.items()):
        save_trained(folder / f"run{number}", one)
        ways[title, "torch"] = partial(child, ["-c", ON_TORCH, "torch", str(folder / f"run{number}"), str(image)])
    for number, (title, bundle) in enumerate(bench.bundles.items()):
        model = write_bundle(folder / f"model{number}{SUFFIX}", bundle)
        for engine in usable_engines(bundle):
            ways[title, engine] = partial(child, ["-c", ON_ENGINE, engine, str(model), str(image)])
    results = interleaved(ways, repeat)
    rows = []
    for names, runs in results.items():
        marks = {key: [run[key] for run in runs] for key in runs[0]}
        numbers = [statistics.median(marks[key]) for key in ("facepad", "import", "load", "first", "whole")]
        memory = "" if None in marks["memory"] else f"{statistics.median(marks['memory']):.0f}"
        rows.append((*names, *(f"{number:.2f}" for number in numbers), memory))
    columns = ["network", "engine", "import facepad", "all imports", "model loaded", "first score", "process end"]
    text = markdown([*columns, "peak memory, MiB"], rows)
    text += f"\n## The complete command\n\nThe command uses the shipped model.\n\n{command_table(image, repeat)}"
    words = "The figures are seconds since the start of the process, with the default detector."
    return f"## A new process that scores one image\n\n{words}\n\n{text}"


def child(arguments: list[str]) -> dict[str, float]:
    """The times that a new process prints, and ``whole``, the duration of the process, in seconds."""
    start = time.perf_counter()
    run = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True, env=with_bytecode())
    return {**json.loads(run.stdout), "whole": time.perf_counter() - start}


if __name__ == "__main__":
    main()
