"""Measure the time for reading frames of a video, compared with decoding alone.

    python benchmarks/video.py [VIDEO ...] [--repeat 5] [--threads 1]     prints Markdown

Without files, the script makes two videos in a temporary folder: H.264 in MP4 and MJPEG in MOV (320x240, 10 s at 25
frames per second, like Replay-Attack). "decode" is ffmpeg (``-f null``) if it is on the PATH, and otherwise PyAV's
decoding loop. Neither converts the frames to RGB. The script does not detect faces or write images. The times are CPU
time (user and system, of this process and its children), the best of the repeats. Other load on the machine therefore
has little effect.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np

from _common import parser, processor_time
from facepad.media.videos import read_video

CODECS = {"h264.mp4": ("libx264", "yuv420p"), "mjpeg.mov": ("mjpeg", "yuvj420p")}
SIZE, SECONDS, RATE = (240, 320), 10, 25


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("videos", type=Path, nargs="*")
    options.add_argument("--repeat", type=int, default=5)
    options.add_argument("--threads", type=int, default=1, help="decoding threads of ffmpeg (or PyAV) and of facepad")
    arguments = options.parse_args(words)
    ffmpeg = shutil.which("ffmpeg")
    print(f"{platform.machine()}, {platform.system()}, PyAV {av.__version__}, decode by {ffmpeg or 'PyAV'}, ", end="")
    print(f"{arguments.threads} threads, best of {arguments.repeat}\n")
    print("| video | frames | decode, ms | all frames, ms | ratio | 20 frames, ms | ratio |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for video in arguments.videos or made(Path(folder)):
            print(row(video, ffmpeg, arguments.repeat, arguments.threads), flush=True)


def made(folder: Path) -> list[Path]:
    """Make videos with motion and slight noise, like real videos, and return their paths."""
    rng = np.random.default_rng(0)
    rough = rng.integers(40, 215, (SIZE[0] // 8 + 40, SIZE[1] // 8 + 40, 3), dtype=np.uint8)
    scene = np.kron(rough, np.ones((8, 8, 1), np.uint8))
    for name, (codec, pixels) in CODECS.items():
        with av.open(str(folder / name), "w") as container:
            stream = container.add_stream(codec, rate=RATE, options={"crf": "20"} if codec == "libx264" else {})
            stream.height, stream.width, stream.pix_fmt = *SIZE, pixels
            for index in range(SECONDS * RATE):
                part = scene[index : index + SIZE[0], 2 * (index % 160) :][:, : SIZE[1]]
                noisy = np.clip(part + rng.normal(0, 3, part.shape), 0, 255).astype(np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, "rgb24")))
            container.mux(stream.encode())
    return [folder / name for name in CODECS]


def row(video: Path, ffmpeg: str | None, repeat: int, threads: int) -> str:
    """A row of the table. The three functions take turns, so that other load on the machine slows all of them."""
    ways: list[Callable[[], int]] = [
        lambda: decode(video, ffmpeg, threads),
        lambda: sum(1 for _ in read_video(video, threads=threads)),
        lambda: sum(1 for _ in read_video(video, count=20, threads=threads)),
    ]
    seconds: list[list[float]] = [[] for _ in ways]
    for _ in range(repeat):
        for way, taken in zip(ways, seconds, strict=True):
            start = processor_time()
            frames = way()
            taken.append(processor_time() - start)
            assert frames, video
    alone, whole, some = (1000 * min(taken) for taken in seconds)
    cells = (ways[1](), *(f"{value:.0f}" for value in (alone, whole)), f"{whole / alone:.2f}", f"{some:.0f}")
    return f"| {video.name} | {' | '.join(map(str, cells))} | {some / alone:.2f} |"


def decode(video: Path, ffmpeg: str | None, threads: int) -> int:
    """Decode all frames without using them."""
    if ffmpeg:
        options = ["-v", "error", "-threads", str(threads)]
        subprocess.run([ffmpeg, *options, "-i", str(video), "-map", "0:v:0", "-f", "null", "-"], check=True)
        return 1
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.thread_count = "AUTO", threads
        return sum(1 for _ in container.decode(stream))


if __name__ == "__main__":
    main()
