"""Making, keeping and loading depth maps: what a run leaves, how it goes on, and how maps can be wrong."""

import json
import re
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest

from facepad.cli import main
from facepad.datasets.manifest import read_manifest, write_manifest
from facepad.depth import SIZE, load_depth, make_depth
from facepad.depth.preview import write_preview
from facepad.depth.template import TemplateDepth
from facepad.errors import BusyError, InputError, RunError
from facepad.files.locks import exclusive
from facepad.media.images import read_image, write_image
from facepad.types import AttackType, Box, Label, Sample

BOX = Box(12, 12, 52, 52)


class Counting:
    """A labeller whose map tells the image's first pixel, and that sees no face in black images."""

    name, identity = "counting", "counting-1"

    def __init__(self):
        self.seen = []

    def depth(self, image, box):
        self.seen.append(int(image[0, 0, 0]))
        return None if not image.any() else np.full((SIZE, SIZE), image[0, 0, 0], np.uint8)


@pytest.fixture
def manifest(tmp_path):
    """40 bona fide images (one without a box) and 4 attacks, whose files do not even exist."""
    samples = []
    for number in range(40):
        name = f"real/{number:02}.png"
        write_image(tmp_path / name, np.full((64, 64, 3), 100 + number, np.uint8))
        samples.append(Sample(name, f"s{number % 5}", Label.BONA_FIDE, box=None if number == 39 else BOX))
    for number in range(4):
        samples.append(Sample(f"fake/{number}.png", "s0", Label.ATTACK, AttackType.PRINT, box=BOX))
    write_manifest(tmp_path / "manifest.csv", samples)
    return tmp_path / "manifest.csv"


def make(manifest, labeller=None, **options):
    return make_depth(manifest, labeller=labeller or Counting(), **options)


def load(manifest, labeller=None):
    return load_depth(manifest, read_manifest(manifest), labeller)


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


def test_sample_without_a_face_square_has_no_map_and_says_so(manifest):
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


def test_second_run_makes_nothing_anew(manifest):
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
    for summary in (make(manifest), make(manifest)):  # a later run still says so
        assert summary.fell_back == ["real/05.png"]
        assert "template's mean face instead: 1 (real/05.png)" in summary.to_text()
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
    with pytest.raises(InputError, match=r"of 39 bona fide images of .* cannot be read .*more than 5% means") as caught:
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


# --- loading what is not right -----------------------------------------------------------------------------------


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
    with pytest.raises(InputError, match=r"1 of 39 .*, 1 of them only one for another face square \(first: real/03"):
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
    with pytest.raises(InputError, match="remove that folder to make them anew"):
        make(manifest)


@pytest.mark.parametrize("file", ["meta.json", "index.jsonl", "unreadable.json"])
def test_file_that_is_something_else_is_named(manifest, file):
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
    with pytest.raises(InputError, match=r"made by counting-1 .*this is counting-2 .*remove that folder"):
        make(manifest, other)


def test_several_labellers_ask_for_a_choice(manifest):
    make(manifest)
    make(manifest, TemplateDepth())
    with pytest.raises(InputError, match=r"several engines \(counting, template\); say which one"):
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
    with pytest.raises(RunError, match="cannot write .*depth"):
        make(manifest)


# --- the preview -------------------------------------------------------------------------------------------------


def test_preview_shows_evenly_chosen_pairs(manifest, tmp_path):
    make(manifest)
    path = write_preview(manifest, tmp_path / "look", labeller="counting")
    sheet = read_image(path)
    assert path.name == "depth-counting.png" and sheet.shape == (6 * 160, 4 * 320, 3)
    first, last = sheet[80, 240], sheet[-80, -80]
    assert first.tolist() == [100] * 3 and last.tolist() == [138] * 3  # maps of the first and the last face
    assert sheet[80, 80].tolist() == [100] * 3  # beside the image itself


def test_preview_of_few_faces_and_of_an_image_that_is_gone(manifest, tmp_path):
    make(manifest)
    write_manifest(manifest, read_manifest(manifest)[:3])
    (manifest.parent / "real/01.png").unlink()
    sheet = read_image(write_preview(manifest, tmp_path / "look", labeller="counting"))
    assert sheet.shape == (160, 3 * 320, 3) and sheet[80, 320 + 80].tolist() == [127] * 3


# --- the command -------------------------------------------------------------------------------------------------


@pytest.fixture
def facepad(monkeypatch, capsys):
    """Run a command in this process: (exit code, stdout, stderr)."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["facepad", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return run


def test_command_makes_maps_and_a_preview(facepad, manifest, tmp_path):
    code, out, err = facepad("data", "depth", manifest, "--engine", "template", "--preview", tmp_path / "look")
    assert code == 0 and not out and "39 depth maps by template-1" in err
    assert f"preview: {tmp_path / 'look' / 'depth-template.png'}" in err
    assert load(manifest).labeller == "template"


def test_command_without_the_mesh_says_that_it_takes_the_template(facepad, manifest, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    code, _, err = facepad("data", "depth", manifest)
    assert code == 0 and "engine template, a mean face for everybody, as facemesh cannot run: ai_edge_litert" in err
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
    code, out, err = facepad("data", "depth", manifest, *options)
    assert code == 2 and not out and re.search(line, err) and err.count("\n") == 1


def test_command_names_a_manifest_that_is_none(facepad, tmp_path):
    code, _, err = facepad("data", "depth", tmp_path / "none.csv", "--engine", "template")
    assert code == 2 and "cannot read manifest" in err and err.count("\n") == 1
