/*
 * data: the data folder as commands see it: where it is, its key store, and the running server's address.
 */
#ifndef CMD_DATA_H
#define CMD_DATA_H

#include <limits.h>
#include "base/arena.h"
#include "base/err.h"
#include "engine/keys.h"
#include "store/store.h"

/* given, else $STINT_DATA, else "stint-data". */
const char *data_dir(const char *given);

/* RC_CONFLICT: a restore into it is under way or was cut off. Commands that read or write what rows name ask first. */
enum rc data_refuse_half(const char *dir, struct err *err) NODISCARD;
/* Make DATA (0700) and what is missing in it. RC_CONFLICT: a restore is unfinished. RC_INVALID: a foreign stint.db. */
enum rc data_make(const char *dir, struct err *err) NODISCARD;

/* Keys of a data folder, with or without a running server. */
struct data_keys {
	struct keyring *ring;
	struct store *store;
	struct arena *arena;
};
/* RC_NOT_FOUND when dir is no data folder and makes is false; RC_CONFLICT as above. */
enum rc data_keys_open(const char *dir, bool makes, struct data_keys *out, struct err *err) NODISCARD;
void data_keys_close(struct data_keys *k);
/* The oldest active key with its secret. RC_NOT_FOUND: there is none. */
enum rc data_keys_first(struct data_keys *k, struct access_key *out, struct err *err) NODISCARD;

/* DATA/endpoint: written by a server when it is ready, removed when it stops. Text lives in a. */
enum rc data_endpoint_write(const char *dir, const char *endpoint, struct err *err) NODISCARD;
void data_endpoint_remove(const char *dir);
enum rc data_endpoint_read(const char *dir, struct arena *a, const char **out, struct err *err) NODISCARD;

#endif
