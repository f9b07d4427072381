-- Consentry schema 1 as SQLite holds it. Frozen: a change is a new migration and a new schema_v<N>.sql.
-- Times are milliseconds since 1970-01-01 UTC. Columns sealed_... are AES-256-GCM ciphertext.

-- Which migration was applied last.
CREATE TABLE alembic_version (
  version_num VARCHAR(32) NOT NULL,
  CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

-- Files under blobs/, named by the SHA-256 of their sealed content.
CREATE TABLE blob (
  sha256 TEXT NOT NULL,
  size_bytes BIGINT NOT NULL,
  written_unix_ms BIGINT NOT NULL,
  CONSTRAINT pk_blob PRIMARY KEY (sha256)
);

-- The camera inventory.
CREATE TABLE camera (
  name TEXT NOT NULL,
  url_redacted TEXT NOT NULL,  -- for display: user name, password and query values masked
  sealed_url BLOB NOT NULL,  -- the URL to open, under the site key
  purpose TEXT NOT NULL,
  added_unix_ms BIGINT NOT NULL,
  CONSTRAINT pk_camera PRIMARY KEY (name)
);

-- Consent records; purpose and dates are only inside, where the seal protects them from editing.
CREATE TABLE consent (
  id TEXT NOT NULL,
  person_id TEXT NOT NULL,
  received_unix_ms BIGINT NOT NULL,
  sealed_record BLOB NOT NULL,
  CONSTRAINT pk_consent PRIMARY KEY (id),
  CONSTRAINT fk_consent_person_id FOREIGN KEY(person_id) REFERENCES person (id) ON DELETE CASCADE
);

-- Deployment declarations, oldest first; the highest id is in force.
CREATE TABLE declaration (
  id INTEGER NOT NULL,
  made_unix_ms BIGINT NOT NULL,
  is_demo BOOLEAN NOT NULL,
  document_json TEXT NOT NULL,  -- canonical JSON, RFC 8785
  CONSTRAINT pk_declaration PRIMARY KEY (id)
);

-- Leaves of the ledger's Merkle tree; a leaf is the canonical JSON of its columns.
CREATE TABLE ledger_entry (
  seq INTEGER NOT NULL,  -- position in the tree, from 0, no gaps
  time_unix_ms BIGINT NOT NULL,
  event TEXT NOT NULL,
  actor TEXT NOT NULL,
  subject_pseudonym TEXT,  -- HMAC under the person's key, hex; unlinkable once the key is gone
  payload_commitment TEXT NOT NULL,  -- SHA-256 of salt and payload, hex
  CONSTRAINT pk_ledger_entry PRIMARY KEY (seq)
);

-- The newest checkpoint and what is needed to extend the tree: exactly one row.
CREATE TABLE ledger_head (
  id INTEGER NOT NULL,
  frontier BLOB NOT NULL,  -- roots of the perfect subtrees, largest first, 32 bytes each
  checkpoint TEXT NOT NULL,  -- C2SP tlog-checkpoint, a signed note
  CONSTRAINT pk_ledger_head PRIMARY KEY (id),
  CONSTRAINT ck_ledger_head_one_row CHECK (id = 1)
);

-- What an entry is about; deletable, the tree only holds a salted hash of it.
CREATE TABLE ledger_payload (
  seq INTEGER NOT NULL,
  salt BLOB NOT NULL,
  payload_json TEXT NOT NULL,  -- canonical JSON, RFC 8785
  CONSTRAINT pk_ledger_payload PRIMARY KEY (seq),
  CONSTRAINT fk_ledger_payload_seq FOREIGN KEY(seq) REFERENCES ledger_entry (seq)
);

-- People enrolled.
CREATE TABLE person (
  id TEXT NOT NULL,  -- random, 32 hex digits
  enrolled_unix_ms BIGINT NOT NULL,
  sealed_name BLOB NOT NULL,
  CONSTRAINT pk_person PRIMARY KEY (id)
);

-- One key per person, wrapped by the site key; deleting the row erases the person's sealed data.
CREATE TABLE person_key (
  person_id TEXT NOT NULL,
  wrapped_key BLOB NOT NULL,
  CONSTRAINT pk_person_key PRIMARY KEY (person_id),
  CONSTRAINT fk_person_key_person_id FOREIGN KEY(person_id) REFERENCES person (id) ON DELETE CASCADE
);

-- Photos someone was enrolled from: the original bytes, sealed, in a blob.
CREATE TABLE photo (
  id TEXT NOT NULL,
  person_id TEXT NOT NULL,
  blob_sha256 TEXT NOT NULL,
  added_unix_ms BIGINT NOT NULL,
  CONSTRAINT pk_photo PRIMARY KEY (id),
  CONSTRAINT fk_photo_person_id FOREIGN KEY(person_id) REFERENCES person (id) ON DELETE CASCADE,
  CONSTRAINT fk_photo_blob_sha256 FOREIGN KEY(blob_sha256) REFERENCES blob (sha256)
);

-- One decision per track, with all that explains it.
CREATE TABLE sighting (
  id INTEGER NOT NULL,
  camera TEXT NOT NULL,
  track INTEGER NOT NULL,  -- number of the track within one run of the camera
  first_unix_ms BIGINT NOT NULL,
  last_unix_ms BIGINT NOT NULL,
  frames INTEGER NOT NULL,  -- frames in which the track was seen
  fused_crops INTEGER NOT NULL,  -- pictures fused into the probe
  decision TEXT NOT NULL,
  person_id TEXT,  -- null unless known, and again after withdrawal
  score_cosine FLOAT,  -- cosine to the best person; null when nothing was compared
  margin_cosine FLOAT,  -- lead over the second person; null when there was none
  quality FLOAT,
  best_xyxy JSON NOT NULL,  -- [x_min, y_min, x_max, y_max], pixels
  recogniser_sha256 TEXT NOT NULL,
  calibration TEXT NOT NULL,
  gallery_digest TEXT NOT NULL,
  known_cosine FLOAT NOT NULL,  -- cosine from which the decision is known
  unsure_cosine FLOAT NOT NULL,  -- cosine from which the decision is unsure
  CONSTRAINT pk_sighting PRIMARY KEY (id),
  CONSTRAINT ck_sighting_decision CHECK (decision IN ('known', 'unsure', 'unknown')),
  CONSTRAINT fk_sighting_person_id FOREIGN KEY(person_id) REFERENCES person (id) ON DELETE SET NULL
);

-- The installation itself: exactly one row.
CREATE TABLE site (
  id INTEGER NOT NULL,
  site_uuid TEXT NOT NULL,
  name TEXT NOT NULL,
  created_unix_ms BIGINT NOT NULL,
  kdf_salt BLOB,  -- Argon2id salt when the key comes from a passphrase
  sealed_key_check BLOB NOT NULL,  -- a known text under the site key: tells a wrong key
  sealed_ledger_seed BLOB NOT NULL,  -- Ed25519 seed that signs checkpoints, under the site key
  gallery_version INTEGER NOT NULL,  -- grows with every change to who may be recognised
  CONSTRAINT pk_site PRIMARY KEY (id),
  CONSTRAINT ck_site_one_row CHECK (id = 1)
);

-- Reference templates, sealed with the person's key.
CREATE TABLE template (
  id TEXT NOT NULL,
  person_id TEXT NOT NULL,
  photo_id TEXT NOT NULL,
  recogniser_sha256 TEXT NOT NULL,  -- model that made it; others never compare
  quality FLOAT NOT NULL,  -- of the face it was made from, in [0, 1]
  added_unix_ms BIGINT NOT NULL,
  sealed_template BLOB NOT NULL,  -- little-endian float32 values
  CONSTRAINT pk_template PRIMARY KEY (id),
  CONSTRAINT fk_template_person_id FOREIGN KEY(person_id) REFERENCES person (id) ON DELETE CASCADE,
  CONSTRAINT fk_template_photo_id FOREIGN KEY(photo_id) REFERENCES photo (id) ON DELETE CASCADE
);

-- People erased, known only by a hash, so that a restored backup can be erased again.
CREATE TABLE tombstone (
  person_id_sha256 TEXT NOT NULL,  -- hex
  erased_unix_ms BIGINT NOT NULL,
  compacted_unix_ms BIGINT,  -- when the file was rewritten without the erased rows; null: to do
  CONSTRAINT pk_tombstone PRIMARY KEY (person_id_sha256)
);

-- People who may sign in to the server.
CREATE TABLE user (
  name TEXT NOT NULL,
  password_argon2id TEXT NOT NULL,  -- encoded hash with parameters and salt
  role TEXT NOT NULL,
  created_unix_ms BIGINT NOT NULL,
  CONSTRAINT pk_user PRIMARY KEY (name)
);

CREATE INDEX ix_consent_person_id ON consent (person_id);

CREATE INDEX ix_ledger_entry_subject_pseudonym ON ledger_entry (subject_pseudonym);

CREATE INDEX ix_photo_blob_sha256 ON photo (blob_sha256);

CREATE INDEX ix_photo_person_id ON photo (person_id);

CREATE INDEX ix_sighting_first_unix_ms ON sighting (first_unix_ms);

CREATE INDEX ix_sighting_person_id ON sighting (person_id);

CREATE INDEX ix_template_person_id ON template (person_id);

CREATE INDEX ix_template_photo_id ON template (photo_id);
