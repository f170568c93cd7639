"""What a face costs, from the JPEG to the score: python benchmarks/latency.py [--model FILE ...] [--out FILE]

Prints Markdown. Networks have random weights; model files that are named (int8 ones, say) are measured beside them.
What is compared takes turns within one run, and medians over the rounds are given: ratios are what to read, as machines
are noisy. The picture is a procedural face, so that no data has to be there. "Floor" is a network's multiply-adds at
the rate at which this machine multiplies matrices of 768 x 768 in one thread, measured in the same rounds.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from importlib.metadata import distributions
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from cold_start import command_table, interleaved, medians, with_bytecode
from detectors import WholeImage, markdown
from facepad.datasets.synthetic import generate
from facepad.errors import ModelError
from facepad.faces import Detector, create_detector, crop
from facepad.media.images import read_image, write_image
from facepad.modelfile.bundle import SUFFIX, Bundle, read_bundle, write_bundle
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.modelfile.runs import TrainedModel, save_trained
from facepad.modelfile.scorers import BundleScorer, Prepared
from facepad.modelfile.scorers.run_scorer import bundle_of
from facepad.models import create_model
from facepad.predict.pipeline import Pipeline
from facepad.predict.predictor import Predictor
from facepad.runtime.inference import ENGINES, EngineName
from facepad.runtime.parallel import available_cpus, map_ahead
from sizes import NETWORKS, multiply_adds

SIZE = 224
CROP_SCALE = 2.7
PICTURES = {"VGA, 640x480": (480, 640), "HD, 1280x720": (720, 1280), "12 MP, 4000x3000": (3000, 4000)}
FACES = {1: (1, 1), 2: (1, 2), 4: (2, 2)}
STAGES = ("read", "detect", "prepare", "score")
BATCH = 16
GEMM = 768

# Each is a process of its own; arguments: what it runs with, the model, an image.
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
torch.set_num_threads(1)
{MARK.format("import")}
trained = load_trained(pathlib.Path(sys.argv[2]))
{MARK.format("load")}
image = read_image(sys.argv[3])
crop = trained.preprocess.apply(image, create_detector().detect(image)[0].box)
with torch.inference_mode():
    trained.network(torch.from_numpy(crop)[None].permute(0, 3, 1, 2).float() / 255)
{MARK.format("first")}{END}"""


@dataclass(frozen=True)
class Contestant:
    """A network with what runs it."""

    title: str
    engine: str
    precision: str
    prepare: Callable[[NDArray[np.uint8], Any], Prepared]
    score: Callable[[Sequence[Prepared]], object]

    @property
    def names(self) -> tuple[str, str, str]:
        return self.title, self.engine, self.precision


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, action="append", default=[], help="a model file to measure as well")
    parser.add_argument("--repeat", type=int, default=100, help="rounds (default: 100); slow tables take a tenth")
    parser.add_argument("--out", type=Path, help="also write the Markdown there")
    chosen = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        text = "\n".join([head(chosen.repeat), *tables(Path(folder), chosen.model, chosen.repeat)])
    print(text)
    if chosen.out:
        chosen.out.write_text(text, encoding="utf-8")


def head(repeat: int) -> str:
    names = ("torch", "onnxruntime", "openvino", "opencv-python-headless", "dlib-bin", "numpy")
    installed = {package.name: package.version for package in distributions()}
    packages = ", ".join(f"{name} {installed[name]}" for name in names if name in installed)
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True).stdout.strip()
    return (
        f"# Latency, throughput, memory\n\n`python benchmarks/latency.py --repeat {repeat}`, {date.today()}, commit "
        f"{commit}, {platform.machine()} with {available_cpus()} CPU cores, Python {platform.python_version()},\n"
        f"{packages}.\n"
        "Times are medians in milliseconds of what took turns in one run; where one thread works, milliseconds on a\n"
        "processor, which other work on the machine does not lengthen much. Elsewhere read the ratios.\n"
    )


