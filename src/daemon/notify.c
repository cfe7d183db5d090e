/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sd_notify(3) in a few lines; see notify.h. */
#include "daemon/notify.h"

#include "base/fdio.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

void notify_manager(const char *state)
{
    const char *path = g_getenv("NOTIFY_SOCKET");
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    size_t length = path ? strlen(path) : 0;
    fdio_auto fd = -1;

    if (length == 0 || length >= sizeof at.sun_path || !strchr("/@", *path))
        return;
    memcpy(at.sun_path, path, length);
    if (*path == '@') /* the abstract namespace */
        at.sun_path[0] = 0;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&at,
                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
}
