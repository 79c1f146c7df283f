/*
 * attr: the compiler attributes we use, under names of ours. Nothing else may write __attribute__.
 */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

#define NODISCARD __attribute__((warn_unused_result))
#define NORETURN __attribute__((noreturn))
#define PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define UNUSED __attribute__((unused))
#define COLD __attribute__((cold))
#define BEFORE_MAIN __attribute__((constructor))
/* Code that runs where a sanitizer's bookkeeping must not be touched (os/proc.c says why). */
#define NO_SANITIZE __attribute__((no_sanitize("address"), no_sanitize("thread"), no_sanitize("undefined")))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
