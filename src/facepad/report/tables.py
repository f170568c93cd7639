"""The tables of a report as rows of formatted text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from facepad.datasets.published import PublishedFigure
from facepad.metrics import PRECISION_RECALL, Basis, InstrumentRates, PadSummary, Rate, measures_of
from facepad.report.content import ReportContent
from facepad.report.text import GAP, count, fraction, interval, percent, words

__all__ = [
    "Bar",
    "Group",
    "InstrumentRow",
    "MatrixRow",
    "NumberRow",
    "PublishedGroup",
    "PublishedTable",
    "SeriesRow",
    "Unscored",
    "bars",
    "headline",
    "instruments",
    "matrix",
    "number_groups",
    "number_row",
    "precision_recall_rows",
    "probe_rows",
    "published_table",
    "series",
    "unscored",
]

_MAX_UNSCORED = 25
_MAX_SERIES = 10


@dataclass(frozen=True, slots=True)
class NumberRow:
    """One measure as formatted text: name, meaning, value, interval, unit, sample size and interval method."""

    name: str
    meaning: str
    value: str
    interval: str
    unit: str
    n: str
    method: str


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of measures with the same `Basis`, and a title."""

    title: str
    rows: tuple[NumberRow, ...]


def number_row(name: str, meaning: str, rate: Rate | None, unit: str = "%") -> NumberRow:
    """Format one rate in percent or as a fraction; None is not defined."""
    if rate is None:
        return NumberRow(name, meaning, "not defined", "", "", "", "")
    value, low, high = (
        percent(figure, unit=False) if unit == "%" else fraction(figure) for figure in (rate.value, rate.low, rate.high)
    )
    return NumberRow(name, meaning, value, f"{low} to {high}", unit, count(rate.n), rate.method)


def headline(content: ReportContent) -> list[NumberRow]:
    """Return the headline figures of a report."""
    summary = content.summary
    named = {"worst": words(summary.worst_instrument), "split": content.split_name}
    return [
        number_row(measure.name.partition(" ")[0], measure.headline.format(**named), summary.rates[measure.key])
        for measure in measures_of(Basis.THRESHOLD, Basis.SCORES)
        if measure.headline
    ]


def number_groups(content: ReportContent) -> list[Group]:
    """Return all rates of the summary, grouped by `Basis`."""
    summary = content.summary
    own = f"Of the {content.split_name} scores, without a threshold"
    groups = [
        Group("At the threshold", _basis_rows(Basis.THRESHOLD, summary.rates, f" ({words(summary.worst_instrument)})")),
        Group(own, (*_basis_rows(Basis.SCORES, summary.rates), *_bpcer_at_apcer(summary))),
        Group("Without a score", _basis_rows(Basis.RESPONSES, summary.rates)),
    ]
    if any(n for counts in summary.non_responses.values() for n in counts.values()):
        rows = _basis_rows(Basis.THRESHOLD, summary.non_responses_as_errors)
        groups.append(Group("At the threshold, with every missing score counted as an error", rows))
    return groups


def _basis_rows(basis: Basis, rates: Mapping[str, Rate], worst: str = "") -> tuple[NumberRow, ...]:
    """Return the rows of one basis; ``worst`` is appended to the meaning of APCER."""
    return tuple(
        number_row(
            measure.name, measure.meaning + (worst if measure.key == "apcer" else ""), rates[measure.key], measure.unit
        )
        for measure in measures_of(basis)
    )


def _bpcer_at_apcer(summary: PadSummary) -> Iterator[NumberRow]:
    for limit, rate in summary.bpcer_at_apcer.items():
        yield number_row(f"BPCER @ {100 * limit:g}{GAP}%", f"bona fide rejected at APCER ≤ {100 * limit:g}{GAP}%", rate)


@dataclass(frozen=True, slots=True)
class Bar:
    """A rate and its interval on a scale; positions and width are percentages of the length of the scale."""

    low: float
    value: float
    width: float


