"""Watch a camera with OpenCV: python examples/webcam.py CAMERA_OR_VIDEO MODEL (a camera is a number, from 0)."""

import sys
from collections import deque

import cv2

import facepad

IN_A_ROW = 5  # with many tries an attack easily gets one live frame


def main(source: str, model: str) -> bool:
    """Print each change of the verdict; return True as soon as enough frames in a row were live."""
    predictor = facepad.load(model)
    capture = cv2.VideoCapture(int(source) if source.isdigit() else source)
    if not capture.isOpened():
        sys.exit(f"cannot open {source}")
    recent: deque[str] = deque(maxlen=IN_A_ROW)
    while True:
        found, frame = capture.read()
        if not found:
            return False
        rgb = frame[..., ::-1]  # OpenCV gives BGR, facepad takes RGB
        face = predictor.predict(rgb)[0]  # the first face is the most prominent face
        if not recent or recent[-1] != face.verdict:
            print(face.verdict, *face.reasons)
        recent.append(face.verdict)
        if list(recent) == ["live"] * IN_A_ROW:
            print(f"{IN_A_ROW} live frames in a row")
            return True


if __name__ == "__main__":
    sys.exit(0 if main(*sys.argv[1:3]) else 1)