def tables(folder: Path, models: Sequence[Path], repeat: int) -> list[str]:
    trained = {title: network(name, options) for title, name, options, size in NETWORKS if is_measured(name, size)}
    bundles = {title: bundle_of(one, name=title) for title, one in trained.items()}
    bundles |= {path.stem: read_bundle(path) for path in models}
    people = portraits(folder / "people")
    vga = picture(folder / "vga.jpg", people, next(iter(PICTURES.values())), 1)
    few = max(1, repeat // 10)
    return [
        latency_table(trained, bundles, vga, repeat),
        detector_table(vga, repeat),
        throughput_table(contestants(trained, bundles, threads=2), vga, few),
        size_table(folder, people, bundles, few),
        start_table(folder, trained, bundles, vga, few),
    ]


def is_measured(name: str, size: int) -> bool:
    """AttentionFusion, and the plain network that its trunk is."""
    return size == 224 and name in ("mobilenet_v2", "attention_fusion")


def network(name: str, options: dict[str, Any]) -> TrainedModel:
    model = create_model(name, weights="none", **options).eval().to(memory_format=torch.channels_last)
    return TrainedModel(model, name, options, PreprocessSpec(crop_scale=CROP_SCALE, size=(SIZE, SIZE)), {})


def contestants(trained: Mapping[str, TrainedModel], bundles: Mapping[str, Bundle], threads: int) -> list[Contestant]:
    found = [
        Contestant(
            title, "torch", "fp32", lambda image, box, one=one: (one.preprocess.apply(image, box),), on_torch(one)
        )
        for title, one in trained.items()
    ]
    for title, bundle in bundles.items():
        networks = bundle.description.networks
        for engine in usable_engines(bundle):
            scorer = BundleScorer(bundle, engine=engine, threads=threads)
            precision = "+".join(sorted({one.precision for one in networks}))
            found.append(Contestant(title, engine, precision, scorer.prepare, scorer.score))
    return found


def usable_engines(bundle: Bundle) -> tuple[EngineName, ...]:
    """The installed ones that run it: OpenVINO's format runs in OpenVINO alone."""
    onnx = all(one.format == "onnx" for one in bundle.description.networks)
    return tuple(engine for engine in ENGINES if find_spec(engine) and (onnx or engine == "openvino"))


def on_torch(trained: TrainedModel) -> Callable[[Sequence[Prepared]], object]:
    def score(batch: Sequence[Prepared]) -> object:
        crops = torch.from_numpy(np.stack([crops[0] for crops in batch]))
        with torch.inference_mode():
            return trained.network(crops.permute(0, 3, 1, 2).float() / 255)

    return score


def portraits(folder: Path) -> list[NDArray[np.uint8]]:
    """The faces of four procedural people, with as much around them as networks look at."""
    samples = generate(folder, subjects=4, images_per_subject=4, jobs=1, progress=False)
    firsts = {sample.subject: sample for sample in reversed(samples) if sample.attack_type is None}
    return [crop(read_image(folder / one.path), one.box, scale=2.4, size=(480, 480)) for one in firsts.values()]


def picture(path: Path, people: Sequence[NDArray[np.uint8]], size: tuple[int, int], faces: int) -> bytes:
    """A JPEG of (height, width) with one, two or four faces, all of the same size, on a grey wall."""
    rows, columns = FACES[faces]
    height, width = size[0] // rows, size[1] // columns
    side = min(height, width)
    image = np.full((*size, 3), 127, dtype=np.uint8)
    for number, face in enumerate(people[:faces]):
        top = number // columns * height + (height - side) // 2
        left = number % columns * width + (width - side) // 2
        image[top : top + side, left : left + side] = cv2.resize(face, (side, side), interpolation=cv2.INTER_LINEAR)
    write_image(path, image)
    return path.read_bytes()


def timed(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Milliseconds."""
    start = clock()
    work()
    return 1000 * (clock() - start)


def stages(jpeg: bytes, detector: Detector, contestant: Contestant) -> tuple[float, ...]:
    """Milliseconds on a processor of each of `STAGES`, then the number of faces."""
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


def gemm() -> float:
    """Milliseconds of a product of two square matrices."""
    first, second = torch.ones(GEMM, GEMM), torch.ones(GEMM, GEMM)
    return timed(lambda: first @ second, time.process_time)


def latency_table(trained: Mapping[str, TrainedModel], bundles: Mapping[str, Bundle], jpeg: bytes, repeat: int) -> str:
    found, detector = contestants(trained, bundles, threads=1), create_detector()
    ways: dict[Any, Callable[[], object]] = {one.names: partial(stages, jpeg, detector, one) for one in found}
    fusion = fusion_of(bundles)
    predictor = Predictor(Pipeline(bundles[fusion], threads=1))
    ways |= {"gemm": gemm, "predict": partial(timed, partial(predictor.predict, jpeg), time.process_time)}
    results = interleaved(ways, repeat)
    rate = GEMM**3 / statistics.median(results.pop("gemm"))
    predict = statistics.median(results.pop("predict"))
    times = {names: medians(rows)[:-1] for names, rows in results.items()}
    totals = {names: statistics.median(sum(row[:-1]) for row in rows) for names, rows in results.items()}
    plain = {engine: spent[-1] for (title, engine, _), spent in times.items() if title.startswith("MobileNetV2")}
    rows = []
    for names, spent in times.items():
        title, engine, _ = names
        floor = multiply_adds(trained[title].network, SIZE) / rate if title in trained else None
        numbers = [f"{value:.2f}" for value in (*spent, totals[names])]
        beside = f"{spent[-1] / plain[engine]:.2f}" if engine in plain else ""
        bound = (f"{floor:.2f}", f"{spent[-1] / floor:.2f}") if floor else ("", "")
        rows.append((*names, *numbers, beside, *bound))
    columns = ["network", "engine", "precision", *STAGES, "all", "score / MobileNetV2's", "floor", "score / floor"]
    return (
        f"## One face of a 640x480 JPEG, one thread, one at a time\n\n{markdown(columns, rows)}\n"
        f"`Predictor.predict` (quality checks included), {fusion}, ONNX Runtime: {predict:.2f} ms. "
        f"Matrix products run at {rate / 1e6:.1f} G multiply-adds a second.\n"
    )


def fusion_of(bundles: Mapping[str, Bundle]) -> str:
    """The network that stands for all where one is enough."""
    return next(title for title in bundles if title.startswith("AttentionFusion"))


def detector_table(jpeg: bytes, repeat: int) -> str:
    image = read_image(jpeg)
    detectors: list[Detector] = [create_detector("dlib"), WholeImage()]
    try:
        detectors.append(create_detector("yunet"))
    except ModelError as error:
        print(f"without YuNet: {error}", file=sys.stderr)
    ways = {one.name: partial(timed, partial(one.detect, image), time.process_time) for one in detectors}
    times = {name: statistics.median(found) for name, found in interleaved(ways, repeat).items()}
    rows = [(name, f"{spent:.2f}", f"{spent / times[WholeImage.name]:.2f}") for name, spent in times.items()]
    return "## Detectors on that image\n\n" + markdown(["detector", "ms", "x dlib on the whole image"], rows)


def throughput_table(found: Sequence[Contestant], jpeg: bytes, repeat: int) -> str:
    image, detector = read_image(jpeg), create_detector()
    box = detector.detect(image)[0].box

    def prepared(one: Contestant, _: int) -> Prepared:
        decoded = read_image(jpeg)
        return one.prepare(decoded, detector.detect(decoded)[0].box)

    def chain(one: Contestant) -> None:
        one.score(list(map_ahead(partial(prepared, one), range(BATCH), threads=2)))

    ways: dict[Any, Callable[[], object]] = {}
    for one in found:
        ways["score", one.names] = partial(timed, partial(one.score, [one.prepare(image, box)] * BATCH))
        ways["chain", one.names] = partial(timed, partial(chain, one))
    torch.set_num_threads(2)
    times = {name: statistics.median(spent) for name, spent in interleaved(ways, repeat).items()}
    torch.set_num_threads(1)
    rows = [
        (*one.names, *(f"{1000 * BATCH / times[part, one.names]:.0f}" for part in ("score", "chain"))) for one in found
    ]
    columns = ["network", "engine", "precision", "scored, faces/s", "from JPEG to score, faces/s"]
    return f"## Two threads, batches of {BATCH}\n\n" + markdown(columns, rows)


def size_table(folder: Path, people: Sequence[NDArray[np.uint8]], bundles: Mapping[str, Bundle], repeat: int) -> str:
    title, detector = fusion_of(bundles), create_detector()
    scorer = BundleScorer(bundles[title], engine="onnxruntime", threads=1)
    contestant = Contestant(title, "onnxruntime", "fp32", scorer.prepare, scorer.score)
    ways = {
        (name, faces): partial(stages, picture(folder / "scene.jpg", people, size, faces), detector, contestant)
        for name, size in PICTURES.items()
        for faces in FACES
    }
    rows = []
    for (name, faces), results in interleaved(ways, repeat).items():
        *spent, found = medians(results)
        total = statistics.median(sum(row[:-1]) for row in results)
        rows.append((name, str(faces), f"{found:.0f}", *(f"{value:.1f}" for value in (*spent, total, total / faces))))
    columns = ["image", "faces", "found", *STAGES, "all", "a face"]
    return f"## Size of the image and number of faces\n\n{title}, ONNX Runtime, one thread.\n\n" + markdown(
        columns, rows
    )


def start_table(
    folder: Path, trained: Mapping[str, TrainedModel], bundles: Mapping[str, Bundle], jpeg: bytes, repeat: int
) -> str:
    image = folder / "start.jpg"
    image.write_bytes(jpeg)
    ways: dict[Any, Callable[[], object]] = {}
    for number, (title, one) in enumerate(trained.items()):
        save_trained(folder / f"run{number}", one)
        ways[title, "torch"] = partial(child, ["-c", ON_TORCH, "torch", str(folder / f"run{number}"), str(image)])
    for number, (title, bundle) in enumerate(bundles.items()):
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
    columns = ["network", "engine", "import facepad", "everything imported", "loaded", "first score", "process ended"]
    text = markdown([*columns, "peak memory, MiB"], rows)
    text += f"\n## The whole command\n\nWith the model that comes with facepad.\n\n{command_table(image, repeat)}"
    return f"## A new process that scores one image\n\nSeconds since its start, with the usual detector.\n\n{text}"


def child(arguments: list[str]) -> dict[str, float]:
    """What a new process says of itself, with its whole time in seconds."""
    start = time.perf_counter()
    run = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True, env=with_bytecode())
    return {**json.loads(run.stdout), "whole": time.perf_counter() - start}


if __name__ == "__main__":
    main()
