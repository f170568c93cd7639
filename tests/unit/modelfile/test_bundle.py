"""Model files: what is written is read, what was changed is refused, and scores come out as the graph gives them."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from facepad.errors import BundleError, ModelError
from facepad.files.disk import sha256_file
from facepad.metrics import Resampling, Threshold, choose_threshold, remarks
from facepad.modelfile.bundle import (
    Bundle,
    Calibration,
    Description,
    InputFormat,
    Network,
    OutputFormat,
    read_bundle,
    write_bundle,
)
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.modelfile.scorers import BundleScorer, bundle_scorer
from facepad.modelfile.scorers.bundle_scorer import to_input, to_logits
from facepad.types import AttackType, Box, Label, ScoreRecord, ScoreStatus, Split

torch = pytest.importorskip("torch")


class Mean(torch.nn.Module):
    """A logit that can be computed by hand: mean of the red channel minus mean of the blue one, times ten."""

    def forward(self, x):
        logit = 10 * (x[:, 0].mean(dim=(1, 2)) - x[:, 2].mean(dim=(1, 2)))
        return logit, x[:, :1, ::2, ::2]


@pytest.fixture(scope="module")
def graph():
    from facepad.models import to_onnx

    return to_onnx(Mean(), (16, 16), ("logit", "depth"))


def network(name="mean", weight=1.0, **changes):
    spec = PreprocessSpec(crop_scale=1.0, size=(16, 16))
    output = OutputFormat(depth="depth")
    return Network(name=name, files=("network.onnx",), preprocess=spec, output=output, weight=weight, **changes)


def threshold():
    records = [
        ScoreRecord(f"{label}{i}", f"s{i}", None, None, label, kind, Split.DEV, ScoreStatus.SCORED, (i + gap) / 10)
        for label, kind, gap in ((Label.BONA_FIDE, None, 3), (Label.ATTACK, AttackType.PRINT, 0))
        for i in range(6)
    ]
    return choose_threshold(records, "eer", source="dev.csv", resampling=Resampling(None))


@pytest.fixture()
def bundle(graph):
    calibration = Calibration(method="platt", slope=0.5, offset=0.25, source="dev.csv")
    description = Description(
        name="by-hand", networks=(network(),), calibration=calibration, threshold=threshold(), license="Apache-2.0"
    )
    return Bundle(description, {"network.onnx": graph, "CARD.md": b"# A card\n"})


def test_what_is_written_is_read_and_the_same_model_makes_the_same_bytes(bundle, tmp_path):
    path = write_bundle(tmp_path / "a.facepad", bundle)
    again = read_bundle(path)
    assert again.files == bundle.files
    assert again.description.model_copy(update={"parts": {}}) == bundle.description
    assert again.description.threshold == threshold()
    assert sha256_file(write_bundle(tmp_path / "b.facepad", again)) == sha256_file(path)
    assert len(again.sha256) == 64


def test_digest_is_the_hash_of_the_file_or_of_what_decides(bundle, tmp_path):
    read = read_bundle(write_bundle(tmp_path / "a.facepad", bundle))
    assert read.digest == read.sha256 == sha256_file(tmp_path / "a.facepad")
    without = replace(bundle, sha256="")
    noted = replace(without, description=without.description.model_copy(update={"facts": {"title": "other"}}))
    assert len(without.digest) == 64 and without.digest == noted.digest
    changed = replace(without, files=dict(without.files) | {"network.onnx": b"other"})
    licensed = replace(without, description=without.description.model_copy(update={"license": "other"}))
    assert len({without.digest, changed.digest, licensed.digest}) == 3


def test_score_is_the_calibrated_sum_of_weighted_logits(bundle, graph):
    image = np.zeros((16, 16, 3), np.uint8)
    image[..., 0], image[..., 2] = 200, 100
    logit = 10 * 100 / 255
    two = bundle.description.model_copy(update={"networks": (network(weight=0.75), network("again", weight=-0.5))})
    scorer = BundleScorer(Bundle(two, bundle.files))
    scores = scorer.score([scorer.prepare(image, Box(0, 0, 16, 16))] * 3)
    assert scores.logits == pytest.approx([0.25 * logit] * 3, abs=1e-5)
    assert scores.values == pytest.approx([1 / (1 + np.exp(-(0.5 * 0.25 * logit + 0.25)))] * 3)
    assert scores.depth.shape == (3, 8, 8) and scores.depth == pytest.approx(200 / 255)


def test_openvino_agrees(bundle):
    pytest.importorskip("openvino")
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    scorers = [BundleScorer(bundle, engine=engine) for engine in ("onnxruntime", "openvino")]
    first, second = (scorer.score([scorer.prepare(image, Box(0, 0, 16, 16))]) for scorer in scorers)
    assert first.logits == pytest.approx(second.logits, abs=1e-4)
    assert first.depth == pytest.approx(second.depth, abs=1e-4)


def test_foreign_inputs_are_translated():
    crops = np.arange(2 * 1 * 2 * 3, dtype=np.uint8).reshape(2, 1, 2, 3)
    assert to_input(crops, InputFormat()) is crops
    form = InputFormat(layout="nchw", channels="bgr", dtype="float32", scale=0.5, mean=(1, 2, 3), std=(1, 2, 4))
    batch = to_input(crops, form)
    assert batch.shape == (2, 3, 1, 2) and batch.dtype == np.float32
    # The blue channel comes first; mean and std are in the graph's order.
    assert batch[1, :, 0, 1].tolist() == [(11 * 0.5 - 1) / 1, (10 * 0.5 - 2) / 2, (9 * 0.5 - 3) / 4]


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("channels", ["rgb", "bgr"])
@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
def test_inputs_are_the_plain_formula_bit_for_bit(layout, channels, dtype):
    crops = np.random.default_rng(0).integers(0, 256, (3, 7, 5, 3), dtype=np.uint8)
    numbers = (
        {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)} if dtype != "uint8" else {}
    )
    expected = crops if channels == "rgb" else crops[..., ::-1]
    if numbers:
        scale, mean, std = (np.array(value, np.float32) for value in numbers.values())
        expected = (expected.astype(np.float32) * scale - mean) / std
    expected = expected if layout == "nhwc" else np.moveaxis(expected, 3, 1)
    before = crops.copy()
    batch = to_input(crops, InputFormat(layout=layout, channels=channels, dtype=dtype, **numbers))
    assert batch.dtype == dtype and batch.flags.c_contiguous
    assert np.array_equal(batch, expected)
    assert np.array_equal(crops, before)


def test_foreign_outputs_become_logits():
    raw = np.array([[1.0, 3.0, -2.0]])
    softmax = np.exp(raw) / np.exp(raw).sum()
    by_hand = np.log(softmax[0, 1] / (1 - softmax[0, 1]))
    assert to_logits(raw, OutputFormat(kind="logits", bona_fide=1)) == pytest.approx([by_hand])
    assert to_logits(softmax, OutputFormat(kind="probabilities", bona_fide=1)) == pytest.approx([by_hand])
    assert np.isfinite(to_logits(np.array([[1.0, 0.0]]), OutputFormat(kind="probabilities"))).all()
    with pytest.raises(ModelError, match="class 3"):
        to_logits(raw, OutputFormat(kind="logits", bona_fide=3))
    with pytest.raises(ModelError, match="one logit"):
        to_logits(raw, OutputFormat())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output": OutputFormat(name="nothing")}, "no output 'nothing'; it has logit, depth"),
        ({"output": OutputFormat(kind="logits")}, "expected .N, classes."),
        ({"input": InputFormat(layout="nchw")}, "does not fit its description"),
        ({"input": InputFormat(dtype="float32")}, "does not fit its description"),
    ],
)
def test_a_wrong_description_is_refused_at_loading(bundle, changes, message):
    wrong = bundle.description.model_copy(update={"networks": (network().model_copy(update=changes),)})
    with pytest.raises(ModelError, match=message):
        BundleScorer(Bundle(wrong, bundle.files))


class Engine:
    """An engine that gives ``gives`` results for each batch, and raises ``fault`` for a batch of ``images``."""

    inputs, outputs = ("image",), ("logit", "depth")

    def __init__(self, gives, fault=None, images=0):
        self.gives, self.fault, self.images = gives, fault, images

    def __call__(self, batch):
        if len(batch) == self.images:
            raise self.fault
        rows = self.gives or len(batch)
        return {"logit": np.zeros((rows, 1)), "depth": np.zeros((rows, 8, 8))}


def test_a_graph_with_another_batch_is_one_line(bundle, monkeypatch):
    def load(gives):
        monkeypatch.setattr(bundle_scorer, "load_network", lambda *_: Engine(gives))
        return BundleScorer(bundle)

    with pytest.raises(ModelError, match="gives 3 results for 1 images"):
        load(3)
    prepared = (np.zeros((16, 16, 3), np.uint8),)
    with pytest.raises(ModelError, match="gives 1 results for 2 images"):
        load(1).score([prepared, prepared])


def test_fault_of_the_engine_is_an_error_of_the_model_only_at_loading(bundle, monkeypatch):
    def load(fault, images):
        monkeypatch.setattr(bundle_scorer, "load_network", lambda *_: Engine(None, fault, images))
        return BundleScorer(bundle)

    with pytest.raises(ModelError, match=r"does not fit its description: Got: 2 Expected: 1$"):
        load(RuntimeError("Got: 2 Expected: 1\nmore"), 1)
    with pytest.raises(ModelError, match=r"does not fit its description: MemoryError$"):
        load(MemoryError(), 1)
    # The executors of `facepad score` retry the images of such a batch one by one. A ModelError would end the run.
    scorer, prepared = load(MemoryError(), 2), (np.zeros((16, 16, 3), np.uint8),)
    with pytest.raises(MemoryError):
        scorer.score([prepared, prepared])
    assert len(scorer.score([prepared]).values) == 1


def rewrite(path, target, change):
    """A copy of an archive whose entries, name to bytes, went through ``change``."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return target


