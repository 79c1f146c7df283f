/*
 * job_diagnose: the diagnosis of an instance's nodes as a task. The arguments name the nodes as they were when it was
 * asked for; a node that has gone since, or does not answer, is in the report with failed items, and the task's log
 * says why.
 */
#include <stdio.h>
#include <string.h>
#include "base/attr.h"
#include "cache/report.h"
#include "cmd/job_cache.h"

enum { SPAN_MS = 2000 };

struct asked {
	int numbers[CACHE_NODES_MAX];
	const char *names[CACHE_NODES_MAX], *roles[CACHE_NODES_MAX];
	int n;
};

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text ? text : "";
}

static int64_t whole(const json_t *object, const char *name)
{
	return (int64_t)json_integer_value(json_object_get(object, name));
}

static enum rc read_nodes(const json_t *args, struct asked *out, struct err *err)
{
	const json_t *nodes = json_object_get(args, "nodes"), *node;
	size_t i;

	if (json_array_size(nodes) < 1 || json_array_size(nodes) > CACHE_NODES_MAX)
		return err_set(err, RC_INTERNAL, "the task file names %zu nodes", json_array_size(nodes));
	json_array_foreach(nodes, i, node) {
		out->numbers[i] = (int)whole(node, "number");
		out->names[i] = text_of(node, "node_ip");
		out->roles[i] = text_of(node, "role");
	}
	out->n = (int)json_array_size(nodes);
	return RC_OK;
}

static void tell(const char *name, const struct cache_diagnosis *d)
{
	char value[FIGURE_TEXT_SIZE];

	if (!d->is_asked)
		printf("node %s: not asked: %s\n", name, d->why.msg);
	for (int f = 0; f < FIGURES && d->is_asked; f++) {
		figure_text((enum figure)f, d->figures.value[f], value);
		printf("node %s: %s: %s\n", name, figure_what((enum figure)f), value);
	}
	(void)fflush(stdout);
}

static void write_node(struct jw *w, const struct asked *asked, int i, const struct cache_diagnosis *d,
                       struct report_sums *sums)
{
	jw_object(w);
	jw_kv_text(w, "node_ip", asked->names[i]);
	jw_kv_text(w, "role", !d->is_asked ? asked->roles[i] : d->is_master ? "master" : "slave");
	report_write(w, d, sums);
	jw_end_object(w);
}

enum rc job_diagnose(struct operation *o, struct arena *a, struct err *err)
{
	struct cache_diagnosis found[CACHE_NODES_MAX];
	struct asked asked = { .n = 0 };
	struct report_sums sums = { 0, 0 };
	const struct cache_diagnose_how how = { .from_ms = whole(o->args, "begin_ms"),
						.until_ms = whole(o->args, "end_ms"),
						.span_ms = SPAN_MS,
						.bandwidth = (double)whole(o->args, "bandwidth") };

	enum rc rc = read_nodes(o->args, &asked, err);
	if (rc == RC_OK)
		rc = cache_diagnose(&o->cache, &how, asked.numbers, asked.n, a, found, &o->run, err);
	if (rc != RC_OK)
		return rc;
	jw_key(o->result, "nodes");
	jw_array(o->result);
	for (int i = 0; i < asked.n; i++) {
		tell(asked.names[i], &found[i]);
		write_node(o->result, &asked, i, &found[i], &sums);
	}
	jw_end_array(o->result);
	jw_kv_int(o->result, "num", report_pack(sums));
	return RC_OK;
}
