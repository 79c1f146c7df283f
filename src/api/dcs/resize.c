/* ResizeInstance: another capacity, one replica more, or one less. */
#include <string.h>
#include "api/dcs/fields.h"
#include "api/dcs/operate.h"
#include "api/dcs/routes.h"
#include "api/dcs/state.h"
#include "base/clock.h"

struct resize {
	struct cache_row row;
	struct state state;
	struct spec from, to;
	const char *spec_code;
	int64_t not_before;
};

static bool check_target(struct call *c, const json_t *body, struct resize *r)
{
	double capacity = -1;

	if (!dcs_text(body, "spec_code", &r->spec_code) || !r->spec_code)
		return dcs_answer_error(c, DCS_SPEC_CODE);
	switch (spec_parse(r->spec_code, &r->to)) {
	case SPEC_UNKNOWN: return dcs_answer_error(c, DCS_SPEC_CODE);
	case SPEC_OTHER_TYPE: return dcs_answer_error(c, DCS_TYPE_CHANGE);
	case SPEC_GOOD: break;
	}
	if (strcmp(r->to.mode, r->from.mode) != 0 || strcmp(r->to.cpu, r->from.cpu) != 0)
		return dcs_answer_error(c, DCS_TYPE_CHANGE);
	if (!dcs_number(body, "new_capacity", &capacity) || capacity < 0)
		return dcs_answer_error(c, DCS_CAPACITY);
	/* Typed clients cannot send a fraction: 0 means that spec_code says it. */
	if (capacity > 0 && format_capacity_mib(capacity) != r->to.capacity_mib)
		return dcs_answer_error(c, DCS_CAPACITY);
	return true;
}

static bool check_rest(struct call *c, const json_t *body)
{
	static const struct field_type rest[] = { { "reserved_ip", FIELD_TEXTS }, { "bss_param", FIELD_OBJECT } };
	static const struct field_type bss[] = { { "charging_mode", FIELD_TEXT } };
	return fields_types(c, body, rest, ARRAY_LEN(rest)) &&
	       fields_types(c, dcs_member(body, "bss_param"), bss, ARRAY_LEN(bss));
}

static bool check_start(struct call *c, const json_t *body, struct resize *r)
{
	bool is_now = true;

	if (!dcs_bool(body, "execute_immediately", &is_now))
		return dcs_answer_named(c, DCS_PARAM, "execute_immediately");
	r->not_before = is_now ? 0 : format_next_window(r->row.maintain_begin, clock_wall_ms());
	return true;
}

static int copies(const struct resize *r) { return (int)r->state.n_nodes; }

/* What the contract's 1.2 wants to see of a resize. */
static void write_details(struct jw *w, const struct resize *r, int new_copies)
{
	char old_capacity[24], new_capacity[24];

	format_capacity(r->from.capacity_mib, old_capacity);
	format_capacity(r->to.capacity_mib, new_capacity);
	jw_kv_text(w, "old_cache_mode", r->from.mode);
	jw_kv_text(w, "new_cache_mode", r->to.mode);
	jw_kv_text(w, "old_capacity", old_capacity);
	jw_kv_text(w, "new_capacity", new_capacity);
	jw_kv_text(w, "old_resource_spec_code", r->row.spec_code);
	jw_kv_text(w, "new_resource_spec_code", r->spec_code);
	jw_kv_int(w, "old_replica_num", copies(r));
	jw_kv_int(w, "new_replica_num", new_copies);
}

static bool submit(struct call *c, const struct resize *r, enum cache_op op, const char *args, struct buf *details)
{
	struct cache_operate *o = operate_prepare(c, &r->row, op, operate_answer_none);

	o->args = args;
	o->not_before = r->not_before;
	if (!dcs_keep(c, details, &o->details))
		return false;
	if (!args)
		return dcs_answer_no_memory(c);
	operate_submit(c);
	return true;
}

/* As it was seen a moment ago; what is used by the time the task runs, the task finds out itself. */
static bool is_too_small(struct call *c, const struct resize *r)
{
	struct cache_figures f;
	return engine_cache_figures(c->engine, r->row.id, &f) && f.used_memory > r->to.capacity_mib << 20;
}

static bool extend(struct call *c, struct resize *r)
{
	struct buf details;
	struct jw w;

	if (r->to.copies != copies(r) && r->to.copies != r->from.copies)
		return dcs_answer_error(c, DCS_RESIZE); /* replicas come and go by change_type */
	if (r->to.capacity_mib == r->from.capacity_mib)
		return dcs_answer_error(c, DCS_SAME_SIZE);
	if (is_too_small(c, r))
		return dcs_answer_error(c, DCS_CAPACITY);
	buf_init(&details, DETAILS_MAX);
	jw_init(&w, &details, CASING_CAMEL);
	jw_object(&w);
	write_details(&w, r, copies(r));
	jw_kv_bool(&w, "is_only_adjust_charging", false);
	jw_end_object(&w);
	const char *args = arena_printf(c->arena, "{\"capacity\":%lld,\"spec_code\":\"%s\",\"capacity_mib\":%lld}",
					(long long)r->to.capacity_mib << 20, r->spec_code,
					(long long)r->to.capacity_mib);
	return submit(c, r, CACHE_OP_EXTEND, args, &details);
}

