"""Notes: their form in files, and files of before they had a kind."""

from __future__ import annotations

import json

import pytest

from facepad.metrics import Note, NoteKind, Threshold, ThresholdOrigin, has_note, read_notes, remarks

NOTES = (Note(NoteKind.SEPARABLE, "the scores are separable"), Note(NoteKind.REMARK, "two; people"))


def test_notes_survive_json():
    text = json.dumps([note.to_dict() for note in NOTES])
    assert json.loads(text)[0] == {"kind": "separable", "text": "the scores are separable"}
    assert read_notes(json.loads(text)) == NOTES


def test_string_of_an_older_file_is_one_note():
    assert read_notes("the scores are separable; two people") == remarks(["the scores are separable; two people"])
    assert read_notes("") == ()


@pytest.mark.parametrize("value", [[{"kind": "separable"}], [{"kind": "rumour", "text": "x"}], ["text"]])
def test_element_that_is_not_a_note_is_refused(value):
    with pytest.raises(ValueError, match="a note needs kind and text|not a valid NoteKind"):
        read_notes(value)


def test_kind_is_found_whatever_the_text_says():
    assert has_note(NOTES, NoteKind.SEPARABLE)
    assert not has_note(remarks(["the scores are separable"]), NoteKind.SEPARABLE)


def test_threshold_with_the_note_of_an_older_file_is_read_and_written_as_a_list():
    threshold = Threshold(0.5, "eer", ThresholdOrigin("dev.csv", notes=NOTES))
    older = threshold.to_dict()
    del older["origin"]["notes"]
    older["origin"]["note"] = "the scores are separable; two people"
    read = Threshold.from_dict(older)
    assert read.origin.notes == remarks(["the scores are separable; two people"])
    assert read.to_dict()["origin"]["notes"] == [{"kind": "remark", "text": "the scores are separable; two people"}]
    assert Threshold.from_dict(threshold.to_dict()) == threshold
