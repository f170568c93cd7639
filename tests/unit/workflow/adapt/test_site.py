"""Reading a site's folder or manifest, and preparing it."""

import re
import shutil

import pytest

from facepad.datasets.manifest import read_manifest, write_manifest
from facepad.datasets.origin import add_run, origin_of
from facepad.errors import DatasetError
from facepad.faces import DETECTORS
from facepad.types import AttackType, Label, Sample, Split
from facepad.workflow.adapt.finding import read_findings, refuse_stops
from facepad.workflow.adapt.findings import look_at_site
from facepad.workflow.adapt.site import prepare_site, read_site
from helpers.sites import PEOPLE, photo, site
from helpers.squares import Squares
from helpers.video_sets import clip


@pytest.fixture(autouse=True)
def _stub_detectors(monkeypatch):
    """Each coloured square is a face."""
    for name in ("dlib", "yunet"):
        monkeypatch.setitem(DETECTORS, name, lambda model: Squares())


def texts(findings, severity=None):
    return [finding.text for finding in findings if severity in (None, finding.severity)]


def touched(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def by_path(found):
    return {sample.path: sample for sample in found.samples}


def test_folders_give_class_kind_and_person(tmp_path):
    paths = ("live/anna/1.jpg", "live/ben/day 1/2.png", "spoof/print/anna/3.jpg", "spoof/tablet/ben/4.mp4")
    found = by_path(read_site(touched(tmp_path, *paths)))
    assert {(s.subject, s.label, s.attack_type) for s in found.values()} == {
        ("anna", Label.BONA_FIDE, None),
        ("ben", Label.BONA_FIDE, None),
        ("anna", Label.ATTACK, AttackType.PRINT),
        ("ben", Label.ATTACK, AttackType.REPLAY_VIDEO),
    }
    assert {s.split for s in found.values()} == {Split.TRAIN}


def test_attacks_without_a_kind_are_read_and_named(tmp_path):
    found = read_site(touched(tmp_path, "live/anna/1.jpg", "spoof/anna/2.jpg", "spoof/eve/3.jpg"))
    assert by_path(found)["spoof/eve/3.jpg"] == Sample(
        "spoof/eve/3.jpg", "eve", Label.ATTACK, AttackType.UNKNOWN, Split.TRAIN
    )
    assert any(text.startswith("the kind of 2 attack files is not known") for text in texts(found.findings))


def test_person_with_live_images_is_not_a_kind(tmp_path):
    found = read_site(touched(tmp_path, "live/anna/1.jpg", "live/ben/1.jpg", "spoof/Anna/monday/2.jpg"))
    assert by_path(found)["spoof/Anna/monday/2.jpg"].subject == "anna"


def test_kind_without_a_name_in_facepad_counts_as_unknown(tmp_path):
    found = read_site(touched(tmp_path, "live/anna/1.jpg", "spoof/sculpture/ben/2.jpg"))
    sample = by_path(found)["spoof/sculpture/ben/2.jpg"]
    assert (sample.subject, sample.attack_type) == ("ben", AttackType.UNKNOWN)
    assert any("'sculpture' was read as a kind of attack" in text for text in texts(found.findings, "warning"))


@pytest.mark.parametrize("below", ["", "anna/"])
def test_misspelt_kind_is_refused_with_the_word_that_was_meant(tmp_path, below):
    folder = touched(tmp_path, "live/anna/1.jpg", f"spoof/prnt/{below}2.jpg")
    with pytest.raises(DatasetError, match=r"folder 'prnt' names no kind of attack \(did you mean 'print'\?\)"):
        read_site(folder)


def test_misspelt_class_is_refused_with_the_word_that_was_meant(tmp_path):
    with pytest.raises(DatasetError, match=r"'liev' names no class \(did you mean 'live'\?\); folder 'spof' names no"):
        read_site(touched(tmp_path, "liev/anna/1.jpg", "spof/anna/2.jpg"))


def test_person_named_mark_is_not_a_misspelt_mask(tmp_path):
    assert (
        by_path(read_site(touched(tmp_path, "live/a/1.jpg", "spoof/Mark/2.jpg")))["spoof/Mark/2.jpg"].subject == "Mark"
    )


@pytest.mark.parametrize(
    ("live", "attacked"),
    [("Anna Lena", "anna_lena"), ("Zoe\N{COMBINING DIAERESIS}", "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}")],
)
def test_two_spellings_of_one_person_are_one_person_and_named(tmp_path, live, attacked):
    found = read_site(touched(tmp_path, f"live/{live}/1.jpg", f"live/{live}/2.jpg", f"spoof/print/{attacked}/3.jpg"))
    assert {sample.subject for sample in found.samples} == {live}
    [warning] = texts(found.findings, "warning")
    assert repr(live) in warning and repr(attacked) in warning


def test_similar_names_of_two_classes_are_named_and_kept(tmp_path):
    found = read_site(touched(tmp_path, "live/johannes/1.jpg", "spoof/print/johanes/3.jpg", "live/s001/1.jpg"))
    assert {sample.subject for sample in found.samples} == {"johannes", "johanes", "s001"}
    assert len(texts(found.findings, "warning")) == 1


def test_other_files_are_counted_by_ending(tmp_path):
    paths = ("live/anna/1.jpg", "live/anna/notes.txt", "live/.DS_Store", "live/b.txt", "spoof/print/anna/2.jpg")
    found = read_site(touched(tmp_path, *paths))
    assert found.files_not_read["live/.DS_Store"] == "hidden"
    assert texts(found.findings) == ["3 files were not read: 2 .txt, 1 hidden"]


def test_images_in_folders_of_no_class_are_named(tmp_path):
    paths = ("live/anna/1.jpg", "other/anna/2.jpg", "live/spoof/anna/3.jpg", "spoof/print/anna/4.jpg")
    assert set(texts(read_site(touched(tmp_path, *paths)).findings, "warning")) == {
        "1 file was not read: no folder above the file names a class",
        "1 file was not read: the folders above the file name both classes",
    }


def test_images_in_a_phones_own_format_are_named(tmp_path):
    with pytest.raises(DatasetError, match=r"\.dng cannot be read: set the phone to save JPEG"):
        read_site(touched(tmp_path, "live/anna/1.DNG", "spoof/print/anna/2.DNG"))


def test_file_outside_the_folders_of_people_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"1 file outside the folders of people \(live/1.jpg\); use the form"):
        read_site(touched(tmp_path, "live/1.jpg", "live/anna/1.jpg", "spoof/print/anna/2.jpg"))


