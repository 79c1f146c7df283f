#include "api/dcs/body.h"

#include <string.h>
#include "api/dcs/answer.h"
#include "base/num.h"

static bool is_blank(const char *bytes, size_t len)
{
	size_t i = 0;
	while (i < len && (bytes[i] == ' ' || bytes[i] == '\t' || bytes[i] == '\r' || bytes[i] == '\n'))
		i++;
	return i == len;
}

/* The signature covers such a request's head only, and the verifier takes that where the type is not JSON's: whoever
 * was on its way may have put any bytes there. */
static bool is_unsigned(const struct call *c)
{
	const char *hash = http_header_of(c->req, "x-sdk-content-sha256");
	return hash && strcmp(hash, "UNSIGNED-PAYLOAD") == 0;
}

bool dcs_body(struct call *c, enum dcs_need need, const json_t **out)
{
	const char *bytes = c->req->body;
	size_t len = c->req->body_len;
	const json_t *root;

	if (len && is_unsigned(c))
		return dcs_answer_words(c, DCS_BODY,
			"The message body is not signed (UNSIGNED-PAYLOAD); send it as application/json "
			"with its hash.");
	if (is_blank(bytes, len)) {
		if (need == DCS_BODY_REQUIRED)
			return dcs_answer_error(c, DCS_BODY_EMPTY);
		bytes = "{}";
		len = 2;
	}
	enum rc rc = json_read(bytes, len, c->arena, &root, NULL);
	if (rc == RC_BUSY)
		return dcs_answer_error(c, DCS_UNAVAILABLE);
	if (rc || !json_is_object(root))
		return dcs_answer_error(c, DCS_BODY);
	*out = root;
	return true;
}

const json_t *dcs_member(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);
	return value && !json_is_null(value) ? value : NULL;
}

bool dcs_text(const json_t *object, const char *name, const char **out)
{
	const json_t *value = dcs_member(object, name);

	if (!value)
		return true;
	if (!json_is_string(value) || json_string_length(value) > BODY_TEXT_BYTES)
		return false;
	*out = json_string_value(value);
	return true;
}

bool dcs_number(const json_t *object, const char *name, double *out)
{
	const json_t *value = dcs_member(object, name);

	if (!value)
		return true;
	if (!json_is_number(value))
		return false;
	*out = json_number_value(value);
	return true;
}

/* Reals up to here are exact integers. */
static const double exact_max = 9007199254740992.0;

static bool integer_of(const json_t *value, int64_t *out)
{
	if (json_is_integer(value)) {
		*out = json_integer_value(value);
		return true;
	}
	if (!json_is_real(value))
		return false;
	double real = json_real_value(value);
	if (!(real >= -exact_max && real <= exact_max))
		return false;
	int64_t whole = (int64_t)real;
	if ((double)whole < real || (double)whole > real)
		return false;
	*out = whole;
	return true;
}

bool dcs_int(const json_t *object, const char *name, int64_t *out)
{
	const json_t *value = dcs_member(object, name);
	return !value || integer_of(value, out);
}

bool dcs_int_value(const json_t *value, int64_t *out)
{
	if (json_is_string(value))
		return num_i64(json_string_value(value), out);
	return value && integer_of(value, out);
}

bool dcs_bool(const json_t *object, const char *name, bool *out)
{
	const json_t *value = dcs_member(object, name);

	if (!value)
		return true;
	if (!json_is_boolean(value))
		return false;
	*out = json_is_true(value);
	return true;
}

size_t dcs_length(const char *text)
{
	size_t n = 0;
	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}
