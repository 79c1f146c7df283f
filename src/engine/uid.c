/*
 * Public task ids: 32 hex digits that say nothing and cannot be guessed, without a column or an index. The row id, in a
 * block whose rest is zero, under AES-128 with a key of DATA/secret.key; whatever does not decrypt to such a block
 * was never given out.
 */
#include <assert.h>
#include <string.h>
#include "base/hex.h"
#include "engine/cache.h"
#include "engine/priv.h"

enum { BLOCK = 16 };

void engine_task_uid(const struct engine *e, int64_t task_id, char out[TASK_UID_SIZE])
{
	unsigned char block[BLOCK] = { 0 };

	memcpy(block, &task_id, sizeof task_id);
	keyring_block(e->keys, block, true);
	hex_of(block, BLOCK, out);
}

/* 32 hex digits, dashes anywhere. */
static bool read_block(const char *text, unsigned char block[BLOCK])
{
	size_t n = 0;
	for (const char *p = text; *p; p++) {
		int digit = hex_value(*p);
		if (*p == '-')
			continue;
		if (digit < 0 || n == (size_t)2 * BLOCK)
			return false;
		block[n / 2] = (unsigned char)(n % 2 ? block[n / 2] | digit : digit << 4);
		n++;
	}
	return n == (size_t)2 * BLOCK;
}

void engine_link_mac(const struct engine *e, const char *text, char out[LINK_MAC_SIZE])
{
	static_assert((int)LINK_MAC_SIZE == (int)KEYRING_MAC_SIZE, "the same text");
	keyring_mac(e->keys, text, out);
}

bool engine_task_id(const struct engine *e, const char *uid, int64_t *task_id)
{
	static const unsigned char zeros[BLOCK - sizeof(int64_t)] = { 0 };
	unsigned char block[BLOCK] = { 0 };
	int64_t id;

	if (!read_block(uid, block))
		return false;
	keyring_block(e->keys, block, false);
	memcpy(&id, block, sizeof id);
	if (memcmp(block + sizeof id, zeros, sizeof zeros) != 0 || id <= 0)
		return false;
	*task_id = id;
	return true;
}
