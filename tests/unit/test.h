/*
 * test: unit tests. TEST defines one, RUN runs it and prints its name, EXPECT checks and prints both what was
 * claimed and the caller's words. A file is a program; scripts/test counts the lines "ok NAME" and "FAILED NAME".
 */
#ifndef TEST_H
#define TEST_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Weak, so that what several files of one program share counts into the same. */
__attribute__((weak)) int test_failures, test_case_failures;

#define TEST(name) static void name(void)
#define RUN(name)                                                                                   \
	do {                                                                                        \
		test_case_failures = 0;                                                             \
		name();                                                                             \
		printf("%s %s\n", test_case_failures ? "FAILED" : "ok", #name);                     \
		fflush(stdout);                                                                     \
	} while (0)
#define EXPECT(cond, ...)                                                                           \
	do {                                                                                        \
		if (!(cond)) {                                                                      \
			printf("%s:%d: not true: %s: ", __FILE__, __LINE__, #cond);                 \
			printf(__VA_ARGS__);                                                        \
			printf("\n");                                                               \
			test_failures++;                                                            \
			test_case_failures++;                                                       \
		}                                                                                   \
	} while (0)
#define FOR_EACH_ROW(i, row) for (size_t i = 0; i < sizeof(row) / sizeof((row)[0]); i++)

__attribute__((unused)) static int64_t utc(int y, int mo, int d, int h, int mi)
{
	struct tm tm = { .tm_year = y - 1900, .tm_mon = mo - 1, .tm_mday = d, .tm_hour = h, .tm_min = mi };
	return (int64_t)timegm(&tm);
}

#endif
