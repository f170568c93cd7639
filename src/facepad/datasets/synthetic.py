"""The synthetic data set: procedural people before a camera, and attacks with prints and screens that show them.

Licence: this package draws the pictures from random numbers. They show no real person and may be used freely.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from facepad.datasets.procedural.clips import Clip, plan_clips, shots
from facepad.errors import DatasetError
from facepad.files.disk import write_bytes
from facepad.files.locks import new_folder
from facepad.media.videos import write_video
from facepad.runtime.arguments import require_positive
from facepad.runtime.parallel import available_cpus, worker_pool
from facepad.runtime.progress import progress_bar
from facepad.types import Sample

__all__ = ["SyntheticSet", "generate"]

_MIN_SUBJECTS = 4  # two for train, one for dev, one for test
_MIN_SIDE = 120


@dataclass(frozen=True, slots=True)
class SyntheticSet:
    """Settings of a synthetic data set.

    Attributes:
        subjects: Number of people, at least 4; of a site, which has no splits, at least 1.
        seed: Seed of the people and images, at least 0.
        images_per_subject: Number of images of each person, at least 2. Half of the images are bona fide.
        size: (height, width) of the images, at least 120 pixels each.
        video: Whether each presentation is written as a video (MPEG-4, up to 5 frames) instead of images.
        site: Whether the folders have the form of a site: live/<subject>/ and spoof/<instrument>/<subject>/.

    Raises:
        DatasetError: a value is out of its range.
    """

    subjects: int = 12
    seed: int = 0
    images_per_subject: int = 50
    size: tuple[int, int] = (480, 640)
    video: bool = False
    site: bool = False

    def __post_init__(self) -> None:
        if self.subjects < (1 if self.site else _MIN_SUBJECTS):
            least = "1" if self.site else f"{_MIN_SUBJECTS}, because train, dev and test have different subjects"
            raise DatasetError(f"subjects: expected at least {least}; got {self.subjects}")
        if self.images_per_subject < 2:
            raise DatasetError(
                f"images per subject: expected at least 2 (bona fide and attack), got {self.images_per_subject}"
            )
        if min(self.size) < _MIN_SIDE:
            raise DatasetError(f"size: expected (height, width) of at least {_MIN_SIDE} pixels each, got {self.size}")
        if self.seed < 0:
            raise DatasetError(f"seed: expected 0 or more, got {self.seed}")


def generate(out: Path, wanted: SyntheticSet, *, jobs: int | None = None, progress: bool = False) -> list[Sample]:
    """Draw a labelled data set of procedural faces and attacks into ``out``.

    Half of each subject's images are bona fide. The other images show a print or a photo on a screen. Subjects are
    divided 50/25/25 % into train, dev and test. Camera, compression, framing and light have the same distribution in
    both classes. The same seed gives the same bytes for any number of jobs (with the same OpenCV and numpy).

    Images are written to ``images/<subject>/``. Videos are written to the folders ``<split>/live/<subject>/`` and
    ``<split>/spoof/<instrument>/<subject>/``, which the data set ``video-folder`` can read. The folders of a site are
    those of videos without the split; ``facepad adapt`` reads them.

    Args:
        out: An absent or empty folder.
        wanted: The settings of the data set.
        jobs: Number of worker processes; None takes the number of CPU cores that this process may use. Several workers
            are spawned; a script therefore needs the usual ``if __name__ == "__main__"`` guard.
        progress: Whether to show a progress bar on stderr.

    Returns:
        One sample per image, by subject and presentation. ``path`` is relative to ``out``, ``box`` is the exact
        canonical face square, ``video`` is the name of the presentation and ``frame`` is the image's number in the
        presentation. For videos, one sample per video, without ``box``, ``video`` and ``frame``.

    Raises:
        InputError: ``jobs`` is below 1.
        OutputExistsError: ``out`` is not empty.
        BusyError: another process writes to ``out``.
        RunError: a file cannot be written.
    """
    require_positive("jobs", jobs)
    clips = plan_clips(wanted.subjects, wanted.seed, wanted.images_per_subject)
    record = partial(_record_video if wanted.video else _record_images, out=Path(out), wanted=wanted)
    total = len(clips) if wanted.video else sum(clip.frames for clip in clips)
    samples: list[Sample] = []
    with new_folder(out, "drawing faces"), progress_bar("drawing faces", total, shown=progress) as advance:
        for recorded in _record_all(clips, record, min(jobs or available_cpus(), len(clips))):
            samples.extend(recorded)
            advance(len(recorded))
    return samples


def _record_all(clips: Sequence[Clip], record: Callable[[Clip], list[Sample]], jobs: int) -> Iterator[list[Sample]]:
    """Record the clips in order, in this process or in ``jobs`` spawned processes."""
    if jobs == 1:
        yield from map(record, clips)
        return
    with worker_pool(jobs) as pool:
        yield from pool.map(record, clips)


def _record_images(clip: Clip, out: Path, wanted: SyntheticSet) -> list[Sample]:
    """Render one clip, write the images, and return the images' samples."""
    name, stem = _name(clip), f"{clip.number:02d}-{clip.kind}"
    samples = []
    for number, (camera, image, box) in enumerate(shots(clip, wanted.size)):
        path = f"{_folder(clip, wanted)}/{stem}-{number}.jpg"
        write_bytes(out / path, camera.encode(image), sync=False)
        samples.append(Sample(path, name, clip.label, clip.attack_type, clip.split, f"{name}/{stem}", number, box))
    return samples


def _record_video(clip: Clip, out: Path, wanted: SyntheticSet) -> list[Sample]:
    """Render one clip, write the video, and return the video's sample."""
    path = f"{_folder(clip, wanted)}/{clip.number:02d}-{clip.kind}.mp4"
    write_video(out / path, (image for _, image, _ in shots(clip, wanted.size)))
    return [Sample(path, _name(clip), clip.label, clip.attack_type, clip.split)]


def _name(clip: Clip) -> str:
    return f"s{clip.subject:03d}"


def _folder(clip: Clip, wanted: SyntheticSet) -> str:
    """The folder of a clip's files, relative to the output folder."""
    of_class = f"spoof/{clip.attack_type}" if clip.attack_type else "live"
    if wanted.site:
        return f"{of_class}/{_name(clip)}"
    return f"{clip.split}/{of_class}/{_name(clip)}" if wanted.video else f"images/{_name(clip)}"