def describing(**changes):
    def change(entries):
        entries["bundle.json"] = json.dumps(json.loads(entries["bundle.json"]) | changes).encode()

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda entries: entries.update({"network.onnx": b"other"}),
            "was changed: the SHA-256 of its part network.onnx",
        ),
        (lambda entries: entries.pop("network.onnx"), "lacks its part network.onnx"),
        (lambda entries: entries.update({"extra.bin": b"?"}), "was changed: it holds extra.bin"),
        (lambda entries: entries.pop("bundle.json"), "not a facepad model"),
        (lambda entries: entries.update({"bundle.json": b"{"}), "not readable JSON"),
        (lambda entries: entries.update({"bundle.json": b"[" * 100_000}), "not readable JSON"),
        (lambda entries: entries.update({"bundle.json": b"[]"}), "not valid"),
        (describing(format=2), "has format 2, but this facepad reads format 1"),
        (describing(mood="good"), "mood"),
        (describing(networks=[]), "networks"),
        (
            describing(threshold={"value": 0.5, "criterion": "eer"}),
            "a threshold needs value, criterion and its whole origin",
        ),
        (describing(calibration={"slope": -1}), "calibration.slope"),
        (describing(parts={}), "does not list the part network.onnx"),
    ],
)
def test_a_changed_file_is_refused(bundle, tmp_path, change, message):
    path = rewrite(write_bundle(tmp_path / "a.facepad", bundle), tmp_path / "b.facepad", change)
    with pytest.raises(BundleError, match=message) as caught:
        read_bundle(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_no_model_file_is_refused(bundle, tmp_path):
    whole = write_bundle(tmp_path / "a.facepad", bundle).read_bytes()
    for name, content in {"cut": whole[: len(whole) // 2], "text": b"hello", "empty": b""}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BundleError, match="truncated or damaged"):
            read_bundle(tmp_path / name)
    with pytest.raises(BundleError, match="No such file"):
        read_bundle(tmp_path / "nowhere")
    flipped = bytearray(whole)
    flipped[whole.index(b"# A card")] ^= 1
    (tmp_path / "flipped").write_bytes(flipped)
    with pytest.raises(BundleError):
        read_bundle(tmp_path / "flipped")


def test_plain_onnx_is_named_with_the_commands_that_make_a_model(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"\x08\x08 plain ONNX")
    with pytest.raises(BundleError, match=r"a\.onnx .*plain ONNX .*facepad model add"):
        read_bundle(tmp_path / "a.onnx")


def test_compressed_parts_are_refused_before_they_fill_the_memory(bundle, tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bundle.json", b"{}")
        archive.writestr("zeros", bytes(1 << 20))
    with pytest.raises(BundleError, match=r"bomb .*is compressed, but must be stored without compression"):
        read_bundle(tmp_path / "bomb")


def test_a_graph_that_is_none_is_refused(bundle):
    with pytest.raises(ModelError, match="cannot load the network"):
        BundleScorer(Bundle(bundle.description, {"network.onnx": b"no graph"}))


def test_threshold_survives_its_dict():
    chosen = threshold()
    assert Threshold.from_dict(chosen.to_dict()) == chosen
    for missing in ("value", "criterion", "origin"):
        with pytest.raises(ValueError, match="whole origin"):
            Threshold.from_dict({key: value for key, value in chosen.to_dict().items() if key != missing})


def test_calibration_note_of_an_older_file_is_read_as_one_note():
    calibration = Calibration.model_validate({"method": "platt", "note": "fitted; by hand"})
    assert calibration.notes == remarks(["fitted; by hand"])
    assert calibration.model_dump(mode="json")["notes"] == [{"kind": "remark", "text": "fitted; by hand"}]
    assert Calibration.model_validate(calibration.model_dump(mode="json")) == calibration
