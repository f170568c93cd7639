"""Watch a camera with OpenCV: python examples/webcam.py CAMERA_OR_VIDEO [MODEL] (a camera is a number, from 0)."""

import sys

import cv2

import facepad


def main(source: str, model: str | None = None) -> bool:
    """Print each change of the verdict and of what it waits for; return True as soon as the verdict is live."""
    stream = facepad.Stream(facepad.load(model))
    capture = cv2.VideoCapture(int(source) if source.isdigit() else source)
    if not capture.isOpened():
        sys.exit(f"cannot open {source}")
    shown = ""
    while True:
        found, frame = capture.read()
        if not found:
            return False
        state = stream.update(frame, channels="bgr")  # the order of OpenCV
        line = " ".join((state.decision.verdict, *state.reasons))
        if line != shown:
            print(line)
            shown = line
        if state.decision.label is facepad.Label.BONA_FIDE:
            return True


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python examples/webcam.py CAMERA_OR_VIDEO [MODEL]")
    try:
        sys.exit(0 if main(*sys.argv[1:]) else 1)
    except facepad.FacepadError as error:
        sys.exit(str(error))
