"""Checking manifests: each kind of finding on files made for it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facepad.datasets.check import check
from facepad.datasets.lookalike import NEAR_LIMIT
from facepad.datasets.manifest import write_manifest
from facepad.errors import InputError, ManifestError
from facepad.types import AttackType, Box, Label, Sample, Split


def picture(seed: int) -> Image.Image:
    """A smooth random picture: no two seeds look alike."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(coarse).resize((96, 72), Image.Resampling.BICUBIC)


def sample(path: str, split: Split | None, *, subject: str = "", attack: bool = False) -> Sample:
    label = Label.ATTACK if attack else Label.BONA_FIDE
    return Sample(path, subject or path, label, AttackType.PRINT if attack else None, split, box=Box(1, 1, 9, 9))


@pytest.fixture
def sound(tmp_path):
    """Six sound samples: both classes in three splits, no two files alike."""
    samples = []
    for number, split in enumerate(Split):
        for attack in (False, True):
            path = f"images/{split}-{attack}.png"
            (tmp_path / "images").mkdir(exist_ok=True)
            picture(10 * number + attack).save(tmp_path / path)
            samples.append(sample(path, split, attack=attack))
    return samples


def report(folder: Path, samples):
    write_manifest(folder / "manifest.csv", samples)
    return check(folder / "manifest.csv", jobs=1)


def test_check_finds_nothing_in_a_sound_set(tmp_path, sound):
    found = report(tmp_path, sound)
    assert found.problems == []
    assert found.samples == 6
    assert found.balance == {split.value: {"bona_fide": 1, "attack": 1} for split in Split}
    assert found.unlisted == []
    assert "no problems found" in found.to_text()


def test_check_lists_missing_files(tmp_path, sound):
    (tmp_path / sound[0].path).unlink()
    found = report(tmp_path, sound)
    assert found.missing == [sound[0].path]
    assert found.problems == [f"listed files that are missing: 1 (first: {sound[0].path})"]


@pytest.mark.parametrize("damage", ["truncated", "empty", "text"])
def test_check_lists_unreadable_files(tmp_path, sound, damage):
    file = tmp_path / sound[3].path
    file.write_bytes({"truncated": file.read_bytes()[:-200], "empty": b"", "text": b"no image"}[damage])
    found = report(tmp_path, sound)
    assert [path for path, _ in found.unreadable] == [sound[3].path]
    assert found.problems[0].startswith(f"files that cannot be read: 1 (first: {sound[3].path}: ")


def test_check_finds_identical_files_across_splits(tmp_path, sound):
    (tmp_path / sound[4].path).write_bytes((tmp_path / sound[0].path).read_bytes())
    found = report(tmp_path, sound)
    assert found.exact_duplicates == [[sound[0].path, sound[4].path]]
    assert found.near_duplicates == []
    assert "groups of identical files with different splits or labels: 1" in found.problems[0]


def test_check_finds_identical_files_with_different_labels(tmp_path, sound):
    (tmp_path / sound[1].path).write_bytes((tmp_path / sound[0].path).read_bytes())
    assert report(tmp_path, sound).exact_duplicates == [[sound[0].path, sound[1].path]]


def test_check_allows_identical_files_on_one_side(tmp_path, sound):
    (tmp_path / "images/again.png").write_bytes((tmp_path / sound[0].path).read_bytes())
    assert report(tmp_path, [*sound, sample("images/again.png", Split.TRAIN)]).problems == []


def test_check_finds_near_duplicates_across_splits(tmp_path, sound):
    again = "images/again.jpg"
    picture(0).resize((48, 36)).save(tmp_path / again, quality=60)
    found = report(tmp_path, [*sound, sample(again, Split.TEST)])
    (near,) = found.near_duplicates
    assert {(near.path, near.split), (near.twin, near.twin_split)} == {(again, "test"), (sound[0].path, "train")}
    assert near.distance <= NEAR_LIMIT
    assert "images with a near duplicate in another split: 1" in found.problems[0]
    # On the same side it is no leak.
    assert report(tmp_path, [*sound, sample(again, Split.TRAIN)]).problems == []


