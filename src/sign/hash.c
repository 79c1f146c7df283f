/*
 * libcrypto's own SHA-256, called directly: one struct on the stack and no look-up, lock or allocation, which for texts
 * of some hundred bytes take longer than the hashing. OpenSSL 3 marks these functions as deprecated in favour of EVP,
 * where each hash is an object on the heap and a state cannot be kept as a value; they use the same assembler.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "sign/hash.h"

#include <openssl/sha.h>
#include <string.h>
#include "base/mem.h"
#include "base/must.h"

enum { BLOCK_LEN = SHA256_CBLOCK };

static_assert(SHA256_DIGEST_LENGTH == HASH_LEN, "one length");
static_assert(sizeof((SHA256_CTX *)NULL)->h == sizeof((struct hash_key *)NULL)->inner, "the state is these words");

static void begin(SHA256_CTX *ctx) { must(SHA256_Init(ctx) == 1); }
static void add(SHA256_CTX *ctx, const void *bytes, size_t len)
{
	must(SHA256_Update(ctx, len ? bytes : "", len) == 1);
}
static void end(SHA256_CTX *ctx, unsigned char out[HASH_LEN]) { must(SHA256_Final(out, ctx) == 1); }

void hash_sha256_parts(const struct hash_part *parts, size_t n, unsigned char out[HASH_LEN])
{
	SHA256_CTX ctx;

	begin(&ctx);
	for (size_t i = 0; i < n; i++)
		add(&ctx, parts[i].bytes, parts[i].len);
	end(&ctx, out);
}

void hash_sha256(const void *bytes, size_t len, unsigned char out[HASH_LEN])
{
	hash_sha256_parts(&(struct hash_part){ bytes, len }, 1, out);
}

/* ---- HMAC, RFC 2104: H(key ^ opad | H(key ^ ipad | text)) ---- */

/* The state after one block, which is the key with every byte of it changed by pad. */
static void absorb(const unsigned char key[BLOCK_LEN], unsigned char pad, uint32_t state[HASH_WORDS])
{
	unsigned char block[BLOCK_LEN];
	SHA256_CTX ctx;

	for (size_t i = 0; i < sizeof block; i++)
		block[i] = key[i] ^ pad;
	begin(&ctx);
	add(&ctx, block, sizeof block);
	memcpy(state, ctx.h, sizeof ctx.h);
	mem_wipe(block, sizeof block);
	mem_wipe(&ctx, sizeof ctx);
}

void hash_key_init(struct hash_key *k, const void *key, size_t len)
{
	enum { IPAD = 0x36, OPAD = 0x5c };
	unsigned char block[BLOCK_LEN] = { 0 };

	if (len > sizeof block)
		hash_sha256(key, len, block);
	else if (len)
		memcpy(block, key, len);
	absorb(block, IPAD, k->inner);
	absorb(block, OPAD, k->outer);
	mem_wipe(block, sizeof block);
}

/* Go on from behind the key's block. */
static void resume(SHA256_CTX *ctx, const uint32_t state[HASH_WORDS])
{
	begin(ctx);
	memcpy(ctx->h, state, sizeof ctx->h);
	ctx->Nl = BLOCK_LEN * 8; /* bits hashed so far */
}

void hash_mac(const struct hash_key *k, const void *bytes, size_t len, unsigned char out[HASH_LEN])
{
	unsigned char inner[HASH_LEN];
	SHA256_CTX ctx;

	resume(&ctx, k->inner);
	add(&ctx, bytes, len);
	end(&ctx, inner);
	resume(&ctx, k->outer);
	add(&ctx, inner, sizeof inner);
	end(&ctx, out);
}

void hash_hmac(const void *key, size_t key_len, const void *bytes, size_t len, unsigned char out[HASH_LEN])
{
	struct hash_key k;

	hash_key_init(&k, key, key_len);
	hash_mac(&k, bytes, len, out);
	mem_wipe(&k, sizeof k);
}
