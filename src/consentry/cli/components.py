"""What the product is made of: installed packages, native libraries inside them, models; and their licences.

A licence is an SPDX expression. It is taken from a package's metadata; where that says nothing, or something
else than its licence text, `STATED` says it here. `misfits` names whatever may not be used in or with
software under Apache-2.0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata

from license_expression import get_spdx_licensing
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from consentry.errors import EnvironmentLack
from consentry.models.catalogue import ModelEntry

PRODUCT = "consentry"
FIT = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSD-3-Clause-Clear",
        "CC0-1.0",
        "ISC",
        "LGPL-2.1-or-later",
        "LGPL-3.0-or-later",
        "MIT",
        "MIT-0",
        "MPL-2.0",
        "OpenSSL",
        "PSF-2.0",
        "Zlib",
        "libpng-2.0",
    }
)
"""Licences that let a program under Apache-2.0 use the work unchanged, as a library beside it."""

WITH_EXCEPTION = frozenset({"GPL-3.0-or-later WITH GCC-exception-3.1"})
ACCEPTED: Mapping[tuple[str, str], str] = {
    ("av", "x264, x265"): (
        "Encoders inside the FFmpeg of PyAV's wheel. Consentry's own code stays under Apache-2.0, which "
        "GPL-3.0 may take in. Who installs it fetches the wheel from its publisher; who passes on an image "
        "or an appliance that holds the wheel passes on GPL software and must offer its source."
    ),
}
"""Package and library that would not fit, and why they are used all the same."""

STATED: Mapping[str, str] = {
    "colorama": "BSD-3-Clause",  # installed on Windows only
    "docutils": "BSD-2-Clause AND PSF-2.0 AND CC0-1.0",  # GPL is only an Emacs file, which the wheel lacks
    "orjson": "MPL-2.0 AND (Apache-2.0 OR MIT)",
    "pyrage": "MIT",  # no licence in its metadata; its LICENSE file
    "scipy": "BSD-3-Clause",  # its metadata has the text, not the name
    "uvloop": "MIT OR Apache-2.0",
}
_GCC = "GPL-3.0-or-later WITH GCC-exception-3.1 AND LGPL-2.1-or-later"
NATIVE: Mapping[str, Mapping[str, str]] = {
    "av": {
        "FFmpeg": "LGPL-3.0-or-later",
        "x264, x265": "GPL-2.0-or-later",
        "GnuTLS, LAME, ALSA": "LGPL-2.1-or-later",
        "GMP, Nettle, libunistring": "LGPL-3.0-or-later",
        "SVT-AV1": "BSD-3-Clause-Clear",
        "libvpx, WebP, Opus": "BSD-3-Clause",
        "Opencore AMR": "Apache-2.0",
        "dav1d": "BSD-2-Clause",
        "libvpl, libdrm, XCB, Xau": "MIT",
    },
    "faiss-cpu": {"OpenBLAS": "BSD-3-Clause", "GCC's libraries": _GCC},
    "numpy": {"OpenBLAS": "BSD-3-Clause", "GCC's libraries": _GCC},
    "opencv-python-headless": {
        "FFmpeg": "LGPL-2.1-or-later",
        "OpenSSL": "OpenSSL",
        "libaom, libavif, libvpx": "BSD-2-Clause AND BSD-3-Clause",
        "libpng": "libpng-2.0",
        "libdrm": "MIT",
        "OpenBLAS": "BSD-3-Clause",
        "GCC's libraries": _GCC,
    },
    "openvino": {"oneTBB": "Apache-2.0", "hwloc": "BSD-3-Clause"},
    "scipy": {"OpenBLAS": "BSD-3-Clause", "GCC's libraries": _GCC},
}
"""Native libraries that come inside a wheel under another licence than its own."""

_SPDX_OF_WORDS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "PSFL": "PSF-2.0",
    "Public Domain": "CC0-1.0",
}
_SPDX = get_spdx_licensing()


@dataclass(frozen=True, slots=True)
class Package:
    """A package of the product.

    Attributes:
        name: Canonical.
        version: As installed.
        licence: SPDX expression; empty when nothing says it.
        summary: One line, its own.
        record_sha256: Hash of the list of its files with their hashes; empty when it has none.
        needs: Names of the installed packages it needs.
    """

    name: str
    version: str
    licence: str
    summary: str
    record_sha256: str
    needs: tuple[str, ...]


def installed_packages() -> list[Package]:
    """The packages that the installed product needs on this machine, by name, the product itself left out.

    Raises:
        EnvironmentLack: the product itself is not installed.
    """
    try:
        metadata.distribution(PRODUCT)
    except metadata.PackageNotFoundError:
        raise EnvironmentLack(f"{PRODUCT} is not installed as a package", "Install it with `make`") from None
    waiting, found = [PRODUCT], dict[str, Package]()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = _package(name)
            waiting += found[name].needs
    return [found[name] for name in sorted(found) if name != PRODUCT]


def direct_needs() -> tuple[str, ...]:
    """Names of the packages that the product asks for itself."""
    return _package(PRODUCT).needs


def licence_of(name: str) -> str:
    """The licence of a package as SPDX expression, installed or not; empty if nothing says it."""
    if name in STATED:
        return STATED[name]
    try:
        told = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ""
    stated = [*_values(told, "License-Expression"), *_values(told, "License")]
    classified = [
        line.rpartition(" :: ")[2] for line in _values(told, "Classifier") if line.startswith("License ::")
    ]
    for words in (*stated, *classified):
        licence = _SPDX_OF_WORDS.get(words, words)
        if licence and not _SPDX.validate(licence).errors:
            return licence
    return ""


def misfits(licences: Mapping[str, str], models: tuple[ModelEntry, ...]) -> Iterator[str]:
    """What may not be used, and why, a line each: packages by name, what is inside them, and models."""
    for name, licence in licences.items():
        if not fits(licence):
            yield f"{name}: {licence or 'no licence stated'}"
        for library, inside in NATIVE.get(name, {}).items():
            if not fits(inside) and (name, library) not in ACCEPTED:
                yield f"{name} with {library} inside: {inside}"
    for entry in models:
        if entry.licence != "public domain" and not fits(entry.licence):
            yield f"model {entry.name}: {entry.licence}"


def fits(licence: str) -> bool:
    """Whether a work under this licence may be used unchanged beside software under Apache-2.0."""
    if not licence or _SPDX.validate(licence).errors:
        return False
    return _fits(_SPDX.parse(licence))


def _fits(part: object) -> bool:
    """A choice fits if one side does, a sum if all do."""
    arguments = getattr(part, "args", ())
    if not arguments or str(part) in WITH_EXCEPTION:
        return str(part) in FIT | WITH_EXCEPTION
    return (any if isinstance(part, _SPDX.OR) else all)(_fits(one) for one in arguments)


def _package(name: str) -> Package:
    told = metadata.distribution(name)
    record = told.read_text("RECORD") or ""
    return Package(
        name=canonicalize_name(told.name),
        version=told.version,
        licence=licence_of(name),
        summary=next(iter(_values(told.metadata, "Summary")), ""),
        record_sha256=hashlib.sha256(record.encode()).hexdigest() if record else "",
        needs=tuple(sorted(set(_needs(told)))),
    )


def _values(told: metadata.PackageMetadata, header: str) -> list[str]:
    return told.get_all(header) or []


def _needs(told: metadata.Distribution) -> Iterator[str]:
    """Requirements that hold here and are installed; extras that somebody asks for count as its own."""
    for line in told.requires or ():
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        name = canonicalize_name(wanted.name)
        try:
            metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # left out on purpose: openvino-telemetry
        yield name
        for extra in wanted.extras:
            yield from _extra_needs(name, extra)


def _extra_needs(name: str, extra: str) -> Iterator[str]:
    for line in metadata.distribution(name).requires or ():
        wanted = Requirement(line)
        if wanted.marker is not None and wanted.marker.evaluate({"extra": extra}):
            yield canonicalize_name(wanted.name)
