/*
 * worry: is it time to tell of a trouble that is met again and again? When it begins, and every ten minutes while it
 * lasts; what happens every second is no news the second time, and a log that is full of it hides all else.
 *
 * Owner:    struct worry is a value; all zero: none. Time is an argument (clock_mono_ms).
 * Threads:  one owner at a time.
 */
#ifndef BASE_WORRY_H
#define BASE_WORRY_H

#include <stdbool.h>
#include <stdint.h>

struct worry {
	int64_t tell_again_mono;
	bool lasts;
};

/* It was met: tell it now? */
bool worry_is_news(struct worry *w, int64_t now_mono);
/* It was not met, where it would have been: did it last until now? */
bool worry_ends(struct worry *w);

#endif
