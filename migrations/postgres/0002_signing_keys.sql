-- Signing keys. `sealed` is the private part under the root key `root_key_id`; emptied when a key retires.
CREATE TABLE signing_keys (
    kid TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    algorithm TEXT COLLATE "C" NOT NULL,
    public_jwk TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    root_key_id TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'active', 'retiring', 'retired')),
    created_at BIGINT NOT NULL,
    activated_at BIGINT
);

-- Two nodes that both make a first key end with one.
CREATE UNIQUE INDEX signing_keys_active ON signing_keys (algorithm) WHERE status = 'active';
