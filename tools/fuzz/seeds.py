"""Valid files of each kind, all generated. The folder tests must be on the import path."""

from __future__ import annotations

import atexit
import base64
import io
import json
import shutil
import tarfile
import tempfile
import tomllib
import zipfile
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from facepad.files.disk import write_text
from facepad.metrics import fixed_threshold
from facepad.modelfile.bundle import Bundle, Description, Network, OutputFormat, write_bundle
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.report.systems import ReportOptions, measure_systems, named_files, write_systems
from helpers.adapting import tiny_model
from helpers.phone_files import CLIPS, IMAGES, PICTURE, clip, image_file

__all__ = ["clips", "descriptions", "graph", "images", "inputs", "model_file", "recipes", "report", "shards", "uploads"]

_SMALL = Image.fromarray(PICTURE[::4, ::4])
_MORE_IMAGES = (
    ("JPEG", {"progressive": True}),
    ("PNG", {"save_all": True, "append_images": [_SMALL.rotate(180)]}),
    ("WEBP", {"lossless": True}),
    ("WEBP", {"save_all": True, "append_images": [_SMALL.rotate(180)]}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ("TIFF", {"compression": "jpeg"}),
)
_MORE_CLIPS = (("mpeg4", "avi"), ("mpeg4", "matroska"), ("mpeg4", "mpegts"), ("mjpeg", "mov"), ("wmv2", "asf"))


@cache
def images() -> list[bytes]:
    """Images of every format and encoding."""
    more = [image_file(kind, _SMALL, **options) for kind, options in _MORE_IMAGES]
    return [*(make() for make in IMAGES.values()), *more]


@cache
def clips() -> list[bytes]:
    """Clips of every container."""
    more = [clip(codec, "yuvj420p" if codec == "mjpeg" else "yuv420p", kind=kind) for codec, kind in _MORE_CLIPS]
    return [*(CLIPS[name]() for name in CLIPS if not name.startswith("matrix") or name.endswith("6.mp4")), *more]


@cache
def _described() -> tuple[bytes, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        tiny_model(Path(folder))
        models = Path(folder) / "models"
        return (models / "tiny" / "tiny.onnx").read_bytes(), tomllib.loads((models / "tiny.toml").read_text("utf-8"))


def graph() -> bytes:
    """An ONNX graph of two convolutions, which takes crops of 32 x 32."""
    return _described()[0]


@cache
def descriptions() -> list[dict[str, Any]]:
    """Descriptions of networks, as TOML documents."""
    shipped = Path(str(resources.files("facepad.modelfile.catalog"))) / "models"
    return [_described()[1], *(tomllib.loads(path.read_text("utf-8")) for path in sorted(shipped.glob("*.toml")))]


@cache
def recipes() -> list[dict[str, Any]]:
    """The recipes of the package, as TOML documents."""
    folder = Path(str(resources.files("facepad.training"))) / "recipes"
    return [{"name": path.stem, **tomllib.loads(path.read_text("utf-8"))} for path in sorted(folder.glob("*.toml"))]


@cache
def model_file() -> dict[str, bytes]:
    """The parts of a model that takes whole frames, by name."""
    network = Network(
        name="tiny",
        files=("tiny.onnx",),
        preprocess=PreprocessSpec(crop_scale=None, size=(32, 32)),
        input={"layout": "nchw", "dtype": "float32", "scale": 1 / 255},
        output=OutputFormat(name=None, kind="logits"),
    )
    description = Description(name="tiny", networks=(network,), threshold=fixed_threshold(0.5), scope="For tests.")
    with tempfile.TemporaryDirectory() as folder:
        path = write_bundle(Path(folder) / "tiny.facepad", Bundle(description, {"tiny.onnx": graph()}))
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


@cache
def report() -> Path:
    """The folder of a report on two systems, which lives as long as the process."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    files = [folder / "a.csv", folder / "b.csv"]
    for place, file in enumerate(files):
        lines = [
            f"{split}/{n}.png,s{n % 4},{('live', 'attack')[n % 2]},{split},{(n * 7 + place) % 11},{'fm'[n % 3 > 0]}"
            for split in ("dev", "test")
            for n in range(16)
        ]
        write_text(file, "\n".join(["path,subject,label,split,score,gender", *lines]) + "\n")
    options = ReportOptions(by=("gender",), require=("apcer=0.5",))
    (folder / "report").mkdir()
    write_systems(folder / "report", measure_systems(named_files(files), options))
    return folder / "report"


@cache
def inputs() -> dict[str, Any]:
    """The inputs.json of `report`."""
    return json.loads((report() / "inputs.json").read_text("utf-8"))


@cache
def shards() -> list[bytes]:
    """Tar shards of two images, in each format of tar."""
    return [_tar(kind) for kind in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)]


def _tar(kind: int) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=kind) as archive:
        for name, content in (
            ("0/a.jpg", image_file("JPEG", _SMALL)),
            (f"{'b' * 120}/b.png", image_file("PNG", _SMALL)),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


@cache
def uploads() -> list[bytes]:
    """Request bodies. The first line is the content type."""
    image, film = image_file("JPEG", _SMALL), clip("mpeg4")
    part = partial(b'--x\r\nContent-Disposition: form-data; name="files"; filename="%b"\r\n\r\n%b\r\n'.__mod__)
    coded = json.dumps({"images": [base64.b64encode(image).decode(), f"data:image/jpeg;base64,{_coded_png()}"]})
    return [
        b"image/jpeg\n" + image,
        b"video/mp4\n" + film,
        b"multipart/form-data; boundary=x\n" + part((b"a.jpg", image)) + part((b"b.mp4", film)) + b"--x--\r\n",
        b"application/json\n" + coded.encode(),
    ]


def _coded_png() -> str:
    return base64.b64encode(image_file("PNG", Image.fromarray(np.full((24, 24, 3), 90, np.uint8)))).decode()
