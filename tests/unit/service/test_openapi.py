"""The committed OpenAPI document is that of the service."""

from __future__ import annotations

import json
from pathlib import Path

from facepad.service.app import create_app
from facepad.service.problems import PROBLEMS

DOCUMENT = Path(__file__).parents[3] / "docs" / "openapi.json"


def test_openapi_document_is_current():
    made = "python -c 'import json; from facepad.service.app import create_app as c; "
    made += "print(json.dumps(c().openapi(), indent=1))' > docs/openapi.json"
    assert json.loads(DOCUMENT.read_text()) == json.loads(json.dumps(create_app().openapi())), (
        f"write the file again: {made}"
    )


def test_openapi_document_names_every_refusal():
    paths = json.loads(DOCUMENT.read_text())["paths"].values()
    refusals = [
        (status, said)
        for path in paths
        for route in path.values()
        for status, said in route["responses"].items()
        if status >= "400"
    ]
    elsewhere = {"405"}  # The answer to another method than the described ones.
    assert {status for status, _ in refusals} == {str(status) for status, _ in PROBLEMS.values()} - elsewhere
    assert all("application/problem+json" in said["content"] for _, said in refusals)
