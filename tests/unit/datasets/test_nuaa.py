"""The NUAA adapter: small trees of its form, and the real one's published counts."""

import os
from pathlib import Path

import pytest

from facepad.datasets import DATASETS
from facepad.datasets.nuaa import DEV_SUBJECTS, FOLDS
from facepad.datasets.splits import class_balance, subjects_across_splits
from facepad.errors import DatasetError
from facepad.types import AttackType, Label, Sample, Split

NUAA = DATASETS["nuaa"]
LISTS = ("client_train_raw", "imposter_train_raw", "client_test_raw", "imposter_test_raw")


def entries(subjects: range, session: int, count: int = 2) -> list[str]:
    return [f"{s:04d}/{s:04d}_00_01_{session:02d}_{pic}.jpg" for s in subjects for pic in range(count)]


def small_nuaa(root: Path) -> Path:
    """Real 1-9 and attacks 1-9 in train; real 4, 6, 7, 10-15 and attacks 1-12, 14-16 in test; two images each."""
    lists = {
        "client_train_raw": entries(range(1, 10), 1),
        "imposter_train_raw": entries(range(1, 10), 2),
        "client_test_raw": entries(range(4, 5), 3) + entries(range(6, 8), 3) + entries(range(10, 16), 3),
        "imposter_test_raw": entries(range(1, 13), 3) + entries(range(14, 17), 3),
    }
    for name, lines in lists.items():
        folder = root / ("ClientRaw" if name.startswith("client") else "ImposterRaw")
        for line in lines:
            (folder / line).parent.mkdir(parents=True, exist_ok=True)
            (folder / line).touch()
        (root / f"{name}.txt").write_bytes("\r\n".join(line.replace("/", "\\") for line in lines).encode())
    return root


def scan(root: Path, protocol: str = "official", seed: int = 0) -> list[Sample]:
    return NUAA.scan(root, protocol, seed).folds[""]


def append(path: Path, text: bytes) -> None:
    path.write_bytes(path.read_bytes() + text)


def test_scan_reads_what_names_and_lists_say(tmp_path):
    samples = {sample.path: sample for sample in scan(small_nuaa(tmp_path))}
    assert samples["ClientRaw/0013/0013_00_01_03_1.jpg"] == Sample(
        "ClientRaw/0013/0013_00_01_03_1.jpg", "0013", Label.BONA_FIDE, None, Split.TEST, "real-0013_00_01_03", 1
    )
    assert samples["ImposterRaw/0001/0001_00_01_02_0.jpg"] == Sample(
        "ImposterRaw/0001/0001_00_01_02_0.jpg",
        "0001",
        Label.ATTACK,
        AttackType.PRINT,
        Split.TRAIN,
        "attack-0001_00_01_02",
        0,
    )


def test_scan_finds_the_db_folder_of_the_archive(tmp_path):
    small_nuaa(tmp_path / "db")
    found = NUAA.scan(tmp_path, "official", 0)
    assert found.root == tmp_path / "db"
    assert (found.root / found.folds[""][0].path).is_file()


def test_scan_says_when_the_lists_are_not_the_published_ones(tmp_path):
    notes = NUAA.scan(small_nuaa(tmp_path), "official", 0).notes
    assert notes[0] == "client_train_raw.txt names 18 NUAA images, but the published list names 1743"
    assert len(notes) == 4


def test_scan_skips_and_counts_foreign_lines(tmp_path):
    small_nuaa(tmp_path)
    foreign = [
        b"0017/0017_00_01_01_1.jpg",
        b"0018/andra (1).jpeg",
        b"0001/0002_00_01_01_1.jpg",
        b"0001/0001_00_01_04_1.jpg",
        b"../0001/0001_00_01_01_1.jpg",
        b"0001/0001_00_01_01_1.jpg.exe",
        b"caf\xe9.jpg",
    ]
    append(
        tmp_path / "client_train_raw.txt", b"\r\n" + b"\r\n".join(foreign) + b"\r\n\r\n0001\\0001_00_01_01_0.jpg\r\n"
    )
    found = NUAA.scan(tmp_path, "official", 0)
    assert len(found.folds[""]) == 18 + 18 + 18 + 30
    assert [why for _, why in found.skipped] == ["not a NUAA image name"] * 7 + ["named twice"]
    assert found.skipped[0] == ("client_train_raw.txt:19: 0017/0017_00_01_01_1.jpg", "not a NUAA image name")


