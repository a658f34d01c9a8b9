-- Clip jobs. `summary` is what the clip covers and what is missing in it, as JSON; `problem` why there is none.

CREATE TABLE clips (
    id         TEXT PRIMARY KEY NOT NULL,
    device     TEXT NOT NULL,
    camera     TEXT NOT NULL,
    from_wall  BIGINT NOT NULL,
    to_wall    BIGINT NOT NULL,
    format     TEXT NOT NULL CHECK (format IN ('mp4', 'ts')),
    evidence   BOOLEAN NOT NULL,
    exact      BOOLEAN NOT NULL,
    title      TEXT NOT NULL,
    note       TEXT NOT NULL,
    created    BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('queued', 'running', 'finished', 'failed')),
    ended      BIGINT,
    bytes      BIGINT,
    file       TEXT,
    summary    TEXT,
    problem    TEXT
);

CREATE INDEX clips_by_state ON clips (state, created, id);
CREATE INDEX clips_by_time ON clips (created, id);
