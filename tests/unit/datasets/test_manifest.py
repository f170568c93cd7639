"""The manifest contract: reading, refusals with file and line, and writing."""

import hashlib
from pathlib import Path

import pytest

from facepad.datasets.manifest import (
    COLUMNS,
    manifest_hash,
    read_manifest,
    require_both_classes,
    resolve,
    write_manifest,
)
from facepad.errors import InputError, ManifestError
from facepad.types import AttackType, Box, Label, Sample, Split

HEADER = ",".join(COLUMNS)


def manifest(folder: Path, *lines: str) -> Path:
    path = folder / "manifest.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_read_manifest_reads_every_column(tmp_path):
    path = manifest(tmp_path, HEADER, "../raw/a 1.jpg,anna,attack,print,dev,attack-1,7,-1.5,2,30.25,40")
    assert read_manifest(path) == [
        Sample(
            "../raw/a 1.jpg", "anna", Label.ATTACK, AttackType.PRINT, Split.DEV, "attack-1", 7, Box(-1.5, 2, 30.25, 40)
        )
    ]


def test_read_manifest_takes_required_columns_in_any_order(tmp_path):
    path = manifest(tmp_path, "label,path,subject", "bona_fide,a.png,anna", "attack,b.png,anna")
    assert read_manifest(path) == [
        Sample("a.png", "anna", Label.BONA_FIDE),
        Sample("b.png", "anna", Label.ATTACK, AttackType.UNKNOWN),
    ]


@pytest.mark.parametrize("word", ["live", "real", "Genuine", "bona-fide", "Bona Fide", "bonafide"])
def test_read_manifest_understands_words_for_bona_fide(tmp_path, word):
    assert read_manifest(manifest(tmp_path, "path,subject,label", f"a.png,anna,{word}"))[0].label is Label.BONA_FIDE


@pytest.mark.parametrize("word", ["spoof", "fake", "imposter", "impostor", "ATTACK"])
def test_read_manifest_understands_words_for_attack(tmp_path, word):
    assert read_manifest(manifest(tmp_path, "path,subject,label", f"a.png,anna,{word}"))[0].label is Label.ATTACK


@pytest.mark.parametrize(
    ("word", "split"), [("devel", Split.DEV), ("validation", Split.DEV), ("val", Split.DEV), ("Training", Split.TRAIN)]
)
def test_read_manifest_understands_words_for_splits(tmp_path, word, split):
    assert read_manifest(manifest(tmp_path, "path,subject,label,split", f"a.png,anna,live,{word}"))[0].split is split


