#include "base/worry.h"

enum { TELL_EVERY_MS = 600000 };

bool worry_is_news(struct worry *w, int64_t now_mono)
{
	if (w->lasts && now_mono < w->tell_again_mono)
		return false;
	w->lasts = true;
	w->tell_again_mono = now_mono + TELL_EVERY_MS;
	return true;
}

bool worry_ends(struct worry *w)
{
	bool lasted = w->lasts;
	w->lasts = false;
	return lasted;
}
