/*
 * Secrets at rest: nonce(12) | ciphertext | tag(16), AES-256-GCM under DATA/secret.key, the key id as associated
 * data, so that a row copied under another id does not decrypt.
 */
#include "engine/keys.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/rand.h"
#include "os/calls.h"
#include "os/file.h"
#include "sign/hash.h"
#include "store/tables.h"

enum { KEY_LEN = 32, NONCE_LEN = 12, TAG_LEN = 16, SECRET_MAX = 256, ID_RANDOM = 20, SECRET_LEN = 30 };
#define DEFAULT_ACCOUNT "1000000000000000"

struct keyring {
	unsigned char key[KEY_LEN];
	unsigned char id_key[16]; /* for keyring_block: a part of the key for "task ids" */
	unsigned char link_key[KEY_LEN]; /* for keyring_mac */
};

/* Looked up once, and not before the first secret is opened: with the first cipher OpenSSL loads all it knows, which is
 * a quarter of a start's instructions and memory that a server without requests does not need. */
static EVP_CIPHER *gcm;
static pthread_once_t gcm_once = PTHREAD_ONCE_INIT;

static void find_gcm(void) { gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL); }

static const EVP_CIPHER *the_gcm(void)
{
	must(pthread_once(&gcm_once, find_gcm) == 0);
	must(gcm);
	return gcm;
}

/* A key for one purpose: SHA-256(purpose | 0 | key). len bytes of it, at most KEY_LEN. */
static void derive(const struct keyring *k, const char *purpose, unsigned char *out, size_t len)
{
	unsigned char input[32 + KEY_LEN], digest[KEY_LEN];
	size_t label_size = strlen(purpose) + 1;

	must(label_size <= sizeof input - KEY_LEN && len <= sizeof digest);
	memcpy(input, purpose, label_size);
	memcpy(input + label_size, k->key, KEY_LEN);
	hash_sha256(input, label_size + KEY_LEN, digest);
	memcpy(out, digest, len);
	mem_wipe(input, sizeof input);
	mem_wipe(digest, sizeof digest);
}

/* RC_NOT_FOUND: there is none. */
static enum rc read_key(const char *path, unsigned char key[KEY_LEN], struct err *err)
{
	struct buf text;

	buf_init(&text, 4096);
	enum rc rc = file_read(path, &text, err);
	if (rc == RC_OK && text.len != KEY_LEN)
		rc = err_set(err, RC_CORRUPT,
			     "%s has %zu bytes instead of %d: restore it from a backup; without it no stored "
			     "access key can be read",
			     path, text.len, KEY_LEN);
	if (rc == RC_OK)
		memcpy(key, text.bytes, KEY_LEN);
	if (text.bytes)
		mem_wipe(text.bytes, text.cap);
	buf_fini(&text);
	return rc;
}

/* A new key for a new folder. Beside a database it would make every stored secret, and every task id, another one. */
static enum rc make_key(const char *data_dir, const char *path, unsigned char key[KEY_LEN], struct err *err)
{
	char database[PATH_MAX];

	enum rc rc = path_join(database, data_dir, "stint.db", err);
	if (rc != RC_OK)
		return rc;
	if (file_exists(database))
		return err_set(err, RC_CORRUPT,
			       "%s is missing: restore it from a backup; without it no stored access key can be "
			       "read. If it is lost for good, put 32 random bytes there, mode 0600, delete the "
			       "access keys and make new ones",
			       path);
	rand_bytes(key, KEY_LEN);
	return file_replace(path, key, KEY_LEN, 0600, err);
}

/* A server and commands beside it may all be the first in a new folder, and a key that one of them works with and
 * another replaces is no key: so one makes it, and the others wait and read it. */
static enum rc read_or_make_key(const char *data_dir, unsigned char key[KEY_LEN], struct err *err)
{
	char path[PATH_MAX];
	int lock_fd;

	enum rc rc = path_join(path, data_dir, "secret.key", err);
	if (rc == RC_OK)
		rc = read_key(path, key, err);
	if (rc != RC_NOT_FOUND)
		return rc;
	rc = dir_lock(data_dir, &lock_fd, err);
	if (rc != RC_OK)
		return rc;
	rc = read_key(path, key, err);
	if (rc == RC_NOT_FOUND)
		rc = make_key(data_dir, path, key, err);
	(void)os.close(lock_fd); /* nothing was written through it */
	return rc;
}

