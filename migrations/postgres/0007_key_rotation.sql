-- Signing keys take turns. Until `ready_at` somebody may hold a set without the key; `longest_life` is that of anything it
-- signs, in seconds; `withdrawn_at` says that it was taken away before its time.
ALTER TABLE signing_keys ADD COLUMN ready_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE signing_keys ADD COLUMN retiring_at BIGINT;
ALTER TABLE signing_keys ADD COLUMN retired_at BIGINT;
ALTER TABLE signing_keys ADD COLUMN withdrawn_at BIGINT;
ALTER TABLE signing_keys ADD COLUMN rotation_requested_at BIGINT;
ALTER TABLE signing_keys ADD COLUMN longest_life BIGINT NOT NULL DEFAULT 3600;

-- No key before this had a time: a day is the longest that a set may be kept.
UPDATE signing_keys SET ready_at = created_at + 86400 WHERE status = 'pending';

-- One row: goes up with each change of the signing keys, so that every server notices. `max_age` is the longest time for
-- which sets are given out, in seconds; one that was given out for longer, before that, is held until `cached_until`.
CREATE TABLE keyring (
    only_row BIGINT NOT NULL PRIMARY KEY CHECK (only_row = 1),
    version BIGINT NOT NULL,
    max_age BIGINT NOT NULL,
    cached_until BIGINT NOT NULL
);

INSERT INTO keyring (only_row, version, max_age, cached_until) VALUES (1, 1, 0, 0);
