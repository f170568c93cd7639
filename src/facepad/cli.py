"""The command line: thin commands over the library; heavy imports wait until a command needs them."""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from facepad import __version__
from facepad.errors import FacepadError, InputError

__all__ = ["app", "main"]

_CTRL_C = 130
_HELP = {"help_option_names": ["-h", "--help"]}
app = typer.Typer(
    help="Face presentation attack detection: prepare data, train, evaluate, report.",
    no_args_is_help=True,
    context_settings=_HELP,
    pretty_exceptions_enable=False,
    add_completion=False,
)
data_app = typer.Typer(help="Make, prepare and check data sets.", no_args_is_help=True, context_settings=_HELP)
app.add_typer(data_app, name="data")

Manifest = Annotated[Path, typer.Argument(help="manifest.csv", show_default=False)]
Out = Annotated[Path, typer.Argument(help="New (or empty) output folder.", show_default=False)]
Jobs = Annotated[int | None, typer.Option(min=1, help="Processes; default: one per core.")]
CriterionOption = Annotated[
    str | None,
    typer.Option(help="How dev chooses the threshold: eer, min-hter, bpcer@apcer=0.05, apcer@bpcer=0.05, or a number."),
]


class Level(StrEnum):
    """What is measured."""

    FRAME = "frame"
    VIDEO = "video"


class Fuse(StrEnum):
    """How the scores of a video's frames become one."""

    MEAN = "mean"
    MEDIAN = "median"
    MIN = "min"


