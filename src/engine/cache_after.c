/*
 * What follows a task of a cache that failed and may have left something half done: another task, made in the
 * transaction that ends the failed one, so that no crash comes between.
 *
 *   an operation that the machine ended   AutoRecovery: a cut-off operation is undone by healing (cache/cache.h)
 *   a create that the machine ended       AutoRecovery, which here removes what there is; the cache stays CREATEFAILED
 *   a delete, whoever ended it            the delete again, later: nobody else can see the cache any more
 *
 * What was refused at once (the user's fault) has changed nothing; when a later attempt was refused, that attempt
 * healed first, and what it found, perhaps another master, was lost with it. What AutoRecovery cannot mend
 * is the keeper's.
 */
#include "engine/cache.h"
#include "engine/priv.h"
#include "json/json.h"

enum { DELETE_AGAIN_MIN_MS = 10000, DELETE_AGAIN_MAX_MS = 3600000 };

/* What the recovery must know: the operation, and the file that a backup would have become. */
static enum rc recovery_args(const struct task_row *t, struct arena *a, const char **args, struct err *err)
{
	const json_t *params;
	const char *uid = NULL;

	enum rc rc = json_read_kept(t->params, a, &params, err);
	if (rc == RC_OK && cache_op_of(t->kind) == CACHE_OP_BACKUP)
		uid = json_string_value(json_object_get(json_object_get(params, "args"), "uid"));
	*args = uid ? arena_printf(a, "{\"after\":\"%s\",\"uid\":\"%s\"}", t->kind, uid)
		    : arena_printf(a, "{\"after\":\"%s\"}", t->kind);
	return rc;
}

/* Each time as late again as the first delete is ago. */
static int64_t delete_again_at(const struct cache_row *c, int64_t now)
{
	int64_t delay = now - c->deleted_at;
	delay = delay < DELETE_AGAIN_MIN_MS ? DELETE_AGAIN_MIN_MS : delay;
	return now + (delay > DELETE_AGAIN_MAX_MS ? DELETE_AGAIN_MAX_MS : delay);
}

enum rc cache_follow_up(struct engine *e, struct instance_row *unit, const struct cache_row *c,
			const struct task_row *t, int64_t now, struct arena *a, struct err *err)
{
	static const struct actor actor = { "system", "" };
	enum cache_op op = cache_op_of(t->kind);
	bool is_refused_at_once = t->fault == FAULT_USER && t->attempt <= 1;
	int64_t task_id;
	const char *args;

	if (op == CACHE_OP_DELETE)
		return cache_insert_task(e, unit, c, t->kind, &actor, "{}", "{}", delete_again_at(c, now), now, a,
					 &task_id, err);
	if (op == CACHE_OP_HEAL || is_refused_at_once)
		return RC_OK;
	enum rc rc = recovery_args(t, a, &args, err);
	if (rc != RC_OK)
		return rc;
	return cache_insert_task(e, unit, c, cache_op_name(CACHE_OP_HEAL), &actor, args, "{}", 0, now, a, &task_id,
				 err);
}
