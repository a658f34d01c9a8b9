-- Rules; `device` and `camera` are '' where a rule is for all. NULL is no bound.

CREATE TABLE retention_rules (
    device     TEXT NOT NULL,
    camera     TEXT NOT NULL,
    max_age_ms BIGINT,
    max_bytes  BIGINT,
    PRIMARY KEY (device, camera)
);

-- Bounds on the vault as a whole: one row.
CREATE TABLE retention_vault (
    id              BIGINT PRIMARY KEY NOT NULL CHECK (id = 1),
    max_bytes       BIGINT,
    min_free_bytes  BIGINT,
    live_max_age_ms BIGINT,
    updated         BIGINT NOT NULL,
    updated_by      TEXT NOT NULL
);

-- `end_wall`: where its last segment ends. `recorded`: when it was recorded, but not after it was stored.
-- `body_bytes`: of its segments, which outlives them.
-- `expired_at`: retention has begun to delete it; `removed_at`: its object is gone for good. The row stays.
ALTER TABLE packs ADD COLUMN end_wall BIGINT NOT NULL DEFAULT 0;
ALTER TABLE packs ADD COLUMN recorded BIGINT NOT NULL DEFAULT 0;
ALTER TABLE packs ADD COLUMN body_bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE packs ADD COLUMN expired_at BIGINT;
ALTER TABLE packs ADD COLUMN removed_at BIGINT;

UPDATE packs SET end_wall = COALESCE(
    (SELECT MAX(s.start_wall + s.duration_90k / 90) FROM segments s
     WHERE s.device = packs.device AND s.camera = packs.camera AND s.recording = packs.recording
     AND s.number = packs.number),
    start_wall + duration_90k / 90);
UPDATE packs SET body_bytes = COALESCE(
    (SELECT SUM(s.bytes) FROM segments s
     WHERE s.device = packs.device AND s.camera = packs.camera AND s.recording = packs.recording
     AND s.number = packs.number),
    0);
UPDATE packs SET recorded = CASE WHEN end_wall < stored_at THEN end_wall ELSE stored_at END;

CREATE INDEX packs_by_recorded ON packs (recorded, device, camera, recording, number) WHERE expired_at IS NULL;
CREATE INDEX packs_of_camera_by_recorded ON packs (device, camera, recorded, recording, number, bytes)
    WHERE expired_at IS NULL;
CREATE INDEX packs_of_camera_by_stored ON packs (device, camera, stored_at) WHERE expired_at IS NULL;
CREATE INDEX packs_to_remove ON packs (expired_at) WHERE expired_at IS NOT NULL AND removed_at IS NULL;
