"""Several manifests as one training manifest."""

from pathlib import Path

import pytest

from facepad.datasets.manifest import read_manifest, resolve, write_manifest
from facepad.datasets.merge import merge_manifests
from facepad.datasets.origin import add_run, origin_of
from facepad.errors import InputError, OutputExistsError
from facepad.types import Label, Sample, Split


def manifest(folder: Path, *samples: Sample, detector: str = "yunet") -> Path:
    folder.mkdir(exist_ok=True)
    for sample in samples:
        (folder / sample.path).touch()
    write_manifest(folder / "manifest.csv", samples)
    add_run(folder, {"dataset": folder.name, "detector": detector, "manifests": {"manifest.csv": {}}})
    return folder / "manifest.csv"


@pytest.fixture
def sets(tmp_path):
    a = [
        Sample("1.png", "1", Label.BONA_FIDE, split=Split.TRAIN),
        Sample("2.png", "2", Label.BONA_FIDE, split=Split.DEV),
        Sample("3.png", "3", Label.BONA_FIDE, split=Split.TEST),
    ]
    b = [Sample("1.png", "1", Label.BONA_FIDE), Sample("2.png", "anna", Label.BONA_FIDE)]
    return {"a": manifest(tmp_path / "a", *a), "b": manifest(tmp_path / "b", *b)}


def test_the_merged_paths_lead_to_the_images_and_test_samples_are_left_out(sets, tmp_path):
    merged = merge_manifests(sets, tmp_path / "out" / "manifest.csv")
    samples = read_manifest(merged)
    assert [sample.path for sample in samples] == ["../a/1.png", "../a/2.png", "../b/1.png", "../b/2.png"]
    assert all(resolve(merged, sample).exists() for sample in samples)
    assert [sample.split for sample in samples] == [Split.TRAIN, Split.DEV, Split.TRAIN, Split.TRAIN]
    assert [sample.subject for sample in samples] == ["a/1", "2", "b/1", "anna"]


def test_the_origin_names_the_sets_and_their_detector(sets, tmp_path):
    merged = merge_manifests(sets, tmp_path / "out" / "manifest.csv")
    assert (origin_of(merged)["dataset"], origin_of(merged)["detector"]) == ("a + b", "yunet")
    sources = origin_of(merged)["manifests"]["manifest.csv"]["sources"]
    assert sources == {"a": {"train": 1, "dev": 1}, "b": {"train": 2}}
    other = manifest(tmp_path / "c", Sample("1.png", "1", Label.BONA_FIDE), detector="dlib")
    mixed = merge_manifests({**sets, "c": other}, tmp_path / "mixed" / "manifest.csv")
    assert origin_of(mixed)["detector"] == "several"


def test_a_merged_manifest_is_kept_and_never_replaced_by_another(sets, tmp_path):
    out = merge_manifests(sets, tmp_path / "out" / "manifest.csv")
    before = out.stat().st_mtime_ns
    assert merge_manifests(sets, out).stat().st_mtime_ns == before
    with pytest.raises(OutputExistsError, match="merged from other manifests"):
        merge_manifests({"a": sets["a"]}, out)


def test_an_image_of_two_sets_is_refused(sets, tmp_path):
    write_manifest(tmp_path / "again.csv", [Sample("a/1.png", "x", Label.BONA_FIDE, split=Split.TRAIN)])
    with pytest.raises(InputError, match=r"both list .*1\.png"):
        merge_manifests({**sets, "c": tmp_path / "again.csv"}, tmp_path / "out" / "manifest.csv")


def test_attributes_stay_in_the_merged_manifest(sets, tmp_path):
    other = manifest(tmp_path / "c", Sample("1.png", "1", Label.BONA_FIDE, attributes=(("site", "north"),)))
    merged = merge_manifests({"a": sets["a"], "c": other}, tmp_path / "out" / "manifest.csv")
    assert [sample.attribute("site") for sample in read_manifest(merged)] == [None, None, "north"]
