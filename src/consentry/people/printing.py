"""Typesetting: a fixed layout and data that reaches it only as values, so that nothing needs escaping."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Literal

import typst

from consentry.errors import EnvironmentLack

Form = Literal["pdf", "svg", "png"]


def typeset(source: bytes, inputs: Mapping[str, str], *, form: Form, made_on: date) -> list[bytes]:
    """The pages of a layout; one item for a PDF, one for each page for an SVG or PNG.

    The same arguments give the same bytes. Scripts that the embedded fonts lack come from the fonts of the
    machine.

    Args:
        source: The layout, Typst.
        inputs: Its `sys.inputs`.
        form: What to make.
        made_on: The date that a PDF states.

    Raises:
        EnvironmentLack: it cannot be typeset.
    """
    moment = datetime(made_on.year, made_on.month, made_on.day, tzinfo=UTC)
    try:
        made = typst.Compiler(source, sys_inputs=dict(inputs)).compile(format=form, timestamp=moment)
    except typst.TypstError as error:
        raise EnvironmentLack(f"the page cannot be typeset: {error.message}", "Report it") from None
    assert made is not None, "no output file was asked for"
    return made if isinstance(made, list) else [made]
