"""The way from an image to a decision, in words and numbers, for programs that run a model's networks themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from facepad.errors import number_of
from facepad.metrics import preset_notes
from facepad.modelfile.bundle import Bundle, Description, InputFormat, Network, OutputFormat

__all__ = ["decision_steps", "model_words", "network_numbers", "preparation_steps", "preprocess_document"]

FORMAT = 1
"""The format of preprocess.json."""

_PADDING = {"reflect": "the mirrored image", "constant": "mid grey (127, 127, 127)"}


def preparation_steps(network: Network) -> list[str]:
    """The steps from an image to the network's logit, one sentence each."""
    spec = network.preprocess
    height, width = spec.size
    if spec.crop_scale is None:
        steps = ["Take the whole image, upright, in RGB."]
    else:
        steps = [
            f"Find the face in the upright RGB image with {spec.detector}: a square of side s, in pixels.",
            f"Cut the square of side {spec.crop_scale:g} x s. {_centre_words(*spec.shift)} Fill the part outside the "
            f"image with {_PADDING[spec.border]}.",
        ]
    steps.append(
        f"Resize to {height} x {width} (height x width). To shrink, average the area that each new pixel covers. To "
        f"enlarge, interpolate ({spec.interpolation})."
    )
    return [*steps, _input_step(network.input), _logit_step(network.output)]


def _centre_words(right: float, down: float) -> str:
    """The place of the crop's centre.

    >>> _centre_words(0.0, -0.081)
    "Its centre lies 0.081 x s above the face's centre."
    """
    across = f"{abs(right):g} x s to the {'right' if right > 0 else 'left'} of"
    along = f"{abs(down):g} x s {'below' if down > 0 else 'above'}"
    places = [words for words, offset in ((across, right), (along, down)) if offset]
    return (
        f"Its centre lies {' and '.join(places)} the face's centre." if places else "Its centre is the face's centre."
    )


def _input_step(form: InputFormat) -> str:
    order = "in the order R, G, B" if form.channels == "rgb" else "in the order B, G, R"
    shape = "(1, height, width, 3)" if form.layout == "nhwc" else "(1, 3, height, width)"
    if form.dtype == "uint8":
        return f"Give the pixels as uint8, unchanged, {order}, in the shape {shape}."
    pixel = f"p x {form.scale:.9g}"
    if any(form.mean) or form.std != (1.0, 1.0, 1.0):
        mean, std = (", ".join(f"{value:.9g}" for value in values) for values in (form.mean, form.std))
        pixel = f"({pixel} - mean) / std, with mean = [{mean}] and std = [{std}]"
    return f"Each value p of 0..255 becomes {pixel} as float32, {order}, in the shape {shape}."


def _logit_step(form: OutputFormat) -> str:
    name = f"The output {form.name}" if form.name else "The first output"
    if form.kind == "logit":
        return f"{name} is the logit, positive for bona fide."
    meaning = "x" if form.kind == "logits" else "exp(x)"
    return (
        f"{name} has a value {meaning} for each class. Class {form.bona_fide} is bona fide: "
        f"logit = x[{form.bona_fide}] - log(sum of exp(x[k]) over all other classes k)."
    )


def decision_steps(description: Description) -> list[str]:
    """The steps from the networks' logits to a decision, one sentence each."""
    line = description.calibration
    terms = [f"{network.weight:.9g} x logit {number}" for number, network in enumerate(description.networks, start=1)]
    threshold = description.threshold
    return [
        f"Sum the logits: z = {' + '.join(terms)}.",
        f"Score = P(bona fide) = 1 / (1 + exp(-({line.slope:.9g} x z + {line.offset:.9g}))).",
        "The model has no threshold: every presentation is undecided."
        if threshold is None
        else f"Live if score >= {threshold.value:.9g}, else attack.",
    ]


def network_numbers(network: Network) -> dict[str, Any]:
    """The preparation of a network's input and the form of its output, as plain values for JSON."""
    spec = network.preprocess
    return {
        "name": network.name,
        "precision": network.precision,
        "weight": network.weight,
        "crop": {
            "scale": spec.crop_scale,
            "shift": list(spec.shift),
            "size": list(spec.size),
            "border": spec.border,
            "interpolation": spec.interpolation,
            "detector": spec.detector if spec.needs_face else None,
        },
        "input": network.input.model_dump(mode="json"),
        "output": network.output.model_dump(mode="json"),
        "steps": preparation_steps(network),
    }


def preprocess_document(bundle: Bundle) -> dict[str, Any]:
    """The model without its networks' graphs: all numbers from an image to a decision, as plain values for JSON."""
    described = bundle.description
    return {
        "format": FORMAT,
        "name": described.name,
        "license": described.license,
        "scope": described.scope,
        "source": described.source,
        "sha256": bundle.digest,
        "networks": [network_numbers(network) for network in described.networks],
        "calibration": {"slope": described.calibration.slope, "offset": described.calibration.offset},
        "threshold": None if described.threshold is None else described.threshold.to_dict(),
        "presets": [preset.to_dict() for preset in described.presets],
        "steps": decision_steps(described),
    }


def model_words(bundle: Bundle) -> str:
    """A model in words for a terminal: terms, networks, preparation, decision, threshold and presets."""
    return "\n".join(_lines(bundle))


def _lines(bundle: Bundle) -> Iterator[str]:
    described = bundle.description
    title = described.facts.get("title")
    yield f"{described.name}{f': {title}' if title else ''}"
    yield from (f"  {name}: {value}" for name, value in _terms(bundle) if value)
    for number, network in enumerate(described.networks, start=1):
        yield f"\nnetwork {number}: {network.name} ({', '.join(network.files)}; {network.precision})"
        yield from (f"  {place}. {step}" for place, step in enumerate(preparation_steps(network), start=1))
    yield "\ndecision"
    yield from (f"  {place}. {step}" for place, step in enumerate(decision_steps(described), start=1))
    calibration = described.calibration
    if calibration.source:
        yield f"  calibrated on {calibration.source}"
    yield from (f"  note: {note}" for note in calibration.notes)
    yield from _threshold_lines(described)


def _terms(bundle: Bundle) -> list[tuple[str, str]]:
    described, shipping = bundle.description, bundle.description.facts.get("shipping")
    return [
        ("licence", described.license),
        ("may I ship it?", ": ".join(map(str, shipping.values())) if isinstance(shipping, dict) else ""),
        ("scope", described.scope),
        ("training data", str(described.facts.get("training_data", ""))),
        ("source", described.source),
        ("SHA-256", bundle.digest),
    ]


def _threshold_lines(described: Description) -> Iterator[str]:
    threshold = described.threshold
    if threshold is None:
        yield "\nthreshold: none; facepad calibrate chooses one on your data"
    else:
        origin = threshold.origin
        counts = f" ({origin.n_bona_fide} bona fide, {number_of(origin.n_attack, 'attack')})" if origin.n_attack else ""
        yield f"\nthreshold: {threshold.value:.6g} ({threshold.criterion}), {origin.source}{counts}"
        yield from (f"  note: {note}" for note in origin.notes)
    yield "presets:" if described.presets else "presets: none; facepad calibrate makes them from your data"
    yield from (f"  {preset}" for preset in described.presets)
    known = threshold.origin.notes if threshold else ()
    yield from (f"  note: {note}" for note in preset_notes(described.presets, known))
