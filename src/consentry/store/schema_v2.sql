-- Consentry schema 2 as SQLite holds it. Frozen: a change is a new migration and a new schema_v<N>.sql.
-- Times are milliseconds since 1970-01-01 UTC. Columns sealed_... are AES-256-GCM ciphertext.
-- What each column means is said in schema.py; columns added by the upgrade stand at the end of their table.

-- Which migration was applied last.
CREATE TABLE alembic_version (
  version_num VARCHAR(32) NOT NULL,
  CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

-- An act that two different people must agree to.
CREATE TABLE approval (
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  payload_json TEXT NOT NULL,
  reason TEXT NOT NULL,
  asked_by TEXT NOT NULL,
  asked_unix_ms BIGINT NOT NULL,
  expires_unix_ms BIGINT NOT NULL,
  answered_by TEXT,
  answered_unix_ms BIGINT,
  state TEXT NOT NULL,
  CONSTRAINT pk_approval PRIMARY KEY (id),
  CONSTRAINT ck_approval_state CHECK (state IN ('open', 'agreed', 'refused', 'expired', 'done'))
);

-- A file under `blobs/`, named by the SHA-256 of its (sealed) content.
CREATE TABLE blob (
  sha256 TEXT NOT NULL,
  size_bytes BIGINT NOT NULL,
  written_unix_ms BIGINT NOT NULL,
  CONSTRAINT pk_blob PRIMARY KEY (sha256)
);

-- A camera of the inventory.
CREATE TABLE camera (
  name TEXT NOT NULL,
  url_redacted TEXT NOT NULL,
  sealed_url BLOB NOT NULL,
  purpose TEXT NOT NULL,
  added_unix_ms BIGINT NOT NULL, owner TEXT DEFAULT '' NOT NULL, review_due_on TEXT DEFAULT '' NOT NULL, zone TEXT,
  CONSTRAINT pk_camera PRIMARY KEY (name)
);

-- The newest checkpoint a witness has cosigned, or what it said instead.
CREATE TABLE cosignature (
  witness TEXT NOT NULL,
  size INTEGER NOT NULL,
  note TEXT NOT NULL,
  asked_unix_ms BIGINT NOT NULL,
  problem TEXT NOT NULL,
  CONSTRAINT pk_cosignature PRIMARY KEY (witness)
);

-- Deployment declarations, oldest first; the one with the highest id is in force.
CREATE TABLE declaration (
  id INTEGER NOT NULL,
  made_unix_ms BIGINT NOT NULL,
  is_demo BOOLEAN NOT NULL,
  document_json TEXT NOT NULL,
  CONSTRAINT pk_declaration PRIMARY KEY (id)
);

-- A sign-off of the data protection impact assessment, oldest first.
CREATE TABLE dpia (
  id INTEGER NOT NULL,
  signed_unix_ms BIGINT NOT NULL,
  actor TEXT NOT NULL,
  configuration_sha256 TEXT NOT NULL,
  configuration_json TEXT NOT NULL,
  document_sha256 TEXT NOT NULL,
  CONSTRAINT pk_dpia PRIMARY KEY (id)
);

-- One leaf of the ledger's Merkle tree; the leaf is the canonical JSON of these columns.
CREATE TABLE ledger_entry (
  seq INTEGER NOT NULL,
  time_unix_ms BIGINT NOT NULL,
  event TEXT NOT NULL,
  actor TEXT NOT NULL,
  subject_pseudonym TEXT,
  payload_commitment TEXT NOT NULL,
  CONSTRAINT pk_ledger_entry PRIMARY KEY (seq)
);

-- The newest signed checkpoint, and what is needed to extend the tree: exactly one row.
CREATE TABLE ledger_head (
  id INTEGER NOT NULL,
  frontier BLOB NOT NULL,
  checkpoint TEXT NOT NULL,
  CONSTRAINT pk_ledger_head PRIMARY KEY (id),
  CONSTRAINT ck_ledger_head_one_row CHECK (id = 1)
);

-- A tile of the Merkle tree (C2SP tlog-tiles): up to 256 hashes of one level, one after the other.
CREATE TABLE ledger_tile (
  level INTEGER NOT NULL,
  tile_index INTEGER NOT NULL,
  hashes BLOB NOT NULL,
  CONSTRAINT pk_ledger_tile PRIMARY KEY (level, tile_index)
);

-- Someone enrolled.
CREATE TABLE person (
  id TEXT NOT NULL,
  enrolled_unix_ms BIGINT NOT NULL,
  sealed_name BLOB NOT NULL, last_seen_unix_ms BIGINT DEFAULT '0' NOT NULL, sealed_refusal BLOB,
  CONSTRAINT pk_person PRIMARY KEY (id)
);

-- For how long a camera recognised people on one day (UTC), for the transparency page.
CREATE TABLE recognition_use (
  camera TEXT NOT NULL,
  day TEXT NOT NULL,
  recognised_s FLOAT NOT NULL,
  CONSTRAINT pk_recognition_use PRIMARY KEY (camera, day)
);

-- A request by a person or an authority, counted on the transparency page; holds nothing personal.
CREATE TABLE request_received (
  id INTEGER NOT NULL,
  kind TEXT NOT NULL,
  received_unix_ms BIGINT NOT NULL,
  outcome TEXT NOT NULL,
  answered_unix_ms BIGINT,
  CONSTRAINT pk_request_received PRIMARY KEY (id)
);

-- The installation itself: exactly one row.
CREATE TABLE site (
  id INTEGER NOT NULL,
  site_uuid TEXT NOT NULL,
  name TEXT NOT NULL,
  created_unix_ms BIGINT NOT NULL,
  kdf_salt BLOB,
  sealed_key_check BLOB NOT NULL,
  sealed_ledger_seed BLOB NOT NULL,
  gallery_version INTEGER NOT NULL,
  CONSTRAINT pk_site PRIMARY KEY (id),
  CONSTRAINT ck_site_one_row CHECK (id = 1)
);

-- The keyed rotation that templates are under (ISO/IEC 24745 renewability); the highest is in use.
CREATE TABLE template_rotation (
  version INTEGER NOT NULL,
  made_unix_ms BIGINT NOT NULL,
  sealed_seed BLOB NOT NULL,
  compacted_unix_ms BIGINT,
  CONSTRAINT pk_template_rotation PRIMARY KEY (version)
);

-- Someone erased, known only by a hash, so that a restored backup can be erased again.
CREATE TABLE tombstone (
  person_id_sha256 TEXT NOT NULL,
  erased_unix_ms BIGINT NOT NULL,
  compacted_unix_ms BIGINT,
  CONSTRAINT pk_tombstone PRIMARY KEY (person_id_sha256)
);

-- Someone who may sign in to the server.
CREATE TABLE user (
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  password_argon2id TEXT,
  role TEXT NOT NULL,
  created_unix_ms BIGINT NOT NULL,
  is_disabled BOOLEAN DEFAULT '0' NOT NULL,
  sealed_totp BLOB,
  totp_last_step INTEGER DEFAULT '0' NOT NULL,
  oidc_issuer TEXT,
  oidc_subject TEXT,
  CONSTRAINT pk_user PRIMARY KEY (id),
  CONSTRAINT uq_user_name UNIQUE (name)
);

-- A setting weaker than its default that two people agreed to; without it the default holds.
CREATE TABLE agreed_setting (
  name TEXT NOT NULL,
  value_json TEXT NOT NULL,
  approval_id TEXT NOT NULL,
  CONSTRAINT pk_agreed_setting PRIMARY KEY (name),
  CONSTRAINT fk_agreed_setting_approval_id FOREIGN KEY(approval_id) REFERENCES approval (id)
);

-- A token for a program, shown once and known by its hash.
CREATE TABLE api_token (
  id TEXT NOT NULL,
  label TEXT NOT NULL,
  token_sha256 TEXT NOT NULL,
  user_id TEXT NOT NULL,
  scopes JSON NOT NULL,
  made_unix_ms BIGINT NOT NULL,
  expires_unix_ms BIGINT NOT NULL,
  last_used_unix_ms BIGINT,
  CONSTRAINT pk_api_token PRIMARY KEY (id),
  CONSTRAINT fk_api_token_user_id FOREIGN KEY(user_id) REFERENCES user (id) ON DELETE CASCADE,
  CONSTRAINT uq_api_token_token_sha256 UNIQUE (token_sha256)
);

-- A consent record. Purpose and dates are only inside, where the seal protects them from editing.
CREATE TABLE consent (
  id TEXT NOT NULL,
  person_id TEXT NOT NULL,
  received_unix_ms BIGINT NOT NULL,
  sealed_record BLOB NOT NULL,
  CONSTRAINT pk_consent PRIMARY KEY (id),
  CONSTRAINT fk_consent_person_id FOREIGN KEY(person_id) REFERENCES person (id) ON DELETE CASCADE
);

-- What an entry is about. Deletable: the tree only holds a salted hash of it.
CREATE TABLE ledger_payload (
  seq INTEGER NOT NULL,
  salt BLOB NOT NULL,
  payload_json TEXT NOT NULL,
  CONSTRAINT pk_ledger_payload PRIMARY KEY (seq),
  CONSTRAINT fk_ledger_payload_seq FOREIGN KEY(seq) REFERENCES ledger_entry (seq)
);

-- The key of one person, wrapped by the site key. Deleting this row erases the person's sealed data.
CREATE TABLE person_key (
  person_id TEXT NOT NULL,
  wrapped_key BLOB NOT NULL,
  CONSTRAINT pk_person_key PRIMARY KEY (person_id),
  CONSTRAINT fk_person_key_person_id FOREIGN KEY(person_id) REFERENCES person (id) ON DELETE CASCADE
);

-- A personal link to the person's own page, known by the hash of its secret.
CREATE TABLE person_link (
  token_sha256 TEXT NOT NULL,
  person_id TEXT NOT NULL,
  made_unix_ms BIGINT NOT NULL,
  CONSTRAINT pk_person_link PRIMARY KEY (token_sha256),
  CONSTRAINT fk_person_link_person_id FOREIGN KEY(person_id) REFERENCES person (id) ON DELETE CASCADE
);

-- A photo someone was enrolled from: the original bytes, sealed, in a blob.
CREATE TABLE photo (
  id TEXT NOT NULL,
  person_id TEXT NOT NULL,
  blob_sha256 TEXT NOT NULL,
  added_unix_ms BIGINT NOT NULL,
  CONSTRAINT pk_photo PRIMARY KEY (id),
  CONSTRAINT fk_photo_person_id FOREIGN KEY(person_id) REFERENCES person (id) ON DELETE CASCADE,
  CONSTRAINT fk_photo_blob_sha256 FOREIGN KEY(blob_sha256) REFERENCES blob (sha256)
);

-- A signed receipt as the person got it.
CREATE TABLE receipt (
  id TEXT NOT NULL,
  person_id TEXT NOT NULL,
  made_unix_ms BIGINT NOT NULL,
  sealed_receipt BLOB NOT NULL,
  CONSTRAINT pk_receipt PRIMARY KEY (id),
  CONSTRAINT fk_receipt_person_id FOREIGN KEY(person_id) REFERENCES person (id) ON DELETE CASCADE
);

-- The record of one decision, made once per track, with all that explains it (invariant I4).
CREATE TABLE sighting (
  id INTEGER NOT NULL,
  camera TEXT NOT NULL,
  track INTEGER NOT NULL,
  first_unix_ms BIGINT NOT NULL,
  last_unix_ms BIGINT NOT NULL,
  frames INTEGER NOT NULL,
  fused_crops INTEGER NOT NULL,
  decision TEXT NOT NULL,
  person_id TEXT,
  score_cosine FLOAT,
  margin_cosine FLOAT,
  quality FLOAT,
  best_xyxy JSON NOT NULL,
  recogniser_sha256 TEXT NOT NULL,
  calibration TEXT NOT NULL,
  gallery_digest TEXT NOT NULL,
  known_cosine FLOAT NOT NULL,
  unsure_cosine FLOAT NOT NULL,
  CONSTRAINT pk_sighting PRIMARY KEY (id),
  CONSTRAINT ck_sighting_decision CHECK (decision IN ('known', 'unsure', 'unknown')),
  CONSTRAINT fk_sighting_person_id FOREIGN KEY(person_id) REFERENCES person (id) ON DELETE SET NULL
);

-- One person's blind answer to whether a sighting is who it says.
CREATE TABLE confirmation (
  id INTEGER NOT NULL,
  sighting_id INTEGER NOT NULL,
  user_id TEXT NOT NULL,
  answer TEXT NOT NULL,
  given_unix_ms BIGINT NOT NULL,
  CONSTRAINT pk_confirmation PRIMARY KEY (id),
  CONSTRAINT ck_confirmation_answer CHECK (answer IN ('same', 'different')),
  CONSTRAINT fk_confirmation_sighting_id FOREIGN KEY(sighting_id) REFERENCES sighting (id) ON DELETE CASCADE,
  CONSTRAINT uq_confirmation_sighting_id_user_id UNIQUE (sighting_id, user_id)
);

-- A reference template under the keyed rotation, sealed with the person's key.
CREATE TABLE template (
  id TEXT NOT NULL,
  person_id TEXT NOT NULL,
  photo_id TEXT NOT NULL,
  recogniser_sha256 TEXT NOT NULL,
  quality FLOAT NOT NULL,
  added_unix_ms BIGINT NOT NULL,
  sealed_template BLOB NOT NULL, rotation_version INTEGER DEFAULT '0' NOT NULL,
  CONSTRAINT pk_template PRIMARY KEY (id),
  CONSTRAINT fk_template_person_id FOREIGN KEY(person_id) REFERENCES person (id) ON DELETE CASCADE,
  CONSTRAINT fk_template_photo_id FOREIGN KEY(photo_id) REFERENCES photo (id) ON DELETE CASCADE
);

CREATE INDEX ix_api_token_user_id ON api_token (user_id);
CREATE INDEX ix_consent_person_id ON consent (person_id);
CREATE INDEX ix_ledger_entry_subject_pseudonym ON ledger_entry (subject_pseudonym);
CREATE INDEX ix_person_link_person_id ON person_link (person_id);
CREATE INDEX ix_photo_blob_sha256 ON photo (blob_sha256);
CREATE INDEX ix_photo_person_id ON photo (person_id);
CREATE INDEX ix_receipt_person_id ON receipt (person_id);
CREATE INDEX ix_sighting_first_unix_ms ON sighting (first_unix_ms);
CREATE INDEX ix_sighting_person_id ON sighting (person_id);
CREATE INDEX ix_template_person_id ON template (person_id);
CREATE INDEX ix_template_photo_id ON template (photo_id);
CREATE INDEX ix_template_rotation_version ON template (rotation_version);