@pytest.mark.parametrize("paths", [(), ("notes.txt",), ("photos/1.jpg",)])
def test_folder_without_images_of_a_class_is_refused(tmp_path, paths):
    with pytest.raises(DatasetError):
        read_site(touched(tmp_path, *paths))


def test_splits_of_a_manifest_are_ignored(tmp_path, tiny_manifest):
    found = read_site(tiny_manifest)
    assert {sample.split for sample in found.samples} == {Split.TRAIN}
    assert texts(found.findings) == ["the splits of manifest.csv are ignored: people are divided into folds instead"]


def test_prepared_site_has_a_box_for_each_image_and_frame(tmp_path):
    root = site(tmp_path / "desk")
    clip(root / "spoof/replay/anna/a.avi", size=(64, 64))
    manifest = prepare_site(read_site(root), tmp_path / "out", jobs=1)
    samples = read_manifest(manifest)
    assert manifest == tmp_path / "out/data/manifest.csv"
    assert sum(sample.video == "spoof/replay/anna/a.avi" for sample in samples) == 5
    assert {sample.split for sample in samples} == {Split.TRAIN}
    assert all(sample.box and (manifest.parent / sample.path).is_file() for sample in samples)
    assert len(samples) == 4 * len(PEOPLE) + 5


def test_output_inside_the_site_is_refused(tmp_path):
    root = site(tmp_path / "desk")
    with pytest.raises(DatasetError, match=r"out lies inside the site .*desk; choose an output folder outside"):
        prepare_site(read_site(root), root / "out")


def test_site_that_has_changed_is_prepared_again(tmp_path):
    root = site(tmp_path / "desk")
    before = read_manifest(prepare_site(read_site(root), tmp_path / "out", jobs=1))
    photo(root / "live/anna/new.jpg", seed=999)
    after = read_manifest(prepare_site(read_site(root), tmp_path / "out", jobs=1))
    assert len(after) == len(before) + 1


