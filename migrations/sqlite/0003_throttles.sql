-- How often somebody has tried. `subject` is a SHA-256: no name and no address is kept here.
CREATE TABLE throttles (
    subject BLOB NOT NULL PRIMARY KEY,
    tries INTEGER NOT NULL,
    free_at INTEGER NOT NULL,
    -- NULL: only an operator or a new password ends it.
    expires_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX throttles_expires_at ON throttles (expires_at);
