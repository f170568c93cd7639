"""The plug-ins that the message about an unexpected error names."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import EntryPoint

import pytest

from facepad.runtime import plugin_faults
from facepad.runtime.plugins import Plugin

MODULE = """
def focal(): raise RuntimeError("boom")
def helper(): raise RuntimeError("boom")
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "pack_of_two.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    names = {"focal": "facepad.losses", "network": "facepad.models"}
    plugins = [Plugin(EntryPoint(name, f"pack_of_two:{name}", group), "pack", "1.0") for name, group in names.items()]
    monkeypatch.setattr(plugin_faults, "used_plugins", lambda: plugins)
    yield importlib.import_module("pack_of_two")
    del sys.modules["pack_of_two"]


@pytest.mark.parametrize(("function", "named"), [("focal", ["focal"]), ("helper", ["focal", "network"])])
def test_plugins_of_one_module_are_told_apart_by_their_functions(module, function, named):
    with pytest.raises(RuntimeError) as raised:
        getattr(module, function)()
    words = plugin_faults.others_code(raised.value)
    assert [name for name in ("focal", "network") if repr(name) in words] == named
