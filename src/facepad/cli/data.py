"""facepad data: make, prepare and check data sets."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from facepad.cli.app import Jobs, Manifest, Out, data_app, print_json, say, show
from facepad.errors import InputError


@data_app.command("synthetic", epilog="Example: facepad data synthetic faces --subjects 12 --seed 0")
def data_synthetic(
    out: Out,
    subjects: Annotated[int, typer.Option(help="Number of people.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same bytes.")] = 0,
    images: Annotated[int, typer.Option(min=4, help="Images per person.")] = 50,
    video: Annotated[bool, typer.Option("--video", help="Make videos, for 'data prepare video-folder'.")] = False,
    site: Annotated[
        bool, typer.Option("--site", help="Make folders live/PERSON and spoof/KIND/PERSON, for 'facepad adapt'.")
    ] = False,
    jobs: Jobs = None,
) -> None:
    """Make a small synthetic data set of faces, prints and replays: images with a manifest, videos, or a site."""
    from facepad.datasets.manifest import write_manifest
    from facepad.datasets.synthetic import SyntheticSet, generate

    wanted = SyntheticSet(subjects, seed, images, video=video, site=site)
    samples = generate(out, wanted, jobs=jobs, progress=True)
    if site:
        say(f"{len(samples)} {'videos' if video else 'images'}; next: facepad adapt {out} ADAPTED")
        return
    if video:
        say(f"{len(samples)} videos; next: facepad data prepare video-folder {out} PREPARED")
        return
    write_manifest(out / "manifest.csv", samples)
    say(f"{len(samples)} images; manifest: {out / 'manifest.csv'}")


@data_app.command("prepare", epilog="Example: facepad data prepare nuaa NUAA/db nuaa --protocol subject-kfold")
def data_prepare(
    dataset: Annotated[str, typer.Argument(help="A data set's name; see 'facepad list datasets'.", show_default=False)],
    root: Annotated[Path, typer.Argument(help="The data set's folder.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="Folder for the manifest and the box cache.", show_default=False)],
    protocol: Annotated[str | None, typer.Option(help="Protocol; default: the first protocol of the data set.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of random protocols.")] = 0,
    detector: Annotated[
        str | None,
        typer.Option(
            help="Face detector, see 'facepad list detectors'; default: yunet if its file is here, else dlib."
        ),
    ] = None,
    for_model: Annotated[
        str | None, typer.Option("--for", metavar="MODEL", help="Take the face detector of this model.")
    ] = None,
    detector_model: Annotated[Path | None, typer.Option(help="The detector's model file, if it needs one.")] = None,
    frames_per_video: Annotated[
        int | None, typer.Option(help="Frames of each video, for data sets of videos; default: 20.")
    ] = None,
    frames_per_second: Annotated[
        float | None, typer.Option(metavar="RATE", help="Frames per second of video, instead of a number per video.")
    ] = None,
    jobs: Jobs = None,
) -> None:
    """Find the faces of a data set, and write OUT/manifest.csv (k-fold protocols: OUT/manifest-fold0.csv and so on)."""
    from facepad.datasets.frames import FrameChoice
    from facepad.datasets.prepare import PrepareSettings, prepare
    from facepad.files.disk import refuse_missing

    if detector and for_model:
        raise InputError("--detector and --for both choose the face detector: give one of them")
    chosen = frames_per_video is not None or frames_per_second is not None
    frames = FrameChoice(frames_per_video, frames_per_second) if chosen else None
    if for_model:  # the model may be downloaded
        refuse_missing(root)
    settings = PrepareSettings(protocol, seed, detector or _detector_of(for_model), detector_model, frames)
    say(*prepare(dataset, root, out, settings, jobs=jobs, progress=True).to_text().splitlines())


def _detector_of(model: str | None) -> str | None:
    """The face detector of a model; None without a model, and for a model that takes whole frames."""
    if model is None:
        return None
    from facepad.modelfile.bundle import usual_detector
    from facepad.modelfile.catalog import find_model

    return usual_detector(find_model(model).read())


@data_app.command("depth", epilog="Example: facepad data depth nuaa/manifest.csv --preview preview")
def data_depth(
    manifest: Manifest,
    engine: Annotated[
        str | None,
        typer.Option(help="facemesh, prnet or template; default: facemesh, or template if facemesh cannot run."),
    ] = None,
    model: Annotated[Path | None, typer.Option(help="The engine's model file.", show_default=False)] = None,
    preview: Annotated[Path | None, typer.Option(help="Folder for an image of some faces and depth maps.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Threads; default: one per core.")] = None,
) -> None:
    """Make depth maps of the bona fide faces for training with depth, and store them beside the manifest."""
    from facepad.depth import create_labeller, make_depth, usual_labeller, write_preview
    from facepad.files.disk import refuse_missing, refuse_unwritable

    refuse_missing(manifest)
    if preview:
        refuse_unwritable(preview)
    named = engine or (model and "facemesh")
    chosen, remark = (create_labeller(named, model=model), None) if named else usual_labeller()
    if remark:
        say(remark)
    say(*make_depth(manifest, labeller=chosen, jobs=jobs, progress=True).to_text().splitlines())
    if preview:
        say(f"preview: {write_preview(manifest, preview, labeller=chosen.name)}")


class ImageFormat(StrEnum):
    """The file format of packed images."""

    JPEG = "jpeg"
    PNG = "png"


@data_app.command("pack", epilog="Example: facepad data pack nuaa/manifest.csv nuaa-packed --crop 2.7")
def data_pack(
    manifest: Manifest,
    out: Annotated[
        Path,
        typer.Argument(
            help="New or empty folder, or the folder of an unfinished run of the same command.", show_default=False
        ),
    ],
    crop: Annotated[
        str, typer.Option(help="Side of the crop as a multiple of the face square's side, or 'frame' for whole images.")
    ] = "2.7",
    size: Annotated[int, typer.Option(help="Minimum side in pixels after shrinking; 0: never shrink.")] = 480,
    image_format: Annotated[
        ImageFormat, typer.Option("--format", help="png is lossless, but larger and slower to read.")
    ] = ImageFormat.JPEG,
    quality: Annotated[int, typer.Option(min=1, max=100, help="JPEG quality.")] = 95,
    per_shard: Annotated[int, typer.Option(min=1, help="Images per shard.")] = 1000,
    jobs: Annotated[int | None, typer.Option(min=1, help="Threads; default: one per core.")] = None,
) -> None:
    """Pack crops of the faces into tar shards, which are faster to train and evaluate on than single files."""
    from facepad.datasets.pack import PackSettings, pack
    from facepad.depth import carry_depth

    settings = PackSettings(_crop(crop), size or None, image_format.value, quality, per_shard)
    summary = pack(manifest, out, settings, jobs=jobs, progress=True)
    say(*summary.to_text().splitlines())
    for note in carry_depth(manifest, summary.manifest, summary.pairs):
        say(note)


def _crop(word: str) -> float | None:
    """The value of --crop; None for whole images."""
    try:
        return None if word == "frame" else float(word)
    except ValueError:
        raise InputError(f"--crop: expected a number or 'frame', got {word!r}") from None


@data_app.command("check", epilog="Example: facepad data check nuaa/manifest.csv --json")
def data_check(
    manifest: Manifest,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    jobs: Jobs = None,
) -> None:
    """Look for unreadable files, duplicates across splits, shared subjects, imbalance and unlisted files."""
    from facepad.datasets.check import check

    report = check(manifest, jobs=jobs, progress=True)
    if as_json:
        print_json(report.to_dict())
    else:
        show(report.to_text())
    if report.problems:
        raise typer.Exit(1)
