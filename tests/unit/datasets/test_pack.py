"""Packing: what networks see, labels, resuming, what cannot be packed, and depth maps."""

import json
import tarfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from facepad.datasets import pack as packing
from facepad.datasets.check import check
from facepad.datasets.manifest import manifest_hash, read_manifest, resolve, write_manifest
from facepad.datasets.origin import origin_of
from facepad.datasets.pack import pack
from facepad.datasets.pack_crop import cut_out
from facepad.datasets.packed import PackSettings, refuse_narrow_crops
from facepad.datasets.synthetic import generate
from facepad.depth import carry_depth, load_depth, make_depth
from facepad.errors import DatasetError, InputError, OutputExistsError, RunError
from facepad.media.images import read_image, write_image
from facepad.media.videos import read_video
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.training.augment import Augmentation
from facepad.training.crops import CropSource
from facepad.types import Box, Label, Sample, Split
from facepad.workflow.scoring import score_samples

EXACT = PackSettings(size=None, format="png", per_shard=20)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def packed(manifest: Path, out: Path, settings: PackSettings = EXACT, **options):
    return pack(manifest, out, settings, progress=False, **options)


@pytest.fixture
def data(tiny_manifest, tmp_path) -> Path:
    """The tiny manifest with files of its own."""
    samples = read_manifest(tiny_manifest)
    for sample in samples:
        target = tmp_path / "data" / sample.path
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(resolve(tiny_manifest, sample).read_bytes())
    write_manifest(tmp_path / "data" / "manifest.csv", samples)
    return tmp_path / "data" / "manifest.csv"


@pytest.mark.parametrize("border", ["reflect", "constant"])
@pytest.mark.parametrize("interpolation", ["linear", "lanczos"])
def test_a_network_sees_in_the_cutting_what_it_sees_in_the_image(border, interpolation):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (120, 160, 3), np.uint8)
    for _ in range(60):
        x, y, side = (round(float(value), 2) for value in rng.uniform((-10, -10, 9), (140, 100, 50)))
        box = Box(x, y, x + side, y + side)
        pixels, moved = cut_out(image, box, crop=2.7, size=None)
        for scale in (1.0, 2.7):
            spec = PreprocessSpec(scale, (24, 24), border=border, interpolation=interpolation)
            seen = [spec.apply(picture, where).astype(int) for picture, where in ((image, box), (pixels, moved))]
            inside = -side < x < 155 and -side < y < 115
            if inside and side * scale < 110:  # wider ones mirror more than the cutting holds
                assert np.abs(seen[0] - seen[1]).max() <= 1, (box, scale)


def test_larger_squares_are_shrunk_and_the_box_with_them():
    image = np.full((900, 1200, 3), 80, np.uint8)
    image[300:500, 400:600] = 200
    pixels, box = cut_out(image, Box(400, 300, 600, 500), crop=2.0, size=100)
    assert pixels.shape == (108, 108, 3) and box == Box(29, 29, 79, 79)
    assert pixels[29:79, 29:79].min() == 200
    assert pixels[:29].max() == pixels[:, :29].max() == pixels[79:].max() == pixels[:, 79:].max() == 80
    assert cut_out(image, Box(400, 300, 600, 500), crop=2.0, size=201)[0].shape == (408, 408, 3)
    small, same = cut_out(image, Box(400, 300, 430, 330), crop=2.0, size=100)
    assert small.shape[0] == 60 + 8 and same.width == 30  # never enlarged


def test_shrinking_by_a_whole_number_averages_what_the_crop_would_average():
    image = np.random.default_rng(0).integers(0, 256, (600, 800, 3), np.uint8)
    for x, y in ((300, 200), (0, 40), (720, 520)):  # inside, and over two edges
        box = Box(x, y, x + 80, y + 80)
        pixels, moved = cut_out(image, box, crop=2.0, size=80)
        assert moved.width == 40
        spec = PreprocessSpec(2.0, (40, 40))
        apart = np.abs(spec.apply(image, box).astype(int) - spec.apply(pixels, moved))
        assert apart.max() <= 1


