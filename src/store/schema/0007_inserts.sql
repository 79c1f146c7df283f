-- What an insert adds to the totals is counted by the program (store/sqlite/total.c), which makes every row; these had nothing
-- to do for a new task, as it has not ended. But where a trigger might act, SQLite copies each page before the insert writes
-- it, and counts references at its end: that was a sixth of what a create took. Updates and deletes, also those that follow
-- from another row's, keep their triggers.

DROP TRIGGER task_total_insert;
DROP TRIGGER cache_task_total_insert;