def test_read_manifest_takes_windows_line_ends_blank_lines_and_a_byte_order_mark(tmp_path):
    path = tmp_path / "manifest.csv"
    path.write_bytes(b"\xef\xbb\xbfpath,subject,label\r\na.png,anna,live\r\n\r\nb.png,ben,spoof\r\n")
    assert [sample.subject for sample in read_manifest(path)] == ["anna", "ben"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("a.png,anna,lively,,,,,,,,", "unknown label 'lively'"),
        ("a.png,anna,,,,,,,,,", "unknown label ''"),
        ("a.png,anna,1,,,,,,,,", "choices: bona_fide, attack"),
        ("a.png,anna,attack,prnt,,,,,,,", "did you mean 'print'"),
        ("a.png,anna,live,print,,,,,,,", "a bona fide sample has no attack_type, got 'print'"),
        ("a.png,anna,live,,holdout,,,,,,", "unknown split 'holdout'"),
        ("a.png,anna,live,,,,-1,,,,", "frame must be a whole number from 0, got '-1'"),
        ("a.png,anna,live,,,,1.0,,,,", "frame must be a whole number from 0, got '1.0'"),
        ("a.png,anna,live,,,,,1,2,3,", "box must be four numbers"),
        ("a.png,anna,live,,,,,1,2,3,x", "box must be four numbers"),
        ("a.png,anna,live,,,,,3,2,1,4", "with x1 < x2"),
        ("a.png,anna,live,,,,,1,2,nan,4", "box must be four numbers"),
        ("a.png,anna,live,,,,,1,2,1_0,4", "box must be four numbers"),
        ("a.png,anna,live,,,,,1,2,٣,4", "box must be four numbers"),
        ("a.png,anna,live,,,,,1,2,infinity,4", "box must be four numbers"),
        (",anna,live,,,,,,,,", "empty path"),
        ("/data/a.png,anna,live,,,,,,,,", "path must be relative to the manifest's folder"),
        ("x\\a.png,anna,live,,,,,,,,", "with forward slashes"),
        ("C:/a.png,anna,live,,,,,,,,", "path must be relative"),
        ("a.png,,live,,,,,,,,", "subject must be a name"),
        ("a.png, anna,live,,,,,,,,", "subject must be a name without spaces around it, got ' anna'"),
        ("a.png,anna,live", "expected 11 fields as in the header, got 3"),
        ("a.png,anna,live,,,,,,,,,", "expected 11 fields as in the header, got 12"),
        ('"a.png,anna,live,,,,,,,,', "not CSV (unexpected end of data)"),
        ("a\0.png,anna,live,,,,,,,,", "path holds a control character"),
        ("./first.png,anna,live,,,,,,,,", "./first.png is already listed in line 2"),
    ],
)
def test_read_manifest_refuses_a_bad_line_by_file_and_number(tmp_path, line, says):
    path = manifest(tmp_path, HEADER, "first.png,anna,live,,,,,,,,", line)
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert str(caught.value).startswith(f"{path}:3: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("path,label", "missing column subject"),
        ("path,subject,label,atack_type", "unknown column 'atack_type' (did you mean 'attack_type'?)"),
        ("path,subject,label,label", "column 'label' appears twice"),
        ("path,subject,label,Attack Type", "unknown column 'Attack Type' (did you mean 'attack_type'?)"),
        ("path,subject,label,", "column 4: expected a printable name of at most 1000 characters, got an empty name"),
        ("path,subject,label,a\x1b[2Jb", "column 4: expected a printable name of at most 1000 characters, got 'a\\x1b"),
        ("path,subject,label," + "x" * 1001, "column 4: expected a printable name of at most 1000 characters, got"),
        ("path,subject,label,score", "column 'score' belongs to scores files"),
        ("path,subject,label,Site, site", "column 'site' appears twice"),
        ("path;subject;label", "expected commas between the columns, got semicolons: save the table again with commas"),
        ('"Path";"Subject";"Label"', "expected commas between the columns, got semicolons"),
        ("path\tsubject\tlabel", "expected commas between the columns, got tabs"),
        ("sep=;", "expected commas between the columns, got semicolons"),
        (",".join(map(str, range(1001))), "expected at most 1000 columns, got 1001"),
    ],
)
def test_read_manifest_refuses_a_bad_header(tmp_path, header, says):
    path = manifest(tmp_path, header, "a.png,anna,live,x")
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert str(caught.value).startswith(f"{path}:1: ")
    assert says in str(caught.value)


def test_extra_columns_are_attributes_and_are_written_after_the_others(tmp_path):
    path = manifest(tmp_path, "path,Site ,subject,label,gender", "a.png, north ,anna,live,f", "b.png,,ben,live,")
    first, second = read_manifest(path)
    assert first.attributes == (("gender", "f"), ("site", "north"))
    assert (first.attribute("site"), second.attribute("site"), second.attributes) == ("north", None, ())
    write_manifest(tmp_path / "again.csv", [first, second])
    assert (tmp_path / "again.csv").read_text().splitlines() == [
        f"{HEADER},gender,site",
        "a.png,anna,bona_fide,,,,,,,,,f,north",
        "b.png,ben,bona_fide,,,,,,,,,,",
    ]
    assert read_manifest(tmp_path / "again.csv") == [first, second]
    assert manifest_hash(path) == manifest_hash(tmp_path / "again.csv")


