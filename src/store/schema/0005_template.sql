-- Parameter templates of a project's users; those of the system are the program's.

CREATE TABLE template (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	uid TEXT NOT NULL UNIQUE,
	project_id TEXT NOT NULL DEFAULT '',
	name TEXT NOT NULL DEFAULT '',
	description TEXT NOT NULL DEFAULT '',
	engine_version TEXT NOT NULL DEFAULT '',
	cache_mode TEXT NOT NULL DEFAULT '',
	params TEXT NOT NULL DEFAULT '',
	created_at INTEGER NOT NULL DEFAULT 0,
	updated_at INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX template_newest ON template (project_id, created_at DESC, id DESC);
