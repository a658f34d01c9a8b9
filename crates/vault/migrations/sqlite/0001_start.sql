-- Times are Unix milliseconds; durations 90 kHz ticks; hashes and keys 32 raw bytes.
-- The same tables, with BYTEA for BLOB, serve PostgreSQL.

CREATE TABLE devices (
    id          TEXT PRIMARY KEY NOT NULL,
    bearer_hash BLOB UNIQUE,
    live_key    BLOB,
    public_key  BLOB,
    created     BIGINT NOT NULL,
    revoked     BIGINT,
    last_seen   BIGINT
);

CREATE TABLE recordings (
    device    TEXT NOT NULL,
    camera    TEXT NOT NULL,
    recording TEXT NOT NULL,
    kind      TEXT NOT NULL CHECK (kind IN ('announced', 'plain')),
    created   BIGINT NOT NULL,
    PRIMARY KEY (device, camera, recording)
);

CREATE TABLE packs (
    device       TEXT NOT NULL,
    camera       TEXT NOT NULL,
    recording    TEXT NOT NULL,
    number       BIGINT NOT NULL,
    manifest     BLOB NOT NULL,
    previous     BLOB NOT NULL,
    bytes        BIGINT NOT NULL,
    start_wall   BIGINT NOT NULL,
    duration_90k BIGINT NOT NULL,
    segments     BIGINT NOT NULL,
    sealed_by    TEXT NOT NULL,
    stored_at    BIGINT NOT NULL,
    PRIMARY KEY (device, camera, recording, number)
);

CREATE INDEX packs_by_time ON packs (device, camera, start_wall);

CREATE TABLE segments (
    device       TEXT NOT NULL,
    camera       TEXT NOT NULL,
    recording    TEXT NOT NULL,
    number       BIGINT NOT NULL,
    position     BIGINT NOT NULL,
    start_byte   BIGINT NOT NULL,
    bytes        BIGINT NOT NULL,
    hash         BLOB NOT NULL,
    start_pts    BIGINT,
    start_wall   BIGINT NOT NULL,
    duration_90k BIGINT NOT NULL,
    how          TEXT NOT NULL,
    keyframe     BOOLEAN NOT NULL,
    damaged      BOOLEAN NOT NULL,
    PRIMARY KEY (device, camera, recording, number, position),
    FOREIGN KEY (device, camera, recording, number)
        REFERENCES packs (device, camera, recording, number) ON DELETE CASCADE
);

CREATE TABLE losses (
    device    TEXT NOT NULL,
    id        TEXT NOT NULL,
    camera    TEXT NOT NULL,
    recording TEXT,
    from_wall BIGINT NOT NULL,
    to_wall   BIGINT NOT NULL,
    lost_ms   BIGINT NOT NULL,
    bytes     BIGINT NOT NULL,
    cause     TEXT NOT NULL,
    told_at   BIGINT NOT NULL,
    PRIMARY KEY (device, id)
);

CREATE INDEX losses_by_time ON losses (device, camera, from_wall);
