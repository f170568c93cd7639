"""Preparing data sets on small trees: what is written, what is reused, what is refused."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facepad.datasets import DATASETS
from facepad.datasets.manifest import manifest_hash, read_manifest, resolve, write_manifest
from facepad.datasets.prepare import PrepareSettings, prepare
from facepad.errors import DatasetError, InputError, ManifestError, OutputExistsError
from facepad.faces import default_detector
from facepad.faces.yunet import YUNET
from facepad.files.disk import LOCK_FILES
from facepad.types import AttackType, Box, Label, Sample, Split


def grey(path: Path, shade: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((24, 32), shade, np.uint8)).save(path)


def small_tree(root: Path) -> Path:
    """Five subjects with two live and two print images each: 20 images without a face."""
    for subject in range(5):
        for image in range(2):
            grey(root / f"live/s{subject}/{image}.png", 2 * subject + image)
            grey(root / f"spoof/print/s{subject}/{image}.png", 100 + 2 * subject + image)
    return root


def small_nuaa(root: Path) -> Path:
    lists = {
        "client_train_raw": [(s, 1) for s in range(1, 10)],
        "imposter_train_raw": [(s, 2) for s in range(1, 10)],
        "client_test_raw": [(s, 3) for s in (4, 10, 11, 12, 13)],
        "imposter_test_raw": [(s, 3) for s in (4, 10, 11, 12, 16)],
    }
    for name, shots in lists.items():
        lines = [f"{s:04d}/{s:04d}_01_02_{session:02d}_7.jpg" for s, session in shots]
        for shade, line in enumerate(lines):
            grey(root / ("ClientRaw" if name.startswith("client") else "ImposterRaw") / line, 10 * shade)
        (root / f"{name}.txt").write_text("\n".join([*lines, "0018/someone (1).jpg"]))
    return root


def run(dataset: str, root: Path, out: Path, **settings):
    return prepare(dataset, root, out, PrepareSettings(**settings), jobs=1)


# Loading the detector takes longer than all else here: the trees are searched once, and their box caches handed on.
@pytest.fixture(scope="module", autouse=True)
def _no_yunet(tmp_path_factory):
    """The default detector is dlib, on every machine."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FACEPAD_HOME", str(tmp_path_factory.mktemp("home")))
        patched.delenv("FACEPAD_MODELS", raising=False)
        yield


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    base = tmp_path_factory.mktemp("searched")
    run("folder", small_tree(base / "set"), base / "out-set")
    run("nuaa", small_nuaa(base / "nuaa"), base / "out-nuaa")
    return base


@pytest.fixture
def out(searched, tmp_path):
    """An output folder whose box cache knows both trees."""
    (tmp_path / "out").mkdir()
    caches = [(searched / name / "boxes.jsonl").read_bytes() for name in ("out-set", "out-nuaa")]
    (tmp_path / "out/boxes.jsonl").write_bytes(b"".join(caches))
    return tmp_path / "out"


@pytest.fixture
def tree(searched):
    return searched / "set"


@pytest.fixture
def nuaa(searched):
    return searched / "nuaa"


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name not in LOCK_FILES)


def test_prepare_writes_manifest_cache_and_record(tmp_path):
    tree, out = small_tree(tmp_path / "set"), tmp_path / "new/out"
    summary = run("folder", tree, out)
    assert files(out) == ["boxes.jsonl", "manifest.csv", "prepare.json"]
    samples = read_manifest(out / "manifest.csv")
    assert len(samples) == 20
    assert all(resolve(out / "manifest.csv", sample).is_file() for sample in samples)
    assert samples[0].path.startswith("../../set/")
    assert summary.manifests == [out / "manifest.csv"]
    assert summary.counts["manifest.csv"]["train"] == {"bona_fide": 6, "attack": 6}


def test_prepare_keeps_images_without_a_face_with_an_empty_box(tree, out):
    summary = run("folder", tree, out)
    assert all(sample.box is None for sample in read_manifest(out / "manifest.csv"))
    assert len(summary.no_face) == 20
    assert "images without a face, kept with an empty box: 20" in summary.to_text()


