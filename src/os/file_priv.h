/* file_priv: what the files of os/ that go through folders share. */
#ifndef OS_FILE_PRIV_H
#define OS_FILE_PRIV_H

#include <stdbool.h>

/* A descriptor of a folder in dir_fd, no link followed; one of our own user's that it may not read is made readable
 * first. -1 and errno: it cannot be opened. */
int folder_open(int dir_fd, const char *name);
/* Give our own user all rights in an open folder. Keeps errno. */
bool folder_make_usable(int dir_fd);

#endif