static bool check_replica_change(struct call *c, const struct resize *r)
{
	if (strcmp(r->from.mode, "ha") != 0)
		return dcs_answer_error(c, DCS_HA_ONLY);
	return r->to.capacity_mib == r->from.capacity_mib || dcs_answer_error(c, DCS_CAPACITY);
}

/* Clients name the present code or the one they expect to see. One that expects something else, two replicas more say,
 * must not find out when the task has ended. */
static bool set_copies(struct call *c, struct resize *r, int n)
{
	char code[SPEC_CODE_SIZE];

	if (r->to.copies != copies(r) && r->to.copies != r->from.copies && r->to.copies != n)
		return dcs_answer_error(c, DCS_RESIZE);
	r->to.copies = n;
	spec_code(&r->to, code);
	r->spec_code = arena_dup(c->arena, code);
	return r->spec_code || dcs_answer_no_memory(c);
}

static bool submit_replica(struct call *c, const struct resize *r, enum cache_op op, const char *args, const char *ip)
{
	struct buf details;
	struct jw w;

	buf_init(&details, DETAILS_MAX);
	jw_init(&w, &details, CASING_CAMEL);
	jw_object(&w);
	write_details(&w, r, r->to.copies);
	if (ip)
		jw_kv_text(&w, "replica_ip", ip);
	jw_kv_text(&w, "replica_az", zone_code);
	jw_end_object(&w);
	return submit(c, r, op, args, &details);
}

static bool add_replica(struct call *c, const json_t *body, struct resize *r)
{
	size_t n;

	/* Some clients list the zones of the whole instance; there is one zone anyway. */
	if (!check_replica_change(c, r) || !fields_zones(c, body, "available_zones", DCS_ZONES, COPIES_MAX, &n))
		return false;
	if (copies(r) >= COPIES_MAX)
		return dcs_answer_error(c, DCS_TOO_MANY_REPLICAS);
	return set_copies(c, r, copies(r) + 1) &&
	       submit_replica(c, r, CACHE_OP_ADD_REPLICA,
			      arena_printf(c->arena, "{\"spec_code\":\"%s\"}", r->spec_code), NULL);
}

static bool delete_replica(struct call *c, const json_t *body, struct resize *r)
{
	const json_t *list = dcs_member(body, "node_list");
	const char *id = json_string_value(json_array_get(list, 0));
	const struct node *node = NULL;

	if (!check_replica_change(c, r))
		return false;
	for (size_t i = 0; id && i < r->state.n_nodes; i++) {
		if (strcmp(r->state.nodes[i].node_id, id) == 0)
			node = &r->state.nodes[i];
	}
	if (json_array_size(list) != 1 || !node)
		return dcs_answer_error(c, DCS_NODE_LIST);
	if (node->is_master)
		return dcs_answer_error(c, DCS_IS_MASTER);
	if (copies(r) <= 2)
		return dcs_answer_error(c, DCS_LAST_REPLICA);
	return set_copies(c, r, copies(r) - 1) &&
	       submit_replica(c, r, CACHE_OP_DELETE_REPLICA,
			      arena_printf(c->arena, "{\"node\":%lld,\"spec_code\":\"%s\"}", (long long)node->number,
					   r->spec_code),
			      node->host);
}

static bool resize(struct call *c, const json_t *body, struct resize *r)
{
	const char *type = "";

	if (!dcs_text(body, "change_type", &type))
		return dcs_answer_named(c, DCS_PARAM, "change_type");
	if (!*type || strcmp(type, "instanceType") == 0)
		return extend(c, r);
	if (strcmp(type, "createReplication") == 0)
		return add_replica(c, body, r);
	if (strcmp(type, "deleteReplication") == 0)
		return delete_replica(c, body, r);
	if (strcmp(type, "addSharding") == 0)
		return dcs_answer_error(c, DCS_RESIZE);
	return dcs_answer_named(c, DCS_PARAM, "change_type");
}

/* The instance and the request, as far as both kinds of call read them. NULL: answered. */
static struct resize *begin(struct call *c, const json_t **body)
{
	struct resize *r = arena_new_of(c->arena, struct resize);
	struct err err = { 0 };

	if (!r) {
		(void)dcs_answer_no_memory(c);
		return NULL;
	}
	if (!scope_instance(c, &r->row) || !dcs_body(c, DCS_BODY_REQUIRED, body))
		return NULL;
	if (state_read(&r->row, c->arena, &r->state, &err) || spec_parse(r->row.spec_code, &r->from) != SPEC_GOOD) {
		(void)dcs_answer_internal(c, "api.failed", &err);
		return NULL;
	}
	return check_target(c, *body, r) ? r : NULL;
}

void dcs_resize(struct call *c)
{
	const json_t *body;
	struct resize *r = begin(c, &body);

	if (r && check_rest(c, body) && check_start(c, body, r))
		(void)resize(c, body, r);
}

/* StartInstanceResizeCheckJob: the task looks whether the data of every node fits, and changes nothing. */
void dcs_resize_check(struct call *c)
{
	const json_t *body;
	struct resize *r = begin(c, &body);

	if (!r)
		return;
	struct cache_operate *o = operate_prepare(c, &r->row, CACHE_OP_RESIZE_CHECK, operate_answer_job);
	o->args = arena_printf(c->arena, "{\"capacity\":%lld}", (long long)r->to.capacity_mib << 20);
	if (o->args)
		operate_submit(c);
	else
		(void)dcs_answer_no_memory(c);
}