enum rc keyring_open(const char *data_dir, struct keyring **out, struct err *err)
{
	struct keyring *k = mem_new(struct keyring);

	enum rc rc = read_or_make_key(data_dir, k->key, err);
	if (rc != RC_OK) {
		keyring_free(k);
		return rc;
	}
	derive(k, "task ids", k->id_key, sizeof k->id_key);
	derive(k, "links", k->link_key, sizeof k->link_key);
	*out = k;
	return RC_OK;
}

void keyring_free(struct keyring *k)
{
	if (!k)
		return;
	mem_wipe(k, sizeof *k);
	mem_free(k);
}

/* out: NONCE_LEN + len + TAG_LEN bytes. */
static void seal(const struct keyring *k, const char *id, const char *secret, size_t len, unsigned char *out)
{
	int n = 0;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	rand_bytes(out, NONCE_LEN);
	must(ctx);
	must(EVP_EncryptInit_ex2(ctx, the_gcm(), k->key, out, NULL) == 1);
	must(EVP_EncryptUpdate(ctx, NULL, &n, (const unsigned char *)id, (int)strlen(id)) == 1);
	must(EVP_EncryptUpdate(ctx, out + NONCE_LEN, &n, (const unsigned char *)secret, (int)len) == 1);
	must(EVP_EncryptFinal_ex(ctx, out + NONCE_LEN + n, &n) == 1);
	must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_LEN, out + NONCE_LEN + len) == 1);
	EVP_CIPHER_CTX_free(ctx);
}

/* false: not made with this key for this id. */
static bool unseal(const struct keyring *k, const char *id, const unsigned char *sealed, size_t len, char *secret)
{
	int n = 0;
	unsigned char tag[TAG_LEN];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	must(ctx);
	memcpy(tag, sealed + NONCE_LEN + len, TAG_LEN);
	must(EVP_DecryptInit_ex2(ctx, the_gcm(), k->key, sealed, NULL) == 1);
	must(EVP_DecryptUpdate(ctx, NULL, &n, (const unsigned char *)id, (int)strlen(id)) == 1);
	must(EVP_DecryptUpdate(ctx, (unsigned char *)secret, &n, sealed + NONCE_LEN, (int)len) == 1);
	must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_LEN, tag) == 1);
	bool is_good = EVP_DecryptFinal_ex(ctx, (unsigned char *)secret + n, &n) == 1;
	EVP_CIPHER_CTX_free(ctx);
	secret[len] = '\0';
	return is_good;
}

static void random_word(char *out, size_t n)
{
	static const char letters[] = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz0123456789";
	struct rng r;
	uint64_t seed[4];

	rand_bytes(seed, sizeof seed); /* 256 bits of the kernel's: the generator only spreads them over letters */
	memcpy(r.s, seed, sizeof seed);
	for (size_t i = 0; i < n; i++)
		out[i] = letters[rng_below(&r, sizeof letters - 1)];
	out[n] = '\0';
	mem_wipe(&r, sizeof r);
	mem_wipe(seed, sizeof seed);
}

static enum rc keep_key(struct store *s, struct key_row *row, struct err *err)
{
	enum rc rc = store_begin(s, err);
	if (rc != RC_OK)
		return rc;
	rc = store_insert(s, &table_key, row, err);
	if (rc == RC_OK)
		return store_commit(s, err);
	store_rollback(s);
	return rc;
}

enum rc keyring_create(struct keyring *k, struct store *s, const char *account, const char *name, struct arena *a,
		       struct access_key *out, struct err *err)
{
	char id[4 + ID_RANDOM + 1] = "LTAI", secret[SECRET_LEN + 1], project[33];
	unsigned char sealed[NONCE_LEN + SECRET_LEN + TAG_LEN];