def bars(rates: Sequence[Rate | None]) -> tuple[list[Bar | None], str]:
    """Return a bar per rate on a common scale from 0 to a round number, and the label of the end of the scale.

    >>> bars([Rate(0.01, 0.0, 0.04, 100, "exact")])[0]
    [Bar(low=0.0, value=20.0, width=80.0)]
    """
    ends = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
    highest = max((rate.high for rate in rates if rate), default=1.0)
    end = next((limit for limit in ends if highest <= limit), 1.0)
    drawn = [
        Bar(*(round(100 * part / end, 2) for part in (rate.low, rate.value, rate.high - rate.low))) if rate else None
        for rate in rates
    ]
    return drawn, f"{100 * end:g}{GAP}%"


@dataclass(frozen=True, slots=True)
class InstrumentRow:
    """The rates of one PAI species as formatted text."""

    name: str
    worst: bool
    errors: str
    apcer: NumberRow
    apnrr: NumberRow
    bar: Bar | None


def instruments(summary: PadSummary) -> tuple[list[InstrumentRow], str]:
    """Return one row per PAI species, and the label of the end of the bars' scale."""
    drawn, end = bars([rates.apcer for rates in summary.instruments.values()])
    rows = []
    for (name, rates), bar in zip(summary.instruments.items(), drawn, strict=True):
        apcer, errors = rates.apcer, _errors(rates.apcer)
        worst = len(drawn) > 1 and name == summary.worst_instrument
        rows.append(
            InstrumentRow(
                _species_words(name, rates),
                worst,
                errors,
                number_row("APCER", "", apcer),
                number_row("APNRR", "", rates.apnrr),
                bar,
            )
        )
    return rows, end


def _species_words(name: str, rates: InstrumentRates) -> str:
    """Format the name of a species, with its types of instrument if they have another name."""
    if len(rates.types) < 2 and rates.parent in (name, "unknown"):
        return words(name)
    return f"{words(name)} ({', '.join(map(words, rates.types))})"


def _errors(rate: Rate | None) -> str:
    return f"{count(round(rate.value * rate.n))} of {count(rate.n)}" if rate else "none scored"


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """The APCER of one PAI series as formatted text."""

    name: str
    species: str
    errors: str
    apcer: NumberRow


def series(summary: PadSummary) -> tuple[list[SeriesRow], int]:
    """Return one row per PAI series, the highest APCER first, and the number of further series."""
    ranked = sorted(summary.series, key=lambda each: (each.apcer is None, -(each.apcer.value if each.apcer else 0)))
    rows = [
        SeriesRow(words(each.name), words(each.species), _errors(each.apcer), number_row("APCER", "", each.apcer))
        for each in ranked[:_MAX_SERIES]
    ]
    return rows, len(ranked) - len(rows)


