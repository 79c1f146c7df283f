/*
 * format: the dialect's spellings of ids, times and sizes. Pure, any thread.
 */
#ifndef API_DCS_FORMAT_H
#define API_DCS_FORMAT_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/clock.h"
#include "json/json.h"

enum { UUID_SIZE = 37, HEX32_SIZE = 33 };

bool format_is_hex32(const char *text);           /* 32 hex digits, lower case */
bool format_is_uuid(const char *text);            /* 8-4-4-4-12 hex digits, lower case */
bool format_is_project(const char *text);         /* either of the two */
bool format_is_task(const char *text);            /* either, in any case */
void format_new_uuid(char out[UUID_SIZE]);        /* random, lower case */
/* Stable for a name: what has no id of its own gets one from what it belongs to. */
void format_derived_hex(const char *name, char out[HEX32_SIZE]);
void format_derived_uuid(const char *name, char out[UUID_SIZE]);

void format_kv_time(struct jw *w, const char *key, int64_t at_ms);      /* 2020-06-17T08:18:06.597Z; 0: null */
void format_kv_ms_text(struct jw *w, const char *key, int64_t at_ms);   /* "1684191545379"; 0: null */
/* A parsed value again (NULL: null), for members that the vendor's typed SDKs hold in 32 bits: one integer beyond that,
 * and they cannot read the whole answer. It is shown as 2147483647, and all of it as a text beside it, "KEY_text". */
void format_kv_value32(struct jw *w, const char *key, const json_t *value);
/* "20200609160000" in UTC. */
void format_stamp(int64_t at_ms, char out[15]);
bool format_parse_stamp(const char *text, int64_t *at_s);
/* Next moment after now when the clock shows the begin of a maintenance window, "18:00:00". */
int64_t format_next_window(const char *begin, int64_t now_ms);
/* "HH:00:00" */
bool format_is_full_hour(const char *text);

/* Sizes as the contract writes them, of whole gigabytes or 128, 256, 512 MiB. */
void format_capacity(int64_t mib, char out[24]);        /* "0.125", "0.25", "0.5", "1", "64" */
void format_capacity_minor(int64_t mib, char out[24]);  /* ".125", ".25", ".5", else as above */
int64_t format_capacity_mib(double gb);                 /* -1: no size there is */
int64_t format_mib(int64_t bytes);                      /* the nearest whole number of MiB */

#endif
