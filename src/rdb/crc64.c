/*
 * CRC-64 as Redis defines it (polynomial ad93d23594c935a9 of D. T. Jones, both sides reflected, start 0, no final
 * exclusive or; "123456789" gives e9c6d914c4b8d9ca), eight bytes a step: table[k][b] is what byte b does to the sum
 * when k more bytes follow it (Kounavis and Berry, "A Systematic Approach to Building High Performance Software-Based
 * CRC Generators", 2005).
 */
#include "rdb/rdb_priv.h"

void crc64_init(struct crc64 *c)
{
	static const uint64_t reflected = UINT64_C(0x95ac9329ac4bc9b5);

	for (unsigned b = 0; b < 256; b++) {
		uint64_t crc = b;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ reflected : crc >> 1;
		c->table[0][b] = crc;
	}
	for (unsigned k = 1; k < 8; k++)
		for (unsigned b = 0; b < 256; b++) {
			uint64_t before = c->table[k - 1][b];
			c->table[k][b] = c->table[0][before & 0xff] ^ before >> 8;
		}
}

uint64_t crc64_add(const struct crc64 *c, uint64_t crc, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	for (; len >= 8; p += 8, len -= 8) {
		crc ^= le_get(p, 8);
		crc = c->table[7][crc & 0xff] ^ c->table[6][crc >> 8 & 0xff] ^ c->table[5][crc >> 16 & 0xff] ^
		      c->table[4][crc >> 24 & 0xff] ^ c->table[3][crc >> 32 & 0xff] ^ c->table[2][crc >> 40 & 0xff] ^
		      c->table[1][crc >> 48 & 0xff] ^ c->table[0][crc >> 56];
	}
	for (; len; len--)
		crc = c->table[0][(crc ^ *p++) & 0xff] ^ crc >> 8;
	return crc;
}