class Device(StrEnum):
    """Where to train."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


class Listing(StrEnum):
    """What `facepad list` lists."""

    MODELS = "models"
    RECIPES = "recipes"
    DATASETS = "datasets"
    DETECTORS = "detectors"


LevelOption = Annotated[Level, typer.Option(help="What is measured: single images, or the videos that they are of.")]
FuseOption = Annotated[Fuse | None, typer.Option(help="How the frames of a video become one score; default: mean.")]


def _fusion(level: Level, fuse: Fuse | None) -> Literal["mean", "median", "min"] | None:
    """How videos are fused; None for single images."""
    if level is Level.VIDEO:
        return (fuse or Fuse.MEAN).value
    if fuse:
        raise InputError(f"--fuse {fuse} fuses the frames of videos: it needs --level video")
    return None


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


def _version(asked: bool) -> None:
    if asked:
        print(f"facepad {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    os.environ["FACEPAD_DEBUG"] = "1" if debug else ""


@data_app.command("synthetic", epilog="Example: facepad data synthetic faces --subjects 12 --seed 0")
def data_synthetic(
    out: Out,
    subjects: Annotated[int, typer.Option(help="How many people.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same bytes.")] = 0,
    images: Annotated[int, typer.Option(min=4, help="Images per person.")] = 50,
    video: Annotated[bool, typer.Option("--video", help="Videos, for 'data prepare video-folder'.")] = False,
    jobs: Jobs = None,
) -> None:
    """Make a small labelled set of procedural faces, prints and replays: images with their manifest, or videos."""
    from facepad.datasets.manifest import write_manifest
    from facepad.datasets.synthetic import generate
    from facepad.files import claim_output

    claim_output(out)
    samples = generate(out, subjects=subjects, seed=seed, images_per_subject=images, video=video, jobs=jobs)
    if video:
        _say(f"{len(samples)} videos; next: facepad data prepare video-folder {out} PREPARED")
        return
    write_manifest(out / "manifest.csv", samples)
    _say(f"{len(samples)} images; manifest: {out / 'manifest.csv'}")


@data_app.command("prepare", epilog="Example: facepad data prepare nuaa NUAA/db nuaa --protocol subject-kfold")
def data_prepare(
    dataset: Annotated[str, typer.Argument(help="A data set's name; see 'facepad list datasets'.", show_default=False)],
    root: Annotated[Path, typer.Argument(help="The data set's folder.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="Where manifest and box cache go.", show_default=False)],
    protocol: Annotated[str | None, typer.Option(help="Default: the data set's own first protocol.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of random protocols.")] = 0,
    detector: Annotated[str, typer.Option(help="Face detector; see 'facepad list detectors'.")] = "dlib",
    detector_model: Annotated[Path | None, typer.Option(help="The detector's model file, if it needs one.")] = None,
    frames_per_video: Annotated[int | None, typer.Option(min=1, help="For data sets of videos; default: 20.")] = None,
    jobs: Jobs = None,
) -> None:
    """Find faces once, and write OUT/manifest.csv (k-fold protocols: OUT/manifest-fold0.csv and so on)."""
    from facepad.datasets.prepare import prepare

    summary = prepare(
        dataset,
        root,
        out,
        protocol=protocol,
        seed=seed,
        jobs=jobs,
        detector=detector,
        detector_model=detector_model,
        frames_per_video=frames_per_video,
    )
    _say(summary.to_text())


@data_app.command("depth", epilog="Example: facepad data depth nuaa/manifest.csv --preview preview")
def data_depth(
    manifest: Manifest,
    engine: Annotated[
        str | None,
        typer.Option(help="facemesh, prnet or template; default: facemesh, else template."),
    ] = None,
    model: Annotated[Path | None, typer.Option(help="The engine's model file.", show_default=False)] = None,
    preview: Annotated[Path | None, typer.Option(help="Folder for a picture of some faces and their maps.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Threads; default: one per core.")] = None,
) -> None:
    """Make depth maps of the bona fide faces, for training with depth; they are stored beside the manifest."""
    from facepad.depth import create_engine, make_depth, usual_engine, write_preview

    named = engine or (model and "facemesh")
    chosen, remark = (create_engine(named, model=model), None) if named else usual_engine()
    if remark:
        _say(remark)
    _say(make_depth(manifest, engine=chosen, jobs=jobs).to_text())
    if preview:
        _say(f"preview: {write_preview(manifest, preview, engine=chosen.name)}")


@data_app.command("check", epilog="Example: facepad data check nuaa/manifest.csv --json")
def data_check(
    manifest: Manifest,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    jobs: Jobs = None,
) -> None:
    """Look for unreadable files, duplicates across splits, shared subjects, imbalance and unlisted files."""
    from facepad.datasets.check import check

    report = check(manifest, jobs=jobs)
    if as_json:
        _print_json(report.to_dict())
    else:
        print(report.to_text())
    if report.problems:
        raise typer.Exit(1)


@app.command(epilog="Example: facepad train tla-mobilenetv2 nuaa/manifest.csv runs/first --set train.seed=1")
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, or the path of a .toml file.", show_default=False)],
    manifest: Manifest,
    out: Annotated[Path, typer.Argument(help="New run folder.", show_default=False)],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe; repeatable.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished run.")] = False,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.AUTO,
) -> None:
    """Train a recipe on a manifest's train and dev splits."""
    from facepad.recipe import load_recipe
    from facepad.workflow import train_run

    left_out = train_run(load_recipe(recipe, overrides), manifest, out, resume=resume, device=device.value)
    if left_out:
        _say(f"left out {len(left_out)} images without a face or unreadable: {out / 'left-out.json'}")
    _say(f"trained: {out}")


@app.command(epilog="Example: facepad evaluate runs/first nuaa/manifest.csv reports/first --criterion bpcer@apcer=0.05")
def evaluate(
    model: Annotated[Path, typer.Argument(help="A finished run folder.", show_default=False)],
    manifest: Manifest,
    out: Out,
    criterion: CriterionOption = None,
    level: LevelOption = Level.FRAME,
    fuse: FuseOption = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images per step.")] = 32,
    probes: Annotated[bool, typer.Option(help="Also measure with the face blanked, and with only the face.")] = True,
    thumbnails: Annotated[bool, typer.Option(help="Show the images with the highest losses in the report.")] = True,
) -> None:
    """Choose the threshold on dev, apply it to test: OUT/scores.csv, metrics.json and report.html."""
    from facepad.metrics import format_summary
    from facepad.workflow import evaluate_run

    evaluation, report = evaluate_run(
        model,
        manifest,
        out,
        criterion=criterion,
        fusion=_fusion(level, fuse),
        batch_size=batch_size,
        probes=probes,
        thumbnails=thumbnails,
    )
    print(format_summary(evaluation.summary))
    for path, reason in evaluation.unreadable.items():
        _say(f"unreadable: {path}: {reason}")
    _say(f"report: {report}")