def test_prepare_records_what_it_did(nuaa, out):
    summary = run("nuaa", nuaa, out, protocol="random80", seed=3)
    assert "leaky protocol: " in summary.to_text()
    (done,) = json.loads((out / "prepare.json").read_text())["runs"]
    assert done["dataset"] == "nuaa"
    assert (done["protocol"], done["seed"], done["detector"]) == ("random80", 3, "dlib")
    assert done["root"] == str(nuaa)
    assert done["licence"] == DATASETS["nuaa"].licence
    assert done["manifests"]["manifest.csv"]["sha256"] == manifest_hash(out / "manifest.csv")
    assert done["manifests"]["manifest.csv"]["counts"]["test"] == {"bona_fide": 3, "attack": 3}
    assert ["client_train_raw.txt:10: 0018/someone (1).jpg", "not a NUAA image name"] in done["skipped"]
    assert len(done["no_face"]) == 28


def test_prepare_writes_the_same_bytes_for_the_same_seed(tree, out):
    run("folder", tree, out, seed=5)
    first = (out / "manifest.csv").read_bytes()
    (out / "manifest.csv").unlink()
    run("folder", tree, out, seed=6)
    assert (out / "manifest.csv").read_bytes() != first
    (out / "manifest.csv").unlink()
    run("folder", tree, out, seed=5)
    assert (out / "manifest.csv").read_bytes() == first


def test_prepare_twice_changes_nothing(tree, out):
    run("folder", tree, out)
    before = {name: (out / name).read_bytes() for name in files(out)}
    run("folder", tree, out)
    assert {name: (out / name).read_bytes() for name in files(out)} == before


def test_prepare_writes_one_manifest_per_fold_beside_others(nuaa, out):
    run("nuaa", nuaa, out)
    cache = (out / "boxes.jsonl").read_bytes()
    summary = run("nuaa", nuaa, out, protocol="subject-kfold")
    assert [path.name for path in summary.manifests] == [f"manifest-fold{fold}.csv" for fold in range(5)]
    assert all(len(read_manifest(path)) == 28 for path in summary.manifests)
    assert (out / "boxes.jsonl").read_bytes() == cache
    runs = json.loads((out / "prepare.json").read_text())["runs"]
    assert [done["protocol"] for done in runs] == ["official", "subject-kfold"]


@pytest.mark.parametrize("options", [{"seed": 1}, {"protocol": "official"}])
def test_prepare_never_overwrites_another_manifest(nuaa, out, options):
    run("nuaa", nuaa, out, protocol="random80")
    before = {name: (out / name).read_bytes() for name in files(out)}
    with pytest.raises(OutputExistsError, match=r"manifest\.csv already holds another manifest; remove it or choose"):
        run("nuaa", nuaa, out, **{"protocol": "random80", **options})
    assert {name: (out / name).read_bytes() for name in files(out)} == before


