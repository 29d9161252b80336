BEGIN TRANSACTION;
CREATE TABLE callbacks (
    receipt_id INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at TEXT NOT NULL,
    job_id TEXT NOT NULL,
    external_id TEXT NOT NULL,
    task_id TEXT,
    task_status TEXT,
    updated_at INTEGER,
    message TEXT NOT NULL,
    named TEXT,
    fate TEXT,
    held_until REAL,
    replay_of INTEGER
);
INSERT INTO "callbacks" VALUES(1,'2026-01-02T03:04:05+00:00','job-0123456789abcdef01234567','job-0123456789abcdef01234567.video.1','task-1','succeed',3,'text','other','applied',1.5,1);
CREATE INDEX of_a_job ON callbacks (job_id);
CREATE INDEX waiting ON callbacks (job_id) WHERE fate IS NULL;
CREATE INDEX quarantine ON callbacks (held_until) WHERE held_until IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('callbacks',1);
COMMIT;
