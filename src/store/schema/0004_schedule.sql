-- Analyses that run by themselves: one row a cache and kind, made when a schedule is set for the first time.

CREATE TABLE schedule (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	cache_id INTEGER NOT NULL REFERENCES cache (id) ON DELETE CASCADE,
	kind TEXT NOT NULL DEFAULT '',
	is_enabled INTEGER NOT NULL DEFAULT 0,
	times TEXT NOT NULL DEFAULT '',
	first_at INTEGER NOT NULL DEFAULT 0,
	interval_s INTEGER NOT NULL DEFAULT 0,
	timeout_s INTEGER NOT NULL DEFAULT 0,
	batch INTEGER NOT NULL DEFAULT 0,
	next_at INTEGER NOT NULL DEFAULT 0,
	skipped_at INTEGER NOT NULL DEFAULT 0,
	skipped_why TEXT NOT NULL DEFAULT '',
	updated_at INTEGER NOT NULL DEFAULT 0,
	UNIQUE (cache_id, kind)
) STRICT;

-- The keeper: whose turn is next.
CREATE INDEX schedule_due ON schedule (next_at) WHERE next_at > 0;
