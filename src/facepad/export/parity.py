"""Parity: how far an exported model's decisions are from the trained network's, on a test set."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from facepad.files.disk import write_text
from facepad.metrics import PadSummary, Rate, Threshold, summarize
from facepad.types import ScoreRecord

__all__ = ["Changed", "Parity", "Precision", "Scored", "Variant", "compare_variants", "write_parity"]

Precision = Literal["fp32", "int8"]
"""The precision of a network's weights and arithmetic."""
#: Limits of parity: the distance of a score of 32 bit floats from the network's, and how much higher ACER and EER of 8
#: bit integers may be.
SCORE_LIMIT, RATE_LIMIT = 1e-4, 0.002
_PRECISE = 1e-12  # the rounding error of a rate


@dataclass(frozen=True)
class Scored:
    """The scores of one way to run a model.

    Attributes:
        name: Engine and precision.
        precision: Precision of weights and arithmetic.
        threshold: Its own threshold, of its calibrated scores.
        records: Its scores with its own calibration, by which it decides.
        compared: Its scores with the reference's calibration, so that they differ only if the networks do; None for a
            variant whose own calibration is the reference's.
    """

    name: str
    precision: Precision
    threshold: Threshold
    records: Sequence[ScoreRecord]
    compared: Sequence[ScoreRecord] | None = None


@dataclass(frozen=True)
class Changed:
    """A test image that a variant decides in another way than the trained network."""

    record: ScoreRecord
    reference: float
    score: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "path": self.record.path,
            "frame": self.record.frame,
            "label": self.record.label.value,
            "attack_type": self.record.attack_type and self.record.attack_type.value,
            "reference_score": self.reference,
            "score": self.score,
        }


@dataclass(frozen=True)
class Variant:
    """The measures of one way to run a model.

    Attributes:
        name: Engine and precision.
        precision: Precision of weights and arithmetic.
        summary: The metrics of its test scores, with its own calibration and threshold.
        difference: The largest |score - reference score|, both with the reference's calibration, in [0, 1].
        changed: The images that it decides in another way than the reference.
    """

    name: str
    precision: Precision
    summary: PadSummary
    difference: float
    changed: Sequence[Changed]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "name": self.name,
            "precision": self.precision,
            "max_score_difference": self.difference,
            "decisions_changed": [changed.to_dict() for changed in self.changed],
            "metrics": self.summary.to_dict(),
        }


@dataclass(frozen=True)
class Parity:
    """All variants on the same images; the first, the trained network in PyTorch, is the reference of the others."""

    data: str
    variants: Sequence[Variant]
    notes: Sequence[str] = ()

    @property
    def failures(self) -> list[str]:
        """One line for each way in which a variant is further from the reference than it may be."""
        reference, *others = self.variants
        return [line for variant in others for line in _failures(reference.summary, variant)]

    def to_dict(self) -> dict[str, Any]:
        """The content of the JSON file: every variant with its metrics and changed decisions."""
        return {
            "data": self.data,
            "notes": list(self.notes),
            "limits": {"max_score_difference_fp32": SCORE_LIMIT, "acer_int8": RATE_LIMIT, "eer_int8": RATE_LIMIT},
            "failures": self.failures,
            "variants": [variant.to_dict() for variant in self.variants],
        }

    def lines(self) -> list[str]:
        """One line per variant, for a terminal."""
        return [f"parity on {self.data}"] + [
            f"  {variant.name:<20} largest score difference {variant.difference:.2g}, "
            f"{len(variant.changed)} decisions changed, ACER {_percent(variant.summary.rates['acer'])} %, "
            f"EER {_percent(variant.summary.rates['eer'])} %"
            for variant in self.variants
        ]

    def facts(self) -> dict[str, Any]:
        """The short form that the model file remembers."""
        return {
            "data": self.data,
            **({"notes": list(self.notes)} if self.notes else {}),
            "failures": self.failures,
            "variants": {
                variant.name: {
                    "max_score_difference": variant.difference,
                    "decisions_changed": len(variant.changed),
                    **{name: variant.summary.rates[name].value for name in ("acer", "apcer", "bpcer", "eer")},
                }
                for variant in self.variants
            },
        }


def compare_variants(data: str, scored: Sequence[Scored], notes: Sequence[str] = ()) -> Parity:
    """Measure several ways to run one model against the first of them.

    Args:
        data: The name of the images.
        scored: The variants; their records must be of the same images in the same order.
        notes: What else a reader must know, one line each.

    Raises:
        MetricError: one class has no scored images.
    """
    return Parity(data, [_variant(each, scored[0]) for each in scored], notes)


