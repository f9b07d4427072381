"""The tables, as they are now (schema version 2, frozen in `schema_v2.sql`).

Times are `_unix_ms`: milliseconds since 1970-01-01 UTC, or `_unix_s`. Columns called `sealed_…` hold
AES-256-GCM ciphertext made by `consentry.people.keys`; whoever has the database alone cannot read them.
Nothing here holds a name, a face or a camera password in clear.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Parent of every table; names constraints the same way on SQLite and PostgreSQL."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        }
    )
    type_annotation_map = {str: Text, bytes: LargeBinary, float: Float, bool: Boolean}  # noqa: RUF012


class SiteRow(Base):
    """The installation itself: exactly one row."""

    __tablename__ = "site"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    site_uuid: Mapped[str]
    name: Mapped[str]
    created_unix_ms: Mapped[int] = mapped_column(BigInteger)
    #: Argon2id salt when the site key comes from a passphrase, else null.
    kdf_salt: Mapped[bytes | None]
    #: A known text under the site key: tells a wrong key at once.
    sealed_key_check: Mapped[bytes]
    #: Ed25519 seed that signs the ledger's checkpoints, under the site key.
    sealed_ledger_seed: Mapped[bytes]
    #: Grows with every change to who may be recognised, so that workers notice.
    gallery_version: Mapped[int] = mapped_column(Integer)


class DeclarationRow(Base):
    """Deployment declarations, oldest first; the one with the highest id is in force."""

    __tablename__ = "declaration"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    made_unix_ms: Mapped[int] = mapped_column(BigInteger)
    is_demo: Mapped[bool]
    #: The declaration as canonical JSON (RFC 8785).
    document_json: Mapped[str]


class PersonRow(Base):
    """Someone enrolled."""

    __tablename__ = "person"

    #: Random, 32 hexadecimal digits; says nothing about the person.
    id: Mapped[str] = mapped_column(primary_key=True)
    enrolled_unix_ms: Mapped[int] = mapped_column(BigInteger)
    sealed_name: Mapped[bytes]
    #: The last sighting, else the enrolment; the term of retention runs from here. 0: as enrolled.
    last_seen_unix_ms: Mapped[int] = mapped_column(BigInteger, server_default="0")
    #: Why no photo of theirs was kept, under their key; null for someone enrolled.
    sealed_refusal: Mapped[bytes | None]


class PersonKeyRow(Base):
    """The key of one person, wrapped by the site key. Deleting this row erases the person's sealed data."""

    __tablename__ = "person_key"

    person_id: Mapped[str] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), primary_key=True)
    wrapped_key: Mapped[bytes]


class ConsentRow(Base):
    """A consent record. Purpose and dates are only inside, where the seal protects them from editing."""

    __tablename__ = "consent"

    id: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    received_unix_ms: Mapped[int] = mapped_column(BigInteger)
    sealed_record: Mapped[bytes]


class BlobRow(Base):
    """A file under `blobs/`, named by the SHA-256 of its (sealed) content."""

    __tablename__ = "blob"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    written_unix_ms: Mapped[int] = mapped_column(BigInteger)


class PhotoRow(Base):
    """A photo someone was enrolled from: the original bytes, sealed, in a blob."""

    __tablename__ = "photo"

    id: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    blob_sha256: Mapped[str] = mapped_column(ForeignKey("blob.sha256"), index=True)
    added_unix_ms: Mapped[int] = mapped_column(BigInteger)


class TemplateRow(Base):
    """A reference template under the keyed rotation, sealed with the person's key."""

    __tablename__ = "template"

    id: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    photo_id: Mapped[str] = mapped_column(ForeignKey("photo.id", ondelete="CASCADE"), index=True)
    #: SHA-256 of the model that made it; templates of different models never compare.
    recogniser_sha256: Mapped[str]
    #: Quality of the face it was made from, in [0, 1].
    quality: Mapped[float]
    added_unix_ms: Mapped[int] = mapped_column(BigInteger)
    #: 512 little-endian numbers: float64 under a rotation, float32 as the recogniser made it under none.
    sealed_template: Mapped[bytes]
    #: Version of the keyed rotation it is under; 0: none (schema 1), turned at the next opening.
    rotation_version: Mapped[int] = mapped_column(Integer, server_default="0", index=True)


class TemplateRotationRow(Base):
    """The keyed rotation that templates are under (ISO/IEC 24745 renewability); the highest is in use."""

    __tablename__ = "template_rotation"

    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    made_unix_ms: Mapped[int] = mapped_column(BigInteger)
    #: 32-byte seed of the orthogonal matrix, under the site key.
    sealed_seed: Mapped[bytes]
    #: When the database file was rewritten without what was under the one before; null: still to be done.
    compacted_unix_ms: Mapped[int | None] = mapped_column(BigInteger)


class ReceiptRow(Base):
    """A signed receipt as the person got it."""

    __tablename__ = "receipt"

    id: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    made_unix_ms: Mapped[int] = mapped_column(BigInteger)
    sealed_receipt: Mapped[bytes]


