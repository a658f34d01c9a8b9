-- Numbers of live playlists that may have been used: the next one of each camera is not below these.
CREATE TABLE live_numbers (
    device        TEXT   NOT NULL,
    camera        TEXT   NOT NULL,
    sequence      BIGINT NOT NULL,
    discontinuity BIGINT NOT NULL,
    PRIMARY KEY (device, camera)
);