def test_without_a_face_or_a_crop_the_whole_frame_is_kept():
    image = np.zeros((300, 400, 3), np.uint8)
    assert cut_out(image, None, crop=2.7, size=None)[0].shape == (300, 400, 3)
    pixels, box = cut_out(image, Box(100, 100, 200, 200), crop=None, size=150)
    assert pixels.shape == (150, 200, 3) and box == Box(50, 50, 100, 100)
    assert cut_out(image, Box(900, 900, 950, 950), crop=1.0, size=None)[0].shape == (300, 400, 3)


def test_a_packed_set_has_the_same_samples_and_shows_the_same(data, tmp_path):
    samples = read_manifest(data)
    samples[3] = replace(samples[3], video="clip", frame=7)
    samples[4] = replace(samples[4], box=None)
    write_manifest(data, samples)
    summary = packed(data, tmp_path / "out")
    assert summary.manifest == tmp_path / "out" / "manifest.csv"
    found = read_manifest(summary.manifest)
    assert [before for before, _ in summary.pairs] == samples
    assert [after for _, after in summary.pairs] == found
    for before, after in zip(samples, found, strict=True):
        assert replace(after, path=before.path, box=before.box) == before
        assert Path(after.path).name == before.path
        assert (after.box is None) == (before.box is None)
        spec = PreprocessSpec(2.7 if before.box else None, (32, 32))
        seen = [
            spec.apply(read_image(resolve(where, s)), s.box) for where, s in ((data, before), (summary.manifest, after))
        ]
        assert np.array_equal(*seen)


def test_shards_hold_the_labels_and_the_record_says_where_from(data, tmp_path):
    summary = packed(data, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "manifest.csv",
        "pack.json",
        "pack.lock",
        *(f"shard-0000{n}.tar" for n in range(4)),
    ]
    with tarfile.open(tmp_path / "out" / "shard-00003.tar") as archive:
        names = archive.getnames()
        label = json.load(archive.extractfile(names[1]))
        assert {member.mtime for member in archive.getmembers()} == {0}
    assert names[:2] == ["000060/60.png", "000060/60.json"] and len(names) == 24
    sample = read_manifest(summary.manifest)[60]
    assert sample.path == "shard-00003.tar/000060/60.png"
    assert label["source"] == "60.png" and label["subject"] == sample.subject
    assert label["label"] == sample.label and tuple(label["box"]) == sample.box.xyxy
    record = json.loads((tmp_path / "out" / "pack.json").read_text())
    assert record["source"] == {"manifest": "manifest.csv", "sha256": manifest_hash(data)}
    assert record["settings"] == EXACT.to_dict()
    assert [shard["images"] for shard in record["shards"].values()] == [20, 20, 20, 12]


def test_the_bytes_do_not_depend_on_the_number_of_threads(data, tmp_path):
    jpeg = PackSettings(size=48, per_shard=30)
    packed(data, tmp_path / "one", jpeg, jobs=1)
    packed(data, tmp_path / "three", jpeg, jobs=3)
    assert contents(tmp_path / "one") == contents(tmp_path / "three")


