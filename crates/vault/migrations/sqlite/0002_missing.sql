-- A pack whose object is gone stays known: `missing_since` says when that was noticed.

ALTER TABLE packs ADD COLUMN missing_since BIGINT;

CREATE INDEX packs_missing ON packs (missing_since) WHERE missing_since IS NOT NULL;
