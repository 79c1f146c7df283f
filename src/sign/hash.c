#include "sign/hash.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include "base/must.h"

/* Never written after they were made, and kept until the process ends. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;
static EVP_MAC_CTX *hmac; /* knows its digest; copied for each use */

static void look_up(void)
{
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end() };
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);

	must(mac);
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	must(sha256);
	hmac = EVP_MAC_CTX_new(mac);
	must(hmac);
	must(EVP_MAC_CTX_set_params(hmac, params) == 1);
	EVP_MAC_free(mac); /* the context holds it */
}

void hash_sha256_parts(const struct hash_part *parts, size_t n, unsigned char out[HASH_LEN])
{
	unsigned len = 0;

	must(pthread_once(&once, look_up) == 0);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	must(ctx);
	must(EVP_DigestInit_ex2(ctx, sha256, NULL) == 1);
	for (size_t i = 0; i < n; i++)
		must(EVP_DigestUpdate(ctx, parts[i].len ? parts[i].bytes : "", parts[i].len) == 1);
	must(EVP_DigestFinal_ex(ctx, out, &len) == 1);
	must(len == HASH_LEN);
	EVP_MD_CTX_free(ctx);
}

void hash_sha256(const void *bytes, size_t len, unsigned char out[HASH_LEN])
{
	hash_sha256_parts(&(struct hash_part){ bytes, len }, 1, out);
}

void hash_hmac(const void *key, size_t key_len, const void *bytes, size_t len, unsigned char out[HASH_LEN])
{
	size_t n = 0;

	must(pthread_once(&once, look_up) == 0);
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(hmac);
	must(ctx);
	/* An empty key is one too, but NULL means "the key it has". */
	must(EVP_MAC_init(ctx, key_len ? key : (const void *)"", key_len, NULL) == 1);
	must(EVP_MAC_update(ctx, len ? bytes : (const void *)"", len) == 1);
	must(EVP_MAC_final(ctx, out, &n, HASH_LEN) == 1);
	must(n == HASH_LEN);
	EVP_MAC_CTX_free(ctx);
}