class PersonLinkRow(Base):
    """A personal link to the person's own page, known by the hash of its secret."""

    __tablename__ = "person_link"

    token_sha256: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    made_unix_ms: Mapped[int] = mapped_column(BigInteger)


class RequestReceivedRow(Base):
    """A request by a person or an authority, counted on the transparency page; holds nothing personal."""

    __tablename__ = "request_received"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    #: access, correct, export, erase, object or authority.
    kind: Mapped[str]
    received_unix_ms: Mapped[int] = mapped_column(BigInteger)
    #: open, done or refused.
    outcome: Mapped[str]
    answered_unix_ms: Mapped[int | None] = mapped_column(BigInteger)


class TombstoneRow(Base):
    """Someone erased, known only by a hash, so that a restored backup can be erased again."""

    __tablename__ = "tombstone"

    #: SHA-256 of the random person id, hexadecimal.
    person_id_sha256: Mapped[str] = mapped_column(primary_key=True)
    erased_unix_ms: Mapped[int] = mapped_column(BigInteger)
    #: When the database file was rewritten without the erased rows; null: still to be done.
    compacted_unix_ms: Mapped[int | None] = mapped_column(BigInteger)


class LedgerEntryRow(Base):
    """One leaf of the ledger's Merkle tree; the leaf is the canonical JSON of these columns."""

    __tablename__ = "ledger_entry"

    #: Position in the tree, from 0, without gaps.
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    time_unix_ms: Mapped[int] = mapped_column(BigInteger)
    event: Mapped[str]
    actor: Mapped[str]
    #: HMAC under the person's key, hexadecimal; unlinkable once that key is destroyed.
    subject_pseudonym: Mapped[str | None] = mapped_column(index=True)
    #: SHA-256 of salt and payload, hexadecimal.
    payload_commitment: Mapped[str]


class LedgerPayloadRow(Base):
    """What an entry is about. Deletable: the tree only holds a salted hash of it."""

    __tablename__ = "ledger_payload"

    seq: Mapped[int] = mapped_column(ForeignKey("ledger_entry.seq"), primary_key=True, autoincrement=False)
    salt: Mapped[bytes]
    #: Canonical JSON (RFC 8785).
    payload_json: Mapped[str]


class LedgerHeadRow(Base):
    """The newest signed checkpoint, and what is needed to extend the tree: exactly one row."""

    __tablename__ = "ledger_head"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    #: Roots of the perfect subtrees, largest first, 32 bytes each.
    frontier: Mapped[bytes]
    #: C2SP tlog-checkpoint, a signed note.
    checkpoint: Mapped[str]


class LedgerTileRow(Base):
    """A tile of the Merkle tree (C2SP tlog-tiles): up to 256 hashes of one level, one after the other."""

    __tablename__ = "ledger_tile"

    level: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    tile_index: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    #: 32 bytes for each hash.
    hashes: Mapped[bytes]


class CosignatureRow(Base):
    """The newest checkpoint a witness has cosigned, or what it said instead."""

    __tablename__ = "cosignature"

    witness: Mapped[str] = mapped_column(primary_key=True)
    #: Size of the log it cosigned; 0 before the first.
    size: Mapped[int] = mapped_column(Integer)
    #: The checkpoint with the witness's signature line; empty before the first.
    note: Mapped[str]
    asked_unix_ms: Mapped[int] = mapped_column(BigInteger)
    #: Empty while all is well, else what the witness refused or why it was not reached.
    problem: Mapped[str]


class CameraRow(Base):
    """A camera of the inventory."""

    __tablename__ = "camera"

    name: Mapped[str] = mapped_column(primary_key=True)
    #: For display: user name, password and query values are masked.
    url_redacted: Mapped[str]
    #: The URL to open, under the site key.
    sealed_url: Mapped[bytes]
    purpose: Mapped[str]
    added_unix_ms: Mapped[int] = mapped_column(BigInteger)
    #: Who answers for it.
    owner: Mapped[str] = mapped_column(server_default="")
    #: ISO date; from the day after, it neither recognises nor records. Empty: overdue.
    review_due_on: Mapped[str] = mapped_column(server_default="")
    #: Named place that consents can be limited to; null: none.
    zone: Mapped[str | None]


class RecognitionUseRow(Base):
    """For how long a camera recognised people on one day (UTC), for the transparency page."""

    __tablename__ = "recognition_use"

    camera: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[str] = mapped_column(primary_key=True)
    recognised_s: Mapped[float]


