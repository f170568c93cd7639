"""facepad cross: measure models, and runs trained here, on several test sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from facepad.cli.app import (
    ByOption,
    FuseOption,
    ProfileOption,
    RequireOption,
    app,
    columns_of,
    report_written,
    requirement_code,
    requirements_of,
    say,
    show,
)

_LISTS = ("--test", "--train", "--data", "--model", "--recipe")


class _WithLists(TyperCommand):
    """A command whose list options take several values, as in ``--test a/manifest.csv b/manifest.csv``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat each list option before each of its values, and parse the arguments."""
        return super().parse_args(ctx, spread_lists(args))


def spread_lists(args: list[str]) -> list[str]:
    """Repeat a list option before each of its values. The first argument that is not the value of an option is OUT.

    >>> spread_lists(["out", "--test", "a.csv", "b.csv", "--seeds", "2"])
    ['out', '--test', 'a.csv', '--test', 'b.csv', '--seeds', '2']
    """
    result: list[str] = []
    option, out_seen = "", False
    for place, word in enumerate(args):
        if word.startswith("-"):
            option = word
        elif place and args[place - 1] == option:  # the first value of an option
            pass
        elif option in _LISTS and out_seen:
            result.append(option)
        else:
            out_seen = True
        result.append(word)
    return result


@app.command(
    cls=_WithLists,
    epilog="Examples: facepad cross evidence --test office/manifest.csv webcam/manifest.csv --model mine.facepad "
    "silent-face; facepad cross evidence --train nuaa/manifest.csv --test office/manifest.csv --recipe "
    "tla-mobilenetv2 --seeds 3; facepad cross evidence --protocol mcio --data msu/manifest.csv casia/manifest.csv "
    "replay/manifest.csv oulu/manifest.csv --recipe tla-mobilenetv2",
)
def cross(
    out: Annotated[
        Path, typer.Argument(help="New output folder, or the folder of an unfinished call.", show_default=False)
    ],
    test: Annotated[
        list[str] | None,
        typer.Option(metavar="MANIFEST...", help="Test sets; 'nuaa/manifest-fold*.csv' names the folds of a protocol."),
    ] = None,
    train: Annotated[
        list[str] | None,
        typer.Option(metavar="MANIFEST...", help="The source: recipes learn its train, its dev chooses thresholds."),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="Instead of --train and --test: mcio (train on three of MSU-MFSD, CASIA-MFSD, Idiap Replay-Attack and "
            "OULU-NPU, test on the fourth), limited (train on M and I, test on C and O) or single (C to I, I to C)."
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[LETTER=]MANIFEST...", help="The sets of --protocol, in any order; M=, C=, I=, O= name a set."
        ),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(metavar="MODEL...", help="Names of models, model files or run folders.")
    ] = None,
    recipe: Annotated[
        list[str] | None, typer.Option(metavar="RECIPE...", help="Recipes to train on the source.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value of all recipes; repeatable.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each recipe, with different seeds.")] = 1,
    criterion: Annotated[
        str | None,
        typer.Option(help="Criterion on dev, as in evaluate. Default: the recipe's or model's own, else eer."),
    ] = None,
    fuse: FuseOption = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images per batch.")] = 32,
    require: RequireOption = None,
    profile: ProfileOption = None,
    by: ByOption = None,
) -> int:
    """Measure every model, and every run trained here, on every test set: frames and videos, with thresholds by origin.

    The same command continues an interrupted call. OUT gets tables (HTML, Markdown, CSV, LaTeX, JSON) and all scores.
    Exit code 5: a requirement has the verdict FAIL.
    """
    requirements = requirements_of(require, profile)
    from facepad.report.cross.documents import markdown_overview
    from facepad.workflow.cross.job import cross as run_cross
    from facepad.workflow.cross.plan import CrossSettings

    recipes = []
    if recipe:
        from facepad.training.recipe import load_recipe  # local: it needs PyTorch

        recipes = [load_recipe(name, overrides) for name in recipe]
    settings = CrossSettings(
        test=test or (),
        train=train or (),
        protocol=protocol,
        data=data or (),
        models=model or (),
        recipes=recipes,
        seeds=seeds,
        criterion=criterion,
        aggregation=fuse or "mean",
        batch_size=batch_size,
        requirements=requirements,
        by=columns_of(by),
    )
    done = run_cross(out, settings, progress=True)
    show(markdown_overview(done.content))
    report_written(unreadable=done.unreadable)
    say(f"report: {done.page}")
    return requirement_code([each.finding for each in done.content.findings])
