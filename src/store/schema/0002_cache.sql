-- Redis instances of the DCS dialect, their tasks, backups and restores.

CREATE TABLE cache (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	uid TEXT NOT NULL UNIQUE,
	unit_id INTEGER NOT NULL REFERENCES instance (id) ON DELETE CASCADE,
	project_id TEXT NOT NULL DEFAULT '',
	name TEXT NOT NULL DEFAULT '',
	description TEXT NOT NULL DEFAULT '',
	status TEXT NOT NULL DEFAULT '',
	engine_version TEXT NOT NULL DEFAULT '',
	spec_code TEXT NOT NULL DEFAULT '',
	cache_mode TEXT NOT NULL DEFAULT '',
	capacity_mib INTEGER NOT NULL DEFAULT 0,
	ip TEXT NOT NULL DEFAULT '',
	port INTEGER NOT NULL DEFAULT 0,
	wrong_passwords INTEGER NOT NULL DEFAULT 0,
	locked_until INTEGER NOT NULL DEFAULT 0,
	maintain_begin TEXT NOT NULL DEFAULT '',
	maintain_end TEXT NOT NULL DEFAULT '',
	tags TEXT NOT NULL DEFAULT '',
	backup_policy TEXT NOT NULL DEFAULT '',
	echo TEXT NOT NULL DEFAULT '',
	state TEXT NOT NULL DEFAULT '',
	created_at INTEGER NOT NULL DEFAULT 0,
	launched_at INTEGER NOT NULL DEFAULT 0,
	updated_at INTEGER NOT NULL DEFAULT 0,
	deleted_at INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX cache_newest ON cache (project_id, created_at DESC, id);
CREATE INDEX cache_of_unit ON cache (unit_id);

CREATE TABLE cache_task (
	task_id INTEGER NOT NULL PRIMARY KEY REFERENCES task (id) ON DELETE CASCADE,
	cache_id INTEGER NOT NULL DEFAULT 0,
	project_id TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX cache_task_newest ON cache_task (project_id, task_id DESC);
CREATE INDEX cache_task_of_cache ON cache_task (cache_id, task_id DESC);

CREATE TABLE backup (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	uid TEXT NOT NULL UNIQUE,
	cache_id INTEGER NOT NULL REFERENCES cache (id) ON DELETE CASCADE,
	name TEXT NOT NULL DEFAULT '',
	type TEXT NOT NULL DEFAULT '',
	status TEXT NOT NULL DEFAULT '',
	remark TEXT NOT NULL DEFAULT '',
	format TEXT NOT NULL DEFAULT '',
	size INTEGER NOT NULL DEFAULT 0,
	sha256 TEXT NOT NULL DEFAULT '',
	path TEXT NOT NULL DEFAULT '',
	task_id INTEGER NOT NULL DEFAULT 0,
	error_code TEXT NOT NULL DEFAULT '',
	created_at INTEGER NOT NULL DEFAULT 0,
	started_at INTEGER NOT NULL DEFAULT 0,
	updated_at INTEGER NOT NULL DEFAULT 0,
	expires_at INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX backup_of_cache ON backup (cache_id, created_at DESC, id);

CREATE TABLE restore (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	uid TEXT NOT NULL UNIQUE,
	cache_id INTEGER NOT NULL REFERENCES cache (id) ON DELETE CASCADE,
	backup_uid TEXT NOT NULL DEFAULT '',
	name TEXT NOT NULL DEFAULT '',
	remark TEXT NOT NULL DEFAULT '',
	status TEXT NOT NULL DEFAULT '',
	task_id INTEGER NOT NULL DEFAULT 0,
	error_code TEXT NOT NULL DEFAULT '',
	created_at INTEGER NOT NULL DEFAULT 0,
	updated_at INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX restore_of_cache ON restore (cache_id, created_at DESC, id);