@app.command(epilog="Example: facepad metrics reports/first/scores.csv --criterion apcer@bpcer=0.01 --json")
def metrics(
    scores: Annotated[Path, typer.Argument(help="scores.csv, or bob's 4- or 5-column file.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    criterion: CriterionOption = "eer",
    level: LevelOption = Level.FRAME,
    fuse: FuseOption = None,
    dev: Annotated[Path | None, typer.Option(help="A second scores file that chooses the threshold.")] = None,
) -> None:
    """Measure any system's scores; the threshold is chosen on dev and applied to test."""
    from facepad.metrics import format_summary, metrics_from_file

    summary = metrics_from_file(scores, criterion or "eer", dev=dev, fusion=_fusion(level, fuse))
    if as_json:
        _print_json(summary.to_dict())
    else:
        print(format_summary(summary))


@app.command(epilog="Example: facepad compare reports/a/scores.csv reports/b/scores.csv --level video")
def compare(
    scores_a: Annotated[Path, typer.Argument(help="Scores of the first system.", show_default=False)],
    scores_b: Annotated[Path, typer.Argument(help="Scores of the second, on the same samples.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    criterion: CriterionOption = "eer",
    level: LevelOption = Level.FRAME,
    fuse: FuseOption = None,
) -> None:
    """Tell whether one of two systems is better by more than chance, each at the threshold of its own dev scores."""
    from facepad.metrics import compare_files, format_comparison

    comparison = compare_files(scores_a, scores_b, criterion or "eer", fusion=_fusion(level, fuse))
    if as_json:
        _print_json(comparison.to_dict())
    else:
        print(format_comparison(comparison))


@app.command("list", epilog="Example: facepad list recipes")
def list_names(what: Annotated[Listing, typer.Argument(help="What to list.", show_default=False)]) -> None:
    """List what facepad knows by name."""
    for name, summary in _listing(what).items():
        print(f"{name:24} {summary}")


def _listing(what: Listing) -> dict[str, str]:
    if what is Listing.MODELS:
        from facepad.models import MODELS

        return {name: entry.summary for name, entry in MODELS.items()}
    if what is Listing.RECIPES:
        from facepad.recipe import list_recipes

        return list_recipes()
    if what is Listing.DATASETS:
        from facepad.datasets import DATASETS

        return {
            name: f"{adapter.title}; protocols: {', '.join(protocol.name for protocol in adapter.protocols)}"
            for name, adapter in DATASETS.items()
        }
    from facepad.faces import DETECTORS

    return {name: (factory.__doc__ or "").partition("\n")[0] for name, factory in DETECTORS.items()}


@app.command(epilog="Example: facepad demo demo-output")
def demo(out: Out) -> None:
    """Synthetic data, training, threshold on dev, test, report; then depth labels and clips: all on two CPU cores."""
    from facepad.demo import run_demo

    print(run_demo(out))


def main() -> None:
    """Run the command line; exit codes: 0 success, 1 the run failed, 2 wrong usage or input, 130 Ctrl-C."""
    try:
        code = app(standalone_mode=False) or 0
    except (KeyboardInterrupt, typer.Abort):
        code = _CTRL_C
    except Exception as error:
        if os.environ.get("FACEPAD_DEBUG"):
            raise
        code, line = _explain(error)
        if line:  # without arguments typer has shown the help already
            _say(f"facepad: {line}")
    if code == _CTRL_C:  # some versions of typer return it, some raise
        _say("facepad: stopped by Ctrl-C")
    sys.exit(code)


def _explain(error: Exception) -> tuple[int, str]:
    """Exit code and one line for an error."""
    if isinstance(error, InputError):
        return 2, str(error)
    if isinstance(error, FacepadError):
        return 1, str(error)
    if isinstance(error, ModuleNotFoundError):
        return (
            2,
            f"this command needs {error.name}, which is not installed: pip install '.[train]' in facepad's folder",
        )
    if hasattr(error, "format_message"):  # a usage error of typer's command line parser
        message = error.format_message()
        return 2, message and f"{message} (--help shows the usage)"
    return 1, f"unexpected {type(error).__name__}: {error} (facepad --debug ... shows where)"