def test_a_second_run_packs_what_is_missing_and_what_has_changed(data, tmp_path):
    out = tmp_path / "out"
    assert packed(data, out).packed == 4
    whole = contents(out)
    times = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert packed(data, out).packed == 0
    assert times == {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    (out / "shard-00001.tar").unlink()
    damaged = bytearray((out / "shard-00002.tar").read_bytes())
    damaged[700] ^= 1
    (out / "shard-00002.tar").write_bytes(damaged)
    (out / ".shard-00001-left.tar").write_bytes(b"of a run that was killed")
    (out / "manifest.csv").unlink()
    summary = packed(data, out)
    assert (summary.packed, summary.changed) == (2, ["shard-00002.tar"])
    assert "packed again: shard-00002.tar" in summary.to_text()
    assert contents(out) == whole
    assert times["shard-00000.tar"] == (out / "shard-00000.tar").stat().st_mtime_ns


def test_an_interrupted_run_leaves_whole_shards_and_goes_on(data, tmp_path, monkeypatch):
    out, count = tmp_path / "out", 0

    def add(archive, entry):
        nonlocal count
        count += 1
        if count == 30:
            raise KeyboardInterrupt
        usual(archive, entry)

    usual = packing._add
    monkeypatch.setattr(packing, "_add", add)
    with pytest.raises(KeyboardInterrupt):
        packed(data, out)
    assert sorted(path.name for path in out.iterdir()) == ["pack.json", "pack.lock", "shard-00000.tar"]
    monkeypatch.undo()
    assert packed(data, out).packed == 3
    packed(data, tmp_path / "whole")
    assert contents(out) == contents(tmp_path / "whole")


def test_other_content_of_the_output_is_refused(data, tmp_path):
    out = tmp_path / "out"
    packed(data, out)
    before = contents(out)
    with pytest.raises(OutputExistsError, match=r"was packed with crop = 2\.7, not 1\.5"):
        packed(data, out, replace(EXACT, crop=1.5))
    write_manifest(data, read_manifest(data)[:-1])
    with pytest.raises(OutputExistsError, match="pack of another manifest"):
        packed(data, out)
    with pytest.raises(OutputExistsError, match="not empty"):
        packed(data, data.parent)
    (out / "pack.json").write_text('{"format": 2}')
    with pytest.raises(InputError, match="not a record of packed shards"):
        packed(data, out)
    assert contents(out) == before | {"pack.json": b'{"format": 2}'}


def test_two_runs_at_once_are_refused(data, tmp_path):
    fcntl = pytest.importorskip("fcntl")
    packed(data, tmp_path / "out")
    with (tmp_path / "out" / "pack.lock").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="another run is packing"):
            packed(data, tmp_path / "out")


def test_few_unreadable_images_are_left_out_and_listed_and_many_stop_the_work(data, tmp_path):
    samples = read_manifest(data)
    (data.parent / samples[0].path).write_bytes(b"")
    (data.parent / samples[25].path).unlink()
    truncated = data.parent / samples[70].path
    truncated.write_bytes(truncated.read_bytes()[:-300])
    summary = packed(data, tmp_path / "out")
    assert list(summary.unreadable) == [samples[0].path, samples[25].path, samples[70].path]
    assert "is empty" in summary.unreadable[samples[0].path]
    assert [after.subject for _, after in summary.pairs] == [
        s.subject for s in samples if s.path not in summary.unreadable
    ]
    assert packed(data, tmp_path / "out").unreadable == summary.unreadable  # from the record
    (data.parent / samples[1].path).unlink()
    with pytest.raises(DatasetError, match="4 of 72 images of .* cannot be read"):
        packed(data, tmp_path / "other")
    assert not (tmp_path / "other" / "manifest.csv").exists()


def test_frames_of_videos_become_images(tmp_path):
    videos = generate(tmp_path / "v", subjects=4, images_per_subject=10, video=True, jobs=1, progress=False)
    one, two = videos[0], videos[1]
    lines = [replace(one, frame=3), replace(one, frame=0), replace(two, frame=2, video="clip"), *(
        replace(video, frame=1) for video in videos[2:]
    )]  # fmt: skip
    write_manifest(tmp_path / "v" / "frames.csv", lines)
    summary = packed(tmp_path / "v" / "frames.csv", tmp_path / "out")
    found = [after for _, after in summary.pairs]
    assert [(s.video, s.frame) for s in found[:3]] == [(one.path, 3), (one.path, 0), ("clip", 2)]
    assert Path(found[0].path).name == f"{Path(one.path).stem}-000003.png"
    frames = [frame.image for frame in read_video(tmp_path / "v" / one.path)]
    assert np.array_equal(read_image(resolve(summary.manifest, found[0])), frames[3])
    assert np.array_equal(read_image(resolve(summary.manifest, found[1])), frames[0])


