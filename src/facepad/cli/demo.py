"""facepad demo: all steps from data to predictions, on synthetic data."""

from __future__ import annotations

from facepad.cli.app import Out, app, show


@app.command(epilog="Example: facepad demo demo-output")
def demo(out: Out) -> None:
    """Run every step on synthetic data: make the data, train, evaluate, export a model file, and predict with it."""
    from facepad.workflow.demo import run_demo

    show(run_demo(out))
