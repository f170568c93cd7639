"""Frames in HDF5 files: the forms of 3DMAD and WMCA, and damaged, wrong and hostile files."""

from __future__ import annotations

import numpy as np
import pytest

from facepad.datasets import hdf5_frames
from facepad.datasets.frames import FrameChoice
from facepad.datasets.hdf5_frames import read_hdf5
from facepad.datasets.manifest import read_manifest
from facepad.datasets.prepare import PrepareSettings, prepare
from facepad.errors import DatasetError, InputError, VideoError
from facepad.media.images import read_image
from helpers import layouts
from helpers.layouts import touch_files


def frames(count, size=(48, 64), channels=3):
    """Frame n of 3DMAD: red is 10 n, green grows from left to right, blue is 200."""
    images = np.full((count, channels, *size), 200, np.uint8)
    images[:, 0] = 10 * np.arange(count)[:, None, None]
    images[:, 1] = np.arange(size[1])
    return images


@pytest.fixture
def write(tmp_path):
    """Write an HDF5 file: name of each array to its values."""
    h5py = pytest.importorskip("h5py")

    def write_file(arrays, name="01_01_01.hdf5"):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            for key, value in arrays.items():
                file[key] = value
        return path

    return write_file


def three_d_mad(count, **options):
    return {"Color_Data": frames(count, **options), "Depth_Data": np.zeros((count, 1, 48, 64), np.int16)}


def wmca(count, **options):
    images = frames(count, size=(128, 128), **options)
    return {f"Frame_{number}/array": image for number, image in enumerate(images)}


@pytest.mark.parametrize("make", [three_d_mad, wmca])
def test_frames_at_even_distances_are_read_upright_in_rgb(write, make):
    found = list(read_hdf5(write(make(12)), 3))
    assert [index for index, _ in found] == [2, 6, 10]
    for index, image in found:
        assert image.dtype == np.uint8 and image.shape[2] == 3
        assert image[0, 0].tolist() == [10 * index, 0, 200] and image[1, 30, 1] == 30
    assert len(list(read_hdf5(write(make(12)), 99))) == 12


def test_pixels_of_another_type_in_the_range_of_bytes_are_read(write):
    [(_, image)] = read_hdf5(write({"Color_Data": frames(1) + 0.4}), 1)
    assert image[0, 0].tolist() == [0, 0, 200]


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        (
            {"Depth_Data": np.zeros((2, 1, 4, 4), np.uint8)},
            r"expected the colour frames Color_Data \(3DMAD\) .* Depth_D",
        ),
        ({}, "got nothing"),
        (three_d_mad(0), r"expected Color_Data of the shape \(frames, 3, height, width\)"),
        ({"Color_Data": frames(2)[0]}, r"expected Color_Data of the shape"),
        (wmca(2, channels=4), r"got \(4, 128, 128\) of uint8; use the release with colour \(RGB\) images"),
        ({"Frame_0/other": frames(1)[0]}, "Frame_0/array is not an array in the file"),
        ({"Color_Data/group": np.zeros(1)}, "Color_Data is not an array in the file"),
        ({"Color_Data": frames(1) / 255}, "expected pixels in 0..255, got 0 to 0.78"),
        ({"Color_Data": np.full((1, 3, 4, 4), np.nan)}, "expected pixels in 0..255, got nan"),
        ({"Color_Data": np.full((1, 3, 4, 4), "a", "S1")}, "expected colour frames"),
    ],
    ids=["depth", "empty", "no-frame", "one-frame", "grey", "no-array", "group", "unit", "nan", "text"],
)
def test_a_file_without_colour_frames_is_one_line_with_its_name(write, arrays, says):
    path = write(arrays)
    with pytest.raises(VideoError, match=says) as error:
        list(read_hdf5(path, 2))
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_frames_that_are_too_large_are_refused_before_they_are_read(write, monkeypatch):
    monkeypatch.setattr(hdf5_frames, "MAX_PIXELS", 48 * 64 - 1)
    with pytest.raises(VideoError, match="at most 3071 pixels"):
        list(read_hdf5(write(three_d_mad(2)), 1))


def test_links_to_other_files_are_not_followed(write, tmp_path):
    h5py = pytest.importorskip("h5py")
    other = write(three_d_mad(2), "secret.hdf5")
    links = {"external": h5py.ExternalLink(str(other), "Color_Data"), "soft": h5py.SoftLink("/Depth_Data")}
    for name, link in links.items():
        path = write({}, f"{name}.hdf5")
        with h5py.File(path, "a") as file:
            file["Color_Data"] = link
        with pytest.raises(VideoError, match="Color_Data is not an array in the file"):
            list(read_hdf5(path, 1))
    layout = h5py.VirtualLayout((2, 3, 48, 64), np.uint8)
    layout[:] = h5py.VirtualSource(str(other), "Color_Data", (2, 3, 48, 64))
    with h5py.File(tmp_path / "virtual.hdf5", "w") as file:
        file.create_virtual_dataset("Color_Data", layout)
    with pytest.raises(VideoError, match="Color_Data is not an array in the file"):
        list(read_hdf5(tmp_path / "virtual.hdf5", 1))


