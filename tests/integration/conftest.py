"""The command line as a function."""

from __future__ import annotations

import sys

import pytest

from facepad.cli import main


@pytest.fixture
def facepad(monkeypatch, capsys):
    """Run a command in this process: (exit code, stdout, stderr)."""

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["facepad", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return run
