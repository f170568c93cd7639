"""The login example in a browser: page, backend and service, on two origins, with a camera."""

from __future__ import annotations

import pytest

from facepad.service.keys import KeyLimits, add_key
from facepad.service.signing import add_signing_key
from helpers.login import BACKENDS, command, running
from helpers.patience import PATIENCE
from helpers.ports import free_port


@pytest.mark.parametrize("kind", BACKENDS)
def test_login_passes_a_live_face_once_and_refuses_an_attack(
    kind, serving, launch, make_model, faces, camera_file, tmp_path
):
    expect = pytest.importorskip("playwright.sync_api").expect
    port = free_port()
    command(kind, port)  # Skips, before the service starts.
    key = add_key(tmp_path / "keys.txt", "login", KeyLimits.of(scopes=["sessions"]))
    add_signing_key(tmp_path / "signing.json")
    options = ["--api-keys", tmp_path / "keys.txt", "--signing-keys", tmp_path / "signing.json"]
    options += ["--cors", f"http://127.0.0.1:{port}", "--model", make_model(tmp_path / "tiny.facepad")]
    with (
        serving(tmp_path / "service.log", *options) as service,
        running(kind, port, tmp_path / "backend.log", LIVENESS_URL=service, LIVENESS_KEY=key) as origin,
    ):
        page = launch(camera_file("live")).new_page()
        page.set_default_timeout(1000 * PATIENCE)
        sent = []
        page.on("request", lambda request: sent.append(request))
        page.goto(origin)
        page.get_by_label("User").fill("anna")

        page.get_by_role("button", name="Log in").click()
        page.get_by_role("button", name="Start camera").click()
        page.get_by_role("button", name="Take picture").click()
        expect(page.locator("#answer")).to_have_text("Welcome, anna.")
        finish = next(request for request in sent if request.url.endswith("/login/finish"))
        again = page.request.post(finish.url, data=finish.post_data_json)
        assert again.status == 403 and "over" in again.json()["detail"]

        for picture, said in (("attack", "no live face"), ("attack", "used before"), ("nobody", "no_face")):
            page.get_by_role("button", name="Log in").click()
            # Before that, the widget still asks the service what the session allows, and takes no file.
            expect(page.get_by_role("button", name="Start camera")).to_be_visible()
            page.get_by_label("Choose a photo instead").set_input_files(faces[picture])
            expect(page.locator("#answer")).to_contain_text(said)
        uploads = [request for request in sent if request.method == "POST" and request.url.startswith(service)]
        assert [request.url for request in uploads] == [f"{service}/v1/uploads?check=passive"] * 4
        assert len({request.headers["authorization"] for request in uploads}) == 4
        assert all(key not in str(request.all_headers()) for request in sent)
        page.close()
