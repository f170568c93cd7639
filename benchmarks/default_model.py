"""Measure public networks and their fusions on several sets, and write the page of the default model.

    python benchmarks/default_model.py WORK PAGE --set NAME=MANIFEST ... --every NAME=N ... --model KEY=MODEL ... \
        --candidate KEY+KEY ... --from NAME ... --ship KEY+KEY [--views NUAA PORTRAITS]

A model is a name from `facepad list models`, a model file or a run folder. No model may have been trained on one of the
sets. ``--every`` takes every Nth sample of a set. WORK keeps the logits, and a second run computes only missing logits.

A candidate is fitted to sets in four steps: Platt scaling of each network, the mean of the scaled logits, Platt scaling
of this mean, and the threshold (criterion EER). All sets have the same weight, and so have both classes of a set.

``--views`` adds the set `views`: the made-up views of `_views`, from two prepared manifests as for own_model.py.

Each candidate is measured on each set twice: fitted to **the other sets** (leave one set out), and fitted to the sets
``--from`` alone, the sources. ``--ship`` names the candidate of the default model. The page ends with its weights, its
calibration and its threshold, fitted to the sources. The sets that are not sources are external.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from _common import made_by, markdown, parser, publish
from _fusions import Data, Fitted, Rates, fit, load, presets, rates
from _views import VIEWS, find_origins, make_views, view_people
from facepad.modelfile.catalog import find_model

INTRODUCTION = """<!-- written by benchmarks/default_model.py; do not edit by hand -->
# The default model

{made_by}

None of these networks was trained on one of these sets. The manifest of `nuaa-portraits` lists every 40th image of NUAA
(prints before a webcam), and 208 web portraits as further bona fide images. `views` are 7,500 made-up pictures from
NUAA and web portraits, as for [the own model](own-model.md). The bona fide images of both are bona fide. NUAA's prints,
and faces on made-up prints and screens before another picture, are attacks. Three of four views are degraded, in the
same way for both classes. `nuaa-portraits` and `views` are the **sources**, and show the same people. The other sets
are external: public pictures of two webcams, with a phone's screen as the attack, and of an office, with paper prints
of web portraits. They have few people, so the figures say "another camera", not "another population". Each external set
has one attack instrument. Rates are in percent. Images without a face are left out.

The fused logit is the mean of the networks' logits after Platt scaling. The criterion of the thresholds is EER. In each
fit, all sets and both classes have the same weight. Calibration, threshold and presets of the default model come from
both sources. No figure is measured at a threshold that has seen the measured set, except where a table says so. A
source is never fitted to the other source where "the other sets" decide, because they share people.

**The choice among sources and fusions is slightly optimistic.** It was made after ten combinations of them had been
measured on every third external image; those with `silent-face` had a mean ACER of 9.8 to 13.2 %. Weights, calibration
and thresholds saw no external image. `silent-face` was measured with the ONNX files of `public-trio`, not with those of
the catalogue's `silent-face`; both were converted from the same weights.

{models}
"""

PRESETS = """
## Presets

The presets were chosen on {source}, with the same weight for each:
`strict` with an APCER of at most 1 %, `balanced` with equal error rates, and `lenient` with a BPCER of at most 1 %. The
rates on the sources come from people who did not choose the threshold. Their 95 % intervals are those for new people of
the sources. They allow for the weights, and for the errors that the images of one person share: a few people have most
of the images. The other columns show ACER (APCER, BPCER) of the same thresholds on the external sets. **The rates of
one camera say little about another camera.**

{table}"""


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("work", type=Path)
    options.add_argument("page", type=Path)
    for name in ("set", "model", "every"):
        options.add_argument(f"--{name}", action="append", default=[], type=lambda word: word.split("=", 1))
    options.add_argument("--candidate", action="append", default=[])
    options.add_argument("--from", dest="sources", action="append", required=True)
    options.add_argument("--ship", required=True)
    options.add_argument("--views", nargs=2, type=Path, metavar=("NUAA", "PORTRAITS"))
    arguments = options.parse_args(words)
    every = {name: int(number) for name, number in arguments.every}
    arguments.work.mkdir(parents=True, exist_ok=True)
    models = dict(arguments.model)
    sets = {name: load(arguments.work, name, Path(path), every.get(name, 1), models) for name, path in arguments.set}
    if arguments.views:
        sets["views"] = view_set(arguments.work, *arguments.views, models)
    sources = arguments.sources
    ship = fit([sets[source] for source in sources], arguments.ship.split("+"))
    origin = INTRODUCTION.format(
        made_by=made_by(command(arguments.candidate, every, sources, arguments.ship, views=bool(arguments.views))),
        models="".join(f"- `{key}`: {Path(model).stem}\n" for key, model in models.items()),
    )
    text = page(sets, arguments.candidate, sources, every) + shipped(arguments.ship, ship)
    publish(origin + text + preset_table(ship, sets, sources), arguments.page)


def view_set(work: Path, nuaa: Path, portraits: Path, models: Mapping[str, str]) -> Data:
    """The logits of the made-up views, from WORK or newly made. The first model's crop chooses the portraits."""
    spec = find_model(next(iter(models.values()))).read().description.networks[0].preprocess
    views = make_views(nuaa, portraits, models, spec, VIEWS, work / "views.npz")
    people = view_people(find_origins(nuaa, portraits, spec), len(views.source))
    return Data({key: values.astype(float) for key, values in views.teachers.items()}, views.bona_fide, 0, people)