@dataclass(frozen=True, slots=True)
class PublishedGroup:
    """Published rows of one data set.

    Attributes:
        title: Name of the data set.
        own: Whether this result was measured on the same data set.
        rows: Each published row with the number of its remark (empty without a remark) and its cells.
    """

    title: str
    own: bool
    rows: tuple[tuple[PublishedFigure, str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """This result beside published results.

    Attributes:
        columns: Titles of the columns for which a published row has a value.
        protocol: Protocol of this result, or the title of the report without a protocol; "by video" marks videos.
        own: Cells of this result.
        groups: Published rows by data set. The data set of this result is first, if it has published rows.
    """

    columns: tuple[str, ...]
    protocol: str
    own: tuple[str, ...]
    groups: tuple[PublishedGroup, ...]

    @property
    def rows(self) -> list[tuple[PublishedFigure, str, tuple[str, ...]]]:
        """All published rows in the order of the table."""
        return [row for group in self.groups for row in group.rows]


_PUBLISHED_COLUMNS = {
    "accuracy": "Accuracy, %",
    "eer": "EER, %",
    "apcer": "APCER, %",
    "bpcer": "BPCER, %",
    "hter": "HTER, %",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "loss": "Loss",
    "seconds": "Training, s",
}


def published_table(content: ReportContent) -> PublishedTable:
    """Make the table of published rows and this result, by data set. A missing figure is an empty cell."""
    summary = content.summary
    ours = {**summary.rates, **summary.precision_recall["attack"]}
    filled = [c for c in _PUBLISHED_COLUMNS if any(getattr(row, c) is not None for row in content.published)]
    own = tuple(_own_cell(name, ours.get(name)) for name in filled)
    datasets = sorted(dict.fromkeys(row.dataset for row in content.published), key=lambda name: name != content.dataset)
    ordered = [row for name in datasets for row in content.published if row.dataset == name]
    remarked = [row for row in ordered if row.remark]

    def cells(row: PublishedFigure) -> tuple[PublishedFigure, str, tuple[str, ...]]:
        mark = str(remarked.index(row) + 1) if row.remark else ""
        return row, mark, tuple(_published_cell(name, getattr(row, name)) for name in filled)

    groups = tuple(
        PublishedGroup(name, name == content.dataset, tuple(cells(row) for row in ordered if row.dataset == name))
        for name in datasets
    )
    known = any(group.own for group in groups)  # else no title of a group names the data set of this result
    protocol = f"{(known and content.protocol) or content.title}{', by video' if summary.aggregation else ''}"
    return PublishedTable(tuple(_PUBLISHED_COLUMNS[name] for name in filled), protocol, own, groups)


def _in_percent(name: str) -> bool:
    return _PUBLISHED_COLUMNS[name].endswith("%")


def _own_cell(name: str, rate: Rate | None) -> str:
    if rate is None:
        return ""
    return percent(rate.value, False) if _in_percent(name) else fraction(rate.value)


def _published_cell(name: str, value: float | None) -> str:
    """Format a published figure with at most four significant digits."""
    return "" if value is None else f"{100 * value if _in_percent(name) else value:.4g}"


@dataclass(frozen=True, slots=True)
class Unscored:
    """Images without a score.

    Attributes:
        rows: (path, kind, reason) of the first images.
        more: Number of further images.
    """

    rows: tuple[tuple[str, str, str], ...]
    more: int


def unscored(content: ReportContent) -> Unscored:
    """Return the measured images without a score."""
    found = [record for record in content.measured if record.score is None]
    rows = [
        (r.path, words(r.species or r.label), content.unreadable.get(r.path) or words(r.status))
        for r in found[:_MAX_UNSCORED]
    ]
    return Unscored(tuple(rows), len(found) - len(rows))


def probe_rows(content: ReportContent) -> tuple[list[tuple[str, str, str, str, str, Bar | None]], str]:
    """Return rows (name, meaning, EER, interval, n, bar) and the end of the scale; the first row has no probe."""
    plain = ("Unchanged images", f"EER of the {content.split_name} scores", content.summary.rates["eer"])
    probes = [plain, *((probe.name, probe.description, probe.eer) for probe in content.probes)]
    drawn, end = bars([eer for _, _, eer in probes])
    rows = [
        (name, meaning, percent(eer.value), interval(eer), count(eer.n), bar)
        for (name, meaning, eer), bar in zip(probes, drawn, strict=True)
    ]
    return rows, end


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One class of the confusion matrix.

    Attributes:
        label: Name of the class.
        cells: (name, count, share of the row, "right", "wrong" or "none") of each outcome.
    """

    label: str
    cells: tuple[tuple[str, str, str, str], ...]


def matrix(content: ReportContent) -> list[MatrixRow]:
    """Return the rows of the confusion matrix, with a column for non-responses."""
    counts, missing = content.summary.confusion, content.summary.non_responses
    rows = []
    for label, accepted, rejected in (
        ("bona_fide", counts.bona_fide_accepted, counts.bona_fide_rejected),
        ("attack", counts.attack_accepted, counts.attack_rejected),
    ):
        without = sum(missing[label].values())
        total = accepted + rejected + without
        kinds = ("right", "wrong") if label == "bona_fide" else ("wrong", "right")
        outcomes = (("accepted", accepted, kinds[0]), ("rejected", rejected, kinds[1]), ("no score", without, "none"))
        cells = tuple((name, count(n), percent(n / total), kind) for name, n, kind in outcomes)
        rows.append(MatrixRow(words(label), cells))
    return rows


def precision_recall_rows(rates: Mapping[str, Rate | None]) -> list[NumberRow]:
    """Return precision, recall and F1 for one positive class."""
    names = {key: name[:1].upper() + name[1:] for key, (name, _) in PRECISION_RECALL.items()}
    return [number_row(names[key], "", rate, "fraction") for key, rate in rates.items()]
