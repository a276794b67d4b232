-- How often somebody has tried. `subject` is a SHA-256: no name and no address is kept here.
CREATE TABLE throttles (
    subject BYTEA NOT NULL PRIMARY KEY,
    tries BIGINT NOT NULL,
    free_at BIGINT NOT NULL,
    -- NULL: only an operator or a new password ends it.
    expires_at BIGINT
);

CREATE INDEX throttles_expires_at ON throttles (expires_at);