def test_prepare_refuses_a_manifest_that_is_none(tree, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/manifest.csv").write_text("my notes")
    with pytest.raises(OutputExistsError, match="already holds another manifest"):
        run("folder", tree, tmp_path / "out")
    assert files(tmp_path / "out") == ["manifest.csv"]


def test_prepare_refuses_a_manifest_with_other_boxes(tree, out):
    run("folder", tree, out)
    text = (out / "manifest.csv").read_text().replace(",,,,,,\n", ",,,1,2,3,4\n", 1)
    (out / "manifest.csv").write_text(text)
    with pytest.raises(OutputExistsError, match="with other boxes"):
        run("folder", tree, out)
    assert (out / "manifest.csv").read_text() == text


def test_prepare_refuses_a_foreign_record(tree, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/prepare.json").write_text('{"runs": 3}')
    with pytest.raises(OutputExistsError, match=r"prepare\.json is not a list of facepad's runs"):
        run("folder", tree, tmp_path / "out")
    assert files(tmp_path / "out") == ["prepare.json"]


def test_prepare_without_yunet_takes_dlib_and_says_so(tree, out, monkeypatch, tmp_path):
    assert any("facepad download yunet" in note for note in run("folder", tree, out).notes)
    assert not run("folder", tree, tmp_path / "named", detector="dlib").notes
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / YUNET.name).write_bytes(b"a model file")
    monkeypatch.setenv("FACEPAD_MODELS", str(tmp_path / "models"))
    assert default_detector() == "yunet"
    assert run("folder", tree, out).detector == "dlib"  # the detector of the boxes that are there


def test_prepare_forgets_a_run_whose_manifest_was_removed(nuaa, out):
    run("nuaa", nuaa, out)
    (out / "manifest.csv").unlink()
    run("nuaa", nuaa, out, protocol="random80")
    assert [done["protocol"] for done in json.loads((out / "prepare.json").read_text())["runs"]] == ["random80"]


def test_prepare_leaves_unreadable_images_out_and_lists_them(tmp_path):
    tree, out = small_tree(tmp_path / "set"), tmp_path / "out"
    (tree / "live/s0/0.png").write_bytes((tree / "live/s0/0.png").read_bytes()[:40])
    for name in ("live/s0/a.gif", "live/s1/b.GIF", "live/notes.txt"):
        (tree / name).touch()
    summary = run("folder", tree, out)
    assert "skipped 3: not an image file (2 .gif, 1 .txt)" in summary.to_text().splitlines()
    assert [path for path, _ in summary.unreadable] == ["live/s0/0.png"]
    assert len(read_manifest(out / "manifest.csv")) == 19
    assert f"unreadable, left out: {tree / 'live/s0/0.png'}" in summary.to_text()
    (done,) = json.loads((out / "prepare.json").read_text())["runs"]
    assert done["unreadable"][0][0] == "live/s0/0.png"


def test_prepare_stops_when_more_than_one_image_in_twenty_is_unreadable(tmp_path):
    tree = small_tree(tmp_path / "set")
    for image in range(2):
        (tree / f"live/s0/{image}.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"2 of 20 images of .* cannot be read \(first: .*The limit is 5%"):
        run("folder", tree, tmp_path / "out")
    assert not (tmp_path / "out/manifest.csv").exists()


def test_prepare_refuses_a_subject_on_both_sides(tmp_path):
    for split, subject in (("train", "anna"), ("dev", "ben"), ("test", "eve"), ("test", "anna")):
        for kind in ("live", "spoof"):
            grey(tmp_path / f"set/{split}/{kind}/{subject}/1.png", 9)
    with pytest.raises(DatasetError, match=r"folder, protocol auto: 1 subjects .*\(first: anna in train and test\)"):
        run("folder", tmp_path / "set", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_prepare_refuses_a_folder_that_a_manifest_cannot_name_before_detection(tmp_path):
    tree = small_tree(tmp_path / "a\\b")
    with pytest.raises(ManifestError, match=r"with forward slashes, got '\.\./a"):
        run("folder", tree, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_prepare_refuses_unknown_names(tree, tmp_path):
    with pytest.raises(DatasetError, match=r"unknown data set 'nuua' \(did you mean 'nuaa'\?\); choices: nuaa, folder"):
        run("nuua", tree, tmp_path / "out")
    with pytest.raises(DatasetError, match=r"folder: unknown protocol 'official'; choices: auto, subject-split"):
        run("folder", tree, tmp_path / "out", protocol="official")


@pytest.mark.parametrize("dataset", ["nuaa", "folder"])
def test_prepare_refuses_missing_and_empty_folders_and_makes_none(tmp_path, dataset):
    (tmp_path / "empty").mkdir()
    for root, says in (("none", "does not exist"), ("empty", "is empty")):
        with pytest.raises(DatasetError, match=says):
            run(dataset, tmp_path / root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_prepare_refuses_a_file_as_output(tree, tmp_path):
    (tmp_path / "out").write_text("here")
    with pytest.raises(InputError, match="cannot write .* is not a folder"):
        run("folder", tree, tmp_path / "out")


def test_prepare_finds_its_images_through_linked_folders(tree, out, tmp_path):
    (tmp_path / "far/away").mkdir(parents=True)
    (tmp_path / "far/away/link").symlink_to(out)
    (tmp_path / "linked").symlink_to(tree)
    manifest = tmp_path / "far/away/link/manifest.csv"
    run("folder", tmp_path / "linked", manifest.parent)
    assert all(resolve(manifest, sample).is_file() for sample in read_manifest(manifest))


def test_prepare_adds_boxes_to_a_manifest_and_keeps_those_it_has(tmp_path):
    for number in range(2):
        grey(tmp_path / f"images/{number}.png", 50 * number)
    plain = tmp_path / "plain.csv"
    names = (("gender", "m"), ("species", "canon a"))
    box = Box(1, 2, 3, 4.5)
    boxed = Sample("images/1.png", "ben", Label.ATTACK, AttackType.PRINT, Split.TEST, box=box, attributes=names)
    write_manifest(plain, [Sample("images/0.png", "anna", Label.BONA_FIDE, split=Split.TEST), boxed])
    summary = run("manifest", plain, tmp_path / "out")
    first, second = read_manifest(tmp_path / "out/manifest.csv")
    assert (first.path, first.box) == ("../images/0.png", None)
    assert (second.path, second.box, second.attributes) == ("../images/1.png", box, names)
    assert summary.no_face == ["../images/0.png"]


def test_prepare_boxes_a_face_in_the_image_it_lies_in(tmp_path):
    skimage_data = pytest.importorskip("skimage.data")
    portrait = Image.fromarray(skimage_data.astronaut())
    for name in ("live/anna", "spoof/anna"):
        (tmp_path / "set/test" / name).mkdir(parents=True)
        portrait.save(tmp_path / "set/test" / name / f"{name[:4]}.png")
    grey(tmp_path / "set/test/live/ben/1.png", 99)
    summary = run("folder", tmp_path / "set", tmp_path / "out")
    boxes = {sample.path: sample.box for sample in read_manifest(tmp_path / "out/manifest.csv")}
    assert summary.no_face == ["../set/test/live/ben/1.png"]
    box = boxes["../set/test/spoof/anna/spoo.png"]
    assert box == boxes["../set/test/live/anna/live.png"]
    # The astronaut's nose.
    assert box.x1 < 222 < box.x2
    assert box.y1 < 118 < box.y2


@pytest.mark.nuaa
def test_every_adapter_path_of_real_nuaa_exists():
    if "FACEPAD_NUAA" not in os.environ:
        pytest.skip("FACEPAD_NUAA does not name a folder with the NUAA images")
    scan = DATASETS["nuaa"].scan(Path(os.environ["FACEPAD_NUAA"]), "official", 0)
    assert all((scan.root / sample.path).is_file() for sample in scan.folds[""][::50])


def test_prepare_notes_two_spellings_of_a_name_in_different_splits(manifest_like, tmp_path):
    names = {"train-1": "Anna", "test-1": "anna"}
    path = manifest_like(tmp_path, lambda sample: replace(sample, subject=names.get(sample.subject, sample.subject)))
    summary = run("manifest", path, tmp_path / "out")
    assert "'Anna' and 'anna' in different splits may be one person: give each person one name" in summary.notes


@pytest.mark.usefixtures("stub_detector")
def test_files_with_names_that_no_manifest_can_hold_are_skipped(tmp_path):
    tree = small_tree(tmp_path / "set")
    odd = ["live/s0/line\nend.png", os.fsdecode(b"live/s0/caf\xe9.png"), "live/s0/back\\slash.png", "live/ s6/0.png"]
    for name in odd:
        grey(tree / name, 7)
    (tree / "live/s0/loop.png").symlink_to("loop.png")
    summary = run("folder", tree, tmp_path / "out", detector="stub")
    assert sorted(name for name, _ in summary.skipped) == sorted(odd)
    assert [(name, "symbolic links" in why) for name, why in summary.unreadable] == [("live/s0/loop.png", True)]
    assert "skipped 4: a manifest cannot hold its name" in summary.to_text()
    assert len(read_manifest(tmp_path / "out/manifest.csv")) == 20