def test_check_finds_subjects_on_both_sides(tmp_path, sound):
    extra = []
    for split in (Split.TEST, Split.TRAIN):
        path = f"images/anna-{split}.png"
        picture(50 + len(extra)).save(tmp_path / path)
        extra.append(sample(path, split, subject="anna"))
    found = report(tmp_path, [*sound, *extra])
    assert found.shared_subjects == {"anna": ["train", "test"]}
    assert found.problems == ["subjects in more than one split: 1 (first: anna in train, test)"]


def test_check_finds_a_split_with_one_class(tmp_path, sound):
    found = report(tmp_path, [s for s in sound if (s.split, s.label) != (Split.DEV, Label.ATTACK)])
    assert found.balance["dev"] == {"bona_fide": 1, "attack": 0}
    assert found.problems == ["split dev holds no attack images"]


def test_check_counts_missing_boxes_and_unlisted_files_without_complaint(tmp_path, sound):
    (tmp_path / "images/more.jpg").write_bytes(b"")
    (tmp_path / "images/notes.txt").write_bytes(b"")
    extra = Sample("images/new.png", "new", Label.BONA_FIDE, split=Split.TRAIN)
    picture(60).save(tmp_path / extra.path)
    found = report(tmp_path, [*sound, extra])
    assert found.without_box == ["images/new.png"]
    assert found.unlisted == ["images/more.jpg"]
    assert found.problems == []


def test_check_looks_beside_listed_files_wherever_they_lie(tmp_path):
    (tmp_path / "raw").mkdir()
    picture(0).save(tmp_path / "raw/1.png")
    picture(1).save(tmp_path / "raw/2.png")
    (tmp_path / "out").mkdir()
    found = report(tmp_path / "out", [sample("../raw/./1.png", None)])
    assert found.unlisted == ["../raw/2.png"]
    assert found.balance == {"none": {"bona_fide": 1, "attack": 0}}


def test_check_counts_the_species_so_that_a_misspelt_type_shows(tmp_path, sound):
    attack = replace(sound[1], attack_type=AttackType.UNKNOWN, attributes=(("species", "prints"),))
    write_manifest(tmp_path / "manifest.csv", [sound[0], attack, *sound[2:]])
    found = check(tmp_path / "manifest.csv")
    assert found.species == {"print": 2, "prints": 1} and "attacks: 2 print, 1 prints" in found.to_text()


def test_check_report_is_json(tmp_path, sound):
    (tmp_path / sound[0].path).unlink()
    (tmp_path / sound[5].path).write_bytes(b"")
    data = json.loads(json.dumps(report(tmp_path, sound).to_dict()))
    assert data["missing"] == [sound[0].path]
    assert data["unreadable"][0][0] == sound[5].path
    assert len(data["problems"]) == 2


def test_check_shows_progress_on_stderr_only(tmp_path, sound, capsys):
    write_manifest(tmp_path / "manifest.csv", sound)
    check(tmp_path / "manifest.csv", jobs=1)
    assert capsys.readouterr().out == ""


def test_check_refuses_no_jobs(tmp_path):
    with pytest.raises(InputError, match="jobs must be at least 1, got 0"):
        check(tmp_path / "manifest.csv", jobs=0)


def test_check_refuses_a_bad_manifest(tmp_path):
    with pytest.raises(ManifestError, match="cannot read manifest"):
        check(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("one", "other", "says"),
    [("Anna", "anna", "'Anna' and 'anna'"), ("Zoe\u0308", "Zo\u00eb", r"'Zoe\u0308' and 'Zo\xeb'")],
    ids=["upper case", "unicode form"],
)
def test_check_warns_of_two_spellings_of_a_name_in_different_splits(tmp_path, sound, facepad, one, other, says):
    sound[0], sound[5] = replace(sound[0], subject=one), replace(sound[5], subject=other)
    found = report(tmp_path, sound)
    assert (found.problems, found.shared_subjects) == ([], {})
    assert found.warnings == [f"{says} in different splits may be one person: give each person one name"]
    code, out, _ = facepad("data", "check", tmp_path / "manifest.csv")
    assert (code, f"warning: {found.warnings[0]}" in out) == (0, True)
    sound[5] = replace(sound[5], split=sound[0].split)
    assert report(tmp_path, sound).warnings == []
