#include "api/dcs/format.h"

#include <string.h>
#include "base/attr.h"
#include "base/num.h"
#include "base/rand.h"
#include "sign/acs3.h"

/* ---- ids ---- */

enum letter_case { LOWER_ONLY, ANY_CASE };

static bool is_hex(char c, enum letter_case letters)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (letters == ANY_CASE && c >= 'A' && c <= 'F');
}

/* x in a shape stands for a hex digit, anything else for itself. */
static bool has_shape(const char *text, const char *shape, enum letter_case letters)
{
	size_t i = 0;
	for (; shape[i]; i++) {
		if (shape[i] == 'x' ? !is_hex(text[i], letters) : text[i] != shape[i])
			return false;
	}
	return !text[i];
}

static const char hex32_shape[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
static const char uuid_shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

bool format_is_hex32(const char *text) { return has_shape(text, hex32_shape, LOWER_ONLY); }
bool format_is_uuid(const char *text) { return has_shape(text, uuid_shape, LOWER_ONLY); }
bool format_is_project(const char *text) { return format_is_hex32(text) || format_is_uuid(text); }

bool format_is_task(const char *text)
{
	return has_shape(text, hex32_shape, ANY_CASE) || has_shape(text, uuid_shape, ANY_CASE);
}

void format_new_uuid(char out[UUID_SIZE])
{
	rand_uuid(out);
	for (char *p = out; *p; p++) {
		if (*p >= 'A' && *p <= 'F')
			*p = (char)(*p - 'A' + 'a');
	}
}

void format_derived_hex(const char *name, char out[HEX32_SIZE])
{
	char hex[65];

	sign_sha256_hex(name, strlen(name), hex);
	memcpy(out, hex, HEX32_SIZE - 1);
	out[HEX32_SIZE - 1] = '\0';
}

void format_derived_uuid(const char *name, char out[UUID_SIZE])
{
	char hex[HEX32_SIZE];
	const char *from = hex;

	format_derived_hex(name, hex);
	for (size_t i = 0; i < UUID_SIZE - 1; i++)
		out[i] = uuid_shape[i] == 'x' ? *from++ : '-';
	out[UUID_SIZE - 1] = '\0';
}

/* ---- times ---- */

void format_kv_time(struct jw *w, const char *key, int64_t at_ms)
{
	char text[CLOCK_TEXT_SIZE];

	if (at_ms)
		clock_iso_ms(text, at_ms);
	jw_kv_text(w, key, at_ms ? text : NULL);
}

void format_kv_ms_text(struct jw *w, const char *key, int64_t at_ms)
{
	char text[24];

	(void)snprintf(text, sizeof text, "%lld", (long long)at_ms);
	jw_kv_text(w, key, at_ms ? text : NULL);
}

void format_stamp(int64_t at_ms, char out[15])
{
	char iso[CLOCK_TEXT_SIZE];
	size_t n = 0;

	clock_iso(iso, at_ms / 1000);
	for (const char *p = iso; *p && n < 14; p++) {
		if (*p >= '0' && *p <= '9')
			out[n++] = *p;
	}
	out[n] = '\0';
}

bool format_parse_stamp(const char *text, int64_t *at_s)
{
	char iso[CLOCK_TEXT_SIZE];

	for (size_t i = 0; i < 14; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
	}
	if (text[14])
		return false;
	(void)snprintf(iso, sizeof iso, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", text, text + 4, text + 6, text + 8,
		       text + 10, text + 12);
	return clock_parse_iso(iso, at_s);
}

int64_t format_next_window(const char *begin, int64_t now_ms)
{
	const int64_t day_ms = INT64_C(24) * 3600 * 1000;
	int64_t hour = 0;

	(void)num_i64_n(begin, 2, &hour); /* what is kept was checked when it came in */
	int64_t at = now_ms / day_ms * day_ms + hour * 3600 * 1000;
	return at > now_ms ? at : at + day_ms;
}

bool format_is_full_hour(const char *text)
{
	int64_t hour;
	return strlen(text) == 8 && num_i64_n(text, 2, &hour) && hour >= 0 && hour <= 23 &&
	       strcmp(text + 2, ":00:00") == 0;
}

/* ---- sizes ---- */

static const struct {
	int64_t mib;
	const char *text;
} minor[] = { { 128, "0.125" }, { 256, "0.25" }, { 512, "0.5" } };

void format_capacity(int64_t mib, char out[24])
{
	for (size_t i = 0; i < ARRAY_LEN(minor); i++) {
		if (minor[i].mib == mib) {
			(void)snprintf(out, 24, "%s", minor[i].text);
			return;
		}
	}
	(void)snprintf(out, 24, "%lld", (long long)(mib / 1024));
}

void format_capacity_minor(int64_t mib, char out[24])
{
	format_capacity(mib, out);
	if (out[0] == '0' && out[1] == '.')
		memmove(out, out + 1, strlen(out));
}

int64_t format_capacity_mib(double gb)
{
	if (!(gb > 0 && gb <= 1 << 20))
		return -1;
	double mib = gb * 1024;
	int64_t whole = (int64_t)mib;
	return (double)whole < mib ? -1 : whole;
}

int64_t format_mib(int64_t bytes)
{
	const int64_t mib = 1 << 20;
	return bytes / mib + (bytes % mib >= mib / 2);
}

/* ---- numbers ---- */

static void write_value32(struct jw *w, const json_t *value)
{
	const json_t *item;
	size_t i;

	if (json_is_object(value)) {
		json_t *object = (json_t *)(uintptr_t)value; /* for the iterators; only read */
		jw_object(w);
		for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it))
			format_kv_value32(w, json_object_iter_key(it), json_object_iter_value(it));
		jw_end_object(w);
	} else if (json_is_array(value)) {
		jw_array(w);
		json_array_foreach(value, i, item)
			write_value32(w, item);
		jw_end_array(w);
	} else {
		jw_value(w, value);
	}
}

void format_kv_value32(struct jw *w, const char *key, const json_t *value)
{
	int64_t number = (int64_t)json_integer_value(value); /* 0 of what is none */
	char beside[64];

	jw_key_exact(w, key);
	if (number <= INT32_MAX) {
		write_value32(w, value);
		return;
	}
	jw_int(w, INT32_MAX);
	(void)snprintf(beside, sizeof beside, "%.50s_text", key);
	jw_key_exact(w, beside);
	jw_int_text(w, number);
}
