"""The inventory of a packed set: settings, crops that are too narrow, shards that have changed."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from facepad.datasets.check import check
from facepad.datasets.manifest import read_manifest
from facepad.datasets.pack import PackSettings, refuse_narrow_crops
from facepad.errors import InputError
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.workflow.scoring import score_samples
from helpers.packing import EXACT, packed


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
    with pytest.raises(InputError, match=r"crops of 1\.6 x the face square, but needed is 2\.7 x: .* --crop 2\.7"):
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
    sound = check(manifest, jobs=1)
    assert (sound.changed_shards, sound.unreadable, sound.missing, sound.unlisted) == ([], [], [], [])
    shard = tmp_path / "out" / "shard-00001.tar"
    content = bytearray(shard.read_bytes())
    content[512 + 1024 + 512 + 20] ^= 1  # somewhere in the first members
    shard.write_bytes(content)
    (tmp_path / "out" / "shard-00003.tar").unlink()
    found = check(manifest, jobs=1)
    assert found.changed_shards == ["shard-00001.tar", "shard-00003.tar"]
    assert len(found.missing) == 12
    assert any("shards that have changed since they were packed: 2" in line for line in found.problems)
