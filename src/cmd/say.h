/*
 * say: what commands print for people. Results go to stdout, reasons and progress to stderr.
 */
#ifndef CMD_SAY_H
#define CMD_SAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "cmd/command.h"
#include "json/json.h"

/* Whoever may name or describe something could otherwise make the terminal of whoever lists it do as he likes: control
 * characters become '?', but for ends of lines and tabs. say_failed, sheets and progress see to it themselves. */
void say_tame(char *text, size_t len);
/* "stint task get: reason" on stderr; the exit code of rc. */
int say_failed(const struct command *c, enum rc rc, const struct err *err);
/* Write out to stdout with a newline; the exit code: 0, or that of RC_IO when stdout takes no more. */
int say_text(const struct command *c, const struct buf *out);
/* By rc the one or the other; out is released either way. */
int say_result(const struct command *c, enum rc rc, const struct err *err, struct buf *out);
/* At a command's end: code, or that of RC_IO when it is 0 and not all that was printed has arrived. */
int say_end(int code);
/* A JSON value on one line. */
void say_json(const json_t *value, struct buf *out);

/* Aligned columns; texts are borrowed until sheet_print. Control characters are shown as '?'. */
enum { SHEET_COLS = 9 };
struct sheet {
	struct arena *arena;
	const char *heads[SHEET_COLS];
	size_t n_cols, n_rows, cap;
	const char *(*rows)[SHEET_COLS];
};
void sheet_init(struct sheet *s, struct arena *a, const char *const *heads, size_t n);
void sheet_row(struct sheet *s, const char *const *cells);
void sheet_print(const struct sheet *s, struct buf *out);

/* "2026-11-21 23:36:12" in UTC; "-" for 0. */
const char *say_time(struct arena *a, int64_t wall_ms);
/* "0.54349"; "-" for what is no number: a figure that has no meaning there. */
enum { FIGURE_SIZE = 24 };
const char *say_figure(double value, char out[FIGURE_SIZE]);
/* "1.2 s", "3 min 4 s", "2 h 5 min". */
const char *say_duration(struct arena *a, int64_t ms);

/* A bar on a terminal, a line per step of five percent or changed note elsewhere. On stderr. */
struct progress {
	bool is_on_terminal;
	int64_t start_ms; /* monotonic */
	int shown_percent;
	char shown_note[160];
	bool has_bar; /* the cursor stands behind a bar */
};
void progress_init(struct progress *p, int64_t now_mono_ms);
/* note: "epoch 3, loss 0.4471"; may be "". */
void progress_show(struct progress *p, int percent, const char *note, int64_t now_mono_ms);
/* A line above the bar. */
void progress_line(struct progress *p, const char *text);
void progress_end(struct progress *p);

#endif
