"""Face detection in many image files, in parallel, with a cache of the results."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from itertools import islice
from pathlib import Path

from facepad.errors import ImageError, RunError, reason
from facepad.faces.box_cache import BoxCache, FileStamp, FoundBox
from facepad.faces.detectors import DEFAULT_DETECTOR, Detector, create_detector
from facepad.files.disk import sha256_file
from facepad.files.opening import MaxBytes
from facepad.media.images import read_image
from facepad.runtime.arguments import require_positive
from facepad.runtime.parallel import available_cpus, worker_pool
from facepad.runtime.progress import progress_bar

__all__ = ["find_boxes"]

_Result = tuple[Path, FileStamp | None, FoundBox]

_IMAGES_PER_PROCESS = 16
"""The start of a process takes as long as the detection in about 16 images."""
_AHEAD = 4
"""Waiting images per process: enough to keep the process busy, and few enough for a quick end after Ctrl-C."""


def find_boxes(
    paths: Sequence[Path],
    *,
    detector: str = DEFAULT_DETECTOR,
    detector_model: Path | None = None,
    cache: Path | None = None,
    jobs: int | None = None,
    progress: bool = False,
) -> dict[Path, FoundBox]:
    """Find the best face of every image, in parallel processes.

    A script that calls this function needs the ``if __name__ == "__main__"`` guard, because each process imports the
    script again.

    Args:
        paths: Image files.
        detector: A key of `DETECTORS`.
        detector_model: The model file of a detector that needs one; None takes the default file.
        cache: A file that stores each result immediately. A new run takes the results of unchanged images from it.
        jobs: Number of processes (at least 1); None takes one per CPU core that this process may use.
        progress: Show a progress bar on stderr.

    Returns:
        Path -> result, in the order of ``paths``. The result of an image that cannot be read has an ``error``.

    Raises:
        InputError: an unknown detector, jobs below 1, or a cache file that is not a box cache.
        ModelError: the detector's model file is missing or wrong.
        RunError: a process died, or the cache cannot be written.
    """
    require_positive("jobs", jobs)
    finder = create_detector(detector, model=detector_model)
    wanted = list(dict.fromkeys(Path(path) for path in paths))
    found: dict[Path, FoundBox] = {}
    known = BoxCache(cache, finder.identity)
    with progress_bar("finding faces", len(wanted), shown=progress) as advance:
        for path in wanted:
            if (result := known.get(path)) is not None:
                found[path] = result
                advance()
        missing = [path for path in wanted if path not in found]
        with closing(_detect_all(missing, finder, jobs or available_cpus())) as results:
            for path, stamp, result in results:
                known.add(path, stamp, result)
                found[path] = result
                advance()
    return {path: found[path] for path in wanted}


def _detect_all(paths: Sequence[Path], detector: Detector, jobs: int) -> Generator[_Result, None, None]:
    """The results in order of completion."""
    processes = min(jobs, -(-len(paths) // _IMAGES_PER_PROCESS))
    if processes <= 1:
        for path in paths:
            yield _detect(path, detector)
        return
    try:
        with worker_pool(processes, _start_worker, (detector.name, getattr(detector, "model", None))) as pool:
            yield from _in_order_of_completion(pool, paths, _AHEAD * processes)
    except BrokenProcessPool as error:
        raise RunError(
            "a detection process died: too little memory, or a script without an `if __name__ == '__main__'` guard; "
            "the results so far are in the cache, if one was named"
        ) from error


def _in_order_of_completion(pool: Executor, paths: Sequence[Path], ahead: int) -> Iterator[_Result]:
    waiting_paths = iter(paths)

    def submit(count: int) -> set[Future[_Result]]:
        return {pool.submit(_detect_in_worker, path) for path in islice(waiting_paths, count)}

    running = submit(ahead)
    while running:
        done, running = wait(running, return_when=FIRST_COMPLETED)
        running |= submit(len(done))
        for future in done:
            yield future.result()


def _detect(path: Path, detector: Detector) -> _Result:
    """Detect the face in one file. The stamp is read first, so that a change during detection shows later."""
    try:
        stamp = FileStamp.of(path)
        digest = sha256_file(path, MaxBytes.IMAGE)
    except (OSError, ValueError) as error:
        return path, None, FoundBox(None, (0, 0), f"{path}: cannot be read ({reason(error)})", "")
    try:
        image = read_image(path)
    except ImageError as error:
        return path, stamp, FoundBox(None, (0, 0), str(error), digest)
    faces = detector.detect(image)
    height, width = image.shape[:2]
    return path, stamp, FoundBox(faces[0].box if faces else None, (height, width), None, digest)


_worker_detector: Detector | None = None


def _start_worker(name: str, model: Path | None) -> None:
    global _worker_detector
    _worker_detector = create_detector(name, model=model)


def _detect_in_worker(path: Path) -> _Result:
    assert _worker_detector is not None
    return _detect(path, _worker_detector)