def command(
    candidates: Sequence[str], every: Mapping[str, int], sources: Sequence[str], ship: str, *, views: bool
) -> str:
    """The command line, without the paths of this machine."""
    words = [f"--every {name}={number}" for name, number in every.items()]
    words += [f"--candidate {candidate}" for candidate in candidates]
    words += [f"--from {source}" for source in sources] + [f"--ship {ship}"] + ["--views NUAA PORTRAITS"] * views
    return f"python benchmarks/default_model.py WORK PAGE ... {' '.join(words)}"


def page(sets: Mapping[str, Data], candidates: Sequence[str], sources: Sequence[str], every: Mapping[str, int]) -> str:
    """The tables: the sets, the EER of each candidate, and its error rates at both thresholds."""
    counts = [
        (name, every.get(name, 1), data.bona_fide.sum(), (~data.bona_fide).sum(), data.without_face)
        for name, data in sets.items()
    ]
    left_out, alone = {}, {}
    for candidate in candidates:
        members = candidate.split("+")
        for name, data in sets.items():
            others = [other for key, other in sets.items() if key not in (sources if name in sources else [name])]
            left_out[candidate, name] = rates(fit(others, members), data)
            alone[candidate, name] = rates(fit([sets[source] for source in sources], members), data)
    external, both = [name for name in sets if name not in sources], " and ".join(sources)
    return "\n".join(
        [
            "",
            markdown(["set", "every Nth image", "bona fide", "attacks", "without a face"], counts),
            "## EER, fitted to the other sets\n",
            _table(left_out, sets, external, lambda found: f"{found[0]:.1f}", lambda found: found[0]),
            "## ACER (APCER, BPCER), fitted to the other sets\n",
            _table(left_out, sets, external, _acer_text, _acer),
            f"## ACER (APCER, BPCER), fitted to {both} alone\n",
            f"The figures of {both} are optimistic, because the thresholds were chosen there.\n",
            _table(alone, sets, external, _acer_text, _acer),
        ]
    )


def _table(
    found: Mapping[tuple[str, str], Rates],
    sets: Mapping[str, Data],
    external: Sequence[str],
    text: Callable[[Rates], str],
    value: Callable[[Rates], float],
) -> str:
    """A row per candidate and a column per set, with the mean of the external sets."""
    rows = [
        (
            candidate,
            *(text(found[candidate, name]) for name in sets),
            f"{np.mean([value(found[candidate, name]) for name in external]):.1f}",
        )
        for candidate in dict.fromkeys(candidate for candidate, _ in found)
    ]
    return markdown(["candidate", *sets, "mean of the external sets"], rows)


def _acer(found: Rates) -> float:
    return (found[1] + found[2]) / 2


def _acer_text(found: Rates) -> str:
    return f"{_acer(found):.1f} ({found[1]:.1f}, {found[2]:.1f})"


def shipped(name: str, fitted: Fitted) -> str:
    """The numbers for the model's description: the weight of each network, the calibration and the threshold."""
    value = 1 / (1 + np.exp(-fitted.threshold))
    weights = ", ".join(f"{member} {weight:.4f}" for member, weight in fitted.weights.items())
    return f"\nThe default model is {name}: weights {weights}; offset {fitted.offset:.4f}; threshold {value:.4f}.\n"


def preset_table(ship: Fitted, sets: Mapping[str, Data], sources: Sequence[str]) -> str:
    """The presets of the default model, with their error rates on each set."""
    source = " and ".join(sources)
    external = [name for name in sets if name not in sources]
    rows, _, chosen = [], *presets(ship, [sets[name] for name in sources], source)
    for preset in chosen:
        at = replace(ship, threshold=float(np.log(preset.threshold.value / (1 - preset.threshold.value))))
        expected = (
            f"{100 * rate.value:.2f} ({100 * rate.low:.2f} to {100 * rate.high:.2f})"
            for rate in (preset.apcer, preset.bpcer)
        )
        found = (rates(at, sets[name]) for name in external)
        rows.append((preset.name, f"{preset.threshold.value:.4f}", *expected, *map(_acer_text, found)))
    header = ["preset", "threshold", "APCER, sources", "BPCER, sources"]
    return PRESETS.format(source=source, table=markdown([*header, *external], rows))


if __name__ == "__main__":
    main()
