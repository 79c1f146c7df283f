/* The rules on a description, and the secret that belongs to it. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <openssl/evp.h>
#include "base/hex.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/rand.h"
#include "cache/cache_priv.h"
#include "os/file.h"

enum { DIR_LEN_MAX = 3500, CAPACITY_MIN = 1 << 20, PRIORITY_MAX = 100 };

void cache_hash_password(const char *password, char out[CACHE_HASH_SIZE])
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	must(EVP_Digest(password, strlen(password), hash, &n, EVP_sha256(), NULL) == 1);
	must(n == 32);
	hex_of(hash, n, out);
}

bool hash_is_valid(const char *hash) { return strlen(hash) == 64 && hex_is(hash, 64); }

static bool is_host(const char *host)
{
	unsigned char address[16];
	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

static enum rc check_host(const char *host, const char *whose, struct err *err)
{
	if (!memchr(host, '\0', CACHE_HOST_SIZE) || !is_host(host))
		return err_set(err, RC_INVALID, "%s: '%.45s' is no IP address", whose, host);
	return RC_OK;
}

static enum rc check_dir(const char *dir, struct err *err)
{
	if (*dir != '/' || !memchr(dir, '\0', PATH_MAX) || strlen(dir) > DIR_LEN_MAX)
		return err_set(err, RC_INVALID, "the folder '%.200s' is no absolute path of at most %d bytes", dir,
		               DIR_LEN_MAX);
	for (const char *p = dir; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 127)
			return err_set(err, RC_INVALID, "the folder's path has a control character at byte %td",
			               p - dir);
	}
	return RC_OK;
}

static enum rc check_node(const struct cache_instance *c, int i, struct err *err)
{
	const struct cache_node *n = &c->nodes[i];
	enum rc rc = check_host(n->host, "node", err);

	if (rc != RC_OK)
		return rc;
	if (n->number < 0 || n->number > NUMBER_MAX)
		return err_set(err, RC_INVALID, "node number %d is not in 0 .. %d", n->number, NUMBER_MAX);
	if (n->priority < 0 || n->priority > PRIORITY_MAX)
		return err_set(err, RC_INVALID, "node %d: priority %d is not in 0 .. %d", n->number, n->priority,
		               PRIORITY_MAX);
	if (c->mode == CACHE_HA && strcmp(n->host, c->host) == 0)
		return err_set(err, RC_INVALID, "node %d has the clients' address %s; it needs one of its own",
		               n->number, n->host);
	for (int j = 0; j < i; j++) {
		if (c->nodes[j].number == n->number)
			return err_set(err, RC_INVALID, "two nodes have the number %d", n->number);
		if (strcmp(c->nodes[j].host, n->host) == 0)
			return err_set(err, RC_INVALID, "two nodes have the address %s", n->host);
	}
	return RC_OK;
}

static enum rc check_nodes(const struct cache_instance *c, struct err *err)
{
	int least = c->mode == CACHE_HA ? 2 : 1, most = c->mode == CACHE_HA ? CACHE_NODES_MAX : 1;
	enum rc rc = RC_OK;

	if (c->n_nodes < least || c->n_nodes > most)
		return err_set(err, RC_INVALID, "%d nodes: %s instance has %d .. %d", c->n_nodes,
		               c->mode == CACHE_HA ? "an ha" : "a single", least, most);
	if (c->master < 0 || c->master >= c->n_nodes)
		return err_set(err, RC_INVALID, "the master is node index %d of %d", c->master, c->n_nodes);
	for (int i = 0; i < c->n_nodes && rc == RC_OK; i++)
		rc = check_node(c, i, err);
	return rc;
}

static enum rc check_settings(const struct cache_instance *c, struct err *err)
{
	struct cache_instance probe = { .mode = c->mode };
	enum rc rc = RC_OK;

	if (c->n_settings < 0 || c->n_settings > CACHE_SETTINGS_MAX)
		return err_set(err, RC_INVALID, "at most %d settings", CACHE_SETTINGS_MAX);
	for (int i = 0; i < c->n_settings && rc == RC_OK; i++)
		rc = conf_set(&probe, &c->settings[i], err);
	return rc == RC_OK ? conf_check_renames(c->renames, c->n_renames, err) : rc;
}

enum rc cache_check(const struct cache_instance *c, struct err *err)
{
	enum rc rc = check_dir(c->dir, err);
	if (rc == RC_OK)
		rc = check_host(c->host, "instance", err);
	if (rc != RC_OK)
		return rc;
	if (c->port < 1 || c->port > 65535)
		return err_set(err, RC_INVALID, "port %d is not in 1 .. 65535", c->port);
	if (c->capacity < CAPACITY_MIN || c->capacity > INT64_C(1) << 50)
		return err_set(err, RC_INVALID, "a capacity of %lld bytes: at least 1 MiB, at most 1 PiB",
		               (long long)c->capacity);
	if (*c->password_hash && !hash_is_valid(c->password_hash))
		return err_set(err, RC_INVALID, "the password's hash is not SHA-256 in lower-case hex");
	rc = check_nodes(c, err);
	return rc == RC_OK ? check_settings(c, err) : rc;
}

/* ---- our account's secret ---- */

enum rc secret_make(const struct cache_instance *c, struct err *err)
{
	char path[PATH_MAX], secret[SECRET_DIGITS + 1];
	enum rc rc = path_join(path, c->dir, "admin.key", err);

	if (rc != RC_OK)
		return rc;
	rand_hex(secret, SECRET_DIGITS);
	rc = file_replace(path, secret, SECRET_DIGITS, 0600, err);
	mem_wipe(secret, sizeof secret);
	return rc;
}

enum rc secret_read(const struct cache_instance *c, char out[SECRET_DIGITS + 1], struct err *err)
{
	char path[PATH_MAX];
	struct buf text;
	enum rc rc = path_join(path, c->dir, "admin.key", err);

	if (rc != RC_OK)
		return rc;
	buf_init(&text, SECRET_DIGITS);
	rc = file_read(path, &text, err);
	if (rc == RC_OK && !hash_is_valid(buf_text(&text)))
		rc = err_set(err, RC_CORRUPT, "'%.300s' does not hold a secret", path);
	if (rc == RC_OK)
		memcpy(out, text.bytes, SECRET_DIGITS + 1);
	if (text.cap)
		mem_wipe(text.bytes, text.cap);
	buf_fini(&text);
	return rc;
}
