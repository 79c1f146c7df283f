/*
 * dcs: what the cache commands share: calls below /v2/PROJECT, finding an instance by its name, sizes, and waiting for
 * a background task.
 */
#ifndef CMD_DCS_H
#define CMD_DCS_H

#include "cmd/remote.h"

#define DCS_WAIT_OPTION(out_) OPTION_FLAG("wait", (out_), "Follow the background task to its end.")

/* Connect as a client of DCS; else as remote_open. */
bool dcs_open(struct remote *r, struct opt *opts, size_t n_opts, int argc, char **argv, const char **operands,
	      int *exit_code);

/* A call of "/v2/PROJECT" and pattern, whose {} are segments in turn; segments may be NULL without one. */
bool dcs_call(struct remote *r, const char *method, const char *pattern, const char *const *segments,
	      const char *query, const char *body, struct answer *out);
/* The same of one instance, "/v2/PROJECT/instances/UID" and pattern, which has no {}. */
bool dcs_call_on(struct remote *r, const char *method, const char *uid, const char *pattern, const char *query,
		 const char *body, struct answer *out);

/* The body of a call: one JSON object. finish: false when r has failed, or the body is too large. drop: it may hold a
 * password. */
void dcs_body_begin(struct jw *w, struct buf *body);
bool dcs_body_finish(struct remote *r, struct jw *w, struct buf *body);
void dcs_body_drop(struct buf *body);
/* A member with a list of the one availability zone there is. */
bool dcs_body_zones(struct remote *r, struct jw *w, const char *name);

/* An instance by name or id, as ShowInstance describes it. False: r says why; two of one name are told apart by id. */
struct dcs_cache {
	const char *uid, *name;    /* kept over client_forget */
	const json_t *json;        /* until client_forget */
	char uid_text[40], name_text[72];
};
bool dcs_find(struct remote *r, const char *name_or_uid, struct dcs_cache *out);

/* "128M", "1G", or gigabytes as the vendor writes them, "0.125". False: r says why. */
bool dcs_size(struct remote *r, const char *text, int64_t *mib);
/* The code of that size; copies 0: any; cpu_type NULL: the server's own. False: r says which sizes there are. */
bool dcs_spec(struct remote *r, const char *mode, const char *cpu_type, int64_t mib, int64_t copies,
	      const char **out);

/* A time of an answer as people read it, "2026-11-21 23:36:12"; "-" when it is not there. */
const char *dcs_time(struct arena *a, const json_t *object, const char *name);

/* The newest background task of an instance: with one unfinished at a time, it is the one just made. */
bool dcs_newest_task(struct remote *r, const char *uid, char out[40]);
/* Follow task to its end with a bar on stderr; forgets all answers. uid NULL: of an instance gone already, without a
 * percentage.
 * A failed task is a failed command, with the task's own reason. */
void dcs_wait(struct remote *r, const char *uid, const char *task);
/* After a change was accepted: with waits follow it and print "Cache NAME DONE.", else print how to look. done is read
 * after client_forget. Nothing when r has failed already. */
void dcs_finish(struct remote *r, const struct dcs_cache *cache, bool waits, const char *done);

#endif
