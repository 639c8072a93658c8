"""What the numbers of runs on scrolls say, in cards and in sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hpctrain.run_state import finite

Page = Mapping[str, Any]
Card = dict[str, Any]

_GUESS = 0.55
"""An AUC up to here is hardly better than a guess."""
_OUTER, _INNER = 0.9, 0.5
"""Distances from the centre between which errors are compared."""
_NATS_A_BIT = 0.6931471805599453


def ink_cards(summary: Page, curves: Page) -> list[Card]:
    """AUC, F0.5, Dice and calibration."""
    auc, f05, at = (finite(summary.get(k)) for k in ("auc", "f05", "f05_threshold"))
    guess = _all_ink(finite(summary.get("ink_share")), 0.5)
    where = "" if at is None else f"from a probability of {at:.2f} on"
    beside = "" if guess is None else f"; {guess:.3f} if all were called ink"
    dice = _all_ink(finite(summary.get("ink_share")), 1.0)
    error = finite(summary.get("calibration_error"))
    cards = [
        _card(
            "AUC", auc, "0.5 is a guess, 1 is faultless", is_bad=auc is not None and auc < _GUESS
        ),
        _card("F0.5 at its best threshold", f05, where + beside),
        _card(
            "Dice at its best threshold",
            finite(summary.get("dice")),
            "" if dice is None else f"{dice:.3f} if all were called ink",
        ),
        _card("calibration error", error, "mean gap of probability and share of ink"),
    ]
    return [card for card in cards if card]


def vae_cards(summary: Page, _: Page) -> list[Card]:
    """PSNR, variance explained, active units, and the loss."""
    psnr, share, loss = (finite(summary.get(k)) for k in ("psnr", "explained", "loss"))
    active, count = finite(summary.get("active_units")), finite(summary.get("latent_dim"))
    cards = [
        _card("PSNR", psnr, "against the span of held-out grey values", "{:.2f} dB".format),
        _card(
            "variance explained",
            share,
            "by cubes decoded from the posterior's mean",
            _parts,
            is_bad=share is not None and share <= 0,
        ),
        _card(
            "active latent numbers",
            active,
            "" if count is None else f"of {count:.0f}",
            "{:.0f}".format,
            is_bad=active == 0,
        ),
        _card("loss", loss, "negative evidence lower bound, nats a voxel"),
    ]
    return [card for card in cards if card]


def ink_sentences(summary: Page, curves: Page) -> list[str]:
    """What AUC, F0.5 and the calibration of held-out windows mean."""
    return _scores(summary, curves) + _outside(
        summary, "a window", "hpctrain predict leaves those off"
    )


def segment_sentences(page: Page) -> list[str]:
    """The same of whole segments, and whether one sees where windows meet."""
    curves = page.get("curves")
    found = _scores(page, curves if isinstance(curves, dict) else {})
    for own in page.get("segments") or ():
        text = seam_sentence(own)
        found += [f"{own['name']}: {text}"] if text else []
    return found


def seam_sentence(page: Page) -> str:
    """Whether one sees where windows meet in a predicted segment."""
    ratio = finite((page.get("seams") or {}).get("ratio"))
    if ratio is None:
        return ""
    verdict = "nothing is seen of them" if ratio < 1.05 else "they may be seen"
    return (
        f"neighbouring pixels across edges of windows differ {ratio:.2f} times as much as those "
        f"right beside them: {verdict}."
    )


def vae_sentences(summary: Page, _: Page) -> list[str]:
    """What explained variance, active units and divergence mean."""
    share, divergence = finite(summary.get("explained")), finite(summary.get("divergence"))
    active, count = finite(summary.get("active_units")), finite(summary.get("latent_dim"))
    found = []
    if share is not None:
        found.append(
            f"Reconstructions explain {_parts(share)} of the variance of grey values over cubes; "
            "the rest is noise of the scan and what the latent numbers do not hold."
            if share > 0
            else "Reconstructions are no better than the mean of all cubes, which explains 0 %."
        )
    if active is not None and count:
        found.append(
            "No latent number differs from cube to cube: the code tells nothing of a cube."
            if not active
            else f"{active:.0f} of {count:.0f} latent numbers differ from cube to cube"
            f"{'; the others carry nothing' if active < count else ''}."
        )
    if divergence is not None:
        bits = divergence / _NATS_A_BIT
        found.append(
            f"The posterior is {divergence:.3g} nats from the prior: the code of a cube holds "
            f"{bits:.3g} bits at most."
        )
    return found + _outside(summary, "a cube", "")


def cube_sentences(page: Page) -> list[str]:
    """The VAE beside as many block means."""
    blocks = page["block_means"]
    ours, theirs = finite(page.get("psnr")), finite(blocks.get("psnr"))
    if ours is None or theirs is None:
        return []
    shape = " × ".join(str(n) for n in blocks["blocks"])
    gain = ours - theirs
    beside = f"{abs(gain):.2f} dB {'above' if gain > 0 else 'below'}"
    verdict = "" if gain > 0 else "; the network has not learned more than plain averaging"
    return [
        f"On {finite(page.get('cubes')) or 0:.0f} cubes the VAE reaches {ours:.2f} dB, {beside} "
        f"the {theirs:.2f} dB of {shape} block means of each, brought back trilinearly{verdict}."
    ]


def _scores(page: Page, curves: Page) -> list[str]:
    auc, f05, at = (finite(page.get(k)) for k in ("auc", "f05", "f05_threshold"))
    found = []
    if auc is not None:
        found.append(
            f"A pixel of ink scores higher than one of bare papyrus in {_percent(auc)} of all "
            "pairs; a guess does in 50 %."
        )
    place = _nearest(curves.get("threshold"), at)
    if f05 is not None and place is not None:
        precision, recall = (float(curves[k][place]) for k in ("precision", "recall"))
        found.append(
            f"Where a probability of {at:.2f} counts as ink, {_percent(precision)} of what is "
            f"marked is ink, and {_percent(recall)} of the ink is marked: F0.5 {f05:.3f}, its best."
        )
    return found + _calibration(page, curves)


def _calibration(page: Page, curves: Page) -> list[str]:
    error, own = finite(page.get("calibration_error")), curves.get("calibration")
    if error is None or not isinstance(own, dict) or not own.get("pixels"):
        return []
    parts = list(zip(own["predicted"], own["ink"], own["pixels"], strict=True))
    pixels = sum(n for *_, n in parts)
    bias = sum((p - q) * n for p, q, n in parts) / pixels
    predicted, ink, _ = max(parts, key=lambda part: abs(part[0] - part[1]) * part[2] ** 0.5)
    side = f", in all too {'high' if bias > 0 else 'low'} by {abs(bias):.3f}"
    return [
        f"Probabilities are off by {error:.3f} on average{side if abs(bias) >= 0.0005 else ''}; "
        f"where {predicted:.2f} is said, {ink:.2f} of the pixels are ink."
    ]


def _outside(summary: Page, what: str, more: str) -> list[str]:
    """How much worse the outside of windows is than their middle."""
    curve = summary.get("error_by_distance")
    if not isinstance(curve, dict):
        return []
    pairs = list(zip(curve["distance"], curve["mse"], strict=True))
    outer = _weighted([pair for pair in pairs if pair[0] >= _OUTER])
    inner = _weighted([pair for pair in pairs if pair[0] <= _INNER])
    if not outer or not inner:
        return []
    ratio = outer / inner
    told = f"; {more}" if more and ratio > 1.5 else ""
    return [
        f"The outermost tenth of {what} errs {ratio:.2f} times as much (squared) as its inner "
        f"half{told}."
    ]


def _weighted(pairs: Sequence[tuple[float, float]]) -> float:
    """Mean error; outer places are more in number."""
    total = sum(d for d, _ in pairs)
    return sum(d * e for d, e in pairs) / total if total else 0.0


def _all_ink(share: float | None, beta: float) -> float | None:
    """F_beta of calling every pixel ink."""
    return None if share is None else (1 + beta**2) * share / (beta**2 * share + 1)


def _nearest(values: Any, at: float | None) -> int | None:
    if at is None or not isinstance(values, list) or not values:
        return None
    return min(range(len(values)), key=lambda i: abs(values[i] - at))


def _parts(share: float) -> str:
    return f"{100 * share:.1f} %"


def _percent(share: float) -> str:
    """Without a false 100 %."""
    return f"{100 * share:.2f} %" if 0.99 < share < 1 else f"{100 * share:.0f} %"


def _card(
    label: str,
    value: float | None,
    note: str,
    form: Callable[[float], str] = "{:.3f}".format,
    *,
    is_bad: bool = False,
) -> Card:
    if value is None:
        return {}
    return {"label": label, "value": form(value), "note": note, "is_bad": is_bad}
