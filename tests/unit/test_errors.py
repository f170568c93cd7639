import pickle

import pytest

from facepad.errors import ImageError, VideoError, reason


@pytest.mark.parametrize("error", [ImageError("a/b.jpg", "is empty"), VideoError(None, "camera 0 gives no picture")])
def test_media_error_survives_the_way_to_another_process(error):
    other = pickle.loads(pickle.dumps(error))
    assert type(other) is type(error)
    assert (str(other), other.source, other.reason) == (str(error), error.source, error.reason)


def test_media_error_joins_source_and_reason(tmp_path):
    assert str(ImageError(tmp_path / "a.jpg", "is empty")) == f"{tmp_path / 'a.jpg'}: is empty"
    assert str(ImageError(None, "is empty")) == "is empty"


def test_reason_is_the_systems_word_without_number_and_path(tmp_path):
    with pytest.raises(OSError) as caught:
        (tmp_path / "none").read_bytes()
    assert reason(caught.value) == "No such file or directory"
    assert reason(OSError("said otherwise")) == "said otherwise"
