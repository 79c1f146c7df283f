/*
 * template: the parameter templates of a project's users. What may stand in one is the dialect's matter, as with a
 * cache's settings; the engine keeps them and bounds their number.
 */
#ifndef ENGINE_TEMPLATE_H
#define ENGINE_TEMPLATE_H

#include "engine/engine.h"

enum { TEMPLATES_MAX = 100 }; /* of a project */

/* Of the project, newest first; all: there are few. */
enum verdict engine_template_list(struct engine_view *v, const char *project_id, struct arena *a,
				  struct template_row **rows, size_t *n, struct err *err);
/* V_NO_RECORD. */
enum verdict engine_template_get(struct engine_view *v, const char *project_id, const char *uid, struct arena *a,
				 struct template_row *out, struct err *err);

/* A new one; V_TOO_MANY. row: all but id, uid and times, which are filled when done with V_OK. */
struct template_create {
	struct change base;
	struct template_row row;
	char uid[37];
};
/* NULL members keep their value; V_NO_RECORD. */
struct template_update {
	struct change base;
	const char *project_id, *uid;
	const char *name, *description, *params;
};
struct template_delete {
	struct change base;
	const char *project_id, *uid;
};

void engine_template_create(struct engine *e, struct template_create *c);
void engine_template_update(struct engine *e, struct template_update *c);
void engine_template_delete(struct engine *e, struct template_delete *c);

#endif
