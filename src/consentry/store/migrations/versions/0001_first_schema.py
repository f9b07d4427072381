"""Schema version 1: everything from nothing. Frozen; see `schema_v1.sql` for what each column means."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table."""
    _site_tables()
    _person_tables()
    _ledger_tables()
    _camera_tables()


def _site_tables() -> None:
    op.create_table(
        "site",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("site_uuid", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_unix_ms", sa.BigInteger(), nullable=False),
        sa.Column("kdf_salt", sa.LargeBinary(), nullable=True),
        sa.Column("sealed_key_check", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_ledger_seed", sa.LargeBinary(), nullable=False),
        sa.Column("gallery_version", sa.Integer(), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_site_one_row"),
        sa.PrimaryKeyConstraint("id", name="pk_site"),
    )
    op.create_table(
        "declaration",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("made_unix_ms", sa.BigInteger(), nullable=False),
        sa.Column("is_demo", sa.Boolean(), nullable=False),
        sa.Column("document_json", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_declaration"),
    )
    op.create_table(
        "user",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_argon2id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_unix_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_user"),
    )


def _person_tables() -> None:
    op.create_table(
        "person",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("enrolled_unix_ms", sa.BigInteger(), nullable=False),
        sa.Column("sealed_name", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_person"),
    )
    op.create_table(
        "person_key",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name="fk_person_key_person_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("person_id", name="pk_person_key"),
    )
    op.create_table(
        "consent",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("received_unix_ms", sa.BigInteger(), nullable=False),
        sa.Column("sealed_record", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name="fk_consent_person_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_consent"),
    )
    op.create_index("ix_consent_person_id", "consent", ["person_id"])
    op.create_table(
        "blob",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("written_unix_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_blob"),
    )
    op.create_table(
        "photo",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("blob_sha256", sa.Text(), nullable=False),
        sa.Column("added_unix_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_photo_person_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["blob_sha256"], ["blob.sha256"], name="fk_photo_blob_sha256"),
        sa.PrimaryKeyConstraint("id", name="pk_photo"),
    )
    op.create_index("ix_photo_person_id", "photo", ["person_id"])
    op.create_index("ix_photo_blob_sha256", "photo", ["blob_sha256"])
    op.create_table(
        "template",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("photo_id", sa.Text(), nullable=False),
        sa.Column("recogniser_sha256", sa.Text(), nullable=False),
        sa.Column("quality", sa.Float(), nullable=False),
        sa.Column("added_unix_ms", sa.BigInteger(), nullable=False),
        sa.Column("sealed_template", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name="fk_template_person_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["photo_id"], ["photo.id"], name="fk_template_photo_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_template"),
    )
    op.create_index("ix_template_person_id", "template", ["person_id"])
    op.create_index("ix_template_photo_id", "template", ["photo_id"])
    op.create_table(
        "tombstone",
        sa.Column("person_id_sha256", sa.Text(), nullable=False),
        sa.Column("erased_unix_ms", sa.BigInteger(), nullable=False),
        sa.Column("compacted_unix_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("person_id_sha256", name="pk_tombstone"),
    )


def _ledger_tables() -> None:
    op.create_table(
        "ledger_entry",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("time_unix_ms", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("subject_pseudonym", sa.Text(), nullable=True),
        sa.Column("payload_commitment", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_ledger_entry"),
    )
    op.create_index("ix_ledger_entry_subject_pseudonym", "ledger_entry", ["subject_pseudonym"])
    op.create_table(
        "ledger_payload",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("payload_json", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["seq"], ["ledger_entry.seq"], name="fk_ledger_payload_seq"),
        sa.PrimaryKeyConstraint("seq", name="pk_ledger_payload"),
    )
    op.create_table(
        "ledger_head",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.Column("checkpoint", sa.Text(), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_ledger_head_one_row"),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_head"),
    )


def _camera_tables() -> None:
    op.create_table(
        "camera",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("url_redacted", sa.Text(), nullable=False),
        sa.Column("sealed_url", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("added_unix_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_camera"),
    )
    op.create_table(
        "sighting",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("camera", sa.Text(), nullable=False),
        sa.Column("track", sa.Integer(), nullable=False),
        sa.Column("first_unix_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_unix_ms", sa.BigInteger(), nullable=False),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("fused_crops", sa.Integer(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=True),
        sa.Column("score_cosine", sa.Float(), nullable=True),
        sa.Column("margin_cosine", sa.Float(), nullable=True),
        sa.Column("quality", sa.Float(), nullable=True),
        sa.Column("best_xyxy", sa.JSON(), nullable=False),
        sa.Column("recogniser_sha256", sa.Text(), nullable=False),
        sa.Column("calibration", sa.Text(), nullable=False),
        sa.Column("gallery_digest", sa.Text(), nullable=False),
        sa.Column("known_cosine", sa.Float(), nullable=False),
        sa.Column("unsure_cosine", sa.Float(), nullable=False),
        sa.CheckConstraint("decision IN ('known', 'unsure', 'unknown')", name="ck_sighting_decision"),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name="fk_sighting_person_id", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_sighting"),
    )
    op.create_index("ix_sighting_first_unix_ms", "sighting", ["first_unix_ms"])
    op.create_index("ix_sighting_person_id", "sighting", ["person_id"])