def _variant(scored: Scored, reference: Scored) -> Variant:
    pairs = [
        (record, before.score, record.score)
        for before, record in zip(reference.records, scored.records, strict=True)
        if before.score is not None and record.score is not None
    ]
    compared = scored.records if scored.compared is None else scored.compared
    differences = [
        abs(record.score - before.score)
        for before, record in zip(reference.records, compared, strict=True)
        if before.score is not None and record.score is not None
    ]
    return Variant(
        name=scored.name,
        precision=scored.precision,
        summary=summarize(scored.records, scored.threshold, source=scored.name),
        difference=max(differences, default=0.0),
        changed=[
            Changed(record, before, score)
            for record, before, score in pairs
            if (before >= reference.threshold.value) != (score >= scored.threshold.value)
        ],
    )


def _failures(reference: PadSummary, variant: Variant) -> Iterator[str]:
    if variant.precision == "fp32":
        if variant.difference > SCORE_LIMIT:
            yield f"{variant.name}: a score differs by {variant.difference:.2g}, more than {SCORE_LIMIT:g}"
        return
    summary = variant.summary
    for rate in ("acer", "eer"):  # each variant has its own threshold, which can mask a worse ranking; EER has none
        worse = summary.rates[rate].value - reference.rates[rate].value
        if worse > RATE_LIMIT + _PRECISE:
            yield f"{variant.name}: {rate.upper()} is {100 * worse:.2f} points higher, more than {100 * RATE_LIMIT:g}"
    for instrument, rates in summary.instruments.items():
        before = reference.instruments[instrument].apcer
        if rates.apcer and before and rates.apcer.value > before.high + _PRECISE:
            yield (
                f"{variant.name}: APCER of {instrument} is {_percent(rates.apcer)} %, "
                f"beyond the interval of the trained network's {_percent(before)} %"
            )


def _percent(rate: Rate) -> str:
    return f"{100 * rate.value:.2f} ({100 * rate.low:.2f} to {100 * rate.high:.2f})"


def write_parity(path: Path, parity: Parity, *, forced: bool) -> tuple[Path, Path]:
    """Write ``NAME.parity.json`` and ``NAME.parity.md`` beside the model file of that full name.

    Raises:
        RunError: the files cannot be written.
    """
    data, page = (path.with_name(f"{path.name}.parity.{end}") for end in ("json", "md"))
    write_text(data, json.dumps({**parity.to_dict(), "forced": forced}, indent=1) + "\n")
    write_text(page, "\n".join(_page(path.name, parity, forced=forced)) + "\n")
    return data, page


def _page(name: str, parity: Parity, *, forced: bool) -> Iterator[str]:
    reference = parity.variants[0]
    yield f"# Parity of {name}"
    yield ""
    yield (
        f"Measured on {parity.data}, {reference.summary.confusion.total} scored images, against {reference.name}. "
        f"Score differences are those of the networks: all with the calibration of {reference.name}. Decisions, "
        "ACER, APCER and BPCER are each variant's with its own calibration and threshold (8 bits have their own, "
        "from dev); EER needs neither. Rates are in %, with 95 % intervals."
    )
    for note in parity.notes:
        yield f"\n**Note:** {note}."
    for failure in parity.failures:
        yield f"\n**Failed{', but written all the same (--force)' if forced else ''}:** {failure}."
    yield ""
    yield "| variant | largest score difference | decisions changed | threshold | ACER | BPCER | EER |"
    yield "|---|---|---|---|---|---|---|"
    for variant in parity.variants:
        summary = variant.summary
        yield (
            f"| {variant.name} | {variant.difference:.2g} | {len(variant.changed)} | {summary.threshold.value:.6g} | "
            f"{_percent(summary.rates['acer'])} | {_percent(summary.rates['bpcer'])} | "
            f"{_percent(summary.rates['eer'])} |"
        )
    yield from _instruments(parity)
    yield from _changes(parity)


def _instruments(parity: Parity) -> Iterator[str]:
    names = list(parity.variants[0].summary.instruments)
    yield ""
    yield "APCER of each instrument:"
    yield ""
    yield f"| variant | {' | '.join(names)} |"
    yield f"|{'---|' * (len(names) + 1)}"
    for variant in parity.variants:
        rates = [variant.summary.instruments[name].apcer for name in names]
        cells = [_percent(rate) if rate else "not defined" for rate in rates]
        yield f"| {variant.name} | {' | '.join(cells)} |"


def _changes(parity: Parity) -> Iterator[str]:
    for variant in parity.variants[1:]:
        if not variant.changed:
            continue
        yield ""
        yield f"## Decided in another way by {variant.name}"
        yield ""
        yield "Scores are each variant's own, to be read against its own threshold."
        yield ""
        yield "| image | kind | score before | score now |"
        yield "|---|---|---|---|"
        for changed in variant.changed:
            record = changed.record
            frame = "" if record.frame is None else f" frame {record.frame}"
            kind = record.attack_type or record.label
            path = record.path.replace("|", "\\|")
            yield f"| {path}{frame} | {kind} | {changed.reference:.6f} | {changed.score:.6f} |"
