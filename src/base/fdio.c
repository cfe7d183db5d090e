/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors, UNIX sockets and durable files; see fdio.h. */
#include "base/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

gboolean fdio_error(GError **error, int errnum, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(errnum), "%s: %s", text,
                g_strerror(errnum));
    return FALSE;
}

void fdio_clear(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

gboolean fdio_read_full(int fd, void *buffer, size_t length, GError **error)
{
    uint8_t *at = buffer;

    while (length > 0) {
        ssize_t n = read(fd, at, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fdio_error(error, errno, "read");
        if (n == 0) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED,
                        "read: ended %zu bytes early", length);
            return FALSE;
        }
        at += n;
        length -= (size_t)n;
    }
    return TRUE;
}

gboolean fdio_write_full(int fd, const void *buffer, size_t length, GError **error)
{
    const uint8_t *at = buffer;

    while (length > 0) {
        ssize_t n = write(fd, at, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fdio_error(error, errno, "write");
        at += n;
        length -= (size_t)n;
    }
    return TRUE;
}

gboolean fdio_set_nonblocking(int fd, gboolean nonblocking, GError **error)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return fdio_error(error, errno, "fcntl");
    flags = nonblocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    if (fcntl(fd, F_SETFL, flags) < 0)
        return fdio_error(error, errno, "fcntl");
    return TRUE;
}

static int unix_socket(const char *path, int type, struct sockaddr_un *address, GError **error)
{
    int fd;

    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (g_strlcpy(address->sun_path, path, sizeof address->sun_path) >= sizeof address->sun_path) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FILENAME_TOO_LONG,
                    "%s: a socket's path has at most %zu bytes", path,
                    sizeof address->sun_path - 1);
        return -1;
    }
    fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fdio_error(error, errno, "%s: socket", path);
    return fd;
}

/* Removes what a dead process left at `path`, if it is a socket. */
static gboolean remove_stale(const char *path, GError **error)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT || fdio_error(error, errno, "%s: stat", path);
    if (!S_ISSOCK(st.st_mode)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS,
                    "%s: there is something else than a socket; move it away", path);
        return FALSE;
    }
    return unlink(path) == 0 || errno == ENOENT || fdio_error(error, errno, "%s: unlink", path);
}

int fdio_unix_listen(const char *path, int type, mode_t mode, GError **error)
{
    struct sockaddr_un address;
    fdio_auto fd = unix_socket(path, type, &address, error);

    if (fd < 0)
        return -1;
    if (!remove_stale(path, error))
        return -1;
    /* fchmod on the unbound socket gives the inode its mode before anybody can see it; bind then
     * applies the umask on top, so a chmod follows, which can only widen. */
    if (fchmod(fd, mode) < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        chmod(path, mode) < 0 || listen(fd, 64) < 0) {
        fdio_error(error, errno, "%s: listen", path);
        return -1;
    }
    return g_steal_fd(&fd);
}

int fdio_unix_connect(const char *path, int type, GError **error)
{
    struct sockaddr_un address;
    fdio_auto fd = unix_socket(path, type, &address, error);

    if (fd < 0)
        return -1;
    while (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        if (errno == EINTR)
            continue;
        fdio_error(error, errno, "%s: connect", path);
        return -1;
    }
    return g_steal_fd(&fd);
}

gboolean fdio_send_message(int fd, const void *data, size_t length, int pass_fd, GError **error)
{
    struct iovec iov = {.iov_base = (void *)data, .iov_len = length};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;

    if (length == 0 || length > FDIO_MESSAGE_MAX) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE,
                    "a message of %zu bytes; 1 to %d fit", length, FDIO_MESSAGE_MAX);
        return FALSE;
    }
    if (pass_fd >= 0) {
        message.msg_control = control.room;
        message.msg_controllen = sizeof control.room;
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(cmsg), &pass_fd, sizeof(int));
    }
    /* One packet must fit the send buffer; the default holds about 200 KiB. */
    int room = 2 * FDIO_MESSAGE_MAX;
    if (length > 64 * 1024 && setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    do
        n = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return fdio_error(error, errno, "send");
    return TRUE;
}

/* The first descriptor that came, -1: none. Any more (alignment leaves room for them) are closed.
 */
static int keep_one(struct msghdr *message, gboolean *superfluous)
{
    int kept = -1;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = 0; at + sizeof(int) <= c->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + at, sizeof fd);
            if (kept >= 0) {
                close(fd);
                *superfluous = TRUE;
            } else {
                kept = fd;
            }
        }
    }
    return kept;
}

GBytes *fdio_recv_message(int fd, int *passed_fd, GError **error)
{
    g_autofree uint8_t *data = g_malloc(FDIO_MESSAGE_MAX + 1);
    struct iovec iov = {.iov_base = data, .iov_len = FDIO_MESSAGE_MAX};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof control.room};
    fdio_auto received = -1;
    gboolean superfluous = FALSE;
    ssize_t n;

    if (passed_fd)
        *passed_fd = -1;
    do
        n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        fdio_error(error, errno, "receive");
        return NULL;
    }
    received = keep_one(&message, &superfluous);
    if (n == 0)
        return NULL;
    if (superfluous || message.msg_flags & MSG_CTRUNC) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "receive: more descriptors came than one");
        return NULL;
    }
    if (message.msg_flags & MSG_TRUNC) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE, "receive: message cut short");
        return NULL;
    }
    if (passed_fd)
        *passed_fd = g_steal_fd(&received);
    data[n] = 0;
    /* Shrink: messages are mostly small, and callers may keep them. */
    return g_bytes_new_take(g_realloc(g_steal_pointer(&data), (gsize)n + 1), (gsize)n);
}

gboolean fdio_sync_parent(const char *path, GError **error)
{
    g_autofree char *parent = g_path_get_dirname(path);
    fdio_auto fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        return fdio_error(error, errno, "%s: sync", parent);
    return TRUE;
}

gboolean fdio_replace_file(const char *path, const void *data, size_t length, mode_t mode,
                           GError **error)
{
    g_autofree char *beside = g_strdup_printf("%s.new-XXXXXX", path);
    fdio_auto fd = g_mkstemp_full(beside, O_WRONLY | O_CLOEXEC, (int)mode);

    if (fd < 0)
        return fdio_error(error, errno, "%s: create", beside);
    if (!fdio_write_full(fd, data, length, error)) {
        g_prefix_error(error, "%s: ", beside);
    } else if (fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(beside, path) < 0) {
        fdio_error(error, errno, "%s: replace", path);
    } else {
        return fdio_sync_parent(path, error);
    }
    unlink(beside);
    return FALSE;
}
