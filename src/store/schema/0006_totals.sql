-- How many tasks there are: kept with each change, so that a list's total and a page from its midst need not count them.
-- A block is 1024 neighbours in the order of the list. Tasks that have not ended (state: 0 pending, 1 running) are left out:
-- they are few, and a create then writes nothing more. The rule is struct total of store/store.h.

CREATE TABLE task_total (
	instance_id INTEGER NOT NULL,
	block INTEGER NOT NULL, -- generation >> 10
	state INTEGER NOT NULL,
	n INTEGER NOT NULL,
	PRIMARY KEY (instance_id, block, state)
) STRICT, WITHOUT ROWID;

INSERT INTO task_total (instance_id, block, state, n)
	SELECT instance_id, generation >> 10, state, count(*) FROM task WHERE state >= 2 GROUP BY 1, 2, 3;

CREATE TRIGGER task_total_insert AFTER INSERT ON task WHEN new.state >= 2 BEGIN
	INSERT INTO task_total (instance_id, block, state, n)
		VALUES (new.instance_id, new.generation >> 10, new.state, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;

CREATE TRIGGER task_total_delete AFTER DELETE ON task WHEN old.state >= 2 BEGIN
	UPDATE task_total SET n = n - 1
		WHERE instance_id = old.instance_id AND block = old.generation >> 10 AND state = old.state;
	DELETE FROM task_total
		WHERE instance_id = old.instance_id AND block = old.generation >> 10 AND state = old.state AND n = 0;
END;

CREATE TRIGGER task_total_update AFTER UPDATE OF instance_id, generation, state ON task
	WHEN (old.state >= 2 OR new.state >= 2) AND (old.state <> new.state OR old.generation <> new.generation
		OR old.instance_id <> new.instance_id) BEGIN
	UPDATE task_total SET n = n - 1
		WHERE old.state >= 2 AND instance_id = old.instance_id AND block = old.generation >> 10 AND state = old.state;
	DELETE FROM task_total
		WHERE old.state >= 2 AND instance_id = old.instance_id AND block = old.generation >> 10 AND state = old.state
		AND n = 0;
	INSERT INTO task_total (instance_id, block, state, n)
		SELECT new.instance_id, new.generation >> 10, new.state, 1 WHERE new.state >= 2
		ON CONFLICT DO UPDATE SET n = n + 1;
END;

-- Tasks of a cache, and of a project: block is task_id >> 10.

CREATE TABLE cache_task_total (
	cache_id INTEGER NOT NULL,
	block INTEGER NOT NULL,
	project_id TEXT NOT NULL,
	n INTEGER NOT NULL,
	PRIMARY KEY (cache_id, block, project_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE project_task_total (
	project_id TEXT NOT NULL,
	block INTEGER NOT NULL,
	n INTEGER NOT NULL,
	PRIMARY KEY (project_id, block)
) STRICT, WITHOUT ROWID;

INSERT INTO cache_task_total (cache_id, block, project_id, n)
	SELECT cache_id, task_id >> 10, project_id, count(*) FROM cache_task GROUP BY 1, 2, 3;
INSERT INTO project_task_total (project_id, block, n)
	SELECT project_id, task_id >> 10, count(*) FROM cache_task GROUP BY 1, 2;

CREATE TRIGGER cache_task_total_insert AFTER INSERT ON cache_task BEGIN
	INSERT INTO cache_task_total (cache_id, block, project_id, n)
		VALUES (new.cache_id, new.task_id >> 10, new.project_id, 1) ON CONFLICT DO UPDATE SET n = n + 1;
	INSERT INTO project_task_total (project_id, block, n)
		VALUES (new.project_id, new.task_id >> 10, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;

CREATE TRIGGER cache_task_total_delete AFTER DELETE ON cache_task BEGIN
	UPDATE cache_task_total SET n = n - 1
		WHERE cache_id = old.cache_id AND block = old.task_id >> 10 AND project_id = old.project_id;
	DELETE FROM cache_task_total
		WHERE cache_id = old.cache_id AND block = old.task_id >> 10 AND project_id = old.project_id AND n = 0;
	UPDATE project_task_total SET n = n - 1 WHERE project_id = old.project_id AND block = old.task_id >> 10;
	DELETE FROM project_task_total WHERE project_id = old.project_id AND block = old.task_id >> 10 AND n = 0;
END;

-- The key of a row never changes.
CREATE TRIGGER cache_task_total_update AFTER UPDATE OF cache_id, project_id ON cache_task
	WHEN old.cache_id <> new.cache_id OR old.project_id <> new.project_id BEGIN
	UPDATE cache_task_total SET n = n - 1
		WHERE cache_id = old.cache_id AND block = old.task_id >> 10 AND project_id = old.project_id;
	DELETE FROM cache_task_total
		WHERE cache_id = old.cache_id AND block = old.task_id >> 10 AND project_id = old.project_id AND n = 0;
	INSERT INTO cache_task_total (cache_id, block, project_id, n)
		VALUES (new.cache_id, new.task_id >> 10, new.project_id, 1) ON CONFLICT DO UPDATE SET n = n + 1;
	UPDATE project_task_total SET n = n - 1 WHERE project_id = old.project_id AND block = old.task_id >> 10;
	DELETE FROM project_task_total WHERE project_id = old.project_id AND block = old.task_id >> 10 AND n = 0;
	INSERT INTO project_task_total (project_id, block, n)
		VALUES (new.project_id, new.task_id >> 10, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
