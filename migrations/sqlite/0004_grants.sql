-- Grants: one row for each session, however often its refresh token is rotated. No token is stored: they are derived from
-- `seed` and the root key together.
CREATE TABLE grants (
    -- Its place in the status lists. Never used twice: an old token must not be judged by another's bit.
    serial INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    session_id TEXT NOT NULL,
    -- No reference: the row outlives its account until no access token can be alive.
    user_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    seed BLOB NOT NULL,
    root_key_id TEXT NOT NULL,
    generation INTEGER NOT NULL,
    rotated_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    authenticated_at INTEGER NOT NULL,
    idle_until INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    revoked_for TEXT,
    bit_until INTEGER NOT NULL,
    last_address TEXT,
    last_user_agent TEXT
) STRICT;

CREATE INDEX grants_user_id ON grants (user_id);
-- What the status lists are made of.
CREATE INDEX grants_revoked ON grants (serial) WHERE revoked_at IS NOT NULL;

-- One row: counts the changes of all status lists, in the order in which they were committed.
CREATE TABLE status_version (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    version INTEGER NOT NULL
) STRICT;

INSERT INTO status_version (only_row, version) VALUES (1, 0);

-- The version at which a list changed last. A list that never changed has no row.
CREATE TABLE status_lists (
    list INTEGER NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT;

CREATE INDEX status_lists_version ON status_lists (version);
