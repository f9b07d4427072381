"""The model card of a catalogue entry: what it is, where it comes from, and what is not known.

The headings follow Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019), as far as the
catalogue has facts for them.
"""

from __future__ import annotations

from consentry.models.catalogue import InputSpec, ModelEntry


def render_card(entry: ModelEntry) -> str:
    """The card of `entry` as Markdown, ending in a newline."""
    note = f" {entry.licence_note}" if entry.licence_note else ""
    lines = [
        f"# {entry.name}",
        "",
        f"- Kind: {entry.kind}, of pack {entry.pack}",
        f"- Source: {entry.source}" + (f", file {entry.file}" if entry.file else ""),
        f"- Size: {entry.size_bytes} bytes",
        f"- sha256: {entry.sha256}",
        f"- Licence: {entry.licence}.{note}",
        "",
    ]
    if entry.input is not None:
        lines += ["## Input and output", "", _input_text(entry.input), *_output_lines(entry), ""]
        lines += ["## Training data", "", _sentence(entry.training_data), ""]
    lines += ["## Intended use", "", entry.intended_use, "", "## Limits", "", entry.limits, ""]
    if entry.groups_measured:
        lines += [
            "## Error for each demographic group",
            "",
            f"Measured for this sha256: {entry.groups_measured}.",
            "",
        ]
    return "\n".join(lines)


def _input_text(spec: InputSpec) -> str:
    size = (
        f"{spec.width} by {spec.height} pixels"
        if spec.width and spec.height
        else f"width and height multiples of {spec.multiple_of}"
    )
    mean = ", ".join(f"{value:g}" for value in spec.mean)
    return (
        f"Input: {spec.layout} float32, {size}, channels in the order {spec.colour_order.upper()}, "
        f"value = (pixel - mean) * {spec.scale:g} with mean {mean} and pixels from 0 to 255."
    )


def _output_lines(entry: ModelEntry) -> list[str]:
    lines = ["", f"Output: {entry.output}"]
    if entry.landmark_template:
        lines += ["", f"Faces are aligned by the five-point template {entry.landmark_template}."]
    return lines


def _sentence(text: str) -> str:
    """`text` with a capital at the start and a stop at the end."""
    return text[:1].upper() + text[1:].rstrip(".") + "."
