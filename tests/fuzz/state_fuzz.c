/*
 * The description of a Redis instance as JSON. What is read and written reads the same again, to the byte; numbers of
 * things keep their bounds; a refusal says why and leaves the output alone.
 */
#include "base/mem.h"
#include "engine/cache_state.h"
#include "fuzz.h"

enum { TEXT_MAX = 1 << 22 };

static void write_state(const struct cache_instance *c, struct buf *out)
{
	struct jw w;

	buf_init(out, TEXT_MAX);
	jw_init(&w, out, CASING_CAMEL);
	cache_state_write(c, &w);
	CHECK(!out->is_over, "too large to write");
}

static void check_same(const struct cache_instance *x, const struct cache_instance *y)
{
	CHECK(x->mode == y->mode && x->port == y->port && x->capacity == y->capacity && x->master == y->master,
	      "numbers");
	CHECK(strcmp(x->dir, y->dir) == 0 && strcmp(x->host, y->host) == 0, "'%s', '%s'", x->dir, y->dir);
	CHECK(strcmp(x->password_hash, y->password_hash) == 0, "password");
	CHECK(x->n_nodes == y->n_nodes && x->n_settings == y->n_settings && x->n_renames == y->n_renames, "counts");
	for (int i = 0; i < x->n_nodes; i++) {
		const struct cache_node *m = &x->nodes[i], *n = &y->nodes[i];
		CHECK(m->number == n->number && m->priority == n->priority && m->pid == n->pid && m->mark == n->mark,
		      "node %d", i);
		CHECK(strcmp(m->host, n->host) == 0 && strcmp(m->run_id, n->run_id) == 0, "node %d", i);
	}
}

static void check_read(const struct cache_instance *c)
{
	static struct cache_instance again;
	struct buf text, text_again;
	struct err err = { 0 };

	CHECK(c->n_nodes >= 1 && c->n_nodes <= CACHE_NODES_MAX, "%d nodes", c->n_nodes);
	CHECK(c->master >= 0 && c->master < c->n_nodes, "master %d of %d", c->master, c->n_nodes);
	CHECK(c->n_settings >= 0 && c->n_settings <= CACHE_SETTINGS_MAX, "%d settings", c->n_settings);
	CHECK(c->n_renames >= 0 && c->n_renames <= CACHE_RENAMES_MAX, "%d renames", c->n_renames);
	write_state(c, &text);
	enum rc rc = cache_state_parse(buf_text(&text), &again, &err);
	CHECK(rc == RC_OK, "%s: %s", buf_text(&text), err.msg);
	check_same(c, &again);
	write_state(&again, &text_again);
	CHECK(fuzz_is_same(text.bytes, text.len, text_again.bytes, text_again.len), "%s became %s", buf_text(&text),
	      buf_text(&text_again));
	buf_fini(&text);
	buf_fini(&text_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cache_instance c;
	struct err err = { 0 };
	char *text = fuzz_text(data, size, NULL);

	memset(&c, 0, sizeof c);
	c.n_nodes = 42;
	enum rc rc = cache_state_parse(text, &c, &err);
	if (rc == RC_OK) {
		check_read(&c);
	} else {
		fuzz_check_refusal(rc, &err);
		CHECK(c.n_nodes == 42 && !c.dir[0] && !c.port, "output touched");
	}
	mem_free(text);
	return 0;
}