def test_a_free_attack_type_is_a_species_and_stays_one(tmp_path):
    lines = [
        "a.png,anna,spoof,silicone,",
        "b.png,anna,spoof,print_2,",
        "c.png,anna,spoof,mask,wax",
        "d.png,anna,live,,-",
    ]
    path = manifest(tmp_path, "path,subject,label,attack_type,species", *lines)
    samples = read_manifest(path)
    assert [(sample.species, sample.attack_type) for sample in samples] == [
        ("silicone", AttackType.UNKNOWN),
        ("print_2", AttackType.PRINT),
        ("wax", AttackType.MASK_3D),
        (None, None),
    ]
    write_manifest(tmp_path / "again.csv", samples)
    assert read_manifest(tmp_path / "again.csv") == samples


def test_read_manifest_refuses_a_species_of_bona_fide(tmp_path):
    path = manifest(tmp_path, "path,subject,label,species", "a.png,anna,live,wig")
    with pytest.raises(ManifestError, match=":2: a bona fide line has no species, got 'wig'"):
        read_manifest(path)


def test_read_manifest_refuses_a_huge_value_of_an_attribute(tmp_path):
    path = manifest(tmp_path, "path,subject,label,site", f"a.png,anna,live,{'x' * 1001}")
    with pytest.raises(ManifestError, match=r":2: column site: expected at most 1000 characters, got 1001$"):
        read_manifest(path)


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ((("", "f"),), "expected the name of a column in lower case, printable and not empty, got ''"),
        ((("Site", "f"),), "in lower case, printable and not empty, got 'Site'"),
        ((("site", "a"), ("site", "b")), "expected each attribute once, got site, site"),
    ],
)
def test_a_sample_refuses_broken_attributes(attributes, says):
    with pytest.raises(ValueError) as caught:
        Sample("a.png", "anna", Label.BONA_FIDE, attributes=attributes)
    assert says in str(caught.value)


def test_write_manifest_refuses_an_attribute_with_the_name_of_a_column(tmp_path):
    sample = Sample("a.png", "anna", Label.BONA_FIDE, attributes=(("video", "x"),))
    with pytest.raises(ManifestError, match="an attribute cannot have the name of a column: 'video'"):
        write_manifest(tmp_path / "manifest.csv", [sample])


def test_read_manifest_refuses_a_missing_file(tmp_path):
    with pytest.raises(ManifestError, match=r"cannot read manifest .*none\.csv: No such file"):
        read_manifest(tmp_path / "none.csv")


def test_read_manifest_refuses_an_empty_file(tmp_path):
    path = tmp_path / "manifest.csv"
    path.write_bytes(b"")
    with pytest.raises(ManifestError, match="empty file; expected a header line: path,subject,label"):
        read_manifest(path)


def test_read_manifest_refuses_a_header_alone(tmp_path):
    with pytest.raises(ManifestError, match="lists no samples"):
        read_manifest(manifest(tmp_path, HEADER))


def test_read_manifest_refuses_bytes_that_are_not_text(tmp_path):
    path = tmp_path / "manifest.csv"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\xff")
    with pytest.raises(ManifestError, match="not UTF-8 text"):
        read_manifest(path)


def test_read_manifest_allows_one_path_with_several_frames(tmp_path):
    path = manifest(tmp_path, "path,subject,label,frame", "clip.mp4,anna,live,0", "clip.mp4,anna,live,1")
    assert [sample.frame for sample in read_manifest(path)] == [0, 1]
    with pytest.raises(ManifestError, match=r":4: clip\.mp4 frame 1 is already listed in line 3"):
        read_manifest(manifest(tmp_path, *path.read_text().splitlines(), "clip.mp4,anna,live,1"))