@pytest.mark.parametrize("damage", ["cut", "text", "missing"])
def test_a_damaged_file_is_one_line_with_its_name(write, damage):
    path = write(three_d_mad(4))
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"no HDF5")
    with pytest.raises(VideoError, match="cannot be read as HDF5") as error:
        list(read_hdf5(path, 2))
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


SETS = {
    "3dmad": ([f"session0{session}/Data/{subject}_0{session}_01.hdf5" for session in (1, 3)
               for subject in ("01", "08", "13")], three_d_mad, None),
    "wmca": ([f"face-station/12.02.18/{client}_03_{client}_{kind}.hdf5" for client in range(101, 109)
              for kind in ("0_00", "4_01")], wmca, "subject-split"),
}  # fmt: skip


@pytest.mark.parametrize("name", SETS)
def test_hdf5_files_are_prepared_like_videos(name, write, no_network, tmp_path):
    paths, make, protocol = SETS[name]
    for path in paths:
        write(make(5), path)
    write(wmca(5, channels=4), f"preprocessed-face-station_CDIT/{paths[0]}")  # the second release of WMCA
    settings = PrepareSettings(protocol=protocol, frames=FrameChoice(count=2))
    if name == "3dmad":
        (tmp_path / "set/preprocessed-face-station_CDIT" / paths[0]).unlink()
    summary = prepare(name, tmp_path / "set", tmp_path / "out", settings, jobs=2)
    samples = read_manifest(tmp_path / "out" / "manifest.csv")
    assert {sample.video for sample in samples} == set(paths) and len(samples) == 2 * len(paths)
    assert {sample.frame for sample in samples} == {1, 3} and summary.unreadable == []
    image = read_image(tmp_path / "out" / samples[0].path)
    assert np.abs(image[0, 0].astype(int) - [10 * samples[0].frame, 0, 200]).max() < 12  # JPEG
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jpg")}
    prepare(name, tmp_path / "set", tmp_path / "out", settings)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jpg")}, "no file is read twice"
    with pytest.raises(InputError, match="holds HDF5 files without times; choose a number of frames, not a rate"):
        prepare(
            name, tmp_path / "set", tmp_path / "new", PrepareSettings(protocol=protocol, frames=FrameChoice(rate=1))
        )


def test_a_damaged_file_among_others_is_listed(write, no_network, tmp_path):
    for path in (f"{subject:02}_0{session}_0{shot}.hdf5" for subject in (1, 8, 13) for session in (1, 3)
                 for shot in (1, 2, 3, 4)):  # fmt: skip
        write(three_d_mad(2), path)
    (tmp_path / "set/01_01_01.hdf5").write_bytes(b"no HDF5")
    summary = prepare("3dmad", tmp_path / "set", tmp_path / "out", PrepareSettings(frames=FrameChoice(count=1)))
    [(name, reason)] = summary.unreadable
    assert name == "01_01_01.hdf5" and "cannot be read as HDF5" in reason


@pytest.mark.parametrize("name", SETS)
def test_without_h5py_the_message_names_both_ways(name, monkeypatch, tmp_path, facepad):
    monkeypatch.setattr("facepad.datasets.layout.can_read_hdf5", lambda: False)
    touch_files(tmp_path / "set", SETS[name][0])
    code, _, said = facepad("data", "prepare", name, tmp_path / "set", tmp_path / "out")
    assert code == 2 and said.count("\n") == 1 and f"holds {len(SETS[name][0])} HDF5 files of " in said
    assert "which need h5py: pip install 'facepad[hdf5]'; or convert each file to a folder of images with the" in said


def test_converted_frames_beside_the_hdf5_files_come_first_and_need_no_h5py(monkeypatch, tmp_path):
    from facepad.datasets import DATASETS

    monkeypatch.setattr("facepad.datasets.layout.can_read_hdf5", lambda: False)
    frames = [f"{path.removesuffix('.avi')}/0001.png" for path in layouts.three_d_mad()]
    touch_files(tmp_path, [*frames, *layouts.three_d_mad(".hdf5")])
    found = DATASETS["3dmad"].scan(tmp_path, "classification", 0)
    assert len(found.folds[""]) == len(frames) and found.of_frames and found.skipped == []
    touch_files(tmp_path / "empty", ["readme.txt"])
    with pytest.raises(DatasetError, match="holds no videos of 3DMAD, which are named like"):
        DATASETS["3dmad"].scan(tmp_path / "empty", "classification", 0)
