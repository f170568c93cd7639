"""Names of the files of published data sets, as their releases have them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path

from facepad.datasets import layout

REPLAY_MOBILE_CLIENTS = {
    "train": (1, 3, 8, 11, 12, 16, 18, 20, 26, 34, 37, 38),
    "devel": (5, 6, 13, 14, 15, 23, 24, 25, 28, 29, 31, 32, 35, 36, 39, 40),
    "test": (2, 4, 7, 9, 10, 17, 19, 21, 22, 27, 30, 33),
}


def oulu(users: Iterable[int] = range(1, 56)) -> Iterator[str]:
    for user, phone, session, file in product(users, range(1, 7), range(1, 4), range(1, 6)):
        part = "Train" if user <= 20 else "Dev" if user <= 35 else "Test"
        yield f"{part}_files/{phone}_{session}_{user:02d}_{file}.avi"


def msu(clients: Iterable[int] = range(1, 36)) -> Iterator[str]:
    for client, (camera, ending) in product(clients, (("android", "mp4"), ("laptop", "mov"))):
        start = f"client{client:03d}_{camera}_SD_"
        yield f"scene01/real/real_{start}scene01.{ending}"
        for kind in ("ipad_video", "iphone_video", "printed_photo"):
            yield f"scene01/attack/attack_{start}{kind}_scene01.{ending}"


def replay_mobile() -> Iterator[str]:
    for part, clients in REPLAY_MOBILE_CLIENTS.items():
        for client, camera in product(clients, ("mobile", "tablet")):
            name = f"client{client:03d}_session0"
            lights = ("adverse", "controlled", "diffuse", "direct", "lateral")
            if client != 9:  # client 9 has no bona fide videos in the release
                yield from (f"{part}/real/{name}2_authenticate_{camera}_{light}.mov" for light in lights)
            kinds = [f"print_{support}_{camera}_photo" for support in ("fixed", "hand")]
            kinds += [f"mattescreen_fixed_{camera}_{kind}" for kind in ("photo", "video")]
            for light in ("lightoff", "lighton"):
                yield from (f"{part}/attack/attack_{name}1_{kind}_{light}.mov" for kind in kinds)
                yield f"enroll/{part}/{name}1_enroll_{camera}_{light}.mov"


def siw(train: Iterable[int] = range(1, 91), test: Iterable[int] = range(91, 166)) -> Iterator[str]:
    for part, subjects in (("Train", train), ("Test", test)):
        for subject, session in product(subjects, (1, 2)):
            for sensor, medium in product((1, 2), (1, 2)):
                yield f"{part}/live/{subject:03d}/{subject:03d}-{sensor}-1-{medium}-{session}.mov"
            for medium in (1, 2):
                yield f"{part}/spoof/{subject:03d}/{subject:03d}-1-2-{medium}-{session}.mov"
            for sensor, medium in product((1, 2), (1, 2, 3, 4)):
                yield f"{part}/spoof/{subject:03d}/{subject:03d}-{sensor}-3-{medium}-{session}.mov"


def rose(subjects: Iterable[int] = (2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14)) -> Iterator[str]:
    kinds = ("G", "Ps", "Pq", "Vl", "Vm", "Mc", "Mf", "Mu", "Ml")
    for subject, kind, phone in product(subjects, kinds, ("HS", "5s")):
        yield f"{subject}/{kind}_NT_{phone}_wg_E_{subject}_1.mp4"


def three_d_mad(ending: str = ".avi") -> Iterator[str]:
    for session, subject, shot in product((1, 2, 3), range(1, 18), range(1, 6)):
        yield f"session0{session}/Data/{subject:02d}_0{session}_0{shot}{ending}"


def wmca(clients: Iterable[int] = range(1, 9)) -> Iterator[str]:
    attacks = ("1_01", "1_02", "2_01", "2_08", "2_12", "2_80", "3_01", "3_05", "4_01")
    for client in clients:
        yield f"face-station/12.02.18/{client:03d}_03_{client:03d}_0_00.avi"
        yield from (f"face-station/12.02.18/{client:03d}_04_{client:03d}_{kind}.avi" for kind in attacks)


def lcc() -> Iterator[str]:
    for part, people in (("training", (1, 2)), ("development", (3,)), ("evaluation", (4,))):
        for person, kind in product(people, ("real", "spoof")):
            yield f"LCC_FASD_{part}/{kind}/YOUTUBE_id{person}_s2_15.png"
    yield "LCC_FASD_evaluation/spoof/spoof_980.png"


def celeba(people: Iterable[int] = range(1, 13)) -> Iterator[str]:
    for person, kind in product(people, ("live", "spoof")):
        yield f"Data/{'train' if person <= 10 else 'test'}/{person}/{kind}/{person:06d}.jpg"


def silent_face(scales: Iterable[str] = ("org_1_80x60", "1_80x80", "2.7_80x80")) -> Iterator[str]:
    for scale, kind, number in product(scales, "012", range(10)):
        yield f"RGB_Images/{scale}/{kind}/{number}.png"


def list_files(monkeypatch, root: Path, names: Iterable[str]) -> Path:
    """Make the readers of layouts see these files in a folder, without files on the disk."""
    root.mkdir(exist_ok=True)
    (root / "README.md").touch()
    files = [root / name for name in names]
    monkeypatch.setattr(layout, "walk_files", lambda folder, broken: iter(files))
    return root


def touch_files(root: Path, names: Iterable[str]) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root
