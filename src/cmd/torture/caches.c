#include "cmd/torture/caches.h"

#include <stdio.h>
#include <string.h>
#include "cmd/manifest.h"

void caches_init(struct caches *c, const struct server_config *cfg, struct findings *f)
{
	static const char *const modes[CACHES] = { "single", "ha", "single" };

	*c = (struct caches){ .cfg = cfg, .findings = f };
	for (int k = 0; k < CACHES; k++) {
		struct cache_fact *row = &c->rows[k];
		row->mode = modes[k];
		row->n_nodes = strcmp(modes[k], "ha") == 0 ? 2 : 1;
		(void)snprintf(row->name, sizeof row->name, "torture-%d", k);
	}
}

enum rc caches_ask_open(const struct caches *c, const char *endpoint, struct asker *a, struct err *err)
{
	return ask_open_dcs(endpoint, c->key_id, c->key_secret, c->project_id, a, err);
}

/* ---- a copy ---- */

void caches_twin_take(const struct caches *c, const struct server_config *cfg, struct caches *out)
{
	*out = *c;
	out->cfg = cfg;
	out->n_made = out->n_deleted = out->n_operations = out->n_written = out->n_killed = 0;
	out->n_failed_creations = 0;
}

static void follow(struct cache_fact *then, const struct cache_fact *now)
{
	then->is_open = then->is != THERE || now->is != THERE || strcmp(then->uid, now->uid) != 0;
	if (then->is == ABSENT && now->is == ABSENT && now->port == then->port)
		then->is_open = false; /* nobody has asked for one */
	if (then->is_open)
		then->is = UNSURE;
	memcpy(then->sent, now->sent, sizeof then->sent);
	then->description_most = now->asked_description ? now->asked_description : now->description;
}

static bool is_live(const struct manifest *m, const char *uid)
{
	for (size_t i = 0; i < m->n_caches; i++) {
		if (strcmp(m->caches[i].uid, uid) == 0)
			return strcmp(m->caches[i].source, "live") == 0;
	}
	return false;
}

enum rc caches_twin_follow(struct caches *twin, const struct caches *c, const char *backup, struct err *err)
{
	struct manifest m;

	manifest_init(&m);
	enum rc rc = manifest_read(&m, backup, err);
	for (int k = 0; k < CACHES && rc == RC_OK; k++) {
		follow(&twin->rows[k], &c->rows[k]);
		if (!is_live(&m, twin->rows[k].uid))
			memset(twin->rows[k].kept, 0, sizeof twin->rows[k].kept);
	}
	manifest_fini(&m);
	return rc;
}
