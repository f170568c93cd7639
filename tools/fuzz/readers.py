"""The readers that the hunt attacks: their cases, and the check of what they accept."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from tools.fuzz import seeds
from tools.fuzz.cases import changed_document, changed_file, changed_table, toml_text

from facepad.datasets.manifest import COLUMNS, manifest_text, read_manifest, write_manifest
from facepad.errors import FacepadError, InputError, MetricError
from facepad.files.disk import json_text
from facepad.files.shards import read_members
from facepad.media.images import image_size, read_header, read_image
from facepad.media.videos import read_video
from facepad.metrics import metrics_from_file, read_scores, write_scores
from facepad.metrics.bob import BOB_CSV_COLUMNS
from facepad.metrics.convert import write_bob_csv
from facepad.metrics.epsc import system_curve
from facepad.metrics.from_file import measured_file
from facepad.metrics.matches import with_matches
from facepad.metrics.resampling import MIN_REPLICATES, Resampling
from facepad.metrics.scores import SCORE_COLUMNS
from facepad.metrics.whole_system import whole_system
from facepad.modelfile.bundle import read_bundle, write_bundle
from facepad.modelfile.catalog.described import read_described
from facepad.report.systems import verify_report
from facepad.report.systems.inputs import INPUTS_FILE
from facepad.types import ScoreRecord

__all__ = ["LONGEST_MESSAGE", "MAX_PIXELS", "READERS", "Reader", "WrongAccept", "outcome"]

MAX_PIXELS = 1_000_000
"""The pixel limit of the cases. A small limit makes a needless use of memory visible."""

LONGEST_MESSAGE = 2000
"""Maximum number of characters of a message."""

_PEOPLE = ("anna", "ben", "cleo")


class WrongAccept(Exception):  # noqa: N818 - names what happened
    """A case that a reader should have refused, or a message that is not one clear line."""


@dataclass(frozen=True)
class Reader:
    """A reader.

    Attributes:
        suffix: Ending of the file names of its cases.
        cases: Strategy that gives the content of files.
        check: Reads a file. It raises a `FacepadError` for a refused file, and `WrongAccept` for a wrong result.
        valid: A file that the reader accepts.
    """

    suffix: str
    cases: Callable[[], st.SearchStrategy[bytes]]
    check: Callable[[Path], None]
    valid: Callable[[], bytes]


def outcome(reader: Reader, path: Path) -> str:
    """Read a case: "accepted" or "refused".

    Raises:
        WrongAccept: the reader accepts what it should refuse, or refuses with an unclear message.
        Exception: the reader fails.
    """
    what, printed = "accepted", io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            reader.check(path)
    except FacepadError as error:
        _require_clear(str(error))
        what = "refused"
    _require(not printed.getvalue(), "text on standard output")  # it belongs to results
    return what


def _require(condition: object, fault: str) -> None:
    if not condition:
        raise WrongAccept(fault)


def _require_clear(message: str) -> None:
    _require(message.strip(), "empty message")
    _require("\n" not in message and "\r" not in message, "message of several lines")
    _require(len(message) <= LONGEST_MESSAGE, "long message")


def _require_finite(value: Any) -> None:
    """Refuse a document with NaN or an infinity."""
    if isinstance(value, float):
        _require(math.isfinite(value), "NaN or infinity")
    elif isinstance(value, Mapping):
        for inner in value.values():
            _require_finite(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _require_finite(inner)


@contextlib.contextmanager
def _repeating(what: str) -> Iterator[None]:
    """A second reading of accepted content must not be refused."""
    try:
        yield
    except InputError as error:
        raise WrongAccept(f"{what}, then refused: {type(error).__name__}") from error


def _require_picture(image: NDArray[Any]) -> None:
    form = image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and 0 not in image.shape
    _require(form and image.shape[0] * image.shape[1] <= MAX_PIXELS, "not an RGB image within the limit")


def _check_image(path: Path) -> None:
    content = path.read_bytes()
    image = read_image(content, max_pixels=MAX_PIXELS)
    _require_picture(image)
    with _repeating("read"):
        _require(image_size(content, max_pixels=MAX_PIXELS) == image.shape[:2], "another size than the header says")
        _require_picture(read_image(path, max_pixels=MAX_PIXELS, min_size=(16, 16)))
        read_header(path)


def _check_video(path: Path) -> None:
    video = read_video(path, count=3, max_pixels=MAX_PIXELS, threads=1)
    _require(math.isfinite(video.seconds) and video.seconds >= 0, "duration")
    last = -1
    for frame in video:
        _require(last < frame.index < video.frames, "index of a frame")
        _require(math.isfinite(frame.seconds) and frame.seconds >= 0, "time of a frame")
        _require_picture(frame.image)
        last = frame.index
    _require_clear(video.note or "sound")
    with _repeating("read"):
        _require(read_video(path, rate=5, max_pixels=MAX_PIXELS).wanted <= video.frames, "a frame is taken twice")


def _check_manifest(path: Path) -> None:
    samples = read_manifest(path)
    for sample in samples:
        _require_finite(() if sample.box is None else tuple(map(float, sample.box.xyxy)))
    with _repeating("read"):
        write_manifest(path.with_name("again.csv"), samples)
        again = read_manifest(path.with_name("again.csv"))
        _require(manifest_text(again) == manifest_text(samples), "written and read differently")


def _check_scores(path: Path) -> None:
    file = read_scores(path)
    for record in file.records:
        _require(record.score is None or math.isfinite(record.score), "NaN or infinity")
    for note in file.notes:
        _require_clear(note)
    with _repeating("read"):
        write_scores(path.with_name("again.csv"), file.records)
        _require(read_scores(path.with_name("again.csv")).records == file.records, "written and read differently")
    if _goes_to_bob(file.records, path.with_name("bob.csv")):
        with _repeating("written for bob"):
            again = read_scores(path.with_name("bob.csv")).records
            _require(list(map(_pai, again)) == list(map(_pai, file.records)), "written for bob and read differently")
    with contextlib.suppress(MetricError):
        json_text(metrics_from_file(path, resampling=Resampling(replicates=MIN_REPLICATES)).to_dict())


def _check_matches(path: Path) -> None:
    """The file of a comparison subsystem (``--match``), beside valid scores."""
    scores = path.with_name("presentations.csv")
    scores.write_text(_SCORES, "utf-8")
    resampling = Resampling(replicates=MIN_REPLICATES)
    summary, parts = measured_file(scores, resampling=resampling)
    records, notes = with_matches(parts.measured, path)
    for note in notes:
        _require_clear(str(note))
    limit = 0.5 if "match" not in path.read_text("utf-8", "replace").partition("\n")[0] else None
    system = whole_system(records, summary.threshold.value, limit, resampling)
    _require_finite(json.loads(json_text(system.to_dict())))
    curve, missing = system_curve(parts, summary.threshold.value, path, limit)
    _require_finite(curve.to_dict() if curve else ())
    _require_clear(missing or "none")


def _check_inputs(path: Path) -> None:
    """The inputs.json of a report (``report --verify``), beside the other files of a valid report."""
    folder = seeds.report()
    (folder / INPUTS_FILE).write_bytes(path.read_bytes())
    changed, notes = verify_report(folder)
    for line in [*changed, *notes]:
        _require_clear(line)


def _goes_to_bob(records: Sequence[ScoreRecord], path: Path) -> bool:
    try:
        write_bob_csv(path, records)
    except InputError:  # an attribute has the name of a column of bob
        return False
    return True


def _pai(record: ScoreRecord) -> tuple[object, ...]:
    return record.label, record.species, record.attack_type, record.score


def _check_model(path: Path) -> None:
    from facepad import load

    bundle = read_bundle(path)
    _require_finite(bundle.description.model_dump())
    with _repeating("read"):
        again = read_bundle(write_bundle(path.with_name("again.facepad"), bundle))
        _require(
            again.description == bundle.description and again.files == bundle.files, "written and read differently"
        )
    for decision in load(path, threads=1).predict(np.full((64, 64, 3), 127, np.uint8)):
        _require(decision.score is None or 0 <= decision.score <= 1, "a score outside 0 to 1")


def _check_description(path: Path) -> None:
    model = read_described(path)
    bundle = model.to_bundle({network.file: b"" for network in model.networks})
    _require_finite(model.model_dump())
    json_text(bundle.description.model_dump(mode="json"))


def _check_recipe(path: Path) -> None:
    from facepad.training.recipe import load_recipe

    recipe = load_recipe(str(path))
    recipe.plan()
    recipe.preprocess.spec()
    recipe.augment.augmentation()
    _require_finite(recipe.model_dump())


def _check_shard(path: Path) -> None:
    try:
        read_members(path, ".png")
    except OSError as error:
        _require_clear(str(error))
    _require_picture(read_image(path / "0" / "a.jpg", max_pixels=MAX_PIXELS))


@cache
def _service() -> Any:
    """A client of a service with a tiny model, which lives as long as the process."""
    import tempfile

    from starlette.testclient import TestClient

    from facepad import load
    from facepad.service.app import create_app
    from facepad.service.settings import Settings

    folder = Path(tempfile.mkdtemp())
    (folder / "tiny.facepad").write_bytes(_zip(seeds.model_file()))
    settings = Settings(rate=0, max_pixels=MAX_PIXELS, max_files=4, max_bytes=1_000_000, frames=3)
    client = TestClient(create_app(settings, load(folder / "tiny.facepad", threads=1)), base_url="http://localhost")
    client.__enter__()
    return client


def _check_upload(path: Path) -> None:
    line, _, body = path.read_bytes().partition(b"\n")
    kind = line.decode("latin-1").strip()
    headers = {"content-type": kind} if kind.isascii() and kind.isprintable() else {}
    answer = _service().post("/v1/liveness", content=body, headers=headers)
    document = json.loads(answer.text)
    _require_finite(document)
    if answer.status_code == 200:
        return
    _require(answer.status_code < 500, f"status {answer.status_code}")
    raise InputError(document["detail"])


def _zip(parts: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return stream.getvalue()


@st.composite
def _model_files(draw: Callable[[st.SearchStrategy[Any]], Any]) -> bytes:
    """A model file with a damaged archive, or with right hashes of a changed description or network."""
    parts = dict(seeds.model_file())
    kind = draw(st.sampled_from(("archive", "description", "network")))
    if kind == "archive":
        return draw(changed_file([_zip(parts)]))
    document = json.loads(parts["bundle.json"])
    if kind == "network":
        parts["tiny.onnx"] = draw(changed_file([seeds.graph()]))
        document["parts"]["tiny.onnx"] = hashlib.sha256(parts["tiny.onnx"]).hexdigest()
    else:
        document = draw(changed_document([document]))
    return _zip({**parts, "bundle.json": _json(document)})


def _json(document: Any) -> bytes:
    try:
        return json.dumps(document).encode()
    except RecursionError:
        return b"[" * 100_000


@st.composite
def _documents(draw: Callable[[st.SearchStrategy[Any]], Any], found: list[dict[str, Any]]) -> bytes:
    """TOML with changed values, or with damaged text."""
    if draw(st.integers(0, 3)):
        return toml_text(draw(changed_document(found)))
    return draw(changed_file([toml_text(document) for document in found]))


_ROWS = (
    ",".join(COLUMNS)
    + "\n"
    + "".join(
        f"d/{number}.png,{person},{label},,{split},v{number},{number},1,2,30,40.5\n"
        for number, (person, label, split) in enumerate(
            (person, label, split)
            for person in _PEOPLE
            for label in ("bona_fide", "print")
            for split in ("dev", "test")
        )
    ).replace(",print,,", ",attack,print,")
)
_SCORES = (
    ",".join(SCORE_COLUMNS)
    + "\n"
    + "".join(
        f"{number}.png,{_PEOPLE[number % 3]},,{number},{label},{kind},{split},scored,{number % 7 / 7}\n"
        for number in range(24)
        for label, kind in [("bona_fide", "") if number % 4 < 2 else ("attack", "print")]
        for split in [("dev", "test")[number % 2]]
    )
)
_BOB = "".join(f"{_PEOPLE[n % 3]} {_PEOPLE[n % 3] if n % 2 else 'attack/print'} p/{n} {n / 9 - 1}\n" for n in range(18))
_BOB_5 = "".join(f"{line.split()[0]} m {line.partition(' ')[2]}\n" for line in _BOB.splitlines())
_BOB_CSV = ",".join(BOB_CSV_COLUMNS) + "\n"
_BOB_CSV += "".join(
    f"{_PEOPLE[n % 3]},p/{n},{n % 2 == 0},{'print' * (n % 2)},{n / 9 - 1},v{n},{n}\n" for n in range(18)
)


def _with_attributes(table: str) -> bytes:
    """The table with two further columns, one of which names PAI species."""
    header, *lines = table.splitlines()
    rows = (f"{line},{'' if 'bona_fide' in line else 'glossy'},{n % 2}\n" for n, line in enumerate(lines))
    return f"{header},species,light\n{''.join(rows)}".encode()


def _manifests() -> st.SearchStrategy[bytes]:
    files = [_ROWS.encode(), _with_attributes(_ROWS)]
    return changed_file(files) | changed_table(files[0], ",") | changed_table(files[1], ",")


def _scores() -> st.SearchStrategy[bytes]:
    files = [text.encode() for text in (_SCORES, _BOB, _BOB_5, _BOB_CSV)]
    tables = [files[0], files[3], _with_attributes(_SCORES)]
    return st.one_of(
        changed_file(files), *(changed_table(each, ",") for each in tables), changed_table(files[1], " ", header=False)
    )


_MATCHES = "path,label,frame,score,match,intent\n" + "".join(
    f"{number}.png,{label},{number},0.5,{word},{intent}\n"
    for number in range(24)
    for label, word, intent in [
        ("bona_fide", "yes", "")
        if number % 4 < 2
        else ("attack", "no", ("impersonation", "concealment")[number // 4 % 2])
    ]
)


def _matches() -> st.SearchStrategy[bytes]:
    files = [_MATCHES.encode(), _SCORES.encode()]
    return st.one_of(changed_file(files), *(changed_table(each, ",", most=40) for each in files))


def _inputs() -> st.SearchStrategy[bytes]:
    document = seeds.inputs()
    return st.one_of(changed_file([_json(document)]), *[changed_document([document]).map(_json)] * 3)


def _uploads() -> st.SearchStrategy[bytes]:
    json_bodies = changed_document([json.loads(seeds.uploads()[3].partition(b"\n")[2])])
    return changed_file(seeds.uploads()) | json_bodies.map(lambda document: b"application/json\n" + _json(document))


READERS: dict[str, Reader] = {
    "image": Reader(".bin", lambda: changed_file(seeds.images()), _check_image, lambda: seeds.images()[0]),
    "video": Reader(".bin", lambda: changed_file(seeds.clips()), _check_video, lambda: seeds.clips()[0]),
    "manifest": Reader(".csv", _manifests, _check_manifest, _ROWS.encode),
    "scores": Reader(".csv", _scores, _check_scores, _SCORES.encode),
    "matches": Reader(".csv", _matches, _check_matches, _MATCHES.encode),
    "inputs": Reader(".json", _inputs, _check_inputs, lambda: _json(seeds.inputs())),
    "model": Reader(".facepad", _model_files, _check_model, lambda: _zip(seeds.model_file())),
    "description": Reader(
        ".toml",
        lambda: _documents(seeds.descriptions()),
        _check_description,
        lambda: toml_text(seeds.descriptions()[0]),
    ),
    "recipe": Reader(
        ".toml", lambda: _documents(seeds.recipes()), _check_recipe, lambda: toml_text(seeds.recipes()[0])
    ),
    "shard": Reader(".tar", lambda: changed_file(seeds.shards()), _check_shard, lambda: seeds.shards()[0]),
    "upload": Reader(".bin", _uploads, _check_upload, lambda: seeds.uploads()[2]),
}
"""The readers, by name."""
