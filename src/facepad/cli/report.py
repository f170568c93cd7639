"""facepad report: one report on the scores of one or more systems, and its verification."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facepad.cli.app import (
    ByOption,
    ComparedRequireOption,
    CriterionOption,
    ExitCode,
    FuseOption,
    HigherIsOption,
    Level,
    LevelOption,
    MatchThresholdOption,
    ProfileOption,
    aggregation_of,
    app,
    columns_of,
    report_written,
    requirement_code,
    say,
    show,
)
from facepad.errors import InputError, ResultError
from facepad.files.disk import read_text, sha256_file, write_json
from facepad.files.locks import new_folder, require_empty
from facepad.types import Label

if TYPE_CHECKING:
    from facepad.service.signing import Signer

KEYS_FILE = "keys.json"
"""File name of the public keys of a signed report."""


@app.command(epilog="Examples: facepad report ours/scores.csv theirs.csv evidence; facepad report --verify evidence")
def report(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="SCORES... OUT",
            help="The scores file of each system (facepad's or Bob's), and a new (or empty) output folder. With "
            "--verify, the folder alone.",
            show_default=False,
        ),
    ],
    criterion: CriterionOption = "eer",
    level: LevelOption = Level.FRAME,
    fuse: FuseOption = None,
    dev: Annotated[
        list[Path] | None,
        typer.Option(help="Second scores file, whose dev lines choose the threshold. One for each system, in order."),
    ] = None,
    require: ComparedRequireOption = None,
    profile: ProfileOption = None,
    match: Annotated[
        list[Path] | None,
        typer.Option(
            help="Scores file of a face comparison, for the rates of the whole system. One for all systems, or one for "
            "each, in order. Without it: a column match of the scores files."
        ),
    ] = None,
    match_threshold: MatchThresholdOption = None,
    higher_is: HigherIsOption = Label.BONA_FIDE,
    by: ByOption = None,
    sign_with: Annotated[
        Path | None, typer.Option(help="File of signing keys (facepad signing-key makes it): sign inputs.json.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Make the report in OUT again from its inputs, and say what differs.")
    ] = False,
    keys: Annotated[
        Path | None, typer.Option(help="With --verify: file of the public keys that must have signed the report.")
    ] = None,
) -> int:
    """Turn the scores of one or more systems into pages and tables: rates, curves and paired tests.

    Exit code 5: a requirement has the verdict FAIL. With --verify, exit code 1: the report differs from its inputs, or
    none of --keys signed it.
    """
    from facepad.report.systems import ReportOptions, measure_systems, named_files, write_systems
    from facepad.report.systems.documents import markdown_overview

    *scores, out = paths
    options = ReportOptions(
        criterion or "eer",
        aggregation_of(level, fuse),
        higher_is,
        tuple(require or ()),
        tuple(profile or ()),
        match_threshold,
        columns_of(by),
    )
    if verify:
        if scores:
            raise typer.BadParameter("--verify takes the folder of the report alone")
        if dev or match or sign_with or options != ReportOptions():
            raise typer.BadParameter("--verify takes the options from inputs.json, and no other option but --keys")
        return _verify(out, keys)
    if keys:
        raise typer.BadParameter("--keys needs --verify")
    if not scores:
        raise typer.BadParameter("name at least one scores file, and then the output folder")
    if out.is_file():
        raise typer.BadParameter(f"the last path is the new output folder, and {out} is a file")
    files = named_files(scores, dev or (), match or ())
    signer = _signer(sign_with) if sign_with else None
    require_empty(out)
    content = measure_systems(files, options)
    with new_folder(out, "writing a report"):
        page = write_systems(out, content, signer.sign_report if signer else None)
        if signer:
            write_json(out / KEYS_FILE, signer.public_keys())
    show(markdown_overview(content))
    report_written(
        notes=[f"{system.name}: {note}" for system in content.systems for note in system.content.summary.notes]
    )
    say(f"report: {page}")
    return requirement_code(content.findings)


def _signer(file: Path) -> Signer:
    from facepad.service.signing import Signer

    return Signer(file)


def _verify(out: Path, keys: Path | None) -> int:
    """Print what differs, and return the exit code."""
    from facepad.report.systems import verify_report
    from facepad.report.systems.write import SIGNATURE_FILE

    faults = _signature_faults(out, keys) if keys else []
    differences, notes = verify_report(out)
    differences = [*faults, *differences]
    if not keys and (out / SIGNATURE_FILE).exists():
        notes.append(f"{SIGNATURE_FILE} was not checked: name the public keys with --keys")
    report_written(notes=notes)
    if differences:
        show("\n".join(differences))
        return ExitCode.FAILED
    show(f"{out}: the inputs, the numbers and the files of the report are unchanged{', and signed' if keys else ''}")
    return 0


def _signature_faults(out: Path, keys: Path) -> list[str]:
    from facepad.client.results import verify_report_signature
    from facepad.report.systems.write import INPUTS_FILE, SIGNATURE_FILE

    known = _public_keys(keys)
    if not (signature := out / SIGNATURE_FILE).exists():
        return [f"{SIGNATURE_FILE} is missing: the report is not signed"]
    try:
        verify_report_signature(read_text(signature).strip(), known, sha256_file(out / INPUTS_FILE))
    except ResultError as error:
        return [f"{SIGNATURE_FILE}: {error}"]
    return []


def _public_keys(file: Path) -> dict[str, list[dict[str, Any]]]:
    try:
        keys = json.loads(read_text(file))["keys"]
        if not isinstance(keys, list) or not keys or not all(isinstance(key, dict) for key in keys):
            raise ValueError("expected a list of keys")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{file} is not a file of public keys ({error})") from None
    return {"keys": keys}
