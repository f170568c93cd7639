"""Data sets of videos: names and counts of CASIA-MFSD and Replay-Attack, frames taken out, bad videos, resuming."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from facepad.datasets import DATASETS, frames, synthetic
from facepad.datasets.manifest import read_manifest, write_manifest
from facepad.datasets.prepare import prepare
from facepad.datasets.replay_attack import canonical_square
from facepad.datasets.splits import subjects_across_splits
from facepad.datasets.synthetic import generate
from facepad.errors import DatasetError, InputError, ManifestError, OutputExistsError
from facepad.faces import FoundBox
from facepad.media.images import read_image, write_image
from facepad.media.videos import read_video
from facepad.types import AttackType, Box, Label, Sample, Split

CASIA, REPLAY, VIDEO_FOLDER = (DATASETS[name] for name in ("casia-mfsd", "replay-attack", "video-folder"))
CASIA_NAMES = [*(str(n) for n in range(1, 9)), *(f"HR_{n}" for n in range(1, 5))]
KINDS = [(None, None), (AttackType.PRINT, "laser"), (AttackType.REPLAY_PHOTO, "oled")]
REPLAY_CLIENTS = {"train": range(1, 16), "devel": range(16, 31), "test": range(31, 51)}


def clip(path: Path, *, codec: str = "mjpeg", count: int = 5, seed: int = 0, size=(24, 32)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for _ in range(count):
            image = np.full((*size, 3), rng.integers(0, 255, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode())
    return path


def link(source: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.link(source, path)


def casia_tree(root: Path, video: Path) -> Path:
    for part, people in (("train_release", 20), ("test_release", 30)):
        for person in range(1, people + 1):
            for name in CASIA_NAMES:
                link(video, root / part / str(person) / f"{name}.avi")
    return root


def replay_names(part: str) -> list[str]:
    names = []
    for client in REPLAY_CLIENTS[part]:
        who = f"client{client:03d}_session01"
        for light in ("adverse", "controlled"):
            names += [f"{part}/real/{who}_webcam_authenticate_{light}_{take}" for take in (1, 2)]
            for support in ("fixed", "hand"):
                names.append(f"{part}/attack/{support}/attack_print_{who}_highdef_photo_{light}")
                names += [
                    f"{part}/attack/{support}/attack_{device}_{who}_{device}_{kind}_{light}"
                    for device in ("mobile", "highdef")
                    for kind in ("photo", "video")
                ]
    return names


def replay_tree(root: Path, video: Path) -> Path:
    for part in REPLAY_CLIENTS:
        for name in replay_names(part):
            link(video, root / f"{name}.mov")
    return root


@pytest.fixture(scope="module")
def casia(tmp_path_factory):
    base = tmp_path_factory.mktemp("casia")
    return casia_tree(base / "CASIA_faceAntisp", clip(base / "one.avi", codec="mpeg4"))


@pytest.fixture(scope="module")
def replay(tmp_path_factory):
    base = tmp_path_factory.mktemp("replay")
    return replay_tree(base / "replayattack", clip(base / "one.mov", count=3))


def counts(samples: list[Sample]) -> dict[str, tuple[int, int]]:
    found = Counter((sample.split, sample.label) for sample in samples)
    return {split.value: (found[split, Label.BONA_FIDE], found[split, Label.ATTACK]) for split in Split}


def run(dataset: str, root: Path, out: Path, **options):
    return prepare(dataset, root, out, jobs=2, progress=False, **options)


# CASIA-MFSD


def test_casia_has_the_published_600_videos_and_a_dev_part_of_train(casia):
    scan = CASIA.scan(casia, "grandtest", 0)
    samples = scan.folds[""]
    assert counts(samples) == {"train": (45, 135), "dev": (15, 45), "test": (90, 270)}
    assert Counter(sample.attack_type for sample in samples) == {
        None: 150,
        AttackType.WARPED_PRINT: 150,
        AttackType.CUT_PRINT: 150,
        AttackType.REPLAY_VIDEO: 150,
    }
    assert subjects_across_splits(samples) == {}
    assert len({sample.subject for sample in samples}) == 50
    assert (scan.skipped, scan.notes) == ([], [])
    other = CASIA.scan(casia, "grandtest", 1).folds[""]
    dev, again = ({s.subject for s in found if s.split is Split.DEV} for found in (samples, other))
    assert dev != again


def test_casia_reads_what_names_say(casia):
    found = {sample.path: sample for sample in CASIA.scan(casia, "grandtest", 0).folds[""]}
    assert replace(found["train_release/7/HR_1.avi"], split=None) == Sample(
        "train_release/7/HR_1.avi", "07", Label.BONA_FIDE
    )
    kinds = {name: found[f"test_release/3/{name}.avi"] for name in CASIA_NAMES}
    assert {sample.subject for sample in kinds.values()} == {"23"}
    assert [kinds[name].attack_type for name in ("1", "2", "HR_1")] == [None] * 3
    assert {kinds[name].attack_type for name in ("3", "4", "HR_2")} == {AttackType.WARPED_PRINT}
    assert {kinds[name].attack_type for name in ("5", "6", "HR_3")} == {AttackType.CUT_PRINT}
    assert {kinds[name].attack_type for name in ("7", "8", "HR_4")} == {AttackType.REPLAY_VIDEO}


@pytest.mark.parametrize(
    ("protocol", "test", "names"),
    [
        ("normal-quality", (30, 90), {"1", "3", "5", "7"}),
        ("low-quality", (30, 90), {"2", "4", "6", "8"}),
        ("high-quality", (30, 90), {"HR_1", "HR_2", "HR_3", "HR_4"}),
        ("warped", (90, 90), {"1", "2", "HR_1", "3", "4", "HR_2"}),
        ("cut", (90, 90), {"1", "2", "HR_1", "5", "6", "HR_3"}),
        ("video", (90, 90), {"1", "2", "HR_1", "7", "8", "HR_4"}),
    ],
)
def test_casia_protocols_keep_their_videos(casia, protocol, test, names):
    samples = CASIA.scan(casia, protocol, 0).folds[""]
    assert counts(samples)["test"] == test
    assert {Path(sample.path).stem for sample in samples} == names


def test_casia_takes_other_cases_and_a_folder_above_and_tells_what_differs(tmp_path):
    for part, people in (("train_release", 8), ("test_release", 2)):
        for person in range(1, people + 1):
            for name in CASIA_NAMES:
                file = tmp_path / "set" / part / str(person) / f"{name.lower()}.AVI"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
    for extra in ("train_release/1/HR_1.avi", "train_release/1/9.avi", "train_release/21/1.avi", "test_release/a.txt"):
        (tmp_path / "set" / extra).parent.mkdir(exist_ok=True)
        (tmp_path / "set" / extra).touch()
    scan = CASIA.scan(tmp_path, "grandtest", 0)
    assert scan.root == tmp_path / "set"
    assert len(scan.folds[""]) == 120
    why = dict(scan.skipped)
    assert Counter(why.values()) == {"not a video name of CASIA-MFSD": 3, "the same video under two names": 1}
    assert scan.notes == [
        "train_release holds 24 bona_fide videos, the published set 60",
        "train_release holds 72 attack videos, the published set 180",
        "test_release holds 6 bona_fide videos, the published set 90",
        "test_release holds 18 attack videos, the published set 270",
    ]


@pytest.mark.parametrize("named", ["{}/{:04d}.png", "{}.avi/{}.png", "{}_{}.png", "{}_frame{}.png"])
def test_casia_takes_frames_in_the_place_of_videos(tmp_path, named):
    image = np.full((24, 32, 3), 90, np.uint8)
    for part, people in (("train_release", 8), ("test_release", 2)):
        for person in range(1, people + 1):
            for name in ("1", "HR_1", "3", "HR_4"):
                for index in (1, 2, 10):
                    path = f"{part}/{part}/{person}/" + named.format(name, index)  # an archive in a folder of its name
                    write_image(tmp_path / "set" / path, image)
    summary = run("casia-mfsd", tmp_path / "set", tmp_path / "out", frames_per_video=1)
    samples = read_manifest(tmp_path / "out/manifest.csv")
    assert counts(samples)["test"] == (4, 4)
    assert len({sample.video for sample in samples}) == len(samples) == 40
    assert {sample.frame for sample in samples} == {2}
    assert "no videos but 120 frames of 40: 40 of them taken" in summary.notes


# Replay-Attack


def test_replay_attack_has_the_published_1200_videos(replay):
    scan = REPLAY.scan(replay, "grandtest", 0)
    samples = scan.folds[""]
    assert counts(samples) == {"train": (60, 300), "dev": (60, 300), "test": (80, 400)}
    assert subjects_across_splits(samples) == {}
    subjects = {split: {s.subject for s in samples if s.split is split} for split in Split}
    assert [len(subjects[split]) for split in Split] == [15, 15, 20]
    assert Counter(sample.attack_type for sample in samples) == {
        None: 200,
        AttackType.PRINT: 200,
        AttackType.REPLAY_PHOTO: 400,
        AttackType.REPLAY_VIDEO: 400,
    }
    assert scan.skipped == []
    assert scan.notes == ["no folder face-locations: all faces are searched by the detector"]


@pytest.mark.parametrize(
    ("protocol", "attacks"),
    [("print", 80), ("mobile", 160), ("highdef", 160), ("digitalphoto", 160), ("photo", 240), ("video", 160)],
)
def test_replay_attack_protocols_keep_their_attacks(replay, protocol, attacks):
    assert counts(REPLAY.scan(replay.parent, protocol, 0).folds[""])["test"] == (80, attacks)


def test_replay_attack_tells_what_differs(tmp_path):
    for part in REPLAY_CLIENTS:
        for name in replay_names(part)[: 19 if part == "train" else None]:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / f"{name}.mov").touch()
    (tmp_path / "test/real/client031_session01_webcam_enroll_adverse_1.mov").touch()
    (tmp_path / "test/attack/tripod").mkdir()
    (tmp_path / "test/attack/tripod/attack_print_client031_session01_highdef_photo_adverse.mov").touch()
    scan = REPLAY.scan(tmp_path, "grandtest", 0)
    assert scan.notes[0] == "train holds 4 bona_fide videos, the published set 60"
    assert [why for _, why in scan.skipped] == ["not a video name of Replay-Attack"] * 2


def test_replay_attack_is_found_in_the_folders_of_its_archives(tmp_path):
    for part in REPLAY_CLIENTS:
        for name in replay_names(part):
            path = tmp_path / f"replayattack-{part}" / f"{name}.mov"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    faces = tmp_path / "replayattack-face-locations-v2"
    name = replay_names("devel")[0]
    write_faces(faces, name, "0 10 20 40 40")
    scan = REPLAY.scan(tmp_path, "grandtest", 0)
    assert counts(scan.folds[""]) == {"train": (60, 300), "dev": (60, 300), "test": (80, 400)}
    assert scan.notes == []
    sample = next(s for s in scan.folds[""] if s.path == f"replayattack-devel/{name}.mov")
    assert REPLAY.video_boxes is not None
    assert REPLAY.video_boxes(scan.root, sample) == {0: canonical_square(10, 20, 40, 40)}
    shutil.rmtree(tmp_path / "replayattack-train")
    with pytest.raises(DatasetError, match=r"missing: train \(found: .*devel, .*test\)"):
        REPLAY.scan(tmp_path, "grandtest", 0)


@pytest.mark.parametrize("named", ["{}/{:04d}.png", "{}.mov/frame{}.png", "{}_frame_{}.png", "{}-{:03d}.png"])
def test_replay_attack_takes_frames_in_the_place_of_videos(tmp_path, named):
    image = np.full((24, 32, 3), 90, np.uint8)
    for part in REPLAY_CLIENTS:
        for name in replay_names(part)[::20]:
            for index in (1, 2, 10, 11):
                write_image(tmp_path / "set" / named.format(name, index), image)
    summary = run("replay-attack", tmp_path / "set", tmp_path / "out", frames_per_video=2)
    samples = read_manifest(tmp_path / "out/manifest.csv")
    videos = {sample.video for sample in samples}
    assert len(videos) == 60
    assert len(samples) == 120
    assert {sample.frame for sample in samples} == {2, 11}
    assert all((tmp_path / "out" / sample.path).is_file() for sample in samples)
    assert {sample.label for sample in samples if "/real/" in sample.path} == {Label.BONA_FIDE}
    assert "no videos but 240 frames of 60: 120 of them taken" in summary.notes
    assert run("replay-attack", tmp_path / "set", tmp_path / "out", frames_per_video=2).notes == summary.notes
    with pytest.raises(OutputExistsError):
        run("replay-attack", tmp_path / "set", tmp_path / "out", frames_per_video=3)
    with pytest.raises(InputError, match="whose times are not known"):
        run("replay-attack", tmp_path / "set", tmp_path / "other", frames_per_second=3)


def test_frames_beside_whole_videos_are_skipped(tmp_path):
    for part in REPLAY_CLIENTS:
        for name in replay_names(part):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / f"{name}.mov").touch()
    frame = tmp_path / replay_names("test")[0] / "1.jpg"
    frame.parent.mkdir()
    frame.touch()
    scan = REPLAY.scan(tmp_path, "print", 0)
    assert scan.skipped == [(frame.relative_to(tmp_path).as_posix(), "a frame, beside whole videos")]
    assert counts(scan.folds[""])["test"] == (80, 80)


@pytest.mark.parametrize("adapter", [CASIA, REPLAY, VIDEO_FOLDER], ids=lambda adapter: adapter.name)
def test_video_adapters_refuse_what_is_not_theirs(tmp_path, adapter):
    with pytest.raises(DatasetError, match="does not exist"):
        adapter.scan(tmp_path / "none", adapter.protocols[0].name, 0)
    for folder in ("photos", "train_release", "test_release", "train/real", "devel/real", "test/real"):
        (tmp_path / folder).mkdir(parents=True)
    with pytest.raises(DatasetError, match="no videos"):
        adapter.scan(tmp_path, adapter.protocols[0].name, 0)
    shutil.rmtree(tmp_path / "test_release")
    shutil.rmtree(tmp_path / "test")
    with pytest.raises(DatasetError, match=r"is not CASIA-MFSD: expected|is not Replay-Attack: expected|no videos"):
        adapter.scan(tmp_path, adapter.protocols[0].name, 0)


def write_faces(root: Path, name: str, *lines: str) -> None:
    path = root / "face-locations" / f"{name}.face"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def test_replay_attack_is_prepared_whole_with_its_own_faces(tmp_path, replay):
    root = tmp_path / "replayattack"
    shutil.copytree(replay, root, copy_function=os.link)
    for part in REPLAY_CLIENTS:
        for name in replay_names(part):
            write_faces(root, name, "0 0 0 0 0", "1 8 6 10 10", "2 9 6 10 10")
    summary = run("replay-attack", root, tmp_path / "out", frames_per_video=1)
    samples = read_manifest(tmp_path / "out/manifest.csv")
    assert counts(samples) == {"train": (60, 300), "dev": (60, 300), "test": (80, 400)}
    box = canonical_square(8, 6, 10, 10)
    assert {sample.frame for sample in samples} == {1}
    assert {sample.box for sample in samples} == {Box(*(round(value, 2) for value in box.xyxy))}
    name = replay_names("test")[0]
    sample = next(sample for sample in samples if sample.video == f"{name}.mov")
    assert sample.path == f"frames/{name}/000001.jpg"
    assert read_image(tmp_path / "out" / sample.path).shape == (24, 32, 3)
    assert summary.notes == ["1200 of 1200 frames have a box from the data set's own face files"]
    assert (summary.incomplete, summary.unreadable, summary.videos_without_face) == ([], [], [])


def test_replay_attack_faces_may_lie_beside_the_set_and_leave_out_frames(tmp_path):
    root = tmp_path / "replayattack"
    name = replay_names("train")[0]
    write_faces(tmp_path, name, "0 10 20 40 40", "", "1 0 0 0 0", "3 -4 8 40 36")
    sample = Sample(f"{name}.mov", "client001", Label.BONA_FIDE)
    root.mkdir()
    assert REPLAY.video_boxes is not None
    boxes = REPLAY.video_boxes(root, sample)
    assert boxes == {0: canonical_square(10, 20, 40, 40), 3: canonical_square(-4, 8, 40, 36)}
    assert REPLAY.video_boxes(root, replace(sample, path="train/real/other.mov")) == {}
    for wrong in ("0 1 2 3", "0 1 2 3 wide"):
        write_faces(tmp_path, name, "0 10 20 40 40", wrong)
        with pytest.raises(DatasetError, match=r"\.face:2: expected 'frame x y width height', got '0 1 2 3"):
            REPLAY.video_boxes(root, sample)


def test_replay_attack_faces_are_found_in_a_set_below_the_root(tmp_path):
    for part in REPLAY_CLIENTS:
        for name in replay_names(part)[::20]:
            (tmp_path / "set" / f"{name}.mov").parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "set" / f"{name}.mov").touch()
    assert "no folder face-locations" in REPLAY.scan(tmp_path, "grandtest", 0).notes[-1]
    name = replay_names("train")[0]
    write_faces(tmp_path / "set", name, "0 10 20 40 40")
    scan = REPLAY.scan(tmp_path, "grandtest", 0)
    assert not any("face-locations" in note for note in scan.notes)
    assert REPLAY.video_boxes is not None
    sample = next(sample for sample in scan.folds[""] if sample.path == f"set/{name}.mov")
    assert REPLAY.video_boxes(scan.root, sample) == {0: canonical_square(10, 20, 40, 40)}


def test_replay_attack_takes_a_whole_copy_before_parts_of_several(tmp_path):
    for folder, parts in (("a", ["train"]), ("b", list(REPLAY_CLIENTS))):
        for part in parts:
            for name in replay_names(part)[:: 1 if folder == "b" else 30]:
                (tmp_path / folder / f"{name}.mov").parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / folder / f"{name}.mov").touch()
    samples = REPLAY.scan(tmp_path, "grandtest", 0).folds[""]
    assert {sample.path[0] for sample in samples} == {"b"}
    assert counts(samples)["train"] == (60, 300)


def test_hidden_files_and_second_names_of_videos_and_frames_are_skipped(tmp_path):
    image = np.full((24, 32, 3), 90, np.uint8)
    for part in REPLAY_CLIENTS:
        for name in replay_names(part)[::20]:
            for file in ("12.png", "._12.png", "depth_12.png", "13.png"):
                write_image(tmp_path / "frames" / name / file, image)
            for ending in ("mov", "mp4"):
                (tmp_path / "videos" / f"{name}.{ending}").parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / "videos" / f"{name}.{ending}").touch()
    for kind, times in (("frames", 2), ("videos", 1)):
        scan = REPLAY.scan(tmp_path / kind, "grandtest", 0)
        assert len(scan.folds[""]) == 60 * times
        assert sum(why == f"the same {kind[:-1]} under two names" for _, why in scan.skipped) == 60


def test_shipped_rectangles_become_squares_a_quarter_larger_and_a_little_lower():
    square = canonical_square(100, 60, 80, 80)
    assert square.width == pytest.approx(square.height)
    assert square.width == pytest.approx(1.24 * 80, rel=0.01)
    assert square.center == pytest.approx((140, 60 + 0.53 * 80), abs=0.5)


# Frames


@pytest.fixture(scope="module")
def small_tree(tmp_path_factory) -> Path:
    """24 videos of four people in three splits, of different containers."""
    root = tmp_path_factory.mktemp("small") / "set"
    number = 0
    for split, people in (("train", ("anna", "ben")), ("dev", ("cleo",)), ("test", ("dan",))):
        for who in people:
            for kind in ("live", "spoof/print", "spoof/replay"):
                clip(root / split / kind / who / "a.avi", codec="mpeg4", seed=number)
                clip(root / split / kind / who / "a.mov", seed=number + 1)
                number += 2
    return root


@pytest.fixture
def tree(small_tree, tmp_path) -> Path:
    shutil.copytree(small_tree, tmp_path / "set")
    return tmp_path / "set"


def test_video_folder_reads_labels_subjects_and_splits(tree):
    (tree / "readme.txt").touch()
    scan = VIDEO_FOLDER.scan(tree, "auto", 0)
    found = {sample.path: sample for sample in scan.folds[""]}
    assert found["test/spoof/replay/dan/a.mov"] == Sample(
        "test/spoof/replay/dan/a.mov", "dan", Label.ATTACK, AttackType.REPLAY_VIDEO, Split.TEST
    )
    assert counts(scan.folds[""]) == {"train": (4, 8), "dev": (2, 4), "test": (2, 4)}
    assert scan.skipped == [("readme.txt", "not a video file")]


def test_prepare_writes_frames_and_lists_them_with_video_and_number(tree, tmp_path):
    summary = run("video-folder", tree, tmp_path / "out", frames_per_video=2)
    samples = read_manifest(tmp_path / "out/manifest.csv")
    assert len(samples) == 48
    first = [sample for sample in samples if sample.video == "dev/live/cleo/a.avi"]
    # Beside a.mov, a.avi keeps its suffix.
    assert [sample.path for sample in first] == [f"frames/dev/live/cleo/a.avi/{n:06d}.jpg" for n in (1, 3)]
    assert [sample.frame for sample in first] == [1, 3]
    assert all(read_image(tmp_path / "out" / sample.path).shape == (24, 32, 3) for sample in samples)
    record = json.loads((tmp_path / "out/frames/dev/live/cleo/a.avi/frames.json").read_text())
    assert record["frames"] == [[1, 0.04], [3, 0.12]]
    assert len(summary.videos_without_face) == 24
    assert "videos without a face in any frame, kept: 24" in summary.to_text()
    (done,) = json.loads((tmp_path / "out/prepare.json").read_text())["runs"]
    assert done["frames_per_video"] == 2
    assert done["videos_without_face"] == summary.videos_without_face


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """The names of the videos that are opened."""
    opened: list[str] = []
    read = frames.read_video

    def spy(path, **options):
        opened.append(path.as_posix())
        return read(path, **options)

    monkeypatch.setattr(frames, "read_video", spy)
    return opened


def test_stopped_extraction_goes_on_where_it_was(tree, tmp_path, reads, monkeypatch):
    write, written = frames.write_image, []

    def stop_after_nine(path, image, **options):
        written.append(path)
        if len(written) > 9:
            raise KeyboardInterrupt
        write(path, image, **options)

    names = [sample.path for sample in VIDEO_FOLDER.scan(tree, "auto", 0).folds[""]]
    monkeypatch.setattr(frames, "write_image", stop_after_nine)
    with pytest.raises(KeyboardInterrupt):
        frames.extract_frames(names, tree, tmp_path / "out", count=2, jobs=1, progress=False)
    monkeypatch.setattr(frames, "write_image", write)
    # Four videos and a half were done.
    reads.clear()
    found = frames.extract_frames(names, tree, tmp_path / "out", count=2, jobs=1, progress=False)
    assert reads == [(tree / name).as_posix() for name in names[4:]]
    whole = frames.extract_frames(names, tree, tmp_path / "whole", count=2, jobs=2, progress=False)
    assert found == whole
    images = [path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*.jpg")]
    assert len(images) == 48
    assert all((tmp_path / "out" / i).read_bytes() == (tmp_path / "whole" / i).read_bytes() for i in images)


def test_only_changed_videos_and_lost_images_are_read_again(tree, tmp_path, reads):
    names = [sample.path for sample in VIDEO_FOLDER.scan(tree, "auto", 0).folds[""]]
    before = frames.extract_frames(names, tree, tmp_path / "out", count=2, progress=False)
    os.utime(tree / names[3], ns=(1, 1))
    (tmp_path / "out" / before[names[5]].image(1)).unlink()
    (tmp_path / "out" / before[names[7]].folder / "frames.json").write_text("{")
    reads.clear()
    assert frames.extract_frames(names, tree, tmp_path / "out", count=2, progress=False) == before
    assert sorted(reads) == sorted((tree / names[index]).as_posix() for index in (3, 5, 7))
    reads.clear()
    frames.extract_frames(names, tree, tmp_path / "out", count=3, progress=False)
    assert len(reads) == 24


def test_another_protocol_uses_the_same_frames(casia, tmp_path, reads):
    run("casia-mfsd", casia, tmp_path / "out", frames_per_video=1)
    assert len(reads) == 600
    assert len(read_manifest(tmp_path / "out/manifest.csv")) == 600
    (tmp_path / "out/manifest.csv").unlink()
    reads.clear()
    run("casia-mfsd", casia, tmp_path / "out", frames_per_video=1, protocol="high-quality")
    assert len(read_manifest(tmp_path / "out/manifest.csv")) == 200
    assert reads == []


def test_prepare_refuses_another_manifest_before_any_video_is_read(tree, tmp_path, reads):
    run("video-folder", tree, tmp_path / "out", frames_per_video=1)
    before = (tmp_path / "out/manifest.csv").read_bytes()
    reads.clear()
    with pytest.raises(OutputExistsError, match=r"manifest\.csv already holds another manifest"):
        run("video-folder", tree, tmp_path / "out", frames_per_video=1, protocol="subject-split")
    assert reads == []
    assert (tmp_path / "out/manifest.csv").read_bytes() == before
    assert run("video-folder", tree, tmp_path / "out", frames_per_video=1).counts["manifest.csv"]["dev"] == {
        "bona_fide": 2,
        "attack": 4,
    }


def test_prepare_refuses_another_number_of_frames_before_any_video_is_read(tree, tmp_path, reads):
    run("video-folder", tree, tmp_path / "out", frames_per_video=2)
    reads.clear()
    with pytest.raises(OutputExistsError, match="holds 2 frames per video, not 3 frames per video"):
        run("video-folder", tree, tmp_path / "out", frames_per_video=3)
    assert reads == []


def test_frames_are_taken_by_time_where_asked_for(tree, tmp_path, reads):
    summary = run("video-folder", tree, tmp_path / "out", frames_per_second=10)
    samples = read_manifest(tmp_path / "out/manifest.csv")
    # 5 frames of 0.04 s: the ones shown at 0 s and at 0.1 s.
    assert {sample.frame for sample in samples} == {0, 2} and len(samples) == 48
    record = json.loads((tmp_path / "out/frames/dev/live/cleo/a.avi/frames.json").read_text())
    assert (record["rate"], record["frames"]) == (10, [[0, 0.0], [2, 0.08]])
    assert (summary.frames_per_video, summary.frames_per_second) == (None, 10)
    (done,) = json.loads((tmp_path / "out/prepare.json").read_text())["runs"]
    assert (done["frames_per_video"], done["frames_per_second"]) == (None, 10)
    reads.clear()
    run("video-folder", tree, tmp_path / "out", frames_per_second=10.0)
    assert reads == []


def test_stopped_extraction_notices_that_frames_are_chosen_otherwise(tree, tmp_path, reads):
    names = [sample.path for sample in VIDEO_FOLDER.scan(tree, "auto", 0).folds[""]]
    choices = [{"count": 2}, {"rate": 10}, {"rate": 5}, {"count": 3}]
    for choice in choices:
        reads.clear()
        found = frames.extract_frames(names, tree, tmp_path / "out", progress=False, **choice)
        assert len(reads) == 24, choice
        assert found == frames.extract_frames(names, tree, tmp_path / "whole" / str(choice), progress=False, **choice)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (
            {"frames_per_second": 10},
            {"frames_per_second": 2.5},
            "holds 10 frames per second, not 2.5 frames per second",
        ),
        ({"frames_per_second": 10}, {}, "holds 10 frames per second, not 20 frames per video"),
        ({"frames_per_video": 2}, {"frames_per_second": 2}, "holds 2 frames per video, not 2 frames per second"),
    ],
)
def test_prepare_refuses_frames_chosen_otherwise_before_any_video_is_read(
    tree, tmp_path, reads, first, second, message
):
    run("video-folder", tree, tmp_path / "out", **first)
    reads.clear()
    with pytest.raises(OutputExistsError, match=message):
        run("video-folder", tree, tmp_path / "out", **second)
    assert reads == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames_per_second": 0}, "frames per second: expected a number above 0, got 0"),
        ({"frames_per_second": -1.5}, "frames per second: expected a number above 0, got -1.5"),
        ({"frames_per_second": float("inf")}, "frames per second: expected a number above 0, got inf"),
        ({"frames_per_second": float("nan")}, "frames per second: expected a number above 0, got nan"),
        ({"frames_per_video": -1}, "frames per video: expected at least 1, got -1"),
        (
            {"frames_per_second": 5, "frames_per_video": 3},
            "expected either frames per video or frames per second, got 3 and 5",
        ),
    ],
)
def test_impossible_choices_of_frames_are_refused_before_anything_is_written(tree, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        run("video-folder", tree, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_prepare_lists_unreadable_videos_and_goes_on(tree, tmp_path):
    (tree / "train/live/ben/a.mov").write_bytes(b"no video")
    summary = run("video-folder", tree, tmp_path / "out", frames_per_video=1)
    assert [name for name, _ in summary.unreadable] == ["train/live/ben/a.mov"]
    assert f"unreadable, left out: {tree / 'train/live/ben/a.mov'}: cannot be opened as a video" in summary.to_text()
    assert len(read_manifest(tmp_path / "out/manifest.csv")) == 23


def test_prepare_names_a_video_without_a_face_among_others(tree, tmp_path, monkeypatch):
    def find(paths, **_):
        boxes = {path: None if path.parts[-4:-1] == ("live", "ben", "a.mov") else Box(1, 2, 9, 10) for path in paths}
        return {path: FoundBox(box, (24, 32), None, "") for path, box in boxes.items()}

    monkeypatch.setattr("facepad.datasets.prepare.find_boxes", find)
    summary = run("video-folder", tree, tmp_path / "out", frames_per_video=2)
    assert summary.videos_without_face == ["train/live/ben/a.mov"]
    assert "videos without a face in any frame, kept: 1 (train/live/ben/a.mov)" in summary.to_text()
    assert len(read_manifest(tmp_path / "out/manifest.csv")) == 48


def test_prepare_stops_when_more_than_one_video_in_twenty_is_unreadable(tree, tmp_path):
    for name in ("a.avi", "a.mov"):
        (tree / "train/live/ben" / name).write_bytes(b"")
    with pytest.raises(DatasetError, match=r"2 of 24 videos of .* cannot be read \(first: .*ben/a\.avi: is empty\)"):
        run("video-folder", tree, tmp_path / "out", frames_per_video=1)
    assert not (tmp_path / "out/manifest.csv").exists()


def test_prepare_tells_of_videos_that_are_cut_off(tree, tmp_path):
    video = tree / "train/live/ben/a.avi"
    data = video.read_bytes()
    video.write_bytes(data[: data.index(b"idx1") - 60])
    summary = run("video-folder", tree, tmp_path / "out", frames_per_video=20)
    assert [name for name, _ in summary.incomplete] == ["train/live/ben/a.avi"]
    assert "incomplete: train/live/ben/a.avi: 1 of 5 wanted frames cannot be decoded" in summary.to_text()
    assert len(read_manifest(tmp_path / "out/manifest.csv")) == 119


def test_frames_per_video_is_for_videos(tree, tmp_path):
    with pytest.raises(InputError, match="frames per video: expected at least 1, got 0"):
        run("video-folder", tree, tmp_path / "out", frames_per_video=0)
    write_image(tmp_path / "images/live/a/1.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(InputError, match="folder is a data set of images: frames per video do not apply"):
        run("folder", tmp_path / "images", tmp_path / "out", frames_per_video=5)
    with pytest.raises(InputError, match="folder is a data set of images: frames per second do not apply"):
        run("folder", tmp_path / "images", tmp_path / "out", frames_per_second=5)
    assert not (tmp_path / "out").exists()


def test_names_that_no_manifest_can_hold_are_refused_before_extraction(tree, tmp_path, reads):
    clip(tree / "train/live/anna/b\\c.avi")
    with pytest.raises(ManifestError, match="with forward slashes"):
        run("video-folder", tree, tmp_path / "out")
    assert reads == []


# Manifests that name frames, and the synthetic videos


@pytest.fixture
def named_frames(tmp_path) -> Path:
    samples = []
    for number in range(40):
        label, attack = (Label.ATTACK, AttackType.REPLAY_VIDEO) if number % 2 else (Label.BONA_FIDE, None)
        name = f"images/{number}.png"
        write_image(tmp_path / name, np.full((24, 32, 3), 6 * number, np.uint8))
        box = Box(1, 2, 21, 22)
        samples.append(Sample(name, "anna", label, attack, Split.TEST, f"clip-{number % 2}.mov", number // 2, box))
    write_manifest(tmp_path / "mine.csv", samples)
    return tmp_path / "mine.csv"


def test_manifest_that_names_frames_passes_unchanged(named_frames):
    run("manifest", named_frames, named_frames.parent)
    assert (named_frames.parent / "manifest.csv").read_bytes() == named_frames.read_bytes()
    run("manifest", named_frames, named_frames.parent / "out")
    moved = read_manifest(named_frames.parent / "out/manifest.csv")
    assert moved == [replace(sample, path=f"../{sample.path}") for sample in read_manifest(named_frames)]


@pytest.mark.parametrize("boxes", [False, True])
def test_manifest_whose_images_moved_is_refused(named_frames, boxes):
    samples = read_manifest(named_frames)
    write_manifest(named_frames, samples if boxes else [replace(sample, box=None) for sample in samples])
    (named_frames.parent / "images").rename(named_frames.parent / "elsewhere")
    with pytest.raises(DatasetError, match=r"40 of 40 images of .*mine\.csv cannot be read \(first: .*images/0\.png"):
        run("manifest", named_frames, named_frames.parent / "out")
    assert not (named_frames.parent / "out/manifest.csv").exists()


def test_synthetic_videos_show_what_the_images_show_and_are_read_by_video_folder(tmp_path):
    shape = {"subjects": 4, "images_per_subject": 2, "size": (120, 160), "progress": False, "jobs": 1}
    made = generate(tmp_path / "videos", video=True, **shape)
    images = generate(tmp_path / "images", **shape)
    for video, image in zip(made, images, strict=True):
        assert replace(video, path="") == replace(image, path="", video=None, frame=None, box=None)
    found = VIDEO_FOLDER.scan(tmp_path / "videos", "auto", 0).folds[""]
    assert sorted(found, key=lambda s: s.path) == sorted(made, key=lambda s: s.path)
    taken = frames.extract_frames(
        [s.path for s in made], tmp_path / "videos", tmp_path / "out", count=5, progress=False
    )
    for video, image in zip(made, images, strict=True):
        assert [index for index, _ in taken[video.path].frames] == [0]
        shown = read_image(tmp_path / "out" / taken[video.path].image(0)).astype(int)
        assert np.abs(shown - read_image(tmp_path / "images" / image.path)).mean() < 6


def test_synthetic_videos_repeat(tmp_path):
    clips = [synthetic._Clip(7, 1, Split.TRAIN, number, 3, *kind) for number, kind in enumerate(KINDS)]
    for clip_ in clips:
        (first,), (second,) = (synthetic._record_video(clip_, tmp_path / name, (120, 160)) for name in ("a", "b"))
        assert first == second
        assert (tmp_path / "a" / first.path).read_bytes() == (tmp_path / "b" / first.path).read_bytes()
        assert len(list(read_video(tmp_path / "a" / first.path))) == 3
