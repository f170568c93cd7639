"""The folder adapter: labels, subjects, attack types and splits out of folder names."""

import os
from pathlib import Path

import pytest

from facepad.datasets import DATASETS
from facepad.datasets.splits import class_balance, subjects_across_splits
from facepad.errors import DatasetError
from facepad.types import AttackType, Label, Sample, Split

FOLDER = DATASETS["folder"]
CLASSES = ("live", "spoof")


def tree(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def subjects_tree(root: Path, count: int = 10, images: int = 3) -> Path:
    return tree(
        root, *(f"{kind}/s{s}/{i}.jpg" for kind in CLASSES for s in range(count) for i in range(images + s % 2))
    )


def scan(root: Path, protocol: str = "auto", seed: int = 0) -> dict[str, Sample]:
    return {sample.path: sample for sample in FOLDER.scan(root, protocol, seed).folds[""]}


@pytest.mark.parametrize("name", ["live", "Real", "GENUINE", "bona_fide", "bona-fide"])
def test_folder_names_for_bona_fide_are_understood(tmp_path, name):
    samples = scan(tree(tmp_path, f"test/{name}/anna/1.jpg", "test/fake/anna/1.jpg"))
    assert samples[f"test/{name}/anna/1.jpg"].label is Label.BONA_FIDE


@pytest.mark.parametrize(
    ("name", "attack_type"),
    [
        ("spoof", AttackType.UNKNOWN),
        ("Fake", AttackType.UNKNOWN),
        ("attack", AttackType.UNKNOWN),
        ("imposter", AttackType.UNKNOWN),
        ("print", AttackType.PRINT),
        ("replay", AttackType.REPLAY_VIDEO),
        ("attack/cut", AttackType.CUT_PRINT),
        ("mask/attack", AttackType.MASK_3D),
        ("attack/anna/warped-print", AttackType.WARPED_PRINT),
    ],
)
def test_folder_names_for_attacks_are_understood(tmp_path, name, attack_type):
    samples = scan(tree(tmp_path, "test/live/anna/1.jpg", f"test/{name}/ben/1.jpg"))
    sample = samples[f"test/{name}/ben/1.jpg"]
    assert (sample.label, sample.attack_type) == (Label.ATTACK, attack_type)


@pytest.mark.parametrize(
    ("path", "subject"),
    [
        ("test/live/anna/1.jpg", "anna"),
        ("test/anna/live/1.jpg", "anna"),
        ("live/test/anna/more/1.jpg", "anna"),
        ("anna/test/live/1.jpg", "anna"),
        ("test/site/live/anna/1.jpg", "anna"),
        ("test/live/1.jpg", "test/live/1.jpg"),
    ],
)
def test_subject_is_the_folder_under_or_above_the_class(tmp_path, path, subject):
    assert scan(tree(tmp_path, path, "test/spoof/print/ben/1.jpg"))[path].subject == subject


def test_attack_type_folder_is_no_subject(tmp_path):
    samples = scan(tree(tmp_path, "test/live/anna/1.jpg", "test/spoof/print/ben/1.jpg", "test/spoof/eve/replay/1.jpg"))
    assert {sample.subject for sample in samples.values()} == {"anna", "ben", "eve"}


def test_wrapping_folder_is_no_subject(tmp_path):
    samples = scan(tree(tmp_path, "set/train/live/1.jpg", "set/train/spoof/1.jpg", "set/test/live/1.jpg"))
    assert samples["set/test/live/1.jpg"].subject == "set/test/live/1.jpg"


def test_outright_class_beats_an_instruments_name(tmp_path):
    samples = scan(tree(tmp_path, "test/photo/live/anna/1.jpg", "test/photo/spoof/ben/1.jpg"))
    assert samples["test/photo/live/anna/1.jpg"].attack_type is None
    assert samples["test/photo/spoof/ben/1.jpg"].attack_type is AttackType.PRINT


@pytest.mark.parametrize(
    ("name", "split"), [("train", Split.TRAIN), ("devel", Split.DEV), ("Val", Split.DEV), ("testing", Split.TEST)]
)
def test_split_folders_are_kept(tmp_path, name, split):
    paths = [f"{folder}/{kind}/{folder}{n}/1.jpg" for folder in ("train", name) for kind in CLASSES for n in range(2)]
    samples = scan(tree(tmp_path, *paths))
    assert samples[f"{name}/live/{name}1/1.jpg"].split is split


def test_missing_dev_folder_is_taken_out_of_train_by_subject(tmp_path):
    paths = [f"train/{kind}/s{s}/{i}.jpg" for kind in CLASSES for s in range(10) for i in range(2)]
    root = tree(tmp_path, *paths, "test/live/t/1.jpg", "test/spoof/t/1.jpg")
    found = FOLDER.scan(root, "auto", 0)
    assert class_balance(found.folds[""])["dev"] == {"bona_fide": 4, "attack": 4}
    assert subjects_across_splits(found.folds[""]) == {}
    assert found.notes == ["no dev folder: about a fifth of train became dev, whole subjects only"]


def test_split_folders_without_subjects_are_taken_with_a_note(tmp_path):
    found = FOLDER.scan(tree(tmp_path, *(f"{s}/{k}/1.jpg" for s in ("train", "test") for k in CLASSES)), "auto", 0)
    assert set(class_balance(found.folds[""])) == {"train", "test"}
    assert "a subject in two splits is not detected" in found.notes[0]
    assert "no dev folder, and none was made" in found.notes[1]


def test_images_outside_the_split_folders_are_skipped_and_counted(tmp_path):
    root = tree(tmp_path, "test/live/a/1.jpg", "test/spoof/a/1.jpg", "live/b/1.jpg")
    assert FOLDER.scan(root, "auto", 0).skipped == [("live/b/1.jpg", "outside the train, dev and test folders")]


@pytest.mark.parametrize("seed", range(5))
def test_subject_split_is_disjoint_and_near_its_shares(tmp_path, seed):
    samples = list(scan(subjects_tree(tmp_path, count=20), seed=seed).values())
    assert subjects_across_splits(samples) == {}
    for label in Label:
        whole = sum(sample.label is label for sample in samples)
        for split, share in ((Split.TRAIN, 0.6), (Split.DEV, 0.2), (Split.TEST, 0.2)):
            part = sum(sample.label is label and sample.split is split for sample in samples)
            assert abs(part / whole - share) < 0.06


def test_subject_split_follows_the_seed(tmp_path):
    subjects_tree(tmp_path)
    assert scan(tmp_path, seed=3) == scan(tmp_path, seed=3)
    assert len({tuple(sample.split for sample in scan(tmp_path, seed=seed).values()) for seed in range(5)}) > 1


def test_subject_split_ignores_split_folders(tmp_path):
    paths = [f"train/{kind}/s{s}/1.jpg" for kind in CLASSES for s in range(5)]
    samples = scan(tree(tmp_path, *paths), "subject-split")
    assert {sample.split for sample in samples.values()} == set(Split)


def test_subject_split_puts_both_classes_everywhere_when_subjects_have_one_each(tmp_path):
    root = tree(tmp_path, *(f"live/a{n}/1.jpg" for n in range(4)), *(f"spoof/b{n}/1.jpg" for n in range(4)))
    counts = class_balance(scan(root).values())
    assert all(counts[split][label] for split in Split for label in Label)


def test_subject_split_refuses_too_few_subjects(tmp_path):
    with pytest.raises(DatasetError, match="2 subjects are too few for a subject-disjoint split"):
        scan(subjects_tree(tmp_path, count=2))


def test_subject_split_refuses_images_without_subjects(tmp_path):
    with pytest.raises(DatasetError, match="has images without a folder for their subject; use CLASS/SUBJECT/image"):
        scan(tree(tmp_path, "live/1.jpg", "spoof/1.jpg"))


def test_other_files_are_skipped_and_counted(tmp_path):
    root = tree(
        tmp_path,
        *("test/live/a/1.jpg", "test/spoof/a/1.PNG", "test/live/a/Thumbs.db", "test/live/a/._1.jpg", "logo.png"),
        "test/live/spoof/1.jpg",
    )
    found = FOLDER.scan(root, "auto", 0)
    assert {sample.path for sample in found.folds[""]} == {"test/live/a/1.jpg", "test/spoof/a/1.PNG"}
    assert dict(found.skipped) == {
        "logo.png": "no folder above the file names a class",
        "test/live/a/._1.jpg": "hidden",
        "test/live/a/Thumbs.db": "not an image file",
        "test/live/spoof/1.jpg": "the folders above the file name both classes",
    }


def test_linked_folders_are_followed_once(tmp_path):
    tree(tmp_path / "store", "anna/1.jpg")
    root = tree(tmp_path / "set", "test/spoof/ben/1.jpg", "test/live/.keep")
    (root / "test/live/anna").symlink_to(tmp_path / "store/anna")
    (root / "test/live/loop").symlink_to(root / "test")
    assert sorted(scan(root)) == ["test/live/anna/1.jpg", "test/spoof/ben/1.jpg"]


@pytest.mark.parametrize(
    ("present", "found"), [("live", "2 bona fide and 0 attack"), ("spoof", "0 bona fide and 2 attack")]
)
def test_one_class_only_is_refused(tmp_path, present, found):
    with pytest.raises(DatasetError, match=f"needs images of both classes, got {found}"):
        scan(tree(tmp_path, f"{present}/anna/1.jpg", f"{present}/ben/1.jpg"))


def test_one_class_in_train_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"the train split of .* needs images of both classes, got 1 bona"):
        scan(tree(tmp_path, "train/live/a/1.jpg", "test/live/b/1.jpg", "test/spoof/b/1.jpg"))


