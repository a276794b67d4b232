-- Accounts. Times are seconds since 1970, UTC; ids are made by Signet.

-- "Sgnt": tells a Signet database from anybody else's.
PRAGMA application_id = 1399287412;

-- One row: which database this is, for a keys folder to recognise it.
CREATE TABLE database_identity (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    id TEXT NOT NULL
) STRICT;

INSERT INTO database_identity (only_row, id) VALUES (1, lower(hex(randomblob(16))));

CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    name TEXT,
    credential_version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    last_sign_in INTEGER,
    disabled_at INTEGER
) STRICT;

CREATE TABLE user_roles (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    PRIMARY KEY (user_id, role)
) STRICT, WITHOUT ROWID;

-- One way to sign in; others get tables of their own.
CREATE TABLE passwords (
    user_id TEXT NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    phc TEXT NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;
