"""Scores files: facepad's CSV, other people's CSV, and bob's columns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facepad import metrics
from facepad.errors import ScoresError
from facepad.metrics.convert import convert_scores
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus, Split

RECORDS = (
    ScoreRecord("live/a.jpg", "0001", "v1", 0, Label.BONA_FIDE, None, Split.DEV, ScoreStatus.SCORED, 0.1 + 0.2),
    ScoreRecord('odd, "name".jpg', "", None, None, Label.ATTACK, AttackType.PRINT, None, ScoreStatus.SCORED, 1e-9),
    ScoreRecord("c.jpg", "0002", None, 7, Label.ATTACK, AttackType.MASK_3D, Split.TEST, ScoreStatus.NO_FACE, None),
)


@pytest.fixture
def write(tmp_path):
    def write_file(text, name="scores.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_file


def test_written_scores_are_read_back_the_same(tmp_path):
    path = tmp_path / "scores.csv"
    metrics.write_scores(path, RECORDS)
    file = metrics.read_scores(path)
    assert file == metrics.ScoreFile(RECORDS, "scores.csv", ())
    assert path.read_text().splitlines()[0] == "path,subject,video,frame,label,attack_type,split,status,score"


def test_sha256_of_scores_ignores_order_and_sees_every_field():
    assert metrics.scores_sha256(RECORDS) == metrics.scores_sha256(RECORDS[::-1])
    assert metrics.scores_sha256(RECORDS) != metrics.scores_sha256(RECORDS[:2])
    assert len(metrics.scores_sha256(RECORDS)) == 64


def test_extra_columns_are_attributes(write, tmp_path):
    path = write(",Label,score,Site,atack_type\n0,live,0.9, north ,\n1,attack,0.1,,print\n")
    first, second = (file := metrics.read_scores(path)).records
    assert (first.attributes, second.attributes) == ((("site", "north"),), (("atack_type", "print"),))
    assert file.notes == ("column 'atack_type' is kept as an attribute (did you mean 'attack_type'?)",)
    metrics.write_scores(tmp_path / "again.csv", file.records)
    assert metrics.read_scores(tmp_path / "again.csv").records == file.records
    assert (tmp_path / "again.csv").read_text().splitlines()[0].endswith(",status,score,atack_type,site")


def test_sha256_of_scores_sees_attributes_and_is_the_same_without():
    lines = [replace(record, attributes=(("site", "north"),)) for record in RECORDS]
    other = [replace(record, attributes=(("place", "north"),)) for record in RECORDS]
    found = {metrics.scores_sha256(records) for records in (RECORDS, lines, other, lines[::-1])}
    assert len(found) == 3
    assert metrics.scores_sha256(RECORDS).startswith("82b865a50375b2d2")


def test_an_attribute_with_the_name_of_a_column_is_not_written(tmp_path):
    with pytest.raises(ScoresError, match="an attribute cannot have the name of a column: 'score'"):
        metrics.write_scores(tmp_path / "scores.csv", [replace(RECORDS[0], attributes=(("score", "1"),))])
    assert list(tmp_path.iterdir()) == []


def test_two_columns_and_foreign_words_are_enough(write):
    path = write("\ufeffScore, Label, extra, attack_type\r\n0.9,Real,x,\r\n\r\n-3,SPOOF,y,Video Replay\r\n")
    first, second = metrics.read_scores(path).records
    assert (first.label, first.score, first.path, first.subject) == (Label.BONA_FIDE, 0.9, "line 2", "")
    assert (second.label, second.score, second.attack_type) == (Label.ATTACK, -3.0, AttackType.REPLAY_VIDEO)


@pytest.mark.parametrize("word", ["live", "real", "genuine", "bonafide", "bona fide", "Bona-Fide", "bona_fide"])
def test_bona_fide_words_are_read(word):
    assert metrics.parse_label(word) is Label.BONA_FIDE


@pytest.mark.parametrize("word", ["spoof", "fake", "imposter", "Impostor", "attack", "presentation attack"])
def test_attack_words_are_read(word):
    assert metrics.parse_label(word) is Label.ATTACK
    assert metrics.parse_attack_type(word) is AttackType.UNKNOWN


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((kind.value, kind) for kind in AttackType),
        ("attack_highdef_photo", AttackType.REPLAY_PHOTO),
        ("mobile/video", AttackType.REPLAY_VIDEO),
        ("Cut-Photo", AttackType.CUT_PRINT),
        ("warped photo", AttackType.WARPED_PRINT),
        ("photo", AttackType.PRINT),
        ("replay", AttackType.REPLAY_VIDEO),
        ("3D mask", AttackType.MASK_3D),
        ("makeup", None),
    ],
)
def test_instrument_names_are_read(name, expected):
    assert metrics.parse_attack_type(name) is expected


@pytest.mark.parametrize("word", ["devel", "val", "Validation", "dev"])
def test_dev_words_are_read(word):
    assert metrics.parse_split(word) is Split.DEV


def test_unknown_instruments_are_species_and_noted(write, tmp_path):
    file = metrics.read_scores(write("label,attack_type,score\nattack,makeup,0.5\nattack,wig,0.1\nlive,real,1\n"))
    assert [record.attack_type for record in file.records] == [AttackType.UNKNOWN, AttackType.UNKNOWN, None]
    assert [record.species for record in file.records] == ["makeup", "wig", None]
    assert file.notes == ("2 attack name(s) are no known instrument, and each counts as a PAI species: makeup, wig",)
    metrics.write_scores(tmp_path / "again.csv", file.records)
    assert metrics.read_scores(tmp_path / "again.csv").records == file.records


def test_the_column_species_names_the_species_of_a_type(write):
    lines = ["label,attack_type,species,series,score", "attack,print,,1,0", "attack,print,Canon A,2,0"]
    records = metrics.read_scores(write("\n".join([*lines, "attack,,wig,,0", "live,,live,,1"]))).records
    assert [(r.species, r.attack_type, r.series) for r in records] == [
        ("print", AttackType.PRINT, "1"),
        ("Canon A", AttackType.PRINT, "2"),
        ("wig", AttackType.UNKNOWN, None),
        (None, None, None),
    ]


def test_repeated_lines_are_noted(write):
    file = metrics.read_scores(write("path,label,score\na.jpg,live,0.5\na.jpg,live,0.6\n"))
    assert "1 line(s) repeat" in file.notes[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no scores"),
        ("label,score\n", "holds no scores"),
        ("path,score\na,0.5\n", "no column label"),
        ("label,score,score\n", "a column twice"),
        ("label,score\nlive\n", "line 2: expected 2 fields, got 1"),
        ("label,score\nlive,0.5\n1,0.5\n", "line 3: unknown label '1'"),
        ("label,score\nlive,nan\n", "line 2: expected a finite number as score"),
        ("label,score\nlive,inf\n", "line 2: expected a finite number as score"),
        ("label,score\nlive,\n", "line 2: expected a finite number as score"),
        ("label,score\nlive,high\n", "got 'high'"),
        ("label,status,score\nlive,no_face,0.5\n", "no_face needs an empty score"),
        ("label,status,score\nlive,noface,\n", "did you mean 'no_face'"),
        ("label,split,score\nlive,tset,0.5\n", "did you mean 'test'"),
        ("label,frame,score\nlive,first,0.5\n", "whole number as frame"),
        ("label,frame,score\nlive,1_0,0.5\n", "whole number as frame"),
        ("label,attack_type,score\nlive,print,0.5\n", "bona fide line has no attack_type"),
        ("label,score\nlive,0.5\nreal,0.6\n", "line 3: expected one word for bona_fide in the whole file, got 'real'"),
        ("label,score\nattack,0.5\nlive,0.6\nSpoof,0.6\n", "line 4: expected one word for attack"),
        ("label,is_bonafide,score\nlive,True,0.5\n", "a column twice"),
        ("test_label,is_bonafide\na,True\n", "no column score"),
        ("is_bonafide,score\nTrue,0.5\n1,0.5\n", "line 3: expected True or False as is_bonafide, got '1'"),
        ("is_bonafide,score\nTrue,high\n", "line 2: expected a finite number as score"),
        ("is_bonafide,attack_type,score\nTrue,print,0.5\n", "line 2: a bona fide line has no attack_type"),
        ("label,species,score\nlive,wig,0.5\n", "line 2: a bona fide line has no species, got 'wig'"),
        ('label,score\n"live,0.5\n', "not CSV"),
        ("Label;Score\r\nlive;0,5\r\n", "line 1: expected commas between the columns, got semicolons: save the table"),
        ('\n"label"\t"score"\n"live"\t0.5\n', "line 2: expected commas between the columns, got tabs"),
        ("is_bonafide;score\nTrue;0.5\n", "line 1: expected commas between the columns, got semicolons"),
        ("sep=;\nlabel;score\nlive;0,5\n", "line 1: expected commas between the columns, got semicolons"),
        (b"label,score\nlive,\xff\n", "UTF-8"),
        ("a b 0.5 0.1 0.2 0.3\n", "no column label"),
        ("label,score,a\x1b[2Jb\n", r"column 3: expected a printable name .* got 'a\\x1b"),
        (f"label,score,{'x' * 1001}\n", "column 3: expected a printable name of at most 1000 characters"),
        (f"label,score,site\nlive,1,{'x' * 1001}\n", "line 2: column site: expected at most 1000 characters, got 1001"),
        (f"label,score,site\nlive,1,{'x' * 140_000}\n", "line 2: not CSV"),
    ],
)
def test_broken_scores_file_raises_naming_the_line(write, text, says):
    with pytest.raises(ScoresError, match=says) as caught:
        metrics.read_scores(write(text))
    assert "scores.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_scores_file_raises(tmp_path):
    with pytest.raises(ScoresError, match="cannot read scores file"):
        metrics.read_scores(tmp_path / "absent.csv")


def test_writing_a_nan_score_raises_and_writes_nothing(tmp_path):
    record = ScoreRecord("a", "s", None, None, Label.BONA_FIDE, None, None, ScoreStatus.SCORED, float("nan"))
    with pytest.raises(ScoresError, match="finite score"):
        metrics.write_scores(tmp_path / "scores.csv", [record])
    assert list(tmp_path.iterdir()) == []


def test_bob_4_columns_are_read_by_their_convention(write):
    path = write("# made elsewhere\n7 7 real/7 0.9\n\n7 attack/print probe/1 -1.5\n7 8 probe/2 0.1\n9 attack x nan\n")
    file = metrics.read_scores(path)
    assert file.format == "bob 4-column"
    got = [(r.subject, r.label.value, r.attack_type, r.path, r.status.value, r.score) for r in file.records]
    assert got == [
        ("7", "bona_fide", None, "real/7", "scored", 0.9),
        ("7", "attack", AttackType.PRINT, "probe/1", "scored", -1.5),
        ("7", "attack", AttackType.UNKNOWN, "probe/2", "scored", 0.1),
        ("9", "attack", AttackType.UNKNOWN, "x", "unreadable", None),
    ]
    assert any("failure to acquire" in note for note in file.notes)
    assert any(note.endswith("'unknown': 8") for note in file.notes)


def test_bob_names_of_attacks_are_species(write, tmp_path):
    file = metrics.read_scores(write("7 7 a 0.9\n7 attack/wig b 0.1\n7 attack/wax c 0.2\n"))
    assert [record.species for record in file.records] == [None, "wig", "wax"]
    assert file.notes == ("2 attack name(s) are no known instrument, and each counts as a PAI species: wax, wig",)
    metrics.write_bob_scores(tmp_path / "scores", file.records)
    assert metrics.read_scores(tmp_path / "scores").records == file.records


def test_bob_5_columns_are_told_apart_from_4(write):
    file = metrics.read_scores(write("7 model-7 7 real/7 0.9\n7 model-7 attack/replay_video p 0.2\n"))
    assert file.format == "bob 5-column"
    assert [r.attack_type for r in file.records] == [None, AttackType.REPLAY_VIDEO]
    assert [r.path for r in file.records] == ["real/7", "p"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("7 7 a 0.9\n7 m 7 a 0.9\n", "line 2: expected 4 columns"),
        ("7 7 a 0.9\n7 7 a high\n", "line 2: expected 4 columns"),
        ("7 7 a inf\n", "line 1: expected 4 columns ending in a score, which is a plain decimal number or nan"),
        ("7 7 a 1_0\n", "line 1: expected 4 columns ending in a score"),
    ],
)
def test_broken_bob_file_raises_naming_the_line(write, text, says):
    with pytest.raises(ScoresError, match=says):
        metrics.read_scores(write(text, "scores-eval"))


@pytest.mark.parametrize("columns", [4, 5])
def test_bob_export_is_read_back(tmp_path, columns):
    records = [RECORDS[0], RECORDS[2]]
    path = tmp_path / "scores-eval"
    metrics.write_bob_scores(path, records, columns=columns)
    assert {len(line.split()) for line in path.read_text().splitlines()} == {columns}
    got = metrics.read_scores(path).records
    assert [(r.path, r.subject, r.label, r.attack_type, r.score) for r in got] == [
        (r.path, r.subject, r.label, r.attack_type, r.score) for r in records
    ]


def test_bob_export_refuses_what_its_columns_cannot_carry(tmp_path):
    with pytest.raises(ScoresError, match="subject ''"):
        metrics.write_bob_scores(tmp_path / "s", [RECORDS[1]])
    spaced = ScoreRecord("a b", "s", None, None, Label.BONA_FIDE, None, None, ScoreStatus.SCORED, 0.5)
    with pytest.raises(ScoresError, match="path 'a b'"):
        metrics.write_bob_scores(tmp_path / "s", [spaced])
    twin = ScoreRecord("a", "attack/print", None, None, Label.ATTACK, AttackType.PRINT, None, ScoreStatus.SCORED, 0.5)
    with pytest.raises(ScoresError, match="count the attack as bona fide"):
        metrics.write_bob_scores(tmp_path / "s", [twin])
    assert list(tmp_path.iterdir()) == []


WRONG_NUMBERS = ("1_0", "١", "0x1p3", "infinity", "-Inf", "1e999", "1,5", "--1", "1e", ".", "１")
"""Python reads most of these texts as numbers; as scores, they are mistakes."""


@pytest.mark.parametrize("text", WRONG_NUMBERS)
def test_numbers_other_than_plain_decimals_are_refused_in_every_format(write, text):
    files = ["label,score\nspoof,0.1\nlive,{}\n", "is_bonafide,score\nFalse,0.1\nTrue,{}\n", "7 8 a 0.1\n7 7 b {}\n"]
    for lines in files:
        with pytest.raises(ScoresError, match=r"scores\.csv, line [23]: expected"):
            metrics.read_scores(write(lines.format(text)))


@pytest.mark.parametrize(("text", "number"), [("1e-3", 0.001), ("+.5", 0.5), ("-2.", -2.0), ("3E2", 300.0)])
def test_plain_decimals_are_read_in_every_format(write, text, number):
    for lines in ("label,score\nlive,{}\n", "is_bonafide,score\nTrue,{}\n", "7 7 b {}\n"):
        [record] = metrics.read_scores(write(lines.format(text))).records
        assert record.score == number


BOB_CSV = """\
score,test_label,claimed_id,attack_type,frame_id,is_bonafide,video_key,sex
0.75,real/7,7,,3,True,clip 1,f
-1.5,print/7,7,print,,False,,f
nan,mask/8,8,mask_3d,,FALSE,,m
"""


def test_bobs_csv_is_read_with_its_columns_in_any_order(write):
    file = metrics.read_scores(write(BOB_CSV))
    assert file.format == "bob CSV"
    got = [(r.path, r.subject, r.video, r.frame, r.attack_type, r.status.value, r.score) for r in file.records]
    assert got == [
        ("real/7", "7", "clip 1", 3, None, "scored", 0.75),
        ("print/7", "7", None, None, AttackType.PRINT, "scored", -1.5),
        ("mask/8", "8", None, None, AttackType.MASK_3D, "unreadable", None),
    ]
    assert [record.attribute("sex") for record in file.records] == ["f", "f", "m"]
    assert file.notes == ("1 line with score nan (failure to acquire) is counted as unreadable",)


SPECIES = """\
path,subject,label,attack_type,species,score
a,s1,spoof,,wig,0.2
b,s2,spoof,print,,0.1
c,s3,spoof,print,Canon A,0.1
d,s4,spoof,unknown,paper mask,0.1
e,s5,live,,,0.9
"""


def test_species_and_their_types_are_the_same_after_a_conversion_to_bobs_csv_and_back(write, tmp_path):
    convert_scores(source := write(SPECIES), bob := tmp_path / "bob.csv", "bob-csv")
    header, *lines = [line.split(",") for line in bob.read_text().splitlines()]
    assert header[3:] == ["attack_type", "score", "video_key", "frame_id", "parent_type"]
    assert [(line[3], line[7]) for line in lines] == [
        ("wig", "unknown"),
        ("print", ""),
        ("Canon A", "print"),
        ("paper mask", "unknown"),
        ("", ""),
    ]
    again = metrics.read_scores(bob)
    assert (again.records, again.notes) == (metrics.read_scores(source).records, ())


def test_bobs_csv_has_no_column_of_facepad_without_a_named_species(write, tmp_path):
    convert_scores(write("path,label,attack_type,score\na,spoof,print,0.2\n"), tmp_path / "bob.csv", "bob-csv")
    assert (
        (tmp_path / "bob.csv")
        .read_text()
        .startswith("claimed_id,test_label,is_bonafide,attack_type,score,video_key,frame_id\n")
    )


def test_a_column_of_another_program_with_the_name_of_facepads_is_an_attribute(write, tmp_path):
    path = write("is_bonafide,attack_type,parent_type,score\nFalse,print,flat things,0.1\n")
    [record] = metrics.read_scores(path).records
    assert (record.species, record.attribute("parent_type")) == ("print", "flat things")
    named = replace(record, attributes=(*record.attributes, ("species", "Canon A")))
    metrics.write_scores(tmp_path / "named.csv", [named])
    with pytest.raises(ScoresError, match="an attribute cannot have the name of a column: 'parent_type'"):
        convert_scores(tmp_path / "named.csv", tmp_path / "bob.csv", "bob-csv")


@pytest.mark.parametrize("form", ["bob-csv", "bob-4", "bob-5"])
def test_scores_are_the_same_after_a_conversion_to_bob_and_back(write, tmp_path, facepad, form):
    source = tmp_path / "scores.csv"
    unnamed = {"attributes": (("sex", "f"),)} if form == "bob-csv" else {"video": None, "frame": None}
    records = [replace(record, **unnamed) for record in RECORDS[::2]]
    metrics.write_scores(source, records)
    there, back = tmp_path / "scores-eval", tmp_path / "back.csv"
    code, _, err = facepad("convert", source, there, "--to", form)
    assert (code, there.exists()) == (2, False)
    assert "a file of bob holds one split, but" in err
    for split in ("dev", "test"):
        wanted = [record for record in records if record.split == split]
        assert facepad("convert", source, there, "--to", form, "--split", split)[0] == 0
        assert facepad("convert", there, back, "--to", "scores")[0] == 0
        found = [replace(record, split=Split(split)) for record in metrics.read_scores(back).records]
        # A file of bob holds no reason for a missing score.
        assert found == [r if r.score is not None else replace(r, status=ScoreStatus.UNREADABLE) for r in wanted]
        assert facepad("convert", source, there, "--to", form, "--split", split)[0] == 2, "the file exists"
        there.unlink()
        back.unlink()


@pytest.mark.parametrize("form", ["bob-4", "bob-5"])
@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("a.png,7,attack,Canon A,0.1", "species 'Canon A'"),
        ("a b.png,7,attack,print,0.1", "path 'a b.png'"),
        ("a.png,#7,attack,print,0.1", "subject '#7'"),
        ("a.png,attack/print,attack,print,0.1", "subject 'attack/print'"),
    ],
    ids=["species", "path", "hash", "twin"],
)
def test_a_name_that_no_column_of_bob_holds_is_refused_with_the_option_that_writes_it(
    write, tmp_path, facepad, form, row, what
):
    source, out, back = write(f"path,subject,label,attack_type,score\n{row}\n"), tmp_path / "out", tmp_path / "back.csv"
    code, _, err = facepad("convert", source, out, "--to", form)
    assert (code, out.exists()) == (2, False)
    assert what in err and len(err.splitlines()) == 1
    assert err.strip().endswith(f"; use --to bob-csv, or change the {what.split()[0]} in the scores file")
    assert facepad("convert", source, out, "--to", "bob-csv")[0] == 0
    assert facepad("convert", out, back, "--to", "scores")[0] == 0
    [[one], [other]] = (metrics.read_scores(path).records for path in (source, back))
    assert (one.path, one.subject, one.species) == (other.path, other.subject, other.species)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("label,attack_type,score\nattack,live,0.1\n", "line 2: an attack cannot be of the kind 'live'"),
        ("label,species,score\nattack,Genuine,0.1\n", "line 2: an attack cannot be of the kind 'Genuine'"),
        (f"1 attack/{'9' * 5000} p/1 0.1\n", "line 1: column species: expected at most 1000 characters, got 5000"),
    ],
    ids=["attack_type", "species", "length"],
)
def test_a_species_that_cannot_be_one_is_refused(write, text, says):
    with pytest.raises(ScoresError, match=says):
        metrics.read_scores(write(text))


def test_an_attack_whose_type_is_a_word_for_attack_is_of_an_unknown_species(write):
    [record] = metrics.read_scores(write("label,attack_type,score\nattack,spoof,0.1\n")).records
    assert (record.attack_type, record.attributes) == (AttackType.UNKNOWN, ())


def test_a_note_shortens_a_long_name(write):
    [note] = metrics.read_scores(write(f"1 attack/{'9' * 900} p/1 0.1\n")).notes
    assert len(note) < 200
