-- One row: the root key that new secrets are made under. NULL: the first of the root key file.
CREATE TABLE active_root_key (
    only_row BIGINT NOT NULL PRIMARY KEY CHECK (only_row = 1),
    root_key_id TEXT COLLATE "C"
);

INSERT INTO active_root_key (only_row, root_key_id) VALUES (1, NULL);

-- The servers at work on this database, and the ids of the root keys each of them holds, with spaces in between. One that
-- was not seen for a minute does not count.
CREATE TABLE replicas (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    seen_at BIGINT NOT NULL,
    root_key_ids TEXT NOT NULL
);

-- One row: goes up every few seconds. `state` in a keys folder follows it; a file that is ahead of the database tells that
-- an older backup was put in its place.
CREATE TABLE database_epoch (
    only_row BIGINT NOT NULL PRIMARY KEY CHECK (only_row = 1),
    epoch BIGINT NOT NULL,
    at BIGINT NOT NULL
);

INSERT INTO database_epoch (only_row, epoch, at) VALUES (1, 1, 0);

-- Serials whose grants were lost when a backup was restored: revoked in the status lists until no access token of them can
-- be alive.
CREATE TABLE status_gaps (
    first BIGINT NOT NULL PRIMARY KEY,
    last BIGINT NOT NULL,
    until BIGINT NOT NULL
);