def test_scan_refuses_lists_that_name_absent_images(tmp_path):
    small_nuaa(tmp_path)
    (tmp_path / "ClientRaw/0001/0001_00_01_01_1.jpg").unlink()
    for file in (tmp_path / "ImposterRaw/0016").iterdir():
        file.unlink()
    (tmp_path / "ImposterRaw/0016").rmdir()
    with pytest.raises(DatasetError, match=r"name 3 images .*not hold \(first: ClientRaw/0001/0001_00_01_01_1\.jpg\)"):
        scan(tmp_path)


def test_scan_refuses_an_image_in_train_and_test(tmp_path):
    small_nuaa(tmp_path)
    append(tmp_path / "client_test_raw.txt", b"\r\n0001/0001_00_01_01_0.jpg")
    with pytest.raises(DatasetError, match="1 images are listed for train and for test"):
        scan(tmp_path)


def test_scan_refuses_one_class_only(tmp_path):
    small_nuaa(tmp_path)
    for name in ("imposter_train_raw", "imposter_test_raw"):
        (tmp_path / f"{name}.txt").write_text("")
    with pytest.raises(DatasetError, match=r"needs images of both classes, got \d+ bona fide and 0 attack"):
        scan(tmp_path)


def test_scan_refuses_one_class_in_train(tmp_path):
    small_nuaa(tmp_path)
    (tmp_path / "client_train_raw.txt").write_text("")
    with pytest.raises(DatasetError, match=r"the train split of NUAA in .* needs images of both classes, got 0 bona"):
        scan(tmp_path)


def test_scan_refuses_a_missing_folder(tmp_path):
    with pytest.raises(DatasetError, match=r"data set folder .*none does not exist"):
        scan(tmp_path / "none")


def test_scan_refuses_an_empty_folder(tmp_path):
    with pytest.raises(DatasetError, match="is empty"):
        scan(tmp_path)


def test_scan_refuses_a_file(tmp_path):
    (tmp_path / "db").touch()
    with pytest.raises(DatasetError, match="is not a folder"):
        scan(tmp_path / "db")


def test_scan_refuses_another_data_set(tmp_path):
    (tmp_path / "live").mkdir()
    with pytest.raises(DatasetError, match="is not NUAA: expected the folders ClientRaw and ImposterRaw and the lists"):
        scan(tmp_path)


@pytest.mark.parametrize("name", LISTS)
def test_scan_refuses_a_missing_list(tmp_path, name):
    (small_nuaa(tmp_path) / f"{name}.txt").unlink()
    with pytest.raises(DatasetError, match=f"cannot read NUAA list .*{name}.txt: No such file"):
        scan(tmp_path)


def test_official_keeps_dev_subjects_out_of_train(tmp_path):
    samples = scan(small_nuaa(tmp_path))
    train = {sample.subject for sample in samples if sample.split is Split.TRAIN}
    dev = {sample.subject for sample in samples if sample.split is Split.DEV}
    assert dev == DEV_SUBJECTS
    assert train == {f"{number:04d}" for number in range(1, 10)} - dev


def test_official_unseen_tests_on_new_subjects_only(tmp_path):
    samples = scan(small_nuaa(tmp_path), "official-unseen")
    assert {s.subject for s in samples if s.split is Split.TEST} == {f"{number:04d}" for number in range(10, 17)}
    assert subjects_across_splits(samples) == {}


