"""The page about the hunt, made of its counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["page"]

_PAGE = """# The hunt for faults in readers

`make fuzz` damages valid files at random, and gives them to the readers of facepad. Hypothesis makes the cases:

- Files: flipped bits, wrong lengths, cuts, inserted and removed pieces, pieces of other files, wrong numbers and words.
  The checksums of PNG files and the hashes of model files are corrected in a part of the cases, because a reader would
  otherwise refuse at once.
- Documents (TOML, JSON, such as the inputs.json of a report): values that are replaced, removed, doubled or nested.
- Tables (manifests, scores, files of `--match`): random columns, fields and line ends.

A case is a **finding** if the reader

- raises an exception that is not one of facepad's own, or crashes,
- takes more than {seconds:g} s of CPU time, or hangs,
- grows the process by more than {memory} MiB (the limit of an image or frame is {pixels:,} pixels here),
- accepts a file with a wrong result: NaN or infinity, a file that reads differently after it was written again, an
  image beyond the limit, a score outside 0 to 1, a status of 500 or more,
- refuses with a message of several lines or of more than {longest} characters, or prints on standard output.

```sh
make fuzz MINUTES=120            # adds to the counts in docs/results/fuzz.json; fails if there is a finding
make fuzz-page                   # writes this page
```

The first case of each kind of finding is a regression file in `tests/corpus`. `tests/unit/tools/test_corpus.py` reads
all of them, so a finding whose file is there and whose test passes is mended. CI also tries {ci} new cases of each
reader with a fixed seed (`tests/unit/tools/test_fuzz.py`), which takes less than ten seconds of one core.
`make fuzz MINUTES=1` is a longer check.

## Counts

{cases:,} cases in {hours} process-hours at low priority; last on {date}, {machine}, commit {commit}.

| reader | cases | accepted | refused | kinds of findings, all mended | slowest case (CPU s) | largest growth (MiB) |
|---|---|---|---|---|---|---|
{rows}

## Findings

{findings}
"""
_FINDINGS = """| reader | finding | regression file |
|---|---|---|
"""


def page(found: Mapping[str, Any], limits: Mapping[str, float]) -> str:
    """The page in Markdown, from the content of fuzz.json.

    Args:
        found: The counts.
        limits: The limits of a case: ``seconds``, ``memory``, ``pixels``, ``longest``, and ``ci``, the cases of CI.
    """
    readers = found["readers"]
    rows = [
        f"| {name} | {one['cases']:,} | {one['accepted']:,} | {one['refused']:,} | {len(one['findings'])} | "
        f"{one['slowest_s']:g} | {one['peak_mib']:g} |"
        for name, one in readers.items()
    ]
    findings = [
        f"| {name} | {kind} | `{file}` |\n" for name, one in readers.items() for kind, file in one["findings"].items()
    ]
    return _PAGE.format(
        **limits,
        hours=f"{found['seconds'] / 3600:.1f}",
        cases=sum(one["cases"] for one in readers.values()),
        date=found["date"],
        machine=found["machine"],
        commit=found["commit"],
        rows="\n".join(rows),
        findings=(_FINDINGS + "".join(findings)).rstrip("\n") if findings else "None.",
    )
