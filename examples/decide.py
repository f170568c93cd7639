"""Decides on one picture: python examples/decide.py PICTURE MODEL."""

import sys

import facepad


def main(picture: str, model: str) -> bool:
    """Print a line for each face, and return whether exactly one face was found and it is live."""
    predictor = facepad.load(model)  # once a process; threads may share it
    faces = predictor.predict(picture)
    for face in faces:
        if face.label is None:  # not an attack: there is no decision, and the reasons say why
            print("undecided:", ", ".join(face.reasons))
        else:
            print(f"{face.verdict}: score {face.score:.3f}, live from {face.threshold:.3f} on")
    return [face.label for face in faces] == [facepad.Label.BONA_FIDE]


if __name__ == "__main__":
    sys.exit(0 if main(*sys.argv[1:3]) else 1)
