"""A test that hangs ends, whatever it hangs in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from helpers.patience import PATIENCE

CONFTEST = Path(__file__).parents[2] / "conftest.py"
HANGING = """
from threading import Event

def test_fails(request):
    request.addfinalizer(Event().wait)
    assert False
"""


def test_failed_test_whose_end_hangs_ends_with_its_traceback(tmp_path):
    limits = CONFTEST.read_text()
    assert "\nHANGS = 960\n" in limits
    (tmp_path / "conftest.py").write_text(limits.replace("\nHANGS = 960\n", "\nHANGS = 1\n"))
    (tmp_path / "test_hanging.py").write_text(HANGING)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1 and "Timeout (0:00:01)!" in done.stderr and "threading.py" in done.stderr
