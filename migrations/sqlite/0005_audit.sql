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

-- A chain of seals over the rows above, each a MAC over the one before it and its rows: an entry that was changed, added
-- or removed after it was sealed shows.
CREATE TABLE audit_seals (
    seal INTEGER NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    root_key_id TEXT NOT NULL,
    mac BLOB NOT NULL
) STRICT;

-- One row: where the chain ends and where it begins now. Its MAC covers both ends, so that neither can be cut shorter; no
-- older one is kept that could be put back.
CREATE TABLE audit_head (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    -- The newest seal; 0: nothing was sealed yet.
    seal INTEGER NOT NULL,
    -- The newest seal whose entries were removed because of their age. Its own row stays: the next seal builds on it.
    swept INTEGER NOT NULL,
    root_key_id TEXT NOT NULL,
    mac BLOB NOT NULL
) STRICT;

INSERT INTO audit_head (only_row, seal, swept, root_key_id, mac) VALUES (1, 0, 0, '', X'');
