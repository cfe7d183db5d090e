/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asking the test; see hook.h. */
#include "base/hook.h"

#include "base/fdio.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *program = "ferry";

void hook_program(const char *name)
{
    program = name;
}

static char ask(const char *kind, const char *step)
{
    const char *path = g_getenv("FERRY_HOOKS");
    fdio_auto fd = path ? fdio_unix_connect(path, SOCK_STREAM, NULL) : -1;
    g_autofree char *line = NULL;
    char answer = 'g';
    ssize_t n;

    if (fd < 0)
        return 'g';
    line = g_strdup_printf("%s %s%s %d\n", program, kind, step, (int)getpid());
    if (!fdio_write_full(fd, line, strlen(line), NULL))
        return 'g';
    do
        n = read(fd, &answer, 1);
    while (n < 0 && errno == EINTR);
    return n == 1 ? answer : 'g';
}

void hook_before(const char *step)
{
    (void)ask("before:", step);
}

void hook_after(const char *step)
{
    (void)ask("after:", step);
}

const char *hook_enter(const char *step)
{
    hook_before(step);
    return step;
}

void hook_leave(const char **step)
{
    hook_after(*step);
}

gboolean hook_wrong(const char *what)
{
    return ask("wrong:", what) == 'd';
}
