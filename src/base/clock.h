/*
 * clock: the two clocks of the kernel, and time texts. Wall time is for records, monotonic for waiting.
 * Modules take "now" as an argument; only loops, cmd/ and the engine's threads ask here.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t clock_wall_ms(void);
int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);
int64_t clock_boot_ms(void); /* monotonic, and goes on while the machine sleeps */

enum { CLOCK_TEXT_SIZE = 32 };
/* "2026-11-21T23:36:12Z" / with ms "2026-11-21T23:36:12.000Z"; CLOCK_TEXT_SIZE bytes. Stops at the ends of 0..9999. */
void clock_iso(char text[CLOCK_TEXT_SIZE], int64_t wall_s);
void clock_iso_ms(char text[CLOCK_TEXT_SIZE], int64_t wall_ms);
/* Strict inverse of clock_iso: exactly YYYY-MM-DDThh:mm:ssZ, a real date. */
bool clock_parse_iso(const char *text, int64_t *wall_s);

#endif
