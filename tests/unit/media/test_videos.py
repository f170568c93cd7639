"""Reading videos: codecs and containers, times, rotation, broken files; every file is made here."""

from __future__ import annotations

import struct
import weakref
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facepad.errors import InputError, VideoError
from facepad.files.disk import sha256_file
from facepad.media.picking import by_rate, evenly
from facepad.media.videos import read_video, write_video

FRAMES = 12
STEP = 16  # each frame is this much brighter than the one before
FORMATS = {
    "mjpeg.avi": ("mjpeg", "yuvj420p", (48, 64)),
    "mjpeg.mov": ("mjpeg", "yuvj420p", (240, 320)),
    "mjpeg-odd.mov": ("mjpeg", "yuvj420p", (21, 33)),
    "h264.mp4": ("libx264", "yuv420p", (48, 64)),
    "h264.mov": ("libx264", "yuv420p", (48, 64)),
    "h264.avi": ("libx264", "yuv420p", (48, 64)),
    "h264-odd.mp4": ("libx264", "yuv444p", (21, 33)),
    "mpeg4.avi": ("mpeg4", "yuv420p", (48, 64)),
    "mpeg4.mp4": ("mpeg4", "yuv420p", (48, 64)),
    "mpeg4-odd.avi": ("mpeg4", "yuv420p", (21, 33)),
    "dv.avi": ("dvvideo", "yuv420p", (576, 720)),
    "dv.mov": ("dvvideo", "yuv420p", (576, 720)),
}


