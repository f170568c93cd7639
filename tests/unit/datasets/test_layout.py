"""Data sets with a fixed layout: published counts, protocols, renamed, incomplete and mixed copies."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from facepad.datasets import DATASETS
from facepad.datasets.manifest import read_manifest
from facepad.datasets.prepare import PrepareSettings, prepare
from facepad.datasets.splits import subjects_across_splits
from facepad.errors import DatasetError
from facepad.media.images import write_image
from facepad.types import AttackType, Label, Split
from helpers import layouts
from helpers.layouts import list_files, touch_files
from helpers.video_sets import clip, counts, link, prepare_videos

VIDEO_SETS = {
    "oulu-npu": layouts.oulu((17, 18, 19, 20, 33, 34, 35, 52, 53, 54, 55)),  # a fifth of each split
    "replay-mobile": layouts.replay_mobile(),
    "siw": layouts.siw(range(1, 19), range(91, 95)),
    "rose-youtu": layouts.rose(),
    "3dmad": layouts.three_d_mad(),
    "wmca": layouts.wmca(),
}
NAMES = {name: list(names) for name, names in VIDEO_SETS.items()} | {
    "lcc-fasd": list(layouts.lcc()),
    "celeba-spoof": list(layouts.celeba()),
    "silent-face": list(layouts.silent_face()),
}
PROTOCOLS = {"wmca": "subject-split"}  # its other protocols need a list


def scan(name, root, protocol=None):
    adapter = DATASETS[name]
    return adapter.scan(root, protocol or PROTOCOLS.get(name) or adapter.protocols[0].name, 0)


@pytest.mark.parametrize("name", NAMES)
def test_all_samples_of_a_set_are_read_with_a_class_and_disjoint_subjects(name, monkeypatch, tmp_path):
    found = scan(name, list_files(monkeypatch, tmp_path, NAMES[name]))
    [samples] = found.folds.values()
    enrolled = sum("enroll" in path for path in NAMES[name])
    scales = 3 if name == "silent-face" else 1
    assert len(samples) == (len(NAMES[name]) - enrolled) / scales
    assert len(found.skipped) == enrolled
    assert {sample.label for sample in samples} == set(Label)
    adapter = DATASETS[name]
    if adapter.protocol(PROTOCOLS.get(name)).subject_disjoint:
        assert subjects_across_splits(samples) == {}
        assert {sample.split for sample in samples} == set(Split)
    assert adapter.licence and adapter.title


@pytest.mark.parametrize("name", [name for name in NAMES if name != "silent-face"])
def test_folders_above_may_have_any_name_and_names_any_case(name, monkeypatch, tmp_path):
    renamed = [f"Copy of 2021/my set/{path.upper()}" for path in NAMES[name]]
    assert len(_samples(scan(name, list_files(monkeypatch, tmp_path, renamed)))) == len(
        _samples(scan(name, list_files(monkeypatch, tmp_path, NAMES[name])))
    )


def _samples(found):
    return [sample for samples in found.folds.values() for sample in samples]


@pytest.mark.parametrize("name", VIDEO_SETS)
def test_frames_are_read_in_the_place_of_videos_and_copies_are_read_once(name, monkeypatch, tmp_path):
    videos = [str(PurePosixPath(path).with_suffix("")) for path in NAMES[name] if "enroll" not in path]
    frames = [f"{video}/{number:04d}.png" for video in videos for number in (1, 2)]
    again = [f"backup/{path}" for path in frames]
    found = scan(name, list_files(monkeypatch, tmp_path, [*frames, *again]))
    samples = _samples(found)
    assert len(samples) == len(frames)
    assert len({sample.video for sample in samples}) == len(videos)
    assert {sample.frame for sample in samples} == {1, 2}
    assert set(Counter(why for _, why in found.skipped)) == {"the same video in a second folder"}


@pytest.mark.parametrize("name", ["lcc-fasd", "celeba-spoof"])
def test_copies_of_images_are_read_once(name, monkeypatch, tmp_path):
    again = [f"z/backup/{path.replace('LCC_FASD_', '').replace('Data', 'DATA')}" for path in NAMES[name]]
    found = scan(name, list_files(monkeypatch, tmp_path, [*NAMES[name], *again]))
    assert len(_samples(found)) == len(NAMES[name])
    assert found.skipped == [(path, "the same image in a second folder") for path in sorted(again)]
    assert found.notes == scan(name, list_files(monkeypatch, tmp_path, NAMES[name])).notes


@pytest.mark.parametrize("name", NAMES)
def test_files_of_another_set_are_skipped_and_named(name, monkeypatch, tmp_path):
    others = ["msu/readme.pdf", *layouts.msu(range(1, 3)), "casia/train_release/1/HR_1.avi"]
    found = scan(name, list_files(monkeypatch, tmp_path, [*NAMES[name], *others]))
    assert {path for path, _ in found.skipped} >= set(others)
    with pytest.raises(DatasetError, match=f"^{tmp_path} holds no .*, which are named like ") as error:
        scan(name, list_files(monkeypatch, tmp_path, others))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_with_one_class_is_refused(name, monkeypatch, tmp_path):
    live = [sample.path for sample in _samples(scan(name, list_files(monkeypatch, tmp_path, NAMES[name])))
            if sample.label is Label.BONA_FIDE]  # fmt: skip
    with pytest.raises(DatasetError, match="of both classes"):
        scan(name, list_files(monkeypatch, tmp_path, live))


def test_an_incomplete_copy_is_noted_by_its_counts(monkeypatch, tmp_path):
    names = [name for name in layouts.replay_mobile() if "client001" not in name]
    assert scan("replay-mobile", list_files(monkeypatch, tmp_path, names)).notes == [
        "train holds 110 bona_fide videos, but the published set has 120",
        "train holds 176 attack videos, but the published set has 192",
    ]


@pytest.mark.parametrize("name", ["oulu-npu", "replay-mobile", "3dmad"])
def test_a_complete_copy_has_no_notes(name, monkeypatch, tmp_path):
    names = layouts.oulu() if name == "oulu-npu" else NAMES[name]
    assert scan(name, list_files(monkeypatch, tmp_path, names)).notes == []


@pytest.mark.parametrize(
    ("protocol", "train", "dev", "test"),
    [
        ("grandtest", (360, 1440), (270, 1080), (360, 1440)),
        ("protocol-1", (240, 960), (180, 720), (120, 480)),
        ("protocol-2", (360, 720), (270, 540), (360, 720)),
        ("protocol-3", (300, 1200), (225, 900), (60, 240)),
        ("protocol-4", (200, 400), (150, 300), (20, 40)),
    ],
)
def test_oulu_npu_protocols_have_the_published_numbers(protocol, train, dev, test, monkeypatch, tmp_path):
    found = scan("oulu-npu", list_files(monkeypatch, tmp_path, NAMES["oulu-npu"]), protocol)
    folds = 6 if protocol in ("protocol-3", "protocol-4") else 1
    assert len(found.folds) == folds
    for samples in found.folds.values():
        found_numbers = {split: (5 * real, 5 * attack) for split, (real, attack) in counts(samples).items()}
        assert found_numbers == {"train": train, "dev": dev, "test": test}
    if folds == 6:
        tested = {s.attribute("phone") for s in found.folds["fold2"] if s.split is Split.TEST}
        assert tested == {"2"}


def test_oulu_npu_reads_what_names_say(monkeypatch, tmp_path):
    found = {s.path: s for s in _samples(scan("oulu-npu", list_files(monkeypatch, tmp_path, NAMES["oulu-npu"])))}
    sample = found["Dev_files/6_3_33_4.avi"]
    assert (sample.subject, sample.attack_type, sample.split) == ("33", AttackType.REPLAY_VIDEO, Split.DEV)
    assert dict(sample.attributes) == {"phone": "6", "session": "3", "instrument": "display 1"}


@pytest.mark.parametrize(
    ("protocol", "tested"),
    [("protocol-1", [{"2-1", "2-2", "3-1", "3-2", "3-3", "3-4"}]),
     ("protocol-2", [{"3-1"}, {"3-2"}, {"3-3"}, {"3-4"}]),
     ("protocol-3", [{"3-1", "3-2", "3-3", "3-4"}, {"2-1", "2-2"}])],
)  # fmt: skip
def test_siw_protocols_test_on_what_train_lacks(protocol, tested, monkeypatch, tmp_path):
    found = scan("siw", list_files(monkeypatch, tmp_path, NAMES["siw"]), protocol)
    for expected, samples in zip(tested, found.folds.values(), strict=True):
        media = {
            learnt: {
                PurePosixPath(s.path).stem[6:9]
                for s in samples
                if s.label is Label.ATTACK and (s.split is not Split.TEST) == learnt
            }
            for learnt in (True, False)
        }
        assert media[False] == expected
        assert protocol == "protocol-1" or media[True].isdisjoint(expected)
        assert subjects_across_splits(samples) == {}


@pytest.mark.parametrize("name", ["lcc-fasd", "siw", "rose-youtu", "celeba-spoof"])
def test_letters_of_other_scripts_make_no_name_of_a_set(name, monkeypatch, tmp_path):
    odd = [path.replace("s", "\u017f") for path in NAMES[name] if "spoof" in path or "Ps" in path]  # a long s
    found = scan(name, list_files(monkeypatch, tmp_path, [*NAMES[name], *odd]))
    assert {path for path, _ in found.skipped} == set(odd)


def test_siw_reads_the_names_of_its_release_that_end_twice(monkeypatch, tmp_path):
    names = [*NAMES["siw"], "Test/live/153/153-2-1-1-1.m.mov"]
    found = {s.path: s for s in _samples(scan("siw", list_files(monkeypatch, tmp_path, names)))}
    assert found["Test/live/153/153-2-1-1-1.m.mov"].subject == "153"


def test_wmca_protocols_follow_the_list_of_the_copy(tmp_path):
    touch_files(tmp_path, NAMES["wmca"])
    with pytest.raises(DatasetError, match="holds no CSV file that names the group"):
        scan("wmca", tmp_path, "grandtest")
    groups = ["train", "train", "train", "train", "dev", "dev", "eval", "eval"]
    lines = [f"{number},{path[22:25]},{path.removesuffix('.avi')},{groups[int(path[22:25]) - 1]},x"
             for number, path in enumerate(NAMES["wmca"])]  # fmt: skip
    (tmp_path / "PROTOCOL.csv").write_text("\n".join(["num,client,video,group,label", *lines[:-1]]))
    (tmp_path / "long.csv").write_text("x" * 200_000)
    with pytest.raises(DatasetError, match=r"long\.csv, line 1: not CSV "):
        scan("wmca", tmp_path, "grandtest")
    (tmp_path / "long.csv").unlink()
    found = scan("wmca", tmp_path, "grandtest")
    assert counts(_samples(found)) == {"train": (4, 36), "dev": (2, 18), "test": (2, 17)}
    assert [why for _, why in found.skipped] == ["in no list of the protocol"]
    unseen = scan("wmca", tmp_path, "unseen-attack")
    assert list(unseen.folds) == [f"fold{number}" for number in range(1, 8)]
    for samples in unseen.folds.values():
        [tested] = {s.attribute("species") for s in samples if s.split is Split.TEST and s.label is Label.ATTACK}
        learnt = {s.attribute("species") for s in samples if s.split is not Split.TEST}
        assert len(learnt) == 7 and tested not in learnt  # six kinds, and None for bona fide


def test_wmca_list_may_name_videos_with_any_folder_and_ending_but_one_group_for_each(tmp_path):
    touch_files(tmp_path, NAMES["wmca"])
    groups = ["train", "train", "train", "dev", "dev", "dev", "eval", "eval"]
    endings = [".avi", ".HDF5", ".h5", ""] * len(NAMES["wmca"])
    names = [path.replace("/", "\\").replace(".avi", end) for path, end in zip(NAMES["wmca"], endings, strict=False)]
    lines = [f"{name},{groups[int(path[22:25]) - 1]}" for name, path in zip(names, NAMES["wmca"], strict=True)]
    lines[0] = lines[0].replace(",", ";")
    (tmp_path / "a.csv").write_text("\n".join(lines))
    assert counts(_samples(scan("wmca", tmp_path, "grandtest"))) == {"train": (3, 27), "dev": (3, 27), "test": (2, 18)}
    (tmp_path / "b.csv").write_text(lines[0].replace("train", "eval"))
    with pytest.raises(DatasetError, match=r"b\.csv puts 001_\w+ into test, but an earlier line puts it into train"):
        scan("wmca", tmp_path, "grandtest")


@pytest.mark.parametrize(
    ("dataset", "protocol", "kept", "message"),
    [
        ("replay-mobile", "mattescreen", "real|print", "protocol mattescreen needs .* got 390 bona fide and 0 attack"),
        ("oulu-npu", "protocol-3", "Test_files/1_", "protocol-3, fold2 needs .* got 0 bona fide and 0 attack"),
        ("siw", "protocol-3", "-[12]-[12]-[12].mov", "the train split of siw, protocol protocol-3, fold2 needs"),
        ("siw", "protocol-1", "Test", "the train split is empty, and dev would be a part of it"),
    ],
    ids=["no-attack", "no-sample", "no-attack-in-train", "no-train"],
)
def test_a_copy_that_lacks_what_a_protocol_needs_is_refused(dataset, protocol, kept, message, monkeypatch, tmp_path):
    names = [name for name in NAMES[dataset] if re.search(kept, name)]
    root = list_files(monkeypatch, tmp_path / "set", names)
    with pytest.raises(DatasetError, match=message):
        prepare(dataset, root, tmp_path / "out", PrepareSettings(protocol=protocol))
    assert not (tmp_path / "out").exists()


def test_msu_mfsd_with_a_list_that_names_nobody_is_refused(tmp_path):
    root = touch_files(tmp_path, layouts.msu(range(1, 4)))
    (root / "train_sub_list.txt").write_text("")
    (root / "test_sub_list.txt").write_text("01\n02")
    with pytest.raises(DatasetError, match="the train split is empty"):
        scan("msu-mfsd", root)


@pytest.mark.parametrize("line", ["x1", "1x", "-1", "1;2", "client001", "\u0661", "1000"])
def test_msu_mfsd_with_a_damaged_line_in_a_list_is_refused_by_its_line(line, tmp_path):
    root = touch_files(tmp_path, layouts.msu(range(1, 4)))
    (root / "train_sub_list.txt").write_text("2\n3\n")
    (root / "test_sub_list.txt").write_text(f"\ufeff04\n\n{line}\n", encoding="utf-8")
    with pytest.raises(
        DatasetError,
        match=rf"test_sub_list\.txt, line 3: expected the number of a subject \(at most 999\), got '{line}'$",
    ):
        scan("msu-mfsd", root)


def test_msu_mfsd_with_a_very_long_number_in_both_lists_is_one_short_line(tmp_path):
    root = touch_files(tmp_path, layouts.msu(range(1, 4)))
    for name in ("train_sub_list.txt", "test_sub_list.txt"):
        (root / name).write_text(f"1\n{'7' * 5000}\n")
    with pytest.raises(DatasetError, match=r"train_sub_list\.txt, line 2: expected the number of a subject") as caught:
        scan("msu-mfsd", root)
    assert "777" not in str(caught.value)


def test_msu_mfsd_follows_the_lists_of_the_copy(tmp_path):
    root = touch_files(tmp_path / "MSU-MFSD", layouts.msu())
    with pytest.raises(DatasetError, match=r"holds no train_sub_list\.txt, which names the train subjects"):
        scan("msu-mfsd", tmp_path)
    (root / "train_sub_list.txt").write_text("\n".join(f"{number:02d}" for number in range(1, 16)))
    (root / "test_sub_list.txt").write_text("\n".join(f"{number:02d}" for number in range(15, 35)))
    with pytest.raises(DatasetError, match=r"names subject 15, which train_sub_list\.txt names too"):
        scan("msu-mfsd", tmp_path)
    (root / "test_sub_list.txt").write_text("\n".join(f"{number:02d}" for number in range(16, 35)))
    found = scan("msu-mfsd", tmp_path)
    samples = _samples(found)
    assert counts(samples)["test"] == (38, 114)
    assert sum(map(sum, list(counts(samples).values())[:2])) == 15 * 8
    assert Counter(why for _, why in found.skipped) == {"its subject is in neither list": 8}
    assert found.notes == []
    assert {s.attack_type for s in samples} == {None, AttackType.PRINT, AttackType.REPLAY_VIDEO}


def _celeba(root):
    """The files of CelebA-Spoof, and lists that name images of each split, and one image that the copy lacks."""
    touch_files(root, ["Data/train/1/live/000001_BB.txt", *layouts.celeba()])
    for folder in ("intra_test", "protocol2/test_on_high_quality_device", "protocol2/test_on_low_quality_device"):
        for split in ("train", "test"):
            entries = {name: [0] * 40 + ([0] * 4 if "live" in name else [7, 4, 1, 1])
                       for name in layouts.celeba() if f"/{split}/" in name}  # fmt: skip
            entries |= {"Data/test/99/live/9.jpg": [0] * 44} if split == "test" else {}
            path = root / "metas" / folder / f"{split}_label.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(entries))


def test_celeba_spoof_reads_instruments_and_splits_from_its_lists(tmp_path):
    _celeba(tmp_path / "CelebA_Spoof")
    found = scan("celeba-spoof", tmp_path)
    samples = _samples(found)
    assert counts(samples) == {"train": (9, 9), "dev": (1, 1), "test": (2, 2)}
    assert {sample.attack_type for sample in samples} == {None, AttackType.REPLAY_PHOTO}
    spoof = next(sample for sample in samples if sample.attack_type)
    assert dict(spoof.attributes) == {"instrument": "PC", "illumination": "dark", "environment": "indoor"}
    assert found.skipped == []
    assert found.notes == [
        "train holds 20 images, but the published set has 494405",
        "test holds 4 images, but the published set has 67170",
        "the lists in intra_test name 1 image that the copy does not hold",
    ]
    assert list(scan("celeba-spoof", tmp_path, "protocol-2").folds) == ["fold1", "fold2"]
    (tmp_path / "CelebA_Spoof/Data/test/11/live/000011.jpg").rename(tmp_path / "CelebA_Spoof/Data/test/11/spoof/7.jpg")
    entries = json.loads((tmp_path / "CelebA_Spoof/metas/intra_test/test_label.json").read_text())
    entries["Data/test/11/spoof/7.jpg"] = [0] * 44
    (tmp_path / "CelebA_Spoof/metas/intra_test/test_label.json").write_text(json.dumps(entries))
    assert scan("celeba-spoof", tmp_path).skipped == [
        ("CelebA_Spoof/Data/test/11/spoof/7.jpg", "its folder and the list name different classes")
    ]
    with pytest.raises(DatasetError, match="holds no lists metas/protocol1/train_label.json"):
        scan("celeba-spoof", tmp_path, "protocol-1")


def test_celeba_spoof_reads_the_lists_of_any_copy_and_each_image_once(tmp_path):
    touch_files(tmp_path / "A", layouts.celeba())
    assert counts(_samples(scan("celeba-spoof", tmp_path))) == {"train": (9, 9), "dev": (1, 1), "test": (2, 2)}
    _celeba(tmp_path / "B")
    samples = _samples(scan("celeba-spoof", tmp_path))
    assert counts(samples) == {"train": (9, 9), "dev": (1, 1), "test": (2, 2)}
    assert {sample.attribute("instrument") for sample in samples} == {None, "PC"}


def test_celeba_spoof_lists_that_both_name_an_image_are_refused(tmp_path):
    _celeba(tmp_path)
    lists = tmp_path / "metas/intra_test"
    (lists / "test_label.json").write_text((lists / "train_label.json").read_text())
    with pytest.raises(DatasetError, match=r"both lists in .*intra_test name 20 images \(first: data/train/1/live"):
        scan("celeba-spoof", tmp_path)


@pytest.mark.parametrize(
    "text", ["{", "[1]", '{"Data/train/1/live/1.jpg": 5}', '{"a": ["x"]}', f'{{"a": [{"Infinity," * 43}1]}}']
)
def test_a_damaged_list_of_celeba_spoof_is_one_line(text, tmp_path):
    _celeba(tmp_path)
    (tmp_path / "metas/intra_test/test_label.json").write_text(text)
    with pytest.raises(DatasetError, match=r"test_label\.json is not a list of CelebA-Spoof") as error:
        scan("celeba-spoof", tmp_path)
    assert "\n" not in str(error.value)


def test_lcc_fasd_knows_the_subjects_that_names_state_and_counts_the_others(monkeypatch, tmp_path):
    names = [*layouts.lcc(), "LCC_FASD_evaluation/real/YOUTUBE_id1_s3_1.png"]
    found = scan("lcc-fasd", list_files(monkeypatch, tmp_path, names))
    assert "1 image names no subject; each counts as a separate subject" in found.notes
    assert "1 subject is in more than one split (first: YOUTUBE_id1 in train and test)" in found.notes


def test_silent_face_uses_one_scale_and_class_1_is_bona_fide(monkeypatch, tmp_path):
    found = scan("silent-face", list_files(monkeypatch, tmp_path, NAMES["silent-face"]))
    samples = _samples(found)
    assert {sample.path.split("/")[1] for sample in samples} == {"org_1_80x60"}
    assert {s.path.split("/")[2] for s in samples if s.label is Label.BONA_FIDE} == {"1"}
    assert {s.attribute("species") for s in samples} == {None, "class 0", "class 2"}
    assert {sample.split for sample in samples} == {None}
    assert "left out as the same images at other scales: 1_80x80 (30), 2.7_80x80 (30)" in found.notes[0]
    assert "a detector may find no face" in found.notes[1]
    assert not any("leaky" in note for note in found.notes)
    random = scan("silent-face", tmp_path, "random80")
    assert random.notes[-1].startswith("leaky protocol: no folder names a person")
    assert counts(_samples(random)) == {"train": (7, 14), "dev": (1, 2), "test": (2, 4)}


def test_silent_face_keeps_split_folders_and_needs_no_scale_folder(monkeypatch, tmp_path):
    names = [f"{part}/{kind}/{n}.png" for part in ("train", "val", "test") for kind in "012" for n in range(2)]
    outside = ["anna/1/1.png", "0/9.png"]
    found = scan("silent-face", list_files(monkeypatch, tmp_path, [*names, *outside]))
    assert counts(_samples(found)) == {"train": (2, 4), "dev": (2, 4), "test": (2, 4)}
    assert dict(found.skipped)["0/9.png"] == "outside the train, dev and test folders"
    assert "anna/1/1.png" in dict(found.skipped)


def test_oulu_npu_is_prepared_with_the_facts_of_its_names(no_network, tmp_path):
    video = clip(tmp_path / "one.avi", codec="mpeg4", count=2)
    for name in layouts.oulu((1, 21, 36)):
        if name.split("/")[1].startswith("1_1"):
            link(video, tmp_path / "OULU" / name)
    summary = prepare_videos("oulu-npu", tmp_path / "OULU", tmp_path / "out", count=1)
    samples = read_manifest(tmp_path / "out/manifest.csv")
    assert counts(samples) == {"train": (1, 4), "dev": (1, 4), "test": (1, 4)}
    assert {sample.attribute("phone") for sample in samples} == {"1"}
    instruments = {sample.attribute("instrument") for sample in samples}
    assert instruments == {None, "printer 1", "printer 2", "display 1", "display 2"}
    assert {sample.species for sample in samples} == {None, "print", "replay_video"}
    assert "train holds 1 bona_fide video, but the published set has 360" in summary.notes
    assert not any(note.startswith("manifest") for note in summary.notes)


@pytest.mark.parametrize(
    ("dataset", "protocol", "kept", "notes"),
    [
        ("rose-youtu", "official", r"_([2-9]|1[0-2])_\d+\.", ["manifest.csv has no test samples"]),
        ("oulu-npu", "protocol-1", r"/\d_[12]_", ["manifest.csv has no test samples"]),
        (
            "oulu-npu",
            "protocol-1",
            r"(Train|Dev)_files|/\d_3_.*_[2-5]\.",
            ["manifest.csv has no bona fide samples in test"],
        ),
        (
            "oulu-npu",
            "protocol-3",
            r"Test_files/1_|(Train|Dev)_files/[2-6]_",
            [f"manifest-fold{n}.csv has no test samples" for n in range(2, 7)],
        ),
    ],
    ids=["rose", "oulu-1", "oulu-1-class", "oulu-3"],
)
def test_prepare_notes_the_splits_and_classes_that_a_manifest_lacks(
    dataset, protocol, kept, notes, no_network, tmp_path
):
    video = clip(tmp_path / "one.avi", codec="mpeg4", count=2)
    for name in NAMES[dataset]:
        if re.search(kept, name):
            link(video, tmp_path / "set" / name)
    summary = prepare_videos(dataset, tmp_path / "set", tmp_path / "out", count=1, protocol=protocol)
    assert [note for note in summary.notes if note.startswith("manifest")] == notes
    [run] = json.loads((tmp_path / "out/prepare.json").read_text())["runs"]
    assert run["notes"] == summary.notes


def test_silent_face_is_prepared_without_splits(no_network, tmp_path):
    for name in layouts.silent_face(["org_1_80x60"]):
        write_image(tmp_path / "data" / name, np.full((80, 60, 3), 90, np.uint8))
    summary = prepare("silent-face", tmp_path / "data", tmp_path / "out", jobs=1)
    assert not any(note.startswith("manifest") for note in summary.notes)
    samples = read_manifest(tmp_path / "out/manifest.csv")
    assert Counter(sample.label for sample in samples) == {Label.ATTACK: 20, Label.BONA_FIDE: 10}
    assert {sample.split for sample in samples} == {None}


def test_a_relative_folder_gives_the_same_paths(monkeypatch, tmp_path):
    touch_files(tmp_path / "set", layouts.lcc())
    monkeypatch.chdir(tmp_path / "set")
    paths = [sample.path for sample in _samples(scan("lcc-fasd", Path()))]
    assert paths == [sample.path for sample in _samples(scan("lcc-fasd", tmp_path / "set"))]
