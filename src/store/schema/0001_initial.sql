-- The first schema. Columns are described in store/tables.h; times are Unix milliseconds, 0 for "not yet".
-- AUTOINCREMENT: an id once given is never given again, also after its row is gone.

CREATE TABLE "key" (
	access_key_id TEXT NOT NULL PRIMARY KEY,
	secret BLOB NOT NULL,
	account TEXT NOT NULL DEFAULT '',
	project_id TEXT NOT NULL DEFAULT '',
	name TEXT NOT NULL DEFAULT '',
	is_active INTEGER NOT NULL DEFAULT 0,
	created_at INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE app (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	account TEXT NOT NULL DEFAULT '',
	name TEXT NOT NULL DEFAULT '',
	type TEXT NOT NULL DEFAULT '',
	charge_type TEXT NOT NULL DEFAULT '',
	resource_group_id TEXT NOT NULL DEFAULT '',
	description TEXT NOT NULL DEFAULT '',
	domain TEXT NOT NULL DEFAULT '',
	quota TEXT NOT NULL DEFAULT '',
	tags TEXT NOT NULL DEFAULT '',
	created_at INTEGER NOT NULL DEFAULT 0,
	updated_at INTEGER NOT NULL DEFAULT 0,
	UNIQUE (account, name)
) STRICT;

CREATE TABLE instance (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	app_id INTEGER NOT NULL REFERENCES app (id) ON DELETE CASCADE,
	function TEXT NOT NULL DEFAULT '',
	name TEXT NOT NULL DEFAULT '',
	function_type TEXT NOT NULL DEFAULT '',
	model_type TEXT NOT NULL DEFAULT '',
	source TEXT NOT NULL DEFAULT '',
	description TEXT NOT NULL DEFAULT '',
	version_id INTEGER NOT NULL DEFAULT 0,
	create_params TEXT NOT NULL DEFAULT '',
	usage_params TEXT NOT NULL DEFAULT '',
	cron TEXT NOT NULL DEFAULT '',
	cron_next_at INTEGER NOT NULL DEFAULT 0,
	last_generation INTEGER NOT NULL DEFAULT 0,
	model_generation INTEGER NOT NULL DEFAULT 0,
	model_sha256 TEXT NOT NULL DEFAULT '',
	last_run_ms INTEGER NOT NULL DEFAULT 0,
	busy_task_id INTEGER NOT NULL DEFAULT 0,
	extend_info TEXT NOT NULL DEFAULT '',
	created_at INTEGER NOT NULL DEFAULT 0,
	updated_at INTEGER NOT NULL DEFAULT 0,
	UNIQUE (app_id, function, name)
) STRICT;

-- Lists: newest first, then by name.
CREATE INDEX instance_newest ON instance (app_id, function, created_at DESC, name);
-- The scheduler: whose turn is next.
CREATE INDEX instance_cron ON instance (cron_next_at) WHERE cron_next_at > 0;

CREATE TABLE task (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	instance_id INTEGER NOT NULL REFERENCES instance (id) ON DELETE CASCADE,
	generation INTEGER NOT NULL,
	kind TEXT NOT NULL DEFAULT '',
	run_id TEXT NOT NULL DEFAULT '',
	state INTEGER NOT NULL DEFAULT 0,
	progress INTEGER NOT NULL DEFAULT 0,
	attempt INTEGER NOT NULL DEFAULT 0,
	max_attempts INTEGER NOT NULL DEFAULT 0,
	not_before INTEGER NOT NULL DEFAULT 0,
	created_at INTEGER NOT NULL DEFAULT 0,
	started_at INTEGER NOT NULL DEFAULT 0,
	ended_at INTEGER NOT NULL DEFAULT 0,
	updated_at INTEGER NOT NULL DEFAULT 0,
	params TEXT NOT NULL DEFAULT '',
	checkpoint TEXT NOT NULL DEFAULT '',
	pid INTEGER NOT NULL DEFAULT 0,
	pid_start INTEGER NOT NULL DEFAULT 0,
	fault INTEGER NOT NULL DEFAULT 0,
	error_code TEXT NOT NULL DEFAULT '',
	error_message TEXT NOT NULL DEFAULT '',
	result TEXT NOT NULL DEFAULT '',
	data_hash TEXT NOT NULL DEFAULT '',
	UNIQUE (instance_id, generation)
) STRICT;

-- An instance's tasks of one state, newest first, and their number.
CREATE INDEX task_of_state ON task (instance_id, state, generation);
-- The queue and the running ones: few rows however many tasks are stored (state: 0 pending, 1 running).
CREATE INDEX task_unfinished ON task (state, not_before, id) WHERE state < 2;

CREATE TABLE event (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	task_id INTEGER NOT NULL REFERENCES task (id) ON DELETE CASCADE,
	at INTEGER NOT NULL DEFAULT 0,
	attempt INTEGER NOT NULL DEFAULT 0,
	kind TEXT NOT NULL DEFAULT '',
	text TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX event_of_task ON event (task_id);

-- value is NULL when the number was not one (NaN).
CREATE TABLE metric (
	task_id INTEGER NOT NULL REFERENCES task (id) ON DELETE CASCADE,
	name TEXT NOT NULL DEFAULT '',
	set_name TEXT NOT NULL DEFAULT '',
	step INTEGER NOT NULL DEFAULT 0,
	value REAL,
	at INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (task_id, set_name, name, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE "default" (
	app_id INTEGER NOT NULL,
	function TEXT NOT NULL DEFAULT '',
	instance_id INTEGER NOT NULL REFERENCES instance (id) ON DELETE CASCADE,
	PRIMARY KEY (app_id, function)
) STRICT, WITHOUT ROWID;

CREATE INDEX default_of_instance ON "default" (instance_id);