def test_missing_folder_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="does not exist"):
        scan(tmp_path / "none")


def test_empty_folder_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="is empty"):
        scan(tmp_path)


def test_folder_without_classes_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="holds no images in folders that name a class"):
        scan(tree(tmp_path, "holiday/1.jpg"))


@pytest.mark.parametrize("adapter", ["folder", "msu-mfsd"])
def test_a_folder_that_cannot_be_read_is_skipped_with_the_reason(tmp_path, monkeypatch, adapter):
    if adapter == "folder":
        tree(subjects_tree(tmp_path), "live/locked/1.jpg")
    else:
        names = (
            "real/real_client001_android_SD_scene01.mp4",
            "attack/attack_client001_android_SD_printed_photo_scene01.mp4",
        )
        tree(
            tmp_path,
            *(f"scene01/{name.replace('001', f'{n:03}')}" for n in (1, 2, 5, 6) for name in names),
            "locked/1.jpg",
        )
        (tmp_path / "train_sub_list.txt").write_text("1 5")
        (tmp_path / "test_sub_list.txt").write_text("2 6")
    scandir = os.scandir

    def refuse(folder):
        if os.fspath(folder).endswith("locked"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    found = DATASETS[adapter].scan(tmp_path, DATASETS[adapter].protocols[0].name, 0)
    assert [why for path, why in found.skipped if "locked" in path] == ["Permission denied"]
    assert found.folds
