/*
 * replay: runs a fuzz target on files, where there is no libFuzzer.
 * Usage: NAME_fuzz PATH...   A folder stands for the files in it. Each is fed whole, and once more cut to half, so that
 * what is cut off is met too. The last line says how many files there were; none is a failure.
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include "base/buf.h"
#include "base/mem.h"
#include "base/must.h"
#include "fuzz.h"
#include "os/file.h"

enum { INPUT_MAX = 4 << 20 };

static int n_files;

/* In a block of just its size: a read past the end must be seen. */
static void feed(const char *bytes, size_t len)
{
	uint8_t *copy = mem_alloc(len ? len : 1);

	if (len)
		memcpy(copy, bytes, len);
	(void)LLVMFuzzerTestOneInput(copy, len);
	mem_free(copy);
}

static void feed_file(const char *path)
{
	struct err err = { 0 };
	struct buf text;

	buf_init(&text, INPUT_MAX);
	if (file_read(path, &text, &err) != RC_OK) {
		fprintf(stderr, "%s\n", err.msg);
		exit(1);
	}
	fprintf(stderr, "%s\n", path); /* the last one told is the one that failed */
	feed(text.bytes, text.len);
	feed(text.bytes, text.len / 2);
	buf_fini(&text);
	n_files++;
}

static void feed_folder(const char *path)
{
	struct dirent **list;
	int n = scandir(path, &list, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		char file[PATH_MAX];
		must(snprintf(file, sizeof file, "%s/%s", path, list[i]->d_name) < (int)sizeof file);
		if (list[i]->d_name[0] != '.')
			feed_file(file);
		mem_free(list[i]);
	}
	if (n >= 0)
		mem_free(list);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		struct stat st;
		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
			feed_folder(argv[i]);
		else
			feed_file(argv[i]);
	}
	fprintf(stderr, "%d files\n", n_files);
	return n_files > 0 ? 0 : 1;
}