	random_word(id + 4, ID_RANDOM);
	random_word(secret, SECRET_LEN);
	rand_hex(project, 32);
	seal(k, id, secret, SECRET_LEN, sealed);
	struct key_row row = { .access_key_id = id,
			       .secret = { sealed, sizeof sealed },
			       .account = account ? account : DEFAULT_ACCOUNT,
			       .project_id = project,
			       .name = name ? name : "",
			       .is_active = 1,
			       .created_at = clock_wall_ms() };
	/* Before it is kept: a key whose secret nobody is told would be of no use. */
	struct access_key made = { .id = arena_dup(a, id),
				   .secret = arena_dup(a, secret),
				   .account = arena_dup(a, row.account),
				   .project_id = arena_dup(a, project),
				   .name = arena_dup(a, row.name),
				   .is_active = true,
				   .created_at = row.created_at };
	mem_wipe(secret, sizeof secret);
	if (arena_is_full(a))
		return err_set(err, RC_LIMIT, "out of request memory");
	enum rc rc = keep_key(s, &row, err);
	if (rc == RC_OK)
		*out = made;
	return rc;
}

static struct access_key public_part(const struct key_row *row)
{
	return (struct access_key){ .id = row->access_key_id,
				    .account = row->account,
				    .project_id = row->project_id,
				    .name = row->name,
				    .is_active = row->is_active != 0,
				    .created_at = row->created_at };
}

static enum rc get_row(struct store *s, const char *id, struct arena *a, struct key_row *out, struct err *err)
{
	struct query q = { .table = &table_key, .preds = { PRED_TEXT("access_key_id", CMP_EQ, id) }, .n_preds = 1 };
	return store_get(s, &q, out, a, err);
}

/* The secret of a row as text. */
static enum rc open_secret(const struct keyring *k, const struct key_row *row, char secret[SECRET_MAX + 1],
			   struct err *err)
{
	size_t len = row->secret.len - NONCE_LEN - TAG_LEN;

	if (row->secret.len <= NONCE_LEN + TAG_LEN || len > SECRET_MAX)
		return err_set(err, RC_CORRUPT, "the stored secret of key %.40s has a wrong length",
			       row->access_key_id);
	if (!unseal(k, row->access_key_id, row->secret.bytes, len, secret))
		return err_set(err, RC_CORRUPT, "the stored secret of key %.40s does not fit DATA/secret.key",
			       row->access_key_id);
	return RC_OK;
}

enum rc keyring_find(struct keyring *k, struct store *s, const char *id, struct arena *a, struct access_key *out,
		     struct err *err)
{
	char text[SECRET_MAX + 1];
	struct key_row row;

	enum rc rc = get_row(s, id, a, &row, err);
	if (rc == RC_OK)
		rc = open_secret(k, &row, text, err);
	if (rc != RC_OK)
		return rc;
	const char *secret = arena_dup(a, text);
	mem_wipe(text, sizeof text);
	if (!secret)
		return err_set(err, RC_LIMIT, "out of request memory");
	*out = public_part(&row);
	out->secret = secret;
	return RC_OK;
}

/* ---- secrets opened lately ---- */

enum { CACHE_PLACES = 64 /* a power of two */, SEALED_MAX = NONCE_LEN + SECRET_MAX + TAG_LEN, ID_MAX = 127 };

struct opened {
	char id[ID_MAX + 1];
	size_t sealed_len;
	unsigned char sealed[SEALED_MAX];
	char secret[SECRET_MAX + 1];
	struct hash_key prepared;
};

struct key_cache {
	struct opened *places[CACHE_PLACES];
};

struct key_cache *key_cache_new(void) { return mem_new(struct key_cache); }

static void forget(struct opened *o)
{
	if (o)
		mem_wipe(o, sizeof *o);
	mem_free(o);
}

void key_cache_free(struct key_cache *c)
{
	for (int i = 0; c && i < CACHE_PLACES; i++)
		forget(c->places[i]);
	mem_free(c);
}

/* Its first byte is of the nonce, which is random. */
static struct opened **place_of(struct key_cache *c, const struct key_row *row)
{
	return &c->places[((const unsigned char *)row->secret.bytes)[0] & (CACHE_PLACES - 1)];
}

static bool is_of(const struct opened *o, const struct key_row *row)
{
	return o && o->sealed_len == row->secret.len && memcmp(o->sealed, row->secret.bytes, o->sealed_len) == 0 &&
	       strcmp(o->id, row->access_key_id) == 0;
}

static enum rc open_row(const struct keyring *k, struct key_cache *c, const struct key_row *row, struct opened **out,
			struct err *err)
{
	char secret[SECRET_MAX + 1];

