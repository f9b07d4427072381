"""Schema version 2: roles, approvals, receipts, rotation, tiles. Frozen; see `schema_v2.sql`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the tables and columns of version 2; what was there keeps its meaning."""
    _person_tables()
    _ledger_tables()
    _camera_tables()
    _user_table()
    _rights_tables()


def _person_tables() -> None:
    """Rotation, receipts, personal links, requests."""
    op.add_column(
        "person", sa.Column("last_seen_unix_ms", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.add_column("person", sa.Column("sealed_refusal", sa.LargeBinary(), nullable=True))
    op.add_column("template", sa.Column("rotation_version", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("ix_template_rotation_version", "template", ["rotation_version"])
    op.create_table(
        "template_rotation",
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("made_unix_ms", sa.BigInteger(), nullable=False),
        sa.Column("sealed_seed", sa.LargeBinary(), nullable=False),
        sa.Column("compacted_unix_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("version", name="pk_template_rotation"),
    )
    op.create_table(
        "receipt",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("made_unix_ms", sa.BigInteger(), nullable=False),
        sa.Column("sealed_receipt", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name="fk_receipt_person_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_receipt"),
    )
    op.create_index("ix_receipt_person_id", "receipt", ["person_id"])
    op.create_table(
        "person_link",
        sa.Column("token_sha256", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("made_unix_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name="fk_person_link_person_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_person_link"),
    )
    op.create_index("ix_person_link_person_id", "person_link", ["person_id"])
    op.create_table(
        "request_received",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("received_unix_ms", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("answered_unix_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_request_received"),
    )


def _ledger_tables() -> None:
    """Tiles and witnesses."""
    op.create_table(
        "ledger_tile",
        sa.Column("level", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("tile_index", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "tile_index", name="pk_ledger_tile"),
    )
    op.create_table(
        "cosignature",
        sa.Column("witness", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("asked_unix_ms", sa.BigInteger(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("witness", name="pk_cosignature"),
    )


def _camera_tables() -> None:
    """Owner, review and use of cameras; confirmations of sightings."""
    op.add_column("camera", sa.Column("owner", sa.Text(), nullable=False, server_default=""))
    op.add_column("camera", sa.Column("review_due_on", sa.Text(), nullable=False, server_default=""))
    op.add_column("camera", sa.Column("zone", sa.Text(), nullable=True))
    # a camera that is there already is reviewed together with the declaration, by whoever made that
    op.execute(
        "UPDATE camera SET (owner, review_due_on) = (SELECT json_extract(document_json, '$.controller'), "
        "json_extract(document_json, '$.review_due_on') FROM declaration ORDER BY id DESC LIMIT 1) "
        "WHERE EXISTS (SELECT 1 FROM declaration)"
    )
    op.create_table(
        "recognition_use",
        sa.Column("camera", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("recognised_s", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("camera", "day", name="pk_recognition_use"),
    )
    op.create_table(
        "confirmation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sighting_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("given_unix_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("answer IN ('same', 'different')", name="ck_confirmation_answer"),
        sa.ForeignKeyConstraint(
            ["sighting_id"], ["sighting.id"], name="fk_confirmation_sighting_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("sighting_id", "user_id", name="uq_confirmation_sighting_id_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_confirmation"),
    )


def _user_table() -> None:
    """Users get an id of their own; tokens for programs."""
    op.rename_table("user", "user_v1")
    op.create_table(
        "user",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_argon2id", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_unix_ms", sa.BigInteger(), nullable=False),
        sa.Column("is_disabled", sa.Boolean(), nullable=False, server_default="0"),
        sa.Column("sealed_totp", sa.LargeBinary(), nullable=True),
        sa.Column("totp_last_step", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("oidc_issuer", sa.Text(), nullable=True),
        sa.Column("oidc_subject", sa.Text(), nullable=True),
        sa.UniqueConstraint("name", name="uq_user_name"),
        sa.PrimaryKeyConstraint("id", name="pk_user"),
    )
    op.execute(
        'INSERT INTO "user" (id, name, password_argon2id, role, created_unix_ms) SELECT '
        "lower(hex(randomblob(8))), name, password_argon2id, "
        "CASE role WHEN 'owner' THEN 'admin' ELSE role END, created_unix_ms FROM user_v1"
    )
    op.drop_table("user_v1")
    op.create_table(
        "api_token",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("token_sha256", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("made_unix_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_unix_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_used_unix_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_api_token_user_id", ondelete="CASCADE"),
        sa.UniqueConstraint("token_sha256", name="uq_api_token_token_sha256"),
        sa.PrimaryKeyConstraint("id", name="pk_api_token"),
    )
    op.create_index("ix_api_token_user_id", "api_token", ["user_id"])


def _rights_tables() -> None:
    """What two people must agree to, and sign-offs."""
    op.create_table(
        "approval",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload_json", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_unix_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_unix_ms", sa.BigInteger(), nullable=False),
        sa.Column("answered_by", sa.Text(), nullable=True),
        sa.Column("answered_unix_ms", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "state IN ('open', 'agreed', 'refused', 'expired', 'done')", name="ck_approval_state"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_approval"),
    )
    op.create_table(
        "agreed_setting",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value_json", sa.Text(), nullable=False),
        sa.Column("approval_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["approval_id"], ["approval.id"], name="fk_agreed_setting_approval_id"),
        sa.PrimaryKeyConstraint("name", name="pk_agreed_setting"),
    )
    op.create_table(
        "dpia",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("signed_unix_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("configuration_sha256", sa.Text(), nullable=False),
        sa.Column("configuration_json", sa.Text(), nullable=False),
        sa.Column("document_sha256", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dpia"),
    )
