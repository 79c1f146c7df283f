/*
 * foreign: whose is a database file? A look before anything is made beside it.
 */
#ifndef STORE_FOREIGN_H
#define STORE_FOREIGN_H

#include "base/err.h"

/* By its head alone, which is read and no more. RC_INVALID: another program's database. RC_CORRUPT: none at all. RC_OK:
 * nothing speaks against opening it, or there is no file. */
enum rc store_refuse_foreign(const char *path, struct err *err) NODISCARD;

#endif
