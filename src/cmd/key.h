/* key: how an access key is printed; shared by `stint key` and `stint init`. */
#ifndef CMD_KEY_H
#define CMD_KEY_H

#include <stdbool.h>
#include "base/buf.h"
#include "engine/keys.h"
#include "json/json.h"

void key_print_json(const struct access_key *k, struct jw *w);
void key_print(const struct access_key *k, bool as_json, struct buf *out);

#endif
