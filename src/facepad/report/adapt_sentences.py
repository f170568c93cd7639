"""The sentences of the report of an adaptation."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from facepad.metrics import Rate
from facepad.report.adapt_content import AdaptContent, LearningCurve
from facepad.report.content import ShortcutProbe
from facepad.report.text import GAP, count, interval, number, percent, words

__all__ = ["expectation", "honesty", "of_groups", "out_of_fold", "outlook", "scores_caption", "surroundings"]

_REVEALED = 0.1
"""Largest EER without the face at which the surroundings alone reveal the class."""


def expectation(content: AdaptContent) -> Markup:
    """Return one sentence with the error rates to expect of new people, with bold figures."""
    # The rule of `expected_rates`, so that the interval is that of the kind that is named.
    worst = max(content.kinds, key=lambda kind: (content.kinds[kind].value, content.kinds[kind].high))
    attacks = "attacks" if worst == "unknown" else f"{words(worst)} attacks"
    if len(content.kinds) > 1:
        attacks += ", the worst kind,"
    return Markup(
        "Of new people at this site, expect that <b>{}</b> of {} are accepted ({}) and that <b>{}</b> of live "
        "presentations are rejected ({})."
    ).format(
        percent(content.expected["apcer"].value),
        attacks,
        interval(content.expected["apcer"]),
        percent(content.expected["bpcer"].value),
        interval(content.expected["bpcer"]),
    )


def outlook(curve: LearningCurve) -> Markup:
    """Return the extrapolation in words, or the reason why there is none, and the refits that were left out."""
    left_out = f" {curve.left_out[0].upper()}{curve.left_out[1:]}." if curve.left_out else ""
    return _forecast(curve) + left_out


def _forecast(curve: LearningCurve) -> Markup:
    if curve.missing:
        return Markup("No forecast for more people: {}.").format(curve.missing)
    last = curve.points[-1].acer
    if last.value == 0:
        return Markup("No error was measured. More people narrow its interval, which now ends at <b>{}</b>.").format(
            percent(last.high)
        )
    parts = [
        Markup("with {} more people expect about <b>{}</b>").format(at.more, _short(at.acer)) for at in curve.outlook
    ]
    text = Markup("The mean error rate (ACER) is {} now; {}.").format(_short(last), Markup("; ").join(parts))
    farthest = curve.outlook[-1].acer
    if farthest.value > 0.95 * last.value or farthest.high > 0.95 * last.high:
        text += Markup(
            " The points do not prove that more people of the same kind lower the error. Look at the worst images "
            "first."
        )
    return text


def _short(rate: Rate) -> str:
    """Format a rate and its interval with two significant digits.

    >>> _short(Rate(0.0204, 0.008, 0.0512, 100, "")).replace(GAP, " ")
    '2 % (0.8 to 5.1 %)'
    """
    return f"{100 * rate.value:.2g}{GAP}% ({100 * rate.low:.2g} to {100 * rate.high:.2g}{GAP}%)"


def surroundings(probes: Sequence[ShortcutProbe]) -> str:
    """Return what the short-cut probes show, in plain words; empty if the surroundings do not reveal the class."""
    blanked = next((probe.eer.value for probe in probes if probe.name == "face blanked"), 1.0)
    if blanked > _REVEALED:
        return ""
    return (
        f"With the face painted over, the EER is only {percent(blanked)}: the surroundings alone reveal the class, and "
        "the figures may be wrong at another place, or with attacks that fill the picture."
    )


def honesty(content: AdaptContent) -> str:
    """Return how the figures were measured, and what they do not show."""
    if content.folds:
        how = (
            f"Cross-validation on the {content.people} people of this site: they were divided into {content.folds} "
            "folds, and each person was scored by networks that had not seen this person, at a threshold that was "
            "chosen on the other folds."
        )
        if content.curve.points:
            how += (
                " Each fold has networks of its own, and the best threshold differs from fold to fold. This counts as "
                "errors here, most of all with few people, but not in the model file, which is one model."
            )
    else:
        how = f"No network was trained: a public network was calibrated on the {content.people} people of this site."
    return (
        f"{how} This is not a test on other data. The choice between {count(len(content.candidates))} candidates makes "
        "the figures slightly optimistic. Other places, cameras and kinds of attacks were not measured. The intervals "
        "hold for people like these, and few people give wide intervals."
    )


def out_of_fold(content: AdaptContent) -> str:
    """Return which decisions the requirements are held against, and what they do not show."""
    return f"{_decisions(content)} The frames of a video are one presentation, by their mean score."


def of_groups(content: AdaptContent) -> str:
    """Return which decisions the rates of groups count, and what they do not show."""
    return f"{_decisions(content)} The frames of a video count one by one."


def _decisions(content: AdaptContent) -> str:
    if content.folds:
        how = (
            "The decisions are out of fold: each person was decided by networks that had not seen this person, at a "
            "threshold that was chosen on the other folds. The model file was trained on all people, and has other "
            "weights."
        )
    else:
        how = "The threshold was chosen on the same scores that it decides, so the result is optimistic."
    return f"{how} Images without a face are not counted."


def scores_caption(content: AdaptContent) -> str:
    """Return the caption of the histogram."""
    return (
        "Scores of all people, each by networks that did not see the person. The dashed line is the threshold of the "
        f"model file, {number(content.scores.threshold.value)}, which was chosen on these scores."
    )
