-- Ranges of time that somebody or something marked; a locked one keeps its footage.
-- `camera` NULL: all of the device. A vehicle's event has an id that follows from its device and its own id.

CREATE TABLE events (
    id         TEXT PRIMARY KEY NOT NULL,
    device     TEXT NOT NULL,
    camera     TEXT,
    from_wall  BIGINT NOT NULL,
    to_wall    BIGINT NOT NULL,
    kind       TEXT NOT NULL,
    note       TEXT NOT NULL,
    source     TEXT NOT NULL CHECK (source IN ('vehicle', 'user')),
    created_by TEXT NOT NULL,
    created    BIGINT NOT NULL,
    locked     BOOLEAN NOT NULL,
    CHECK (from_wall < to_wall)
);

CREATE INDEX events_by_time ON events (from_wall, id);
CREATE INDEX events_of_device ON events (device, from_wall, id);
CREATE INDEX events_locked ON events (device, from_wall) WHERE locked;
