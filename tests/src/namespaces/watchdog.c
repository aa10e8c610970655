/* Preloaded into a node's daemon: lets a pipe take the one request that makes a watchdog of it. The
 * margin goes down the pipe to the laboratory, which feels the feeding and ends the node without it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define SET_TIMEOUT _IOWR('W', 6, int)

int ioctl(int fd, unsigned long request, ...)
{
    struct stat what;
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    if (request == SET_TIMEOUT && fstat(fd, &what) == 0 && S_ISFIFO(what.st_mode))
        return dprintf(fd, "T%d\n", *(int *)argument) < 0 ? -1 : 0;
    int (*next)(int, unsigned long, ...) = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
    return next(fd, request, argument);
}