class SightingRow(Base):
    """The record of one decision, made once per track, with all that explains it (invariant I4)."""

    __tablename__ = "sighting"
    __table_args__ = (
        CheckConstraint("decision IN ('known', 'unsure', 'unknown')", name="decision"),
        Index(None, "first_unix_ms"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    camera: Mapped[str]
    #: Number of the track within one run of the camera.
    track: Mapped[int] = mapped_column(Integer)
    first_unix_ms: Mapped[int] = mapped_column(BigInteger)
    last_unix_ms: Mapped[int] = mapped_column(BigInteger)
    #: Frames in which the track was seen.
    frames: Mapped[int] = mapped_column(Integer)
    #: Pictures of the face that were fused into the probe; the score's calibration depends on it.
    fused_crops: Mapped[int] = mapped_column(Integer)
    decision: Mapped[str]
    #: Null unless known, and null again once that person has withdrawn.
    person_id: Mapped[str | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"), index=True)
    #: Cosine to the best person; null when the gallery was empty or nothing was compared.
    score_cosine: Mapped[float | None]
    #: Lead in cosine over the second person; null when there was none.
    margin_cosine: Mapped[float | None]
    quality: Mapped[float | None]
    #: Box of the best face, [x_min, y_min, x_max, y_max] in pixels of its frame.
    best_xyxy: Mapped[list[float]] = mapped_column(JSON)
    recogniser_sha256: Mapped[str]
    calibration: Mapped[str]
    gallery_digest: Mapped[str]
    #: Cosine from which the decision is known.
    known_cosine: Mapped[float]
    #: Cosine from which the decision is unsure.
    unsure_cosine: Mapped[float]


class ConfirmationRow(Base):
    """One person's blind answer to whether a sighting is who it says."""

    __tablename__ = "confirmation"
    __table_args__ = (
        UniqueConstraint("sighting_id", "user_id"),
        CheckConstraint("answer IN ('same', 'different')", name="answer"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    sighting_id: Mapped[int] = mapped_column(ForeignKey("sighting.id", ondelete="CASCADE"))
    user_id: Mapped[str]
    answer: Mapped[str]
    given_unix_ms: Mapped[int] = mapped_column(BigInteger)


class UserRow(Base):
    """Someone who may sign in to the server."""

    __tablename__ = "user"

    #: Random, 16 hexadecimal digits: what the ledger calls them, so that a name can be erased.
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    #: Encoded Argon2id hash with its parameters and salt; null for those who sign in by OIDC only.
    password_argon2id: Mapped[str | None]
    #: viewer, operator, auditor or admin.
    role: Mapped[str]
    created_unix_ms: Mapped[int] = mapped_column(BigInteger)
    is_disabled: Mapped[bool] = mapped_column(server_default="0")
    #: TOTP secret under the site key; null: none set up.
    sealed_totp: Mapped[bytes | None]
    #: Number of the last 30-second step whose code was used, so that none is used twice.
    totp_last_step: Mapped[int] = mapped_column(Integer, server_default="0")
    #: Issuer and subject at the OIDC provider; both null or both set.
    oidc_issuer: Mapped[str | None]
    oidc_subject: Mapped[str | None]


class ApiTokenRow(Base):
    """A token for a program, shown once and known by its hash."""

    __tablename__ = "api_token"

    id: Mapped[str] = mapped_column(primary_key=True)
    label: Mapped[str]
    token_sha256: Mapped[str] = mapped_column(unique=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    #: Names of scopes.
    scopes: Mapped[list[str]] = mapped_column(JSON)
    made_unix_ms: Mapped[int] = mapped_column(BigInteger)
    expires_unix_ms: Mapped[int] = mapped_column(BigInteger)
    last_used_unix_ms: Mapped[int | None] = mapped_column(BigInteger)


class ApprovalRow(Base):
    """An act that two different people must agree to."""

    __tablename__ = "approval"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'agreed', 'refused', 'expired', 'done')", name="state"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    #: What exactly is asked for, canonical JSON.
    payload_json: Mapped[str]
    reason: Mapped[str]
    asked_by: Mapped[str]
    asked_unix_ms: Mapped[int] = mapped_column(BigInteger)
    expires_unix_ms: Mapped[int] = mapped_column(BigInteger)
    answered_by: Mapped[str | None]
    answered_unix_ms: Mapped[int | None] = mapped_column(BigInteger)
    state: Mapped[str]


class AgreedSettingRow(Base):
    """A setting weaker than its default that two people agreed to; without it the default holds."""

    __tablename__ = "agreed_setting"

    name: Mapped[str] = mapped_column(primary_key=True)
    value_json: Mapped[str]
    approval_id: Mapped[str] = mapped_column(ForeignKey("approval.id"))


class DpiaRow(Base):
    """A sign-off of the data protection impact assessment, oldest first."""

    __tablename__ = "dpia"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    signed_unix_ms: Mapped[int] = mapped_column(BigInteger)
    actor: Mapped[str]
    #: SHA-256 of the canonical JSON of the live configuration it was generated from.
    configuration_sha256: Mapped[str]
    #: That JSON, so that what has changed since can be told.
    configuration_json: Mapped[str]
    #: SHA-256 of the document that was signed off.
    document_sha256: Mapped[str]
