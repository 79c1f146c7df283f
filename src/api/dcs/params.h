/*
 * params: the configuration parameters an instance offers, with the ids and words clients see.
 * Ids are stable: a new parameter takes a new id, none is ever used again. Pure, any thread.
 */
#ifndef API_DCS_PARAMS_H
#define API_DCS_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "json/json.h"

enum config_kind { CONFIG_NUMBER, CONFIG_WORD /* one of range, comma-separated */, CONFIG_EVENTS };

struct dcs_param {
	const char *id;       /* "1" */
	const char *name;     /* "timeout" */
	enum config_kind kind;
	int64_t low, high;    /* of a number */
	const char *range;    /* as shown: "0-7200", "yes,no" */
	const char *initial;
	bool is_ha_only;
	const char *description;
};

extern const struct dcs_param dcs_params[];
extern const size_t n_dcs_params;

/* By id, by name, or by both when they agree; NULL: no such parameter. Either may be NULL. */
const struct dcs_param *param_find(const char *id, const char *name);
bool param_takes(const struct dcs_param *p, const char *value);
/* As an object of the vendor's: id, name, value (NULL: the default), default, range, type, description; all texts. */
void param_write(struct jw *w, const struct dcs_param *p, const char *value);

#endif