def test_frames_that_do_not_come_are_listed_and_whole_videos_refused(tmp_path):
    videos = generate(tmp_path / "v", subjects=4, images_per_subject=10, video=True, jobs=1, progress=False)
    samples = [replace(video, frame=frame) for video in videos for frame in range(3)]
    write_manifest(tmp_path / "v" / "frames.csv", [*samples, replace(videos[0], frame=99)])
    summary = packed(tmp_path / "v" / "frames.csv", tmp_path / "out")
    assert list(summary.unreadable) == [f"{videos[0].path}#99"] and len(summary.pairs) == len(samples)
    write_manifest(tmp_path / "v" / "whole.csv", videos)
    with pytest.raises(InputError, match="names no frame of it"):
        packed(tmp_path / "v" / "whole.csv", tmp_path / "other")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"crop": 0.5}, "crop: expected 1 or more"),
        ({"size": 8}, "size: expected at least 16"),
        ({"format": "gif"}, "unknown format 'gif'"),
        ({"quality": 0}, "quality: expected 1 to 100"),
        ({"per_shard": 0}, "lines per shard"),
    ],
)
def test_settings_out_of_range_are_refused(change, words):
    with pytest.raises(InputError, match=words):
        PackSettings(**change)


def test_crops_that_are_too_narrow_for_a_network_are_refused(data, tmp_path):
    packed(data, tmp_path / "out", replace(EXACT, crop=1.6))
    samples = read_manifest(tmp_path / "out" / "manifest.csv")
    refuse_narrow_crops(tmp_path / "out", samples, 1.6)
    refuse_narrow_crops(data.parent, read_manifest(data), None)
    with pytest.raises(InputError, match=r"crops of 1\.6 x the face square; needed is 2\.7 x: .* --crop 2\.7"):
        refuse_narrow_crops(tmp_path / "out", samples, 2.7)
    with pytest.raises(InputError, match="needed is the whole frame: .* --crop frame"):
        refuse_narrow_crops(tmp_path / "out", samples, None)
    elsewhere = [replace(sample, path=f"out/{sample.path}") for sample in samples]
    with pytest.raises(InputError, match="crops of"):
        refuse_narrow_crops(tmp_path, elsewhere, PreprocessSpec(1.4, shift=(0.0, 0.2)).reach)
    with pytest.raises(InputError, match="crops of"):
        packed(tmp_path / "out" / "manifest.csv", tmp_path / "again")
    again = packed(tmp_path / "out" / "manifest.csv", tmp_path / "again", replace(EXACT, crop=1.2))
    assert again.pairs[0][1].path == "shard-00000.tar/000000/00.png"
    packed(data, tmp_path / "frames", replace(EXACT, crop=None))
    refuse_narrow_crops(tmp_path / "frames", read_manifest(tmp_path / "frames" / "manifest.csv"), None)


def test_scoring_refuses_crops_that_are_too_narrow(data, tmp_path):
    packed(data, tmp_path / "out", replace(EXACT, crop=1.6))
    scorer = SimpleNamespace(preprocess=(PreprocessSpec(1.6), PreprocessSpec(2.0)))
    with pytest.raises(InputError, match=r"--crop 2$"):
        score_samples(scorer, tmp_path / "out", read_manifest(tmp_path / "out" / "manifest.csv"))


def test_check_names_shards_that_have_changed(data, tmp_path):
    manifest = packed(data, tmp_path / "out").manifest
    sound = check(manifest, jobs=1, progress=False)
    assert (sound.changed_shards, sound.unreadable, sound.missing, sound.unlisted) == ([], [], [], [])
    shard = tmp_path / "out" / "shard-00001.tar"
    content = bytearray(shard.read_bytes())
    content[512 + 1024 + 512 + 20] ^= 1  # somewhere in the first members
    shard.write_bytes(content)
    (tmp_path / "out" / "shard-00003.tar").unlink()
    found = check(manifest, jobs=1, progress=False)
    assert found.changed_shards == ["shard-00001.tar", "shard-00003.tar"]
    assert len(found.missing) == 12
    assert any("shards that have changed since they were packed: 2" in line for line in found.problems)


def test_depth_maps_are_carried_over(data, tmp_path):
    make_depth(data, engine="template", progress=False)
    summary = packed(data, tmp_path / "out")
    assert carry_depth(data, summary.manifest, summary.pairs) == ["36 depth maps by template carried over"]
    before, after = (load_depth(path, read_manifest(path)) for path in (data, summary.manifest))
    for old, new in summary.pairs:
        assert np.array_equal(before.of(old), after.of(new))
        assert new.label is Label.ATTACK or after.made_by(new) == "template"
    made = contents(tmp_path / "out" / "depth")
    carry_depth(data, summary.manifest, summary.pairs)
    assert contents(tmp_path / "out" / "depth") == made