def test_subject_kfold_tests_every_image_once_and_shares_no_subject(tmp_path):
    folds = NUAA.scan(small_nuaa(tmp_path), "subject-kfold", 0).folds
    assert list(folds) == [f"fold{number}" for number in range(5)]
    tested = [sample.path for samples in folds.values() for sample in samples if sample.split is Split.TEST]
    assert sorted(tested) == sorted(sample.path for sample in folds["fold0"])
    for samples in folds.values():
        assert subjects_across_splits(samples) == {}
        assert {sample.split for sample in samples} == set(Split)


def test_folds_hold_each_subject_once_and_0013_with_0016():
    assert sorted(subject for fold in FOLDS for subject in fold) == [f"{number:04d}" for number in range(1, 17)]
    assert any({"0013", "0016"} <= fold for fold in FOLDS)


def test_random80_is_stratified_and_follows_the_seed(tmp_path):
    small_nuaa(tmp_path)
    first = scan(tmp_path, "random80", 1)
    # 36 real and 48 attack images: 29 and 38 in train and dev (3 and 4 of them dev).
    assert class_balance(first) == {
        "train": {"bona_fide": 26, "attack": 34},
        "dev": {"bona_fide": 3, "attack": 4},
        "test": {"bona_fide": 7, "attack": 10},
    }
    assert scan(tmp_path, "random80", 1) == first
    assert scan(tmp_path, "random80", 2) != first


@pytest.mark.parametrize("protocol", [protocol.name for protocol in NUAA.protocols])
def test_each_image_is_listed_once_per_fold(tmp_path, protocol):
    for samples in NUAA.scan(small_nuaa(tmp_path), protocol, 0).folds.values():
        assert len({sample.path for sample in samples}) == len(samples)


@pytest.fixture(scope="module")
def real_nuaa():
    if "FACEPAD_NUAA" not in os.environ:
        pytest.skip("FACEPAD_NUAA does not name a folder with the NUAA images")
    return Path(os.environ["FACEPAD_NUAA"])


OFFICIAL_TRAIN = {"train": {"bona_fide": 1340, "attack": 1370}, "dev": {"bona_fide": 403, "attack": 378}}


@pytest.mark.nuaa
@pytest.mark.parametrize(
    ("protocol", "counts"),
    [
        ("official", OFFICIAL_TRAIN | {"test": {"bona_fide": 3362, "attack": 5761}}),
        ("official-unseen", OFFICIAL_TRAIN | {"test": {"bona_fide": 1987, "attack": 2216}}),
        (
            "random80",
            {
                "train": {"bona_fide": 3676, "attack": 5406},
                "dev": {"bona_fide": 408, "attack": 601},
                "test": {"bona_fide": 1021, "attack": 1502},
            },
        ),
    ],
)
def test_real_nuaa_has_the_published_counts(real_nuaa, protocol, counts):
    found = NUAA.scan(real_nuaa, protocol, 0)
    assert class_balance(found.folds[""]) == counts
    assert found.notes == []


@pytest.mark.nuaa
def test_real_nuaa_folds_are_balanced(real_nuaa):
    for samples in NUAA.scan(real_nuaa, "subject-kfold", 0).folds.values():
        counts = class_balance(samples)
        assert sum(sum(labels.values()) for labels in counts.values()) == 12_614
        for part in ("dev", "test"):
            assert 1000 <= counts[part]["bona_fide"] <= 1070
            assert 1370 <= counts[part]["attack"] <= 1669


@pytest.mark.nuaa
def test_real_nuaa_official_splits_share_no_session(real_nuaa):
    samples = scan(real_nuaa)
    sessions = {split: {str(s.video)[-2:] for s in samples if s.split is split} for split in Split}
    assert sessions == {Split.TRAIN: {"01", "02"}, Split.DEV: {"01", "02"}, Split.TEST: {"03"}}
