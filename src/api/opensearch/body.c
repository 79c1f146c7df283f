#include "api/opensearch/body.h"

#include <string.h>

static bool is_blank(const char *bytes, size_t len)
{
	size_t i = 0;
	while (i < len && (bytes[i] == ' ' || bytes[i] == '\t' || bytes[i] == '\r' || bytes[i] == '\n'))
		i++;
	return i == len;
}

enum rc body_parse(const void *bytes, size_t len, enum body_need need, struct arena *a, const json_t **out,
		   struct err *err)
{
	const json_t *root;

	if (is_blank(bytes, len) && need == BODY_REQUIRED)
		return err_set(err, RC_INVALID, "request body: it is empty, but must be a JSON object");
	enum rc rc = is_blank(bytes, len) ? json_read("{}", 2, a, &root, err) : json_read(bytes, len, a, &root, err);
	if (rc)
		return err_wrap(err, rc, "request body");
	if (!json_is_object(root))
		return err_set(err, RC_INVALID, "request body: it must be a JSON object");
	*out = root;
	return RC_OK;
}

enum rc body_text(const json_t *body, const char *name, const char **out, struct err *err)
{
	const char *text = NULL;

	enum rc rc = json_pick_text(body, name, &text, err);
	if (rc)
		return rc;
	if (text && strlen(text) > BODY_TEXT_MAX)
		return err_set(err, RC_INVALID, "%s must not be longer than %d bytes", name, BODY_TEXT_MAX);
	*out = text;
	return RC_OK;
}

static enum rc read_param(const json_t *item, struct param *out, struct err *err)
{
	const char *name = NULL, *value = NULL;

	if (!json_is_object(item))
		return err_set(err, RC_INVALID, "it must be an object {name, value}");
	enum rc rc = body_text(item, "name", &name, err);
	if (!rc)
		rc = body_text(item, "value", &value, err);
	if (rc)
		return rc;
	if (!name || !*name)
		return err_set(err, RC_INVALID, "name must be present and not empty");
	if (!value)
		return err_set(err, RC_INVALID, "value must be present (it may be empty)");
	*out = (struct param){ .name = name, .value = value };
	return RC_OK;
}

enum rc body_params(const json_t *body, const char *name, struct arena *a, struct body_params *out, struct err *err)
{
	const json_t *array = json_pick(body, name);
	struct body_params params = { .is_set = array != NULL, .n = json_array_size(array) };

	if (array && !json_is_array(array))
		return err_set(err, RC_INVALID, "%s must be an array of {name, value}", name);
	if (params.n > BODY_PARAMS_MAX)
		return err_set(err, RC_INVALID, "%s must not have more than %d entries", name, BODY_PARAMS_MAX);
	if (params.n)
		params.list = arena_array(a, params.n, sizeof *params.list);
	if (params.n && !params.list)
		return err_set(err, RC_LIMIT, "the request needs more memory than it may take");
	for (size_t i = 0; i < params.n; i++) {
		enum rc rc = read_param(json_array_get(array, i), &params.list[i], err);
		if (rc)
			return err_wrap(err, rc, "%s[%zu]", name, i);
	}
	*out = params;
	return RC_OK;
}
