-- Foreign footage: from the first byte of its upload to its packs. See docs/design/import.md.

CREATE TABLE imports (
    id           TEXT PRIMARY KEY NOT NULL,
    -- '' for a part of a concatenation, which belongs to nobody yet.
    device       TEXT NOT NULL,
    camera       TEXT NOT NULL,
    filename     TEXT NOT NULL,
    metadata     TEXT NOT NULL,
    is_partial   BOOLEAN NOT NULL,
    length       BIGINT NOT NULL,
    received     BIGINT NOT NULL,
    state        TEXT NOT NULL,
    said_at      BIGINT,
    zone_ms      BIGINT NOT NULL,
    keep         BOOLEAN NOT NULL,
    content      BLOB,
    recording    TEXT,
    start_wall   BIGINT,
    end_wall     BIGINT,
    time_source  TEXT,
    warning      TEXT,
    error_code   TEXT,
    error        TEXT,
    duplicate_of TEXT,
    created      BIGINT NOT NULL,
    created_by   TEXT NOT NULL,
    touched      BIGINT NOT NULL
);

CREATE INDEX imports_by_time ON imports (created, id);
CREATE INDEX imports_by_state ON imports (state, created);
CREATE INDEX imports_by_content ON imports (content) WHERE content IS NOT NULL;
