"""Install a wheel into an empty virtual environment, outside the checkout, and run the first examples of the README.

    python tools/try_wheel.py dist/facepad-0.1.0-py3-none-any.whl

Only core dependencies are installed. The script therefore detects a file that is missing in the wheel, and an import
that needs an optional dependency.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
PROGRAM = """
import sys
import facepad
from facepad import Decision, load

(decision,) = load("nuaa-research").predict(sys.argv[1])
assert isinstance(decision, Decision) and decision.score is not None, decision
assert "torch" not in sys.modules
print(facepad.__version__)
"""


def main() -> None:
    """Try the wheel that is given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    wheel = parser.parse_args().wheel.resolve()
    held = set(zipfile.ZipFile(wheel).namelist())
    if "facepad/py.typed" not in held:
        sys.exit(f"{wheel.name} contains no facepad/py.typed: type checkers would ignore the types of facepad")
    with tempfile.TemporaryDirectory() as folder:
        try_wheel(wheel, Path(folder))
    print(f"{wheel.name} works in a separate environment")


def try_wheel(wheel: Path, folder: Path) -> None:
    """Install the wheel in ``folder``, and run a few commands and a program in this folder.

    Raises:
        subprocess.CalledProcessError: a command failed. The messages of the command are on stderr.
    """
    venv.create(folder / "venv", with_pip=True)
    scripts = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "FACEPAD_"))}

    def run(*command: str | Path, expected: int = 0) -> str:
        done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
        if done.returncode != expected:
            raise subprocess.CalledProcessError(done.returncode, command)
        return done.stdout

    run(scripts / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    version = run(scripts / "facepad", "--version").split()[-1]
    if f"facepad-{version}-" not in wheel.name:
        sys.exit(f"facepad --version says {version}; expected the version of {wheel.name}")
    section = README.read_text(encoding="utf-8").partition("## Try it without an internet connection")[2]
    commands, program = (re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)[1] for language in ("sh", "python"))
    for command in commands.splitlines():
        run(scripts / shlex.split(command)[0], *shlex.split(command)[1:])
    if not re.match("(live|attack) ", shown := run(scripts / "python", "-c", program)):
        sys.exit(f"the README's program ends without a decision: {shown}")
    run(scripts / "facepad", "list", "models")
    picture = next((folder / "people").rglob("*.jpg"))
    shipped = ["--model", "nuaa-research"]  # the default model needs an internet connection
    run(scripts / "facepad", "predict", picture, "--json", *shipped, expected=3)  # 3: this model has no threshold
    if run(scripts / "python", "-c", PROGRAM, picture).strip() != version:
        sys.exit("the program that imports facepad has another version")


if __name__ == "__main__":
    main()
