-- Signing keys. `sealed` is the private part under the root key `root_key_id`; emptied when a key retires.
CREATE TABLE signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    algorithm TEXT NOT NULL,
    public_jwk TEXT NOT NULL,
    sealed BLOB NOT NULL,
    root_key_id TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'active', 'retiring', 'retired')),
    created_at INTEGER NOT NULL,
    activated_at INTEGER
) STRICT;

-- Two nodes that both make a first key end with one.
CREATE UNIQUE INDEX signing_keys_active ON signing_keys (algorithm) WHERE status = 'active';
