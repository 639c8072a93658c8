"""Scales of a data set's files, by the normalisations of the `data:` block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hpctrain.config.data import Fields
from hpctrain.config.norms import Normalization
from hpctrain.data.scales import FieldNorm, Scales, measure_scales, vectors_of
from hpctrain.data.source import FieldSource
from hpctrain.data.turning import arrays_of
from hpctrain.errors import DataError


def measured_scales(
    fields: Fields, factor: int, target: FieldSource, given: FieldSource | None
) -> Scales:
    """Scales of targets, and of inputs where these have some of their own.

    Args:
        fields: the `data:` block.
        factor: fine cells a coarse cell along each axis.
        target: high-resolution files.
        given: low-resolution files, if there are such.

    Raises:
        DataError: other than one normalisation a file of a sample.
    """
    own = _measure(fields, target, fields.target_norms)
    if given is None:
        return own
    is_alike = len(given.names) == len(own.names) and (factor > 1 or given.names == own.names)
    if is_alike and not fields.input_norms:
        return own
    return replace(own, inputs=_measure(fields, given, fields.input_norms))


def _measure(fields: Fields, source: FieldSource, norms: Sequence[Normalization]) -> Scales:
    vectors = vectors_of(source.names, fields.geometry, arrays_of(source))
    return measure_scales(source, fields.normalization, vectors, _field_norms(source, norms))


def _field_norms(source: FieldSource, norms: Sequence[Normalization]) -> list[FieldNorm]:
    """Normalisations with the channels that they are for: those of each pattern's file."""
    layouts = source.first.group.layouts
    if not norms:
        return []
    if len(norms) != len(layouts):
        raise DataError(
            f"data: {len(norms)} normalisations for {len(layouts)} files a sample, such as "
            f"{source.label(0)}; give one for each file, or none"
        )
    found, start = [], 0
    for norm, layout in zip(norms, layouts, strict=True):
        stop = start + layout.num_channels
        found.append(FieldNorm(start, stop, norm.kind, dict(norm.options), norm.then))
        start = stop
    return found
