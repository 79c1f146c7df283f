#include "api/dcs/links.h"

#include <openssl/crypto.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/num.h"
#include "os/file.h"

const char *link_origin(struct call *c)
{
	const char *host = http_header_of(c->req, "host");

	if (!host || !*host)
		return NULL;
	return arena_printf(c->arena, "%s://%.255s", c->req->is_tls ? "https" : "http", host);
}

/* False: no memory. */
static bool sign(const struct call *c, const char *path, int64_t until_s, char out[LINK_MAC_SIZE])
{
	const char *text = arena_printf(c->arena, "GET\n%s\n%lld", path, (long long)until_s);

	if (text)
		engine_link_mac(c->engine, text, out);
	return text != NULL;
}

const char *link_make(struct call *c, const char *path, int64_t life_s)
{
	const char *origin = link_origin(c), *url = NULL;
	int64_t until_s = clock_wall_ms() / 1000 + life_s;
	char mac[LINK_MAC_SIZE];

	if (!origin) {
		(void)dcs_answer_named(c, DCS_QUERY, "Host header");
		return NULL;
	}
	if (sign(c, path, until_s, mac))
		url = arena_printf(c->arena, "%s%s?expires=%lld&signature=%s", origin, path, (long long)until_s, mac);
	if (!url)
		(void)dcs_answer_no_memory(c);
	return url;
}

bool link_check(struct call *c)
{
	const char *expires = query_text(&c->query, "expires"), *given = query_text(&c->query, "signature");
	int64_t until_s;
	char mac[LINK_MAC_SIZE];
	struct err err = { 0 };

	if (!expires || !given || !num_i64(expires, &until_s))
		return dcs_answer_words(c, DCS_FORBIDDEN, "The link is not complete.");
	if (!sign(c, c->req->raw_path, until_s, mac))
		return dcs_answer_no_memory(c);
	if (strlen(given) != LINK_MAC_SIZE - 1 || CRYPTO_memcmp(mac, given, LINK_MAC_SIZE - 1) != 0)
		return dcs_answer_words(c, DCS_FORBIDDEN, "The signature of the link does not match.");
	if (clock_wall_ms() / 1000 > until_s)
		return dcs_answer_words(c, DCS_FORBIDDEN, "The link has expired; ask for a new one.");
	return !call_view(c, &c->view, &err) || dcs_answer_internal(c, "api.no_view", &err);
}

bool link_is_dead(struct call *c) { return dcs_answer_words(c, DCS_PATH, "The file of this link is gone."); }

/* A name is quoted in the header: ours have no character that would end it. */
static bool name_file(struct call *c, const char *name)
{
	const char *text = arena_printf(c->arena, "attachment; filename=\"%.200s\"", name);

	if (!text || strpbrk(name, "\"\\\r\n"))
		return false;
	c->headers[c->n_headers++] = (struct http_header){ "content-disposition", text };
	return true;
}

void link_send(struct call *c, const char *path, const char *content_type, const char *name)
{
	struct http_file file = { .fd = -1 };
	struct err err = { 0 };

	enum rc rc = file_open_regular(path, &file.fd, &err);
	if (rc == RC_NOT_FOUND) {
		(void)link_is_dead(c);
		return;
	}
	if (rc == RC_OK)
		rc = file_size_open(file.fd, &file.size, &err);
	if (rc == RC_OK && name_file(c, name)) {
		call_reply_file(c, content_type, &file);
		return;
	}
	if (file.fd >= 0)
		(void)close(file.fd); /* opened for reading: nothing to lose */
	(void)dcs_answer_internal(c, "link.failed", &err);
}
