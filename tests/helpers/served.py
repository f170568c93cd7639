"""Pictures and clips for the service, and checks of its problem documents."""

from __future__ import annotations

import cv2
import numpy as np

from facepad.media.videos import write_video
from facepad.service.problems import PROBLEMS


def picture(red: int, blue: int, size: int = 64) -> np.ndarray:
    """A textured image whose mean red and blue are about these."""
    noise = np.random.default_rng(0).integers(-20, 21, (size, size, 3))
    image = np.clip(np.array([red, 90, blue]) + noise, 0, 255).astype(np.uint8)
    image[::8] = 40
    return image


def encoded(image: np.ndarray, ending: str = ".png") -> bytes:
    return cv2.imencode(ending, image[..., ::-1])[1].tobytes()


LIVE, ATTACK, DARK = picture(200, 60), picture(60, 200), np.zeros((64, 64, 3), np.uint8)


def problem(response, name: str) -> dict:
    """Check that the response is this problem, and complete; returns its document."""
    document = response.json()
    assert (response.status_code, document["type"]) == (PROBLEMS[name][0], f"urn:facepad:problem:{name}"), document
    assert response.headers["content-type"] == "application/problem+json"
    assert document["status"] == response.status_code
    assert document["request_id"] == response.headers["x-request-id"]
    assert document["title"] and document["detail"] and "\n" not in document["detail"]
    return document


def parts(*contents: bytes) -> list:
    return [("files", (f"{number}.bin", content)) for number, content in enumerate(contents)]


def clip(folder, images, name="clip.mp4", rate=10) -> bytes:
    write_video(folder / name, images, rate=rate)
    return (folder / name).read_bytes()


def opened(client, headers=None, **asked) -> dict:
    response = client.post("/v1/sessions", json={"reference": "anna"} | asked, headers=headers)
    assert response.status_code == 201, response.text
    return response.json()


def bearer(token: str) -> dict:
    return {"Authorization": f"Bearer {token}"}


def upload(client, session: dict, content: bytes = b"", **more):
    sent = more if "files" in more else {"content": content} | more
    return client.post("/v1/uploads", headers=bearer(session["token"]), **sent)


def result(client, session: dict, headers=None) -> dict:
    response = client.get(f"/v1/sessions/{session['id']}", headers=headers)
    assert response.status_code == 200, response.text
    return response.json()
