"""Properties of the manifest parser: what is written is read back, and garbage is refused by one error only."""

import posixpath
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from facepad.datasets.manifest import COLUMNS, manifest_text, read_manifest, write_manifest
from facepad.errors import ManifestError
from facepad.types import AttackType, Box, Label, Sample, Split

TEXT = st.characters(min_codepoint=32, exclude_categories=["Cs"])
NAMES = st.text(TEXT, min_size=1, max_size=12)
PATHS = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"], exclude_characters="\\:"), min_size=1).map(
    lambda text: f"d/{text}"
)
CORNERS = st.integers(-100_000, 100_000)


@st.composite
def boxes(draw) -> Box:
    # Hundredths of a pixel are what a manifest keeps.
    x, y = draw(CORNERS), draw(CORNERS)
    width, height = draw(st.integers(1, 100_000)), draw(st.integers(1, 100_000))
    return Box(x / 100, y / 100, (x + width) / 100, (y + height) / 100)


@st.composite
def samples(draw) -> Sample:
    label = draw(st.sampled_from(Label))
    return Sample(
        path=draw(PATHS),
        subject=draw(NAMES.filter(lambda text: text == text.strip())),
        label=label,
        attack_type=draw(st.sampled_from(AttackType)) if label is Label.ATTACK else None,
        split=draw(st.none() | st.sampled_from(Split)),
        video=draw(st.none() | NAMES),
        frame=draw(st.none() | st.integers(0, 10**9)),
        box=draw(st.none() | boxes()),
        attributes=draw(st.sampled_from([(), (("site", "north"),), (("b,c", 'x, "y"'), ('a "b"', "-"))])),
    )


@given(st.lists(samples(), min_size=1, max_size=8, unique_by=lambda sample: posixpath.normpath(sample.path)))
def test_written_samples_are_read_back_unchanged(listed):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "manifest.csv"
        write_manifest(path, listed)
        assert read_manifest(path) == listed
        assert path.read_bytes().decode() == manifest_text(read_manifest(path))


@given(st.text(max_size=200) | st.text(alphabet='path,subjectlb"\n\r live019.', max_size=200))
def test_any_text_is_read_or_refused_by_manifest_error(text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "manifest.csv"
        path.write_bytes((",".join(COLUMNS[:3]) + "\n" + text).encode("utf-8", "surrogatepass"))
        try:
            read = read_manifest(path)
        except ManifestError as error:
            assert str(error).startswith(str(path))
            return
        assert manifest_text(read)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_by_manifest_error(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "manifest.csv"
        path.write_bytes(data)
        try:
            assert read_manifest(path)
        except ManifestError as error:
            assert str(path) in str(error)
