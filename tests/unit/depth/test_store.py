"""Loading stored depth maps, and the ways in which they can be wrong."""

import json
from dataclasses import replace

import numpy as np
import pytest

from facepad.datasets.manifest import read_manifest, write_manifest
from facepad.depth import load_depth
from facepad.depth.template import TemplateDepth
from facepad.errors import BusyError, InputError
from facepad.files.locks import exclusive
from facepad.media.images import write_image
from facepad.types import Box, Label, Sample
from helpers.depth_labels import BOX, Counting, load, make


def test_missing_maps_name_the_command(manifest):
    with pytest.raises(InputError, match=r"manifest\.csv has no depth maps; run: facepad data depth .*manifest\.csv$"):
        load(manifest)
    make(manifest)
    with pytest.raises(InputError, match=r"no depth maps by prnet \(there are: counting\); run: .* --engine prnet"):
        load(manifest, "prnet")


def test_missing_map_of_some_images_is_counted(manifest):
    make(manifest)
    samples = read_manifest(manifest)
    write_image(manifest.parent / "real/99.png", np.full((64, 64, 3), 5, np.uint8))
    write_manifest(manifest, [*samples, Sample("real/99.png", "s0", Label.BONA_FIDE, box=BOX)])
    with pytest.raises(InputError, match=r"1 of 40 bona fide images have no depth map \(first: real/99\.png\); run: "):
        load(manifest)
    load_depth(manifest, samples)  # those asked for are all there


def test_maps_of_another_face_square_are_refused_and_made_again(manifest):
    make(manifest)
    samples = read_manifest(manifest)
    moved = [replace(s, box=Box(13, 12, 53, 52)) if s.path == "real/03.png" else s for s in samples]
    write_manifest(manifest, moved)
    with pytest.raises(
        InputError, match=r"1 of 39 .* \(1 of them have a map for another face square\) \(first: real/03"
    ):
        load(manifest)
    assert make(manifest).made == 1
    load(manifest)


def test_boxes_are_compared_as_a_manifest_writes_them(manifest):
    make(manifest)
    finer = replace(read_manifest(manifest)[0], box=Box(12.001, 11.999, 52.004, 52))
    assert finer in load_depth(manifest, [finer])


def test_maps_of_other_images_under_the_same_names_are_refused(manifest):
    make(manifest)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    write_image(manifest.parent / "real/04.png", noise)
    with pytest.raises(InputError, match=r"1 of 39 bona fide images changed since .*real/04\.png"):
        load(manifest)


@pytest.mark.parametrize(("key", "value"), [("format", 2), ("extent", 1.8), ("size", 32)])
def test_maps_of_another_format_or_crop_are_refused(manifest, key, value):
    make(manifest)
    path = manifest.parent / "depth/counting/meta.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(InputError, match=r"remove that folder and run: facepad data depth") as caught:
        load(manifest)
    assert str(value) in str(caught.value)
    with pytest.raises(InputError, match="remove this folder to make new depth maps"):
        make(manifest)


@pytest.mark.parametrize("file", ["meta.json", "index.jsonl", "unreadable.json"])
def test_file_with_other_content_is_named(manifest, file):
    make(manifest)
    (manifest.parent / "depth/counting" / file).write_bytes(b'["no"]\n\xff\n')
    for work in (load, make):
        with pytest.raises(InputError, match=rf"{file} is not .*remove") as caught:
            work(manifest)
        assert "\n" not in str(caught.value)


def test_another_model_does_not_mix_its_maps_in(manifest):
    make(manifest)
    other = Counting()
    other.identity = "counting-2"
    with pytest.raises(InputError, match=r"made by counting-1 .*by counting-2 .*remove this folder"):
        make(manifest, other)


def test_several_labellers_ask_for_a_choice(manifest):
    make(manifest)
    make(manifest, TemplateDepth())
    with pytest.raises(InputError, match=r"several engines \(counting, template\); choose one"):
        load(manifest)
    assert load(manifest, "template").labeller == "template"


def test_two_runs_do_not_fill_one_store(manifest):
    make(manifest)
    with (
        exclusive(manifest.parent / "depth/counting", "adding depth maps"),
        pytest.raises(BusyError, match="another process is adding depth maps"),
    ):
        make(manifest)


def test_place_that_cannot_be_written_is_one_line(manifest):
    (manifest.parent / "depth").write_text("a file is in the way")
    with pytest.raises(InputError, match="cannot write .*depth"):
        make(manifest)
