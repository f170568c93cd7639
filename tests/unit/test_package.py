import subprocess
import sys

import pytest

import facepad
from helpers.patience import PATIENCE


def test_every_public_name_is_there_and_listed():
    assert dir(facepad) == sorted(facepad.__all__)
    for name in facepad.__all__:
        assert getattr(facepad, name) is not None


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'facepad' has no attribute 'laod'"):
        facepad.laod  # noqa: B018


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, facepad; print(*{'torch', 'cv2', 'numpy', 'onnxruntime', 'av'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout.strip() == ""
