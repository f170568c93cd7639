"""Making depth maps: what a run stores, how the next one continues it, and the command."""

import re
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest

from facepad.datasets.manifest import read_manifest, write_manifest
from facepad.depth import SIZE
from facepad.depth.template import TemplateDepth
from facepad.errors import InputError
from facepad.media.images import write_image
from facepad.types import AttackType, Label, Sample
from helpers.depth_labels import BOX, Counting, load, make


def test_maps_come_back_for_their_own_samples_and_zeros_for_attacks(manifest):
    labeller = Counting()
    summary = make(manifest, labeller)
    assert sorted(labeller.seen) == [100 + number for number in range(39)]  # attacks are not even opened
    assert (summary.made, summary.kept, summary.attacks) == (39, 0, 4)
    assert summary.no_box == ["real/39.png"] and not summary.unreadable and not summary.fell_back
    maps = load(manifest)
    assert (maps.labeller, maps.identity) == ("counting", "counting-1")
    for sample in read_manifest(manifest):
        if sample.label is Label.ATTACK:
            assert sample in maps and not maps.of(sample).any() and maps.of(sample).shape == (SIZE, SIZE)
        elif sample.box is not None:
            assert sample in maps and (maps.of(sample) == 100 + int(sample.path[5:7])).all()


def test_sample_without_a_face_square_has_no_map_and_has_a_note(manifest):
    make(manifest)
    maps = load(manifest)
    faceless = next(sample for sample in read_manifest(manifest) if sample.label is Label.BONA_FIDE and not sample.box)
    assert faceless not in maps
    with pytest.raises(InputError, match=r"real/39\.png has no depth map"):
        maps.of(faceless)


