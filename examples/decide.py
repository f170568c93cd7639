"""Decide whether one picture shows a live person: python examples/decide.py PICTURE [MODEL]."""

import sys

import facepad


def main(picture: str, model: str | None = None) -> bool:
    """Print a line for each face. Return True if the picture has exactly one face and this face is live."""
    predictor = facepad.load(model)  # load a model once per process; threads may share the predictor
    faces = predictor.predict(picture)
    for face in faces:
        if face.label is None:  # None is not an attack: the face is undecided
            print("undecided:", ", ".join(face.reasons))
        else:
            print(f"{face.verdict}: score {face.score:.3f}, threshold {face.threshold:.3f}")
    return [face.label for face in faces] == [facepad.Label.BONA_FIDE]


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python examples/decide.py PICTURE [MODEL]")
    try:
        sys.exit(0 if main(*sys.argv[1:]) else 1)
    except facepad.FacepadError as error:
        sys.exit(str(error))