	enum rc rc = open_secret(k, row, secret, err);
	if (rc != RC_OK)
		return rc;
	struct opened **place = place_of(c, row), *o = *place;
	if (!o)
		*place = o = mem_new(struct opened);
	(void)snprintf(o->id, sizeof o->id, "%s", row->access_key_id);
	o->sealed_len = row->secret.len;
	memcpy(o->sealed, row->secret.bytes, o->sealed_len);
	memcpy(o->secret, secret, sizeof secret);
	hash_key_init(&o->prepared, o->secret, strlen(o->secret));
	mem_wipe(secret, sizeof secret);
	*out = o;
	return RC_OK;
}

enum rc keyring_find_cached(struct keyring *k, struct key_cache *c, struct store *s, const char *id, struct arena *a,
			    struct access_key *out, struct err *err)
{
	struct key_row row;

	if (strlen(id) > ID_MAX)
		return keyring_find(k, s, id, a, out, err);
	enum rc rc = get_row(s, id, a, &row, err);
	if (rc != RC_OK)
		return rc;
	struct opened *o = row.secret.len ? *place_of(c, &row) : NULL;
	if (!is_of(o, &row))
		rc = open_row(k, c, &row, &o, err);
	if (rc != RC_OK)
		return rc;
	const char *secret = arena_dup(a, o->secret);
	struct hash_key *prepared = arena_new_of(a, struct hash_key);
	if (!secret || !prepared)
		return err_set(err, RC_LIMIT, "out of request memory");
	*prepared = o->prepared;
	*out = public_part(&row);
	out->secret = secret;
	out->prepared = prepared;
	return RC_OK;
}

enum rc keyring_list(struct store *s, struct arena *a, struct access_key **out, size_t *n, struct err *err)
{
	struct key_row *rows;
	struct query q = { .table = &table_key, .orders = { { "created_at", false }, { "access_key_id", false } } };

	enum rc rc = store_list(s, &q, a, (void **)&rows, n, err);
	if (rc != RC_OK)
		return rc;
	struct access_key *keys = arena_array(a, *n, sizeof *keys);
	if (!keys)
		return err_set(err, RC_LIMIT, "too many keys to list");
	for (size_t i = 0; i < *n; i++)
		keys[i] = public_part(&rows[i]);
	*out = keys;
	return RC_OK;
}

enum rc keyring_set_active(struct store *s, const char *id, bool is_active, struct err *err)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(65536);
	struct key_row row;

	enum rc rc = store_begin(s, err);
	if (rc != RC_OK)
		return rc;
	rc = get_row(s, id, a, &row, err);
	if (rc == RC_OK) {
		row.is_active = is_active;
		rc = store_update(s, &table_key, &row, err);
	}
	if (rc == RC_OK)
		return store_commit(s, err);
	store_rollback(s);
	return rc;
}

enum rc keyring_delete(struct store *s, const char *id, struct err *err)
{
	int64_t n = 0;
	struct query q = { .table = &table_key, .preds = { PRED_TEXT("access_key_id", CMP_EQ, id) }, .n_preds = 1 };

	enum rc rc = store_begin(s, err);
	if (rc != RC_OK)
		return rc;
	rc = store_delete(s, &q, &n, err);
	if (rc == RC_OK && n == 0)
		rc = err_set(err, RC_NOT_FOUND, "no access key '%.60s'", id);
	if (rc == RC_OK)
		return store_commit(s, err);
	store_rollback(s);
	return rc;
}

void keyring_block(const struct keyring *k, unsigned char block[16], bool encrypts)
{
	unsigned char out[32];
	int n = 0;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	must(ctx);
	must(EVP_CipherInit_ex(ctx, EVP_aes_128_ecb(), NULL, k->id_key, NULL, encrypts) == 1);
	must(EVP_CIPHER_CTX_set_padding(ctx, 0) == 1);
	must(EVP_CipherUpdate(ctx, out, &n, block, 16) == 1);
	must(n == 16);
	memcpy(block, out, 16);
	EVP_CIPHER_CTX_free(ctx);
}

void keyring_mac(const struct keyring *k, const char *text, char out[KEYRING_MAC_SIZE])
{
	unsigned char mac[32];
	unsigned len = sizeof mac;

	must(HMAC(EVP_sha256(), k->link_key, KEY_LEN, (const unsigned char *)text, strlen(text), mac, &len));
	must(len == sizeof mac);
	hex_of(mac, sizeof mac, out);
}
