"""The contact sheet of faces and their maps."""

from facepad.datasets.manifest import read_manifest, write_manifest
from facepad.depth.preview import write_preview
from facepad.media.images import read_image
from helpers.depth_labels import make


def test_preview_shows_evenly_chosen_pairs(manifest, tmp_path):
    make(manifest)
    path = write_preview(manifest, tmp_path / "look", labeller="counting")
    sheet = read_image(path)
    assert path.name == "depth-counting.png" and sheet.shape == (6 * 160, 4 * 320, 3)
    first, last = sheet[80, 240], sheet[-80, -80]
    assert first.tolist() == [100] * 3 and last.tolist() == [138] * 3  # maps of the first and the last face
    assert sheet[80, 80].tolist() == [100] * 3  # beside the image itself


def test_preview_of_few_faces_shows_a_missing_image_in_grey(manifest, tmp_path):
    make(manifest)
    write_manifest(manifest, read_manifest(manifest)[:3])
    (manifest.parent / "real/01.png").unlink()
    sheet = read_image(write_preview(manifest, tmp_path / "look", labeller="counting"))
    assert sheet.shape == (160, 3 * 320, 3) and sheet[80, 320 + 80].tolist() == [127] * 3
