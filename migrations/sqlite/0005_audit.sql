-- What happened to accounts, sessions and keys: who, what, when, from where. Never a secret, never an e-mail address.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    actor TEXT NOT NULL,
    user_id TEXT,
    session_id TEXT,
    client_id TEXT,
    kid TEXT,
    reason TEXT,
    -- How many like it, when several were written as one.
    count INTEGER NOT NULL,
    address TEXT,
    user_agent TEXT,
    request_id TEXT,
    -- What changed: digests of before and after, as JSON.
    detail TEXT,
    -- The seal that covers it; NULL: not sealed yet.
    seal INTEGER
) STRICT;

CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_user_id ON audit (user_id);
CREATE INDEX audit_unsealed ON audit (id) WHERE seal IS NULL;
CREATE INDEX audit_seal ON audit (seal);

-- A chain of seals over the rows above, each a MAC over the one before it and its rows: an entry that was changed or
-- removed after it was sealed shows.
CREATE TABLE audit_seals (
    seal INTEGER NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    root_key_id TEXT NOT NULL,
    mac BLOB NOT NULL
) STRICT;