def test_depth_maps_of_other_images_stay_behind(data, tmp_path):
    make_depth(data, engine="template", progress=False)
    face = next(sample for sample in read_manifest(data) if sample.label is Label.BONA_FIDE)
    resolve(data, face).write_bytes(resolve(data, read_manifest(data)[2]).read_bytes())
    summary = packed(data, tmp_path / "out")
    (note,) = carry_depth(data, summary.manifest, summary.pairs)
    assert note.startswith("depth maps by template are not carried over: 1 of 36 bona fide images changed")
    assert not (tmp_path / "out" / "depth").exists()
    assert make_depth(summary.manifest, engine="template", progress=False).made == 36


def test_how_the_data_was_prepared_is_carried_over(data, tmp_path):
    about = {"detector": "yunet", "dataset": "nuaa", "manifests": {"manifest.csv": {"sha256": "x"}}}
    (data.parent / "prepare.json").write_text(json.dumps({"runs": [about]}))
    manifest = packed(data, tmp_path / "out").manifest
    origin = origin_of(manifest)
    assert (origin["detector"], origin["dataset"]) == ("yunet", "nuaa")
    assert origin["manifests"]["manifest.csv"]["sha256"] == manifest_hash(manifest)
    assert origin["manifests"]["manifest.csv"]["counts"][Split.DEV] == {"bona_fide": 12, "attack": 12}


def test_a_sample_keeps_its_name_whatever_dots_it_has(data, tmp_path):
    first, *rest = read_manifest(data)
    (data.parent / first.path).rename(data.parent / "a.b.png")
    write_manifest(data, [Sample("a.b.png", first.subject, first.label, first.attack_type, first.split), *rest])
    manifest = packed(data, tmp_path / "out").manifest
    assert read_manifest(manifest)[0].path == "shard-00000.tar/000000/a_b.png"


@pytest.mark.parametrize("ending", [".jpg", ".png", ".b.JPEG"])
def test_augmentation_and_its_labels_are_those_of_the_loose_files(data, tmp_path, ending):
    samples = []
    for sample in read_manifest(data):
        old = resolve(data, sample)
        write_image(old.with_name(f"{sample.stem}{ending}"), read_image(old))
        samples.append(replace(sample, path=f"{sample.stem}{ending}"))
    write_manifest(data, samples)
    summary = packed(data, tmp_path / "out")
    augment = Augmentation(("frame", "mirror", "light", "blur", "noise", "jpeg"), simulate=0.5)
    spec = PreprocessSpec(crop_scale=1.5, size=(32, 32))
    loose, tight = (
        CropSource(path.parent, read_manifest(path), spec, augment=augment) for path in (data, summary.manifest)
    )
    for index in range(len(samples)):
        assert loose.label(index, 3) == tight.label(index, 3)
        np.testing.assert_array_equal(loose.crop(index, 3), tight.crop(index, 3))


def test_images_that_have_changed_or_come_back_are_packed_by_the_next_run(data, tmp_path):
    samples = read_manifest(data)
    first, last = resolve(data, samples[0]), resolve(data, samples[-1])
    content = last.read_bytes()
    last.unlink()
    assert len(packed(data, tmp_path / "out").unreadable) == 1
    last.write_bytes(content)
    again = packed(data, tmp_path / "out")
    assert (again.packed, len(again.unreadable), len(again.pairs)) == (1, 0, len(samples))
    write_image(first, 255 - read_image(first))
    again = packed(data, tmp_path / "out")
    assert (again.packed, again.changed) == (1, ["shard-00000.tar"])
    packed(data, tmp_path / "fresh")
    assert contents(tmp_path / "out").keys() == contents(tmp_path / "fresh").keys()
    for name, content in contents(tmp_path / "fresh").items():
        assert contents(tmp_path / "out")[name] == content
