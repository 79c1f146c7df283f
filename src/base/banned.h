/*
 * banned: functions that lose errors, overflow, or race. Force-included into every file of ours.
 * base and os are the door to the allocator and the kernel: they define STINT_IS_DOOR.
 */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

/* Headers that mention these names must come first, or the poison would hit them. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* clang takes the fortified macros of some of these for a redefinition; the gcc build checks for both. */
#ifndef __clang__
#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol atoll atof gmtime localtime system tmpnam
/* Not rand: OpenSSL's headers have parameters of that name, and without srand it is no temptation. */
#pragma GCC poison popen srand gets
#ifndef STINT_IS_DOOR
#pragma GCC poison fork vfork execve execvp malloc calloc realloc
#endif
#endif

#endif
