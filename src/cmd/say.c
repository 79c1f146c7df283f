#include "cmd/say.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"

static bool is_control(char c) { return (unsigned char)c < ' ' || c == 0x7f; }

void say_tame(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (is_control(text[i]) && text[i] != '\n' && text[i] != '\t')
			text[i] = '?';
	}
}

int say_failed(const struct command *c, enum rc rc, const struct err *err)
{
	struct err shown = *err; /* its words may be a server's */

	say_tame(shown.msg, strlen(shown.msg));
	(void)fflush(stdout);
	(void)fprintf(stderr, "stint %s: %s\n", c->name, shown.msg[0] ? shown.msg : rc_name(rc));
	return rc_exit_code(rc);
}

/* Tells once; what follows on a stream that has failed changes nothing. */
static int stdout_failed(const char *command)
{
	(void)fprintf(stderr, "stint%s%s: standard output takes no more\n", *command ? " " : "", command);
	clearerr(stdout);
	return rc_exit_code(RC_IO);
}

int say_text(const struct command *c, const struct buf *out)
{
	bool ends = out->len && out->bytes[out->len - 1] == '\n';

	(void)fwrite(buf_text(out), 1, out->len, stdout);
	if (!ends)
		(void)fputc('\n', stdout);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : stdout_failed(c->name);
}

int say_result(const struct command *c, enum rc rc, const struct err *err, struct buf *out)
{
	int code = rc == RC_OK ? say_text(c, out) : say_failed(c, rc, err);
	buf_fini(out);
	return code;
}

int say_end(int code)
{
	bool is_whole = fflush(stdout) == 0 && !ferror(stdout);
	return code || is_whole ? code : stdout_failed("");
}

void say_json(const json_t *value, struct buf *out)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	buf_adds(out, text ? text : "null");
	free(text);
}

void sheet_init(struct sheet *s, struct arena *a, const char *const *heads, size_t n)
{
	*s = (struct sheet){ .arena = a, .n_cols = n };
	for (size_t i = 0; i < n; i++)
		s->heads[i] = heads[i];
}

static char *tamed(struct arena *a, const char *text)
{
	char *copy = arena_dup(a, text ? text : "");
	for (char *p = copy; p && *p; p++) {
		if (is_control(*p))
			*p = '?';
	}
	return copy;
}

void sheet_row(struct sheet *s, const char *const *cells)
{
	if (s->n_rows == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 16;
		const char *(*rows)[SHEET_COLS] = arena_array(s->arena, cap, sizeof *rows);
		if (!rows)
			return; /* the arena says so when asked */
		if (s->n_rows)
			memcpy(rows, s->rows, s->n_rows * sizeof *rows);
		s->rows = rows;
		s->cap = cap;
	}
	for (size_t i = 0; i < s->n_cols; i++) {
		const char *text = tamed(s->arena, cells[i]);
		s->rows[s->n_rows][i] = text ? text : "";
	}
	s->n_rows++;
}

/* Characters, not bytes: continuation bytes of UTF-8 take no column. */
static size_t width(const char *text)
{
	size_t n = 0;
	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void print_row(const struct sheet *s, const char *const *cells, const size_t *widths, struct buf *out)
{
	for (size_t i = 0; i < s->n_cols; i++) {
		buf_adds(out, cells[i]);
		for (size_t k = width(cells[i]); i + 1 < s->n_cols && k < widths[i] + 2; k++)
			buf_addc(out, ' ');
	}
	while (out->len && out->bytes[out->len - 1] == ' ')
		out->bytes[--out->len] = '\0';
	buf_addc(out, '\n');
}

void sheet_print(const struct sheet *s, struct buf *out)
{
	size_t widths[SHEET_COLS];

	for (size_t i = 0; i < s->n_cols; i++) {
		widths[i] = width(s->heads[i]);
		for (size_t r = 0; r < s->n_rows; r++) {
			size_t w = width(s->rows[r][i]);
			widths[i] = w > widths[i] ? w : widths[i];
		}
	}
	print_row(s, s->heads, widths, out);
	for (size_t r = 0; r < s->n_rows; r++)
		print_row(s, s->rows[r], widths, out);
}

const char *say_time(struct arena *a, int64_t wall_ms)
{
	char text[CLOCK_TEXT_SIZE];

	if (wall_ms <= 0)
		return "-";
	clock_iso(text, wall_ms / 1000);
	return arena_printf(a, "%.10s %.8s", text, text + 11);
}

const char *say_duration(struct arena *a, int64_t ms)
{
	int64_t s = ms / 1000;

	if (ms < 60000)
		return arena_printf(a, "%.1f s", (double)ms / 1000);
	if (s < 3600)
		return arena_printf(a, "%lld min %lld s", (long long)(s / 60), (long long)(s % 60));
	return arena_printf(a, "%lld h %lld min", (long long)(s / 3600), (long long)(s / 60 % 60));
}

const char *say_figure(double value, char out[FIGURE_SIZE])
{
	if (isfinite(value))
		(void)snprintf(out, FIGURE_SIZE, "%.5f", value);
	return isfinite(value) ? out : "-";
}

void progress_init(struct progress *p, int64_t now_mono_ms)
{
	*p = (struct progress){ .is_on_terminal = isatty(STDERR_FILENO) == 1,
		                .start_ms = now_mono_ms,
		                .shown_percent = -1 };
}

static void left_words(const struct progress *p, int percent, int64_t now_ms, char *out, size_t size)
{
	int64_t spent_ms = now_ms - p->start_ms;

	out[0] = '\0';
	if (percent < 3 || percent > 99 || spent_ms < 2000)
		return; /* too early for an honest guess */
	int64_t left_s = spent_ms * (100 - percent) / percent / 1000;
	(void)snprintf(out, size, "  about %lld:%02lld left", (long long)(left_s / 60), (long long)(left_s % 60));
}

static void show_bar(struct progress *p, int percent, const char *note, int64_t now_ms)
{
	enum { WIDTH = 30 };
	char bar[WIDTH + 1], left[48];

	for (int i = 0; i < WIDTH; i++)
		bar[i] = i * 100 < percent * WIDTH ? '#' : '.';
	bar[WIDTH] = '\0';
	left_words(p, percent, now_ms, left, sizeof left);
	(void)fprintf(stderr, "\r\033[K[%s] %3d %%  %s%s", bar, percent, note, left);
	(void)fflush(stderr);
	p->has_bar = true;
}

void progress_show(struct progress *p, int percent, const char *given, int64_t now_mono_ms)
{
	char note[sizeof p->shown_note];

	(void)snprintf(note, sizeof note, "%s", given);
	say_tame(note, strlen(note));
	bool is_new_note = strcmp(note, p->shown_note) != 0;

	if (p->is_on_terminal)
		show_bar(p, percent, note, now_mono_ms);
	else if (is_new_note || percent >= p->shown_percent + 5)
		(void)fprintf(stderr, "%3d %%  %s\n", percent, note);
	else
		return;
	p->shown_percent = percent;
	memcpy(p->shown_note, note, sizeof note);
}

void progress_line(struct progress *p, const char *text)
{
	(void)fprintf(stderr, "%s%s\n", p->has_bar ? "\r\033[K" : "", text);
	p->has_bar = false;
}

void progress_end(struct progress *p)
{
	if (p->has_bar)
		(void)fputc('\n', stderr);
	p->has_bar = false;
}
