-- What a vehicle's recorder said last of itself, as JSON, and when.

ALTER TABLE devices ADD COLUMN status TEXT;
ALTER TABLE devices ADD COLUMN status_at BIGINT;
