"""Packing: the same samples and labels, resuming, images that cannot be packed, and depth maps."""

import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facepad.datasets.manifest import manifest_hash, read_manifest, resolve, write_manifest
from facepad.datasets.origin import origin_of
from facepad.datasets.pack import PackSettings
from facepad.datasets.pack.members import add_member
from facepad.depth import carry_depth, load_depth, make_depth
from facepad.errors import BusyError, DatasetError, InputError, OutputExistsError
from facepad.files.disk import sha256_file
from facepad.files.locks import exclusive
from facepad.media.images import read_image, write_image
from facepad.media.videos import read_video
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.training.augment import Augmentation
from facepad.training.crops import CropSource
from facepad.types import AttackType, Label, Sample, Split
from helpers.digests import digests
from helpers.packing import EXACT, packed
from helpers.video_sets import clip


def clips(folder):
    """Samples of eight small videos, two of each person."""
    videos = []
    for number in range(8):
        name = f"{number}.avi"
        clip(folder / name, codec="mpeg4", seed=number)
        label, kind = (Label.ATTACK, AttackType.REPLAY_VIDEO) if number % 2 else (Label.BONA_FIDE, None)
        videos.append(Sample(name, f"person-{number // 2}", label, kind, Split.TRAIN))
    return videos


def test_a_packed_set_has_the_same_samples_and_shows_the_same(data, tmp_path):
    samples = read_manifest(data)
    samples[3] = replace(samples[3], video="clip", frame=7, attributes=(("site", "north"),))
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


def test_shards_hold_the_labels_and_the_inventory_says_where_from(data, tmp_path):
    summary = packed(data, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        ".lock",
        "manifest.csv",
        "pack.json",
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
    inventory = json.loads((tmp_path / "out" / "pack.json").read_text())
    assert inventory["source"] == {"manifest": "manifest.csv", "sha256": manifest_hash(data)}
    assert inventory["settings"] == EXACT.to_dict()
    assert [shard["images"] for shard in inventory["shards"].values()] == [20, 20, 20, 12]


def test_the_bytes_do_not_depend_on_the_number_of_threads(data, tmp_path):
    jpeg = PackSettings(size=48, per_shard=30)
    packed(data, tmp_path / "one", jpeg, jobs=1)
    packed(data, tmp_path / "three", jpeg, jobs=3)
    assert digests(tmp_path / "one") == digests(tmp_path / "three")


def test_a_second_run_packs_missing_and_changed_shards(data, tmp_path):
    out = tmp_path / "out"
    assert packed(data, out).packed == 4
    whole = digests(out)
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
    assert digests(out) == whole
    assert times["shard-00000.tar"] == (out / "shard-00000.tar").stat().st_mtime_ns


def test_an_interrupted_run_leaves_whole_shards_and_goes_on(data, tmp_path, monkeypatch):
    out, count = tmp_path / "out", 0

    def add(archive, member):
        nonlocal count
        count += 1
        if count == 30:
            raise KeyboardInterrupt
        add_member(archive, member)

    monkeypatch.setattr("facepad.datasets.pack.write.add_member", add)
    with pytest.raises(KeyboardInterrupt):
        packed(data, out)
    assert sorted(path.name for path in out.iterdir()) == [".lock", "pack.json", "shard-00000.tar"]
    monkeypatch.undo()
    assert packed(data, out).packed == 3
    packed(data, tmp_path / "whole")
    assert digests(out) == digests(tmp_path / "whole")


def test_other_content_of_the_output_is_refused(data, tmp_path):
    out = tmp_path / "out"
    packed(data, out)
    before = digests(out)
    with pytest.raises(OutputExistsError, match=r"was packed with crop = 2\.7, not 1\.5"):
        packed(data, out, replace(EXACT, crop=1.5))
    write_manifest(data, read_manifest(data)[:-1])
    with pytest.raises(OutputExistsError, match="pack of another manifest"):
        packed(data, out)
    with pytest.raises(OutputExistsError, match="not empty"):
        packed(data, data.parent)
    (out / "pack.json").write_text('{"format": 2}')
    with pytest.raises(InputError, match="not an inventory of packed shards"):
        packed(data, out)
    assert digests(out) == before | {"pack.json": sha256_file(out / "pack.json")}


def test_two_runs_at_once_are_refused(data, tmp_path):
    packed(data, tmp_path / "out")
    with exclusive(tmp_path / "out", "packing"), pytest.raises(BusyError, match="another process is packing in .*out"):
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
    videos = clips(tmp_path / "v")
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


def test_frames_that_cannot_be_decoded_are_listed_and_whole_videos_refused(tmp_path):
    videos = clips(tmp_path / "v")
    samples = [replace(video, frame=frame) for video in videos for frame in range(3)]
    write_manifest(tmp_path / "v" / "frames.csv", [*samples, replace(videos[0], frame=99)])
    summary = packed(tmp_path / "v" / "frames.csv", tmp_path / "out")
    assert list(summary.unreadable) == [f"{videos[0].path}#99"] and len(summary.pairs) == len(samples)
    write_manifest(tmp_path / "v" / "whole.csv", videos)
    with pytest.raises(InputError, match="names no frame of it"):
        packed(tmp_path / "v" / "whole.csv", tmp_path / "other")


def test_depth_maps_are_carried_over(data, tmp_path):
    make_depth(data, labeller="template")
    summary = packed(data, tmp_path / "out")
    assert carry_depth(data, summary.manifest, summary.pairs) == ["36 depth maps by template carried over"]
    before, after = (load_depth(path, read_manifest(path)) for path in (data, summary.manifest))
    for old, new in summary.pairs:
        assert np.array_equal(before.of(old), after.of(new))
        assert new.label is Label.ATTACK or after.made_by(new) == "template"
    made = digests(tmp_path / "out" / "depth")
    carry_depth(data, summary.manifest, summary.pairs)
    assert digests(tmp_path / "out" / "depth") == made


def test_depth_maps_of_other_images_stay_behind(data, tmp_path):
    make_depth(data, labeller="template")
    face = next(sample for sample in read_manifest(data) if sample.label is Label.BONA_FIDE)
    resolve(data, face).write_bytes(resolve(data, read_manifest(data)[2]).read_bytes())
    summary = packed(data, tmp_path / "out")
    (note,) = carry_depth(data, summary.manifest, summary.pairs)
    assert note.startswith("depth maps by template are not carried over: 1 of 36 bona fide images changed")
    assert not (tmp_path / "out" / "depth").exists()
    assert make_depth(summary.manifest, labeller="template").made == 36


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
    assert digests(tmp_path / "out") == digests(tmp_path / "fresh")
