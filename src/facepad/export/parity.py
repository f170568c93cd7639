"""Parity: the comparison of an exported model's scores and decisions with the trained network's, on a test set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from facepad.files.disk import write_json, write_text
from facepad.metrics import PadSummary, Rate, Threshold, summarize
from facepad.types import ScoreRecord

__all__ = ["Changed", "Parity", "Precision", "Scored", "Variant", "compare_variants", "write_parity"]

Precision = Literal["fp32", "int8"]
"""The precision of a network's weights and arithmetic."""
#: Limits of parity: the maximum difference of scores (for 32 bit floats), and the maximum increase of ACER and EER (for
#: 8 bit integers).
SCORE_LIMIT, RATE_LIMIT = 1e-4, 0.002
_PRECISE = 1e-12  # the rounding error of a rate


@dataclass(frozen=True)
class Scored:
    """The scores of one variant. A variant is the model in one engine with one precision.

    Attributes:
        name: Engine and precision of the variant.
        precision: Precision of weights and arithmetic.
        threshold: The threshold of the variant.
        records: Scores with the calibration of the variant, for the decisions.
        compared: Scores with the calibration of the reference, for the score differences. None if the variant has the
            same calibration as the reference.
    """

    name: str
    precision: Precision
    threshold: Threshold
    records: Sequence[ScoreRecord]
    compared: Sequence[ScoreRecord] | None = None


@dataclass(frozen=True)
class Changed:
    """A test image on which a variant and the trained network decide differently.

    Attributes:
        record: The record of the variant.
        reference: The score of the trained network.
        score: The score of the variant.
    """

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
    """The measures of one variant.

    Attributes:
        name: Engine and precision of the variant.
        precision: Precision of weights and arithmetic.
        summary: The metrics of the test scores, with the calibration and threshold of the variant.
        difference: The maximum of |score - reference score|, both with the reference's calibration, in [0, 1].
        changed: The images on which the variant and the reference decide differently.
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
    """The comparison of all variants on the same images.

    Attributes:
        data: The name of the images.
        variants: The variants. The first variant, the trained network in PyTorch, is the reference.
        notes: Notes for the reader, one line each.
    """

    data: str
    variants: Sequence[Variant]
    notes: Sequence[str] = ()

    @property
    def failures(self) -> list[str]:
        """One line for each exceeded limit of parity; empty if the parity did not fail."""
        reference, *others = self.variants
        return [line for variant in others for line in _failures(reference.summary, variant)]

    def to_dict(self) -> dict[str, Any]:
        """The content of the JSON file: each variant with its metrics and changed decisions."""
        return {
            "data": self.data,
            "notes": list(self.notes),
            "limits": {"max_score_difference_fp32": SCORE_LIMIT, "acer_int8": RATE_LIMIT, "eer_int8": RATE_LIMIT},
            "failures": self.failures,
            "variants": [variant.to_dict() for variant in self.variants],
        }

    def lines(self) -> list[str]:
        """A title line, and one line per variant, for a terminal."""
        return [f"parity on {self.data}"] + [
            f"  {variant.name:<20} largest score difference {variant.difference:.2g}, "
            f"{len(variant.changed)} decisions changed, ACER {_percent(variant.summary.rates['acer'])} %, "
            f"EER {_percent(variant.summary.rates['eer'])} %"
            for variant in self.variants
        ]

    def facts(self) -> dict[str, Any]:
        """The short form for the facts of the model file."""
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
    """Compare the variants of a model with the first variant.

    Args:
        data: The name of the images.
        scored: The scores of the variants. All variants must have the same images in the same order.
        notes: Notes for the reader, one line each.

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
    # ACER alone is not enough: a variant's own threshold can hide worse scores. EER does not depend on a threshold.
    for rate in ("acer", "eer"):
        worse = summary.rates[rate].value - reference.rates[rate].value
        if worse > RATE_LIMIT + _PRECISE:
            yield f"{variant.name}: {rate.upper()} is {100 * worse:.2f} points higher, more than {100 * RATE_LIMIT:g}"
    for instrument, rates in summary.instruments.items():
        before = reference.instruments[instrument].apcer
        if rates.apcer and before and rates.apcer.value > before.high + _PRECISE:
            yield (
                f"{variant.name}: APCER of {instrument} is {_percent(rates.apcer)} %, "
                f"above the interval of the trained network's {_percent(before)} %"
            )


def _percent(rate: Rate) -> str:
    return f"{100 * rate.value:.2f} ({100 * rate.low:.2f} to {100 * rate.high:.2f})"


def write_parity(path: Path, parity: Parity, *, forced: bool) -> tuple[Path, Path]:
    """Write ``NAME.parity.json`` and ``NAME.parity.md`` beside the model file ``NAME``, and return their paths.

    Raises:
        RunError: the files cannot be written.
    """
    data, page = (path.with_name(f"{path.name}.parity.{end}") for end in ("json", "md"))
    write_json(data, {**parity.to_dict(), "forced": forced})
    write_text(page, "\n".join(_page(path.name, parity, forced=forced)) + "\n")
    return data, page


def _page(name: str, parity: Parity, *, forced: bool) -> Iterator[str]:
    reference = parity.variants[0]
    yield f"# Parity of {name}"
    yield ""
    yield (
        f"Measured on {parity.data}, {reference.summary.confusion.total} scored images, against {reference.name}. "
        f"Score differences use the calibration of {reference.name} for all variants. Decisions, ACER, APCER and BPCER "
        "use the calibration and threshold of each variant (a variant of 8 bits has its own, from dev). EER does not "
        "depend on calibration or threshold. Rates are in %, with 95 % intervals."
    )
    for note in parity.notes:
        yield f"\n**Note:** {note}."
    for failure in parity.failures:
        yield f"\n**Failed{', but written anyway (--force)' if forced else ''}:** {failure}."
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
        yield f"## Other decisions of {variant.name}"
        yield ""
        yield "Compare each score with the threshold of the same variant."
        yield ""
        yield "| image | kind | score before | score now |"
        yield "|---|---|---|---|"
        for changed in variant.changed:
            record = changed.record
            frame = "" if record.frame is None else f" frame {record.frame}"
            kind = record.species or record.label
            path = record.path.replace("|", "\\|")
            yield f"| {path}{frame} | {kind} | {changed.reference:.6f} | {changed.score:.6f} |"
