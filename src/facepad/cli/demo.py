"""facepad demo: the whole path on synthetic data."""

from __future__ import annotations

from facepad.cli.app import Out, app, show


@app.command(epilog="Example: facepad demo demo-output")
def demo(out: Out) -> None:
    """Synthetic data, training, threshold on dev, report; depth labels and clips; a model file and its predictions."""
    from facepad.workflow.demo import run_demo

    show(run_demo(out))
