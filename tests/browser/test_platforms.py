"""The example for other platforms in a browser: a page that judges the camera's picture without a service."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from facepad.cli import main
from helpers.patience import PATIENCE

EXAMPLE = Path(__file__).parents[2] / "examples" / "platforms"


class Quiet(SimpleHTTPRequestHandler):
    """Files without a log."""

    def guess_type(self, path: str) -> str:
        types = {".mjs": "text/javascript", ".wasm": "application/wasm"}
        return types.get(Path(path).suffix) or super().guess_type(path)

    def log_message(self, *_: object) -> None:
        """No log."""


@pytest.fixture(scope="module")
def site(tmp_path_factory, make_model) -> Iterator[str]:
    """The example with a model beside it, served on this machine."""
    if not (EXAMPLE / "node_modules" / "onnxruntime-web").is_dir():
        pytest.skip("no packages: npm ci in examples/platforms installs them")
    folder = tmp_path_factory.mktemp("site")
    for name in ("index.html", "page.mjs", "facepad.mjs", "yunet.mjs"):
        shutil.copy(EXAMPLE / name, folder)
    (folder / "node_modules").symlink_to(EXAMPLE / "node_modules")
    make_model(folder / "tiny.facepad")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr("sys.argv", ["facepad", "model", "extract", str(folder / "tiny.facepad"), str(folder / "plain")])
        main()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_browser_gives_the_reference_scores(site, launch):
    playwright = pytest.importorskip("playwright.sync_api")
    page = launch().new_page()
    page.set_default_timeout(1000 * PATIENCE)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site}/index.html?model=plain/")
    playwright.expect(page.locator("#check")).to_contain_text("tiny: agrees with its reference")
    assert all(url.startswith(site) for url in asked)
    page.goto(f"{site}/index.html?model=absent/")
    playwright.expect(page.locator("#check")).to_have_text(
        "This model cannot be used: preprocess.json: 404 File not found"
    )
    page.close()
