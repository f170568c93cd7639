"""``python -m facepad``."""

from facepad.cli import main

main()
