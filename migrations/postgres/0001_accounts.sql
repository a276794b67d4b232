-- Accounts. Times are seconds since 1970, UTC; ids are made by Signet.
-- COLLATE "C": sorted by bytes, as on SQLite, whatever the locale of the cluster.

-- One row: which database this is, for a keys folder to recognise it.
CREATE TABLE database_identity (
    only_row BIGINT NOT NULL PRIMARY KEY CHECK (only_row = 1),
    id TEXT NOT NULL
);

INSERT INTO database_identity (only_row, id) VALUES (1, replace(gen_random_uuid()::text, '-', ''));

CREATE TABLE users (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    email TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT,
    credential_version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    last_sign_in BIGINT,
    disabled_at BIGINT
);

CREATE TABLE user_roles (
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, role)
);

-- One way to sign in; others get tables of their own.
CREATE TABLE passwords (
    user_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    phc TEXT NOT NULL,
    changed_at BIGINT NOT NULL
);
