"""The bill of materials in CycloneDX's form (ECMA-424): packages, what they need, and models."""

from __future__ import annotations

from datetime import UTC, datetime

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, License, LicenseExpression
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

import consentry
from consentry.cli.components import NATIVE, PRODUCT, Package, direct_needs, installed_packages
from consentry.clock import Clock
from consentry.models.catalogue import Catalogue, ModelEntry


def bill_of_materials(clock: Clock) -> str:
    """CycloneDX 1.6 as JSON; the same for the same installation but for serial number and time."""
    bom = Bom()
    bom.metadata.timestamp = datetime.fromtimestamp(clock.unix_s(), UTC).replace(microsecond=0)
    product = Component(
        name=PRODUCT,
        version=consentry.__version__,
        type=ComponentType.APPLICATION,
        licenses=[LicenseExpression("Apache-2.0")],
        bom_ref=PRODUCT,
    )
    bom.metadata.component = product
    packages = {package.name: package for package in installed_packages()}
    parts = {name: _of_package(package) for name, package in packages.items()}
    for name, part in parts.items():
        bom.components.add(part)
        bom.register_dependency(part, [parts[needed] for needed in packages[name].needs])
    models = [_of_model(entry) for entry in Catalogue.load().models]
    bom.components.update(models)
    bom.register_dependency(product, [*(parts[name] for name in direct_needs()), *models])
    written = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)
    return str(written)


def _of_package(package: Package) -> Component:
    purl = PackageURL("pypi", name=package.name, version=package.version)
    inside = ", ".join(f"{library} ({licence})" for library, licence in NATIVE.get(package.name, {}).items())
    properties = {"consentry:record-sha256": package.record_sha256, "consentry:native-libraries": inside}
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        purl=purl,
        bom_ref=str(purl),
        description=package.summary,
        licenses=[LicenseExpression(package.licence)] if package.licence else [],
        properties=[Property(name=name, value=value) for name, value in properties.items() if value],
    )


def _of_model(entry: ModelEntry) -> Component:
    is_model = entry.kind != "picture"
    scheme, _, rest = entry.source.partition(":")
    name, _, version = rest.rpartition("==" if scheme == "pypi" else "@")
    return Component(
        name=entry.name,
        version=entry.sha256[:12],
        type=ComponentType.MACHINE_LEARNING_MODEL if is_model else ComponentType.DATA,
        purl=PackageURL(scheme, name=name, version=version) if scheme in ("pypi", "npm") else None,
        bom_ref=f"model:{entry.name}",
        description=entry.intended_use,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=entry.sha256)],
        licenses=[_model_licence(entry.licence)],
        external_references=[
            ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(entry.source))
        ],
    )


def _model_licence(licence: str) -> License:
    if licence == "public domain":
        return DisjunctiveLicense(name=licence)
    return LicenseExpression(licence)