def picture(index: int, size: tuple[int, int]) -> np.ndarray:
    """Grey, brighter with every frame, reddish at the left and dark at the top."""
    image = np.full((*size, 3), 24 + STEP * index, np.uint8)
    image[:, : size[1] // 4, 0] += 30
    image[: size[0] // 4] = 10
    return image


def make(path: Path, *, frames: int = FRAMES, stamps=None, rotation=None, audio=None, options=None) -> Path:
    """A video by its name in FORMATS (or "x-NAME"); ``stamps`` in 1/1000 s make the frame rate vary."""
    codec, pixels, size = FORMATS[path.name.removeprefix("x-")]
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = *size, pixels
        if stamps is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation is not None:
            if not hasattr(stream, "set_display_rotation"):
                pytest.skip("this version of PyAV writes no rotation mark")
            stream.set_display_rotation(rotation)
        sound = container.add_stream("pcm_s16le", rate=8000) if audio is not None else None
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(index, size), "rgb24")
            if stamps is not None:
                frame.pts, frame.time_base = stamps[index], Fraction(1, 1000)
            container.mux(stream.encode(frame))
            if audio:
                samples = av.AudioFrame.from_ndarray(np.zeros((1, 320), np.int16), format="s16", layout="mono")
                samples.sample_rate, samples.pts = 8000, 320 * index
                container.mux(sound.encode(samples))
        container.mux(stream.encode())
    return path


def brightness(image: np.ndarray) -> float:
    """The frame number that `picture` wrote into the lower right corner."""
    height, width = image.shape[:2]
    return (float(image[height // 2 :, width // 2 :].mean()) - 24) / STEP


def numbers(frames) -> list[int]:
    """Frame indexes; each image must be the one of that index."""
    found = []
    for frame in frames:
        assert brightness(frame.image) == pytest.approx(frame.index, abs=0.45)
        found.append(frame.index)
    return found


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    return {name: make(folder / name, frames=4 if name.startswith("dv") else FRAMES) for name in FORMATS}


@pytest.mark.parametrize("name", FORMATS)
def test_every_codec_and_container_gives_all_frames_with_times(videos, name):
    frames = list(read_video(videos[name]))
    size = FORMATS[name][2]
    assert numbers(frames) == list(range(4 if name.startswith("dv") else FRAMES))
    assert [frame.seconds for frame in frames] == pytest.approx([frame.index / 25 for frame in frames], abs=1e-3)
    for frame in frames:
        assert (frame.image.shape, frame.image.dtype) == ((*size, 3), np.uint8)
        assert frame.image.flags.writeable
    red, green, blue = frames[0].image[size[0] // 2, size[1] // 16].astype(int)
    assert red - 15 > green == pytest.approx(blue, abs=8)


@pytest.mark.parametrize("name", ["mjpeg.avi", "h264.mp4", "h264.avi", "mpeg4.avi"])
def test_count_takes_frames_evenly(videos, name):
    video = read_video(videos[name], count=4)
    assert numbers(video) == [1, 4, 7, 10]
    assert (video.wanted, video.missing, video.note) == (4, 0, None)


@pytest.mark.parametrize("count", [FRAMES, 1000])
def test_count_beyond_the_frames_takes_all(videos, count):
    assert numbers(read_video(videos["mpeg4.mp4"], count=count)) == list(range(FRAMES))


@pytest.mark.parametrize(
    ("rate", "expected"), [(25, range(12)), (60, range(12)), (12.5, range(0, 12, 2)), (5, (0, 5, 10))]
)
def test_rate_takes_frames_by_time(videos, rate, expected):
    assert numbers(read_video(videos["h264.mp4"], rate=rate)) == list(expected)


def test_picked_frames_are_those_of_a_whole_reading(videos):
    for name in ("mjpeg.mov", "h264.mov"):
        whole = list(read_video(videos[name]))
        for frame in read_video(videos[name], count=3):
            assert np.array_equal(frame.image, whole[frame.index].image)


def test_number_of_threads_changes_nothing(videos):
    one, four = (list(read_video(videos["h264.mp4"], threads=threads)) for threads in (1, 4))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(one, four, strict=True))


def test_variable_frame_rate_is_even_in_time_not_in_frames(tmp_path):
    stamps = [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 500, 1000]
    video = list(read_video(make(tmp_path / "mpeg4.mp4", stamps=stamps), count=3))
    # The middles of the thirds of about 1.04 s: frame 9 is shown from 0.09 to 0.5 s, frame 10 to 1 s.
    assert numbers(video) == [9, 10, 11]
    assert [frame.seconds for frame in video] == pytest.approx([0.09, 0.5, 1.0], abs=1e-3)


@pytest.mark.parametrize(("name", "degrees"), [("h264.mp4", 90), ("h264.mov", -90), ("mjpeg.mov", 180)])
def test_rotation_mark_is_applied(tmp_path, name, degrees):
    frame = next(read_video(make(tmp_path / name, rotation=degrees)))
    expected = np.rot90(picture(0, FORMATS[name][2]), degrees // 90)
    assert frame.image.shape == expected.shape
    assert np.abs(frame.image.astype(int) - expected).mean() < 4


@pytest.mark.parametrize("audio", [True, False], ids=["sound", "sound-announced-but-missing"])
def test_sound_does_not_matter(tmp_path, audio):
    assert numbers(read_video(make(tmp_path / "mjpeg.avi", audio=audio))) == list(range(FRAMES))


def patched(source: Path, path: Path, *changes: tuple[bytes, int, bytes]) -> Path:
    """A copy of ``source`` with bytes replaced at an offset from the first occurrence of a mark."""
    data = bytearray(source.read_bytes())
    for mark, offset, new in changes:
        start = data.index(mark) + offset
        data[start : start + len(new)] = new
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("lie", [0, 3, 4000])
def test_lying_frame_count_does_not_matter(videos, tmp_path, lie):
    count = struct.pack("<I", lie)
    liar = patched(videos["mjpeg.avi"], tmp_path / "a.avi", (b"avih", 24, count), (b"strh", 40, count))
    video = read_video(liar, count=4)
    assert numbers(video) == [1, 4, 7, 10]
    assert video.note == ("its header names 4000 frames, but the file holds 12" if lie == 4000 else None)


@pytest.mark.parametrize("name", ["mjpeg.avi", "mpeg4.avi"])
def test_missing_index_does_not_matter(videos, tmp_path, name):
    assert numbers(read_video(patched(videos[name], tmp_path / "a.avi", (b"idx1", 0, b"JUNK")))) == list(range(FRAMES))


@pytest.mark.parametrize("name", ["mjpeg.avi", "mpeg4.avi"])
def test_cut_off_video_gives_its_whole_frames(videos, tmp_path, name):
    cut = tmp_path / "cut.avi"
    data = videos[name].read_bytes()
    cut.write_bytes(data[: data.index(b"movi") + (data.index(b"idx1") - data.index(b"movi")) * 6 // 10])
    video = read_video(cut)
    found = numbers(video)
    assert 4 <= len(found) < FRAMES
    assert found == list(range(len(found)))
    assert f"its header names 12 frames, but the file holds {video.wanted}" in video.note


def test_cut_off_mp4_gives_its_whole_frames(tmp_path):
    whole = make(tmp_path / "mpeg4.mp4", frames=12, options={"movflags": "faststart"})
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: -whole.stat().st_size // 5])
    video = read_video(cut)
    found = numbers(video)
    assert 1 <= len(found) < FRAMES
    assert found == list(range(len(found)))
    assert "12 frames" in video.note


def blanked(data, chunks):
    """An AVI file whose chunks at these places hold zeros."""
    damaged = bytearray(data)
    for place in chunks:
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        damaged[place + 8 : place + 8 + size] = bytes(size)
    return bytes(damaged)


def test_damaged_frame_is_left_out_and_counted(videos, tmp_path):
    data = videos["mjpeg.avi"].read_bytes()
    fifth = [place for place in range(data.index(b"movi"), len(data)) if data.startswith(b"00dc", place)][4]
    damaged = tmp_path / "damaged.avi"
    damaged.write_bytes(blanked(data, [fifth]))
    video = read_video(damaged)
    assert numbers(video) == [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11]
    assert video.missing == 1
    assert "1 of 12 wanted frames cannot be decoded" in video.note


def test_video_whose_frames_are_all_damaged_is_refused(videos, tmp_path):
    data = videos["mjpeg.avi"].read_bytes()
    start, end = data.index(b"movi") + 4, data.index(b"idx1")
    every = [place for place in range(start, end) if data.startswith(b"00dc", place)]
    (tmp_path / "a.avi").write_bytes(blanked(data, every))
    with pytest.raises(VideoError, match=r"a\.avi: none of its 12 frames can be decoded"):
        list(read_video(tmp_path / "a.avi", count=2))


def no_frames(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuvj420p"
        container.start_encoding()


def only_sound(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 320), np.int16), format="s16", layout="mono")
        samples.sample_rate = 8000
        container.mux(stream.encode(samples))
        container.mux(stream.encode())


@pytest.mark.parametrize(
    ("name", "fill", "says"),
    [
        ("none.mp4", lambda path: None, r"none\.mp4: cannot be read \(No such file"),
        ("empty.avi", lambda path: path.touch(), "is empty"),
        ("folder.avi", lambda path: path.mkdir(), r"cannot be read \(Is a directory"),
        ("text.mp4", lambda path: path.write_text("not a video" * 99), "cannot be opened as a video"),
        (
            "cut.mp4",
            lambda path: path.write_bytes(make(path.parent / "mpeg4.mp4").read_bytes()[:900]),
            "holds no video stream; is the copy complete|cannot be opened",
        ),
        ("header.avi", no_frames, r"header\.avi: (holds no frames|cannot be opened)"),
        ("sound.avi", only_sound, "holds no video stream"),
        ("a.m3u8", lambda path: path.write_text("#EXTM3U\n#EXTINF:1,\nmjpeg.avi\n"), "cannot be opened as a video"),
    ],
)
def test_file_that_is_not_a_video_is_refused_by_name(tmp_path, name, fill, says):
    fill(tmp_path / name)
    with pytest.raises(VideoError, match=says) as error:
        read_video(tmp_path / name)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_frames_over_the_pixel_limit_are_refused(videos):
    with pytest.raises(VideoError, match=r"mpeg4\.mp4: 64x48 pixels, the limit is 3000 pixels"):
        read_video(videos["mpeg4.mp4"], max_pixels=3000)


@pytest.mark.parametrize("wrong", [{"count": 0}, {"rate": 0}, {"rate": float("nan")}, {"count": 2, "rate": 2}])
def test_bad_count_and_rate_are_refused(videos, wrong):
    with pytest.raises(InputError, match=" or ".join(wrong)):
        read_video(videos["mpeg4.mp4"], **wrong)


def test_no_frame_is_kept(videos):
    images = []
    for frame in read_video(videos["mjpeg.avi"]):
        images.append(weakref.ref(frame.image))
        del frame
        assert sum(image() is not None for image in images) <= 1
    assert len(images) == FRAMES


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mov"])
def test_written_video_reads_back_and_repeats(tmp_path, suffix):
    images = [picture(index, (21, 33)) for index in range(5)]
    for name in ("a", "b"):
        write_video(tmp_path / f"new/{name}{suffix}", images, rate=10)
    frames = list(read_video(tmp_path / f"new/a{suffix}"))
    assert numbers(frames) == list(range(5))
    assert [frame.seconds for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert sha256_file(tmp_path / f"new/a{suffix}") == sha256_file(tmp_path / f"new/b{suffix}")


@pytest.mark.parametrize(("images", "says"), [([], "at least one"), ([(8, 8), (8, 9)], r"\(8, 8, 3\) and \(8, 9, 3\)")])
def test_writing_refuses_no_images_and_mixed_sizes(tmp_path, images, says):
    with pytest.raises(InputError, match=says):
        write_video(tmp_path / "a.mp4", [np.zeros((*size, 3), np.uint8) for size in images])
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=60), st.integers(1, 70))
def test_even_picks_are_different_frames_in_order(gaps, count):
    stamps = np.cumsum([0, *gaps])[:-1]
    picked = evenly(stamps, int(sum(gaps)), count).tolist()
    assert len(picked) == min(count, len(stamps))
    assert picked == sorted(set(picked))
    assert picked[0] >= 0
    assert picked[-1] < len(stamps)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(1, 120))
def test_picks_by_rate_are_the_frames_on_show(gaps, step):
    stamps, end = np.cumsum([0, *gaps])[:-1], sum(gaps)
    shown = {max(i for i, stamp in enumerate(stamps) if stamp <= tick) for tick in range(0, end, step)}
    assert by_rate(stamps, end, float(step)).tolist() == sorted(shown)


def test_packed_b_frames_of_avi_are_all_read_and_rightly_numbered():
    # MPEG-4 as DivX and XviD wrote it: a B-frame is in the chunk of the frame before it. Frame i is 24 + 6 i grey.
    # The file is an AVI of FFmpeg whose chunks were joined again, because the encoder does not pack.
    path = Path(__file__).parents[2] / "data" / "packed-b-frames.avi"
    for count, expected in ((None, range(12)), (4, (1, 4, 7, 10))):
        video = read_video(path, count=count)
        shown = [(frame.index, (float(frame.image.mean()) - 24) / 6) for frame in video]
        assert [index for index, _ in shown] == list(expected)
        assert all(abs(picture - index) < 0.75 for index, picture in shown)
        assert video.note is None


def test_metadata_that_is_not_utf8_keeps_no_video_from_being_read(tmp_path):
    path = tmp_path / "latin.mp4"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "ABCDEFGHIJ"
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))))
        container.mux(stream.encode())
    data = path.read_bytes()
    assert b"ABCDEFGHIJ" in data
    path.write_bytes(data.replace(b"ABCDEFGHIJ", b"\xff\xfe\x80\x81\xc3\x28\xa0\xa1\xff\xff"))
    assert len(list(read_video(path))) == 1


def test_wrong_arguments_are_refused_by_name(videos):
    for wrong in ("5", [1], 2.5, True, np.zeros(2)):
        with pytest.raises(InputError, match="count must be a whole number"):
            read_video(videos["h264.mp4"], count=wrong)
    for wrong in ("5", [1], True, 0, float("nan")):
        with pytest.raises(InputError, match="rate must be a number above 0"):
            read_video(videos["h264.mp4"], rate=wrong)
    for wrong in (None, 5, [1]):
        with pytest.raises(VideoError, match="expected a path or the bytes of a video"):
            read_video(wrong)
    assert numbers(read_video(str(videos["h264.mp4"]), count=1))