def test_write_manifest_gives_these_bytes(tmp_path):
    samples = [
        Sample(
            "ä,b/1.jpg", 'the "one"', Label.BONA_FIDE, None, Split.TRAIN, "real-1", 0, Box(-0.001, 2.5, 100, 101.126)
        ),
        Sample("../c.jpg", "ben", Label.ATTACK, AttackType.REPLAY_VIDEO),
    ]
    write_manifest(tmp_path / "manifest.csv", samples)
    assert (tmp_path / "manifest.csv").read_bytes().decode() == (
        f"{HEADER}\n"
        '"ä,b/1.jpg","the ""one""",bona_fide,,train,real-1,0,0,2.5,100,101.13\n'
        "../c.jpg,ben,attack,replay_video,,,,,,,\n"
    )


@pytest.mark.parametrize(
    "sample",
    [
        Sample("/abs.png", "anna", Label.BONA_FIDE),
        Sample("a.png", "", Label.BONA_FIDE),
        Sample("a\n.png", "anna", Label.BONA_FIDE),
        Sample("a\udcff.png", "anna", Label.BONA_FIDE),
        Sample("a.png", "anna", Label.BONA_FIDE, frame=-1),
        Sample("a.png", "anna", Label.BONA_FIDE, box=Box(1, 1, 1.001, 2)),
    ],
)
def test_write_manifest_refuses_what_cannot_be_read_back_and_writes_nothing(tmp_path, sample):
    with pytest.raises(ManifestError):
        write_manifest(tmp_path / "manifest.csv", [sample])
    assert list(tmp_path.iterdir()) == []


def test_write_manifest_refuses_no_samples_and_doubles(tmp_path):
    with pytest.raises(ManifestError, match="lists no samples"):
        write_manifest(tmp_path / "manifest.csv", [])
    with pytest.raises(ManifestError, match="already listed in line 2"):
        write_manifest(tmp_path / "manifest.csv", [Sample("a.png", "anna", Label.BONA_FIDE)] * 2)


def test_write_manifest_keeps_the_old_file_when_the_place_fails(tmp_path):
    (tmp_path / "file").write_text("here")
    with pytest.raises(InputError, match="cannot write"):
        write_manifest(tmp_path / "file" / "manifest.csv", [Sample("a.png", "anna", Label.BONA_FIDE)])
    assert (tmp_path / "file").read_text() == "here"


def test_resolve_is_relative_to_the_manifests_folder():
    found = resolve(Path("/sets/out/manifest.csv"), Sample("../raw/a.jpg", "anna", Label.BONA_FIDE))
    assert found == Path("/sets/out/../raw/a.jpg")


def test_manifest_hash_sees_contents_not_form(tmp_path):
    path = tmp_path / "manifest.csv"
    write_manifest(
        path, [Sample("a.png", "anna", Label.BONA_FIDE), Sample("b.png", "b", Label.ATTACK, AttackType.PRINT)]
    )
    first = manifest_hash(path)
    assert first == hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(b"subject,path,label,attack_type\r\nanna,a.png,live,\r\nb,b.png,Spoof,print\r\n")
    assert manifest_hash(path) == first
    path.write_bytes(b"subject,path,label,attack_type\r\nanna,a.png,live,\r\nb,b.png,spoof,replay\r\n")
    assert manifest_hash(path) != first


def labelled(path: str, label: Label) -> Sample:
    return Sample(path, "anna", label, AttackType.PRINT if label is Label.ATTACK else None)


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ([Label.BONA_FIDE] * 3, "3 bona fide and 0 attack"),
        ([Label.ATTACK] * 2, "0 bona fide and 2 attack"),
        ([], "0 bona fide and 0 attack"),
    ],
)
def test_require_both_classes_refuses_samples_of_one_class_and_says_how_many(labels, found):
    samples = [labelled(f"{number}.png", label) for number, label in enumerate(labels)]
    with pytest.raises(InputError, match=f"training needs images of both classes in split 'dev', got {found}"):
        require_both_classes(samples, "training", where="split 'dev'")


def test_require_both_classes_keeps_samples_of_both():
    require_both_classes([labelled("1.png", Label.BONA_FIDE), labelled("2.png", Label.ATTACK)], "training")