def test_preparing_again_gives_the_same_manifest(tmp_path):
    found = read_site(site(tmp_path / "desk"))
    first, again = (prepare_site(found, tmp_path / "out", jobs=1).read_bytes() for _ in range(2))
    assert first == again


def test_dlib_finds_the_faces_with_a_note_where_yunet_is_missing(tmp_path, monkeypatch):
    monkeypatch.delenv("FACEPAD_MODELS", raising=False)
    monkeypatch.setenv("FACEPAD_HOME", str(tmp_path))
    manifest = prepare_site(read_site(site(tmp_path / "desk")), tmp_path / "out", jobs=1)
    assert origin_of(manifest)["detector"] == "dlib"
    [told] = [text for text in texts(read_findings(manifest), "note") if text.startswith("dlib finds the faces")]
    assert "the public networks were trained on faces found by yunet" in told


@pytest.mark.parametrize(
    ("used", "severity", "said"),
    [
        ("dlib", "warning", "dlib found the faces of the manifest, but the public networks were trained on faces"),
        (None, "note", "it is not known which detector found the faces of the manifest"),
        ("yunet", None, None),
    ],
)
def test_boxes_of_a_manifest_that_are_not_yunets_are_told(tmp_path, monkeypatch, manifest_like, used, severity, said):
    monkeypatch.setattr("facepad.workflow.adapt.site.default_detector", lambda: "yunet")
    own = manifest_like(tmp_path / "own", lambda sample: sample)
    if used:
        add_run(own.parent, {"detector": used, "manifests": {own.name: {}}})
    manifest = prepare_site(read_site(own), tmp_path / "out", jobs=1)
    assert origin_of(manifest)["detector"] == (used or "yunet")
    found = [f for f in read_findings(manifest) if "found the faces" in f.text]
    assert [f.severity for f in found] == ([severity] if severity else [])
    assert all(f.text.startswith(said) and "data prepare --detector yunet" in f.text for f in found)


def test_boxes_of_a_manifest_are_kept(tmp_path, tiny_manifest):
    manifest = prepare_site(read_site(tiny_manifest), tmp_path / "out", jobs=1)
    assert [s.box for s in read_manifest(manifest)] == [s.box for s in read_manifest(tiny_manifest)]


