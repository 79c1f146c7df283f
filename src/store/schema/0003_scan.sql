-- Analyses of caches: one row a run, its findings as JSON.

CREATE TABLE scan (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	uid TEXT NOT NULL UNIQUE,
	cache_id INTEGER NOT NULL REFERENCES cache (id) ON DELETE CASCADE,
	kind TEXT NOT NULL DEFAULT '',
	type TEXT NOT NULL DEFAULT '',
	status TEXT NOT NULL DEFAULT '',
	args TEXT NOT NULL DEFAULT '',
	result TEXT NOT NULL DEFAULT '',
	num INTEGER NOT NULL DEFAULT 0,
	task_id INTEGER NOT NULL DEFAULT 0,
	created_at INTEGER NOT NULL DEFAULT 0,
	started_at INTEGER NOT NULL DEFAULT 0,
	ended_at INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX scan_of_cache ON scan (cache_id, kind, created_at DESC, id);
