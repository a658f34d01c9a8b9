-- Who may do what, and what they did. Secrets are kept as hashes only.

CREATE TABLE users (
    name      TEXT PRIMARY KEY NOT NULL,
    role      TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    password  TEXT NOT NULL,
    created   BIGINT NOT NULL,
    signed_in BIGINT
);

CREATE TABLE sessions (
    hash      BLOB PRIMARY KEY NOT NULL,
    user_name TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    created   BIGINT NOT NULL,
    last_used BIGINT NOT NULL
);

CREATE INDEX sessions_by_user ON sessions (user_name);

CREATE TABLE tokens (
    id         TEXT PRIMARY KEY NOT NULL,
    hash       BLOB NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    scopes     TEXT NOT NULL,
    device     TEXT,
    created    BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    expires    BIGINT,
    last_used  BIGINT
);

CREATE TABLE audit (
    id        INTEGER PRIMARY KEY,
    at        BIGINT NOT NULL,
    who       TEXT NOT NULL,
    role      TEXT NOT NULL,
    address   TEXT NOT NULL,
    action    TEXT NOT NULL,
    device    TEXT,
    camera    TEXT,
    from_wall BIGINT,
    to_wall   BIGINT,
    detail    TEXT NOT NULL
);

CREATE INDEX audit_by_time ON audit (at);
