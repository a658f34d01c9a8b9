-- What the timeline is made of: each pack summed up, and what is on the vehicles.

-- Runs of one state, and each segment's length and times: see crates/vault/src/timeline/{runs,contents}.rs. Null in
-- rows of an older version until the vault has started once.
ALTER TABLE packs ADD COLUMN runs BLOB;
ALTER TABLE packs ADD COLUMN contents BLOB;

-- Covers the timeline's query, which then reads no rows of packs.
DROP INDEX packs_by_time;
CREATE INDEX packs_by_time ON packs (device, camera, start_wall, recording, number, runs, missing_since, expired_at);
-- The few that last longer than the timeline looks back.
CREATE INDEX packs_long ON packs (device, camera) WHERE end_wall - start_wall > 3600000;
CREATE INDEX packs_without_runs ON packs (device) WHERE runs IS NULL;

CREATE TABLE announced (
    device        TEXT NOT NULL,
    camera        TEXT NOT NULL,
    recording     TEXT NOT NULL,
    number        BIGINT NOT NULL,
    start_wall    BIGINT NOT NULL,
    end_wall      BIGINT NOT NULL,
    runs          BLOB NOT NULL,
    lacking_bytes BIGINT NOT NULL,
    told_at       BIGINT NOT NULL,
    requested     BIGINT,
    PRIMARY KEY (device, camera, recording, number)
);

CREATE INDEX announced_by_time ON announced (device, camera, start_wall);
CREATE INDEX announced_requested ON announced (device, requested) WHERE requested IS NOT NULL;