def test_broken_file_is_left_out_and_named(tmp_path):
    root = site(tmp_path / "desk")
    (root / "live/anna/broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    manifest = prepare_site(read_site(root), tmp_path / "out", jobs=1)
    [finding] = [f for f in read_findings(manifest) if f.severity == "warning"]
    assert finding.text == "1 of 17 files cannot be read and is left out"
    assert re.match(r"[^/]+/live/anna/broken\.jpg: ", finding.evidence[0])


def test_site_of_broken_files_is_refused(tmp_path):
    root = site(tmp_path / "desk", images=1)
    for person in PEOPLE:
        (root / f"live/{person}/0.jpg").write_bytes(b"")
    found = read_findings(prepare_site(read_site(root), tmp_path / "out", jobs=1))
    [stop] = texts(found, "stop")
    assert re.match(r"4 of 8 files cannot be read \(first: .*is empty\): the copy is broken", stop)
    for path in root.rglob("*.jpg"):
        path.write_bytes(b"")
    with pytest.raises(DatasetError, match="desk: 8 of 8 files cannot be read"):
        prepare_site(read_site(root), tmp_path / "out", jobs=1)


def test_exact_duplicates_in_a_class_are_left_out_and_counted(tmp_path):
    root = site(tmp_path / "desk")
    shutil.copy(root / "live/anna/0.jpg", root / "live/anna/copy.jpg")
    shutil.copy(root / "live/anna/0.jpg", root / "live/ben/copy.jpg")
    manifest = prepare_site(read_site(root), tmp_path / "out", jobs=1)
    assert len(read_manifest(manifest)) == 4 * len(PEOPLE)
    found = texts(read_findings(manifest))
    assert "2 exact duplicates were left out" in found
    assert "1 file is in the folders of two people; only the first is used" in found


def test_exact_duplicate_in_both_classes_is_refused(tmp_path):
    root = site(tmp_path / "desk")
    shutil.copy(root / "live/anna/0.jpg", root / "spoof/print/anna/copy.jpg")
    manifest = prepare_site(read_site(root), tmp_path / "out", jobs=1)
    with pytest.raises(DatasetError, match=r"1 file is in both classes \(first: .*0.jpg = .*copy.jpg\); delete"):
        refuse_stops(look_at_site(manifest, read_manifest(manifest)), "desk")


def test_equal_files_are_named_from_both_classes_and_both_people(tmp_path):
    root = site(tmp_path / "desk")
    for name in ("live/anna/a copy.jpg", "spoof/print/anna/copy.jpg"):
        shutil.copy(root / "live/anna/0.jpg", root / name)
    for name in ("live/ben/a copy.jpg", "live/carl/copy.jpg"):
        shutil.copy(root / "live/ben/0.jpg", root / name)
    found = read_findings(prepare_site(read_site(root), tmp_path / "out", jobs=1))
    [both] = texts(found, "stop")
    assert re.search(r"first: \S*live/anna/0.jpg = \S*spoof/print/anna/copy.jpg\)", both)
    [people] = [f for f in found if "folders of two people" in f.text]
    assert re.fullmatch(r"\S*live/ben/0.jpg = \S*live/carl/copy.jpg", people.evidence[0])


def test_image_as_the_site_is_told_the_form_of_a_site(tmp_path):
    photo(tmp_path / "photo.jpg")
    with pytest.raises(DatasetError, match=r"photo.jpg is neither a folder live/PERSON/.* nor a manifest.csv"):
        read_site(tmp_path / "photo.jpg")


def test_every_stop_of_the_names_is_told_before_an_image_is_opened(tmp_path):
    one_person = site(tmp_path / "a", ("anna",))
    with pytest.raises(DatasetError, match="a: all files show one person, 'anna'"):
        prepare_site(read_site(one_person), tmp_path / "out")
    photo(tmp_path / "b/live/anna/1.jpg")
    with pytest.raises(DatasetError, match="b: there is one file only, live/anna/1.jpg"):
        prepare_site(read_site(tmp_path / "b"), tmp_path / "out")
    photo(tmp_path / "b/live/ben/1.jpg")
    with pytest.raises(DatasetError, match="b: there is no attack image; a model needs both classes"):
        prepare_site(read_site(tmp_path / "b"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_class_from_one_clip_is_refused(tmp_path):
    root = touched(tmp_path / "desk", "live/anna/1.mp4", "live/ben/1.mp4", "spoof/print/anna/1.mp4")
    with pytest.raises(DatasetError, match="all attack images are frames of one clip, spoof/print/anna/1.mp4"):
        prepare_site(read_site(root), tmp_path / "out")


def test_manifest_of_one_clip_is_refused(tmp_path):
    samples = [
        Sample(f"{n}.jpg", f"p{n}", label, AttackType.PRINT if label is Label.ATTACK else None, video="a", frame=n)
        for n, label in enumerate((*Label, *Label))
    ]
    write_manifest(tmp_path / "manifest.csv", samples)
    with pytest.raises(DatasetError, match="frames of one clip, a; take clips of several people"):
        prepare_site(read_site(tmp_path / "manifest.csv"), tmp_path / "out")


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (("live/anna/1.jpg", "spoof/print/anna/2.jpg"), "all files show one person, 'anna'"),
        (("live/anna/1.jpg", "live/ben/1.jpg"), "there is no attack image"),
        (("live/anna/1.jpg",), "there is one file only, live/anna/1.jpg"),
        (("live/anna/1.mp4", "live/ben/1.jpg", "spoof/print/ben/1.mp4"), "all attack images are frames of one clip"),
        (("live/anna/1.jpg", "spoof/prnt/anna/2.jpg"), "did you mean 'print'?"),
        (("liev/anna/1.jpg", "spoof/print/anna/2.jpg"), "did you mean 'live'?"),
    ],
)
def test_command_refuses_a_bad_site_in_one_line(facepad, tmp_path, paths, said):
    code, text, messages = facepad("adapt", touched(tmp_path / "desk", *paths), tmp_path / "out")
    assert (code, text) == (2, "")
    assert said in messages and messages.count("\n") == 1