def test_agreement_with_the_mean_face_is_given(manifest):
    class Squeezed(Counting):
        def depth(self, image, box):
            levels = TemplateDepth().levels.astype(int)
            return np.where(levels > 0, levels // 2 + 100, 0).astype(np.uint8)

    summary = make(manifest, Squeezed())
    assert 0.9 < summary.agreement < 1
    assert f"correlation with the template's mean face: {summary.agreement:.2f}" in summary.to_text()
    assert make(manifest, TemplateDepth()).agreement is None


def test_second_run_makes_no_map_again(manifest):
    make(manifest)
    labeller = Counting()
    summary = make(manifest, labeller)
    assert labeller.seen == [] and (summary.made, summary.kept) == (0, 39)
    assert "39 depth maps by counting-1 (39 from earlier runs)" in summary.to_text()


@pytest.mark.parametrize("jobs", [1, 4])
def test_run_that_was_stopped_goes_on(manifest, jobs):
    class Stopping(Counting):
        def depth(self, image, box):
            if image[0, 0, 0] == 136:
                raise KeyboardInterrupt
            return super().depth(image, box)

    with pytest.raises(KeyboardInterrupt):
        make(manifest, Stopping(), jobs=jobs)
    labeller = Counting()
    summary = make(manifest, labeller, jobs=jobs)
    assert summary.kept == 32 and sorted(labeller.seen) == [132, 133, 134, 135, 136, 137, 138]
    assert sum(s in load(manifest) for s in read_manifest(manifest) if s.label is Label.BONA_FIDE) == 39


@pytest.mark.parametrize("file", ["maps.u8", "index.jsonl"])
@pytest.mark.parametrize("torn", [1, 700, 100_000])
def test_torn_files_are_cut_back_to_whole_rows(manifest, file, torn):
    make(manifest)
    path = manifest.parent / "depth/counting" / file
    content = path.read_bytes()
    path.write_bytes(content[: max(0, len(content) - torn)])
    with pytest.raises(InputError, match=r"39 bona fide images have no depth map"):
        load(manifest)
    labeller = Counting()
    summary = make(manifest, labeller)
    assert 0 < len(labeller.seen) == summary.made == 39 - summary.kept
    maps = load(manifest)
    assert all((maps.of(s) == 100 + int(s.path[5:7])).all() for s in read_manifest(manifest)[:39])


def test_rows_without_index_lines_are_dropped(manifest):
    make(manifest)
    folder = manifest.parent / "depth/counting"
    with (folder / "maps.u8").open("ab") as stream:
        stream.write(bytes(SIZE * SIZE + 5))
    (manifest.parent / "real/00.png").unlink()
    write_image(manifest.parent / "real/00.png", np.full((70, 64, 3), 9, np.uint8))  # another image: made again
    labeller = Counting()
    assert make(manifest, labeller).made == 1 and labeller.seen == [9]
    assert (load(manifest).of(read_manifest(manifest)[0]) == 9).all()


def test_face_that_the_labeller_does_not_see_gets_the_template_and_is_listed(manifest):
    write_image(manifest.parent / "real/05.png", np.zeros((64, 64, 3), np.uint8))
    for summary in (make(manifest), make(manifest)):  # a later run still reports this
        assert summary.fell_back == ["real/05.png"]
        assert "template's mean face was used: 1 (real/05.png)" in summary.to_text()
    template = TemplateDepth().depth(np.zeros((1, 1, 3), np.uint8), BOX)
    assert np.array_equal(load(manifest).of(read_manifest(manifest)[5]), template)


def test_unreadable_image_is_listed_and_the_rest_goes_on(manifest):
    (manifest.parent / "real/07.png").write_bytes(b"torn")
    summary = make(manifest)
    assert list(summary.unreadable) == ["real/07.png"] and summary.made == 38
    assert "unreadable, no map: " in summary.to_text() and "07.png" in summary.to_text()
    maps = load(manifest)  # training leaves such an image out itself
    assert read_manifest(manifest)[7] not in maps and read_manifest(manifest)[8] in maps
    write_image(manifest.parent / "real/07.png", np.full((64, 64, 3), 107, np.uint8))
    assert not make(manifest).unreadable and read_manifest(manifest)[7] in load(manifest)


def test_images_that_moved_stop_the_run_in_one_line(manifest):
    shutil.move(manifest.parent / "real", manifest.parent / "moved")
    with pytest.raises(InputError, match=r"of 39 bona fide images of .* cannot be read .*The limit is 5%") as caught:
        make(manifest)
    assert "\n" not in str(caught.value)


def test_nothing_to_make_is_refused(tmp_path):
    write_manifest(tmp_path / "manifest.csv", [Sample("1.png", "a", Label.ATTACK, AttackType.PRINT, box=BOX)])
    with pytest.raises(InputError, match="no bona fide sample with a face square"):
        make(tmp_path / "manifest.csv")
    with pytest.raises(InputError, match="jobs must be at least 1"):
        make(tmp_path / "manifest.csv", jobs=0)


def test_manifests_in_one_folder_share_their_maps(manifest):
    make(manifest)
    other = manifest.parent / "manifest-fold1.csv"
    write_manifest(other, [replace(sample, subject="x") for sample in read_manifest(manifest)[:10]])
    labeller = Counting()
    assert make(other, labeller).kept == 10 and labeller.seen == []


# --- the command -------------------------------------------------------------------------------------------------


def test_command_makes_maps_and_a_preview(facepad, manifest, tmp_path):
    code, out, err = facepad("data", "depth", manifest, "--engine", "template", "--preview", tmp_path / "look")
    assert code == 0 and not out and "39 depth maps by template-1" in err
    assert f"preview: {tmp_path / 'look' / 'depth-template.png'}" in err
    assert load(manifest).labeller == "template"


def test_command_without_the_mesh_says_that_it_takes_the_template(facepad, manifest, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    code, _, err = facepad("data", "depth", manifest)
    assert code == 0 and "engine template, one mean face for all people, as facemesh cannot run: ai_edge_litert" in err
    code, _, err = facepad("data", "depth", manifest, "--engine", "facemesh")
    assert code == 2 and "this command needs ai_edge_litert" in err


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--engine", "prn"], r"unknown depth engine 'prn' \(did you mean 'prnet'\?\)"),
        (["--engine", "prnet"], r"needs its weights"),
        (["--model", "none.tflite"], r"none\.tflite is not a file"),
        (["--engine", "template", "--model", "a"], r"takes no model file"),
    ],
)
def test_command_refuses_wrong_labellers_and_models_in_one_line(facepad, manifest, options, line):
    pytest.importorskip("torch")
    pytest.importorskip("ai_edge_litert")
    code, out, err = facepad("data", "depth", manifest, *options)
    assert code == 2 and not out and re.search(line, err) and err.count("\n") == 1


def test_command_names_a_missing_manifest(facepad, tmp_path):
    code, _, err = facepad("data", "depth", tmp_path / "none.csv", "--engine", "template")
    assert code == 2 and "none.csv does not exist" in err and err.count("\n") == 1
