/*
 * schema: the numbered SQL files of this folder, compiled in by scripts/embed-schema (through schema_gen.c).
 * The n-th brings a database from version n-1 to n. A published file never changes: a change is a new file.
 */
#ifndef STORE_SCHEMA_SCHEMA_H
#define STORE_SCHEMA_SCHEMA_H

struct migration {
	const char *name; /* of the file */
	const char *sql;
};

extern const struct migration schema_migrations[];
extern const int schema_version; /* their number */

#endif
