/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors, UNIX sockets, passing descriptors, durable files. */
#include "base/fdio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    char *dir;
} fixture;

static void set_up(fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    f->dir = g_dir_make_tmp("ferry-fdio-XXXXXX", &error);
    g_assert_no_error(error);
}

/* Also asserts that nothing but the names a test expects is left. */
static void tear_down(fixture *f, gconstpointer data)
{
    g_autoptr(GDir) dir = g_dir_open(f->dir, 0, NULL);
    const char *entry;

    while ((entry = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(f->dir, entry, NULL);
        g_assert_null(strstr(entry, ".new-")); /* no temporary file stays behind */
        g_assert_true(g_unlink(path) == 0 || g_rmdir(path) == 0);
    }
    g_rmdir(f->dir);
    g_free(f->dir);
}

static char *in(fixture *f, const char *name)
{
    return g_build_filename(f->dir, name, NULL);
}

static guint open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    guint count = 0;

    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void test_error_names_operation(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(fdio_error(&error, ENOENT, "%s: open", "/x"));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
    g_assert_cmpstr(error->message, ==, "/x: open: No such file or directory");
    g_assert_false(fdio_error(NULL, ENOENT, "nobody asks"));
}

static gpointer write_in_pieces(gpointer data)
{
    int fd = GPOINTER_TO_INT(data);

    for (int i = 0; i < 1000; i++)
        g_assert_cmpint(write(fd, "0123456789", 10), ==, 10);
    close(fd);
    return NULL;
}

static void test_read_full(void)
{
    g_autofree char *buffer = g_malloc0(9996);
    g_autoptr(GError) error = NULL;
    int fds[2];

    g_assert_cmpint(pipe(fds), ==, 0);
    GThread *thread = g_thread_new("writer", write_in_pieces, GINT_TO_POINTER(fds[1]));
    g_assert_true(fdio_read_full(fds[0], buffer, 9996, &error));
    g_assert_no_error(error);
    g_assert_cmpint(buffer[9995], ==, '5');
    g_assert_false(fdio_read_full(fds[0], buffer, 10, &error)); /* 4 are left */
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED);
    g_assert_nonnull(strstr(error->message, "ended 6 bytes early"));
    g_clear_error(&error);
    g_thread_join(thread);
    close(fds[0]);
    g_assert_false(fdio_read_full(fds[0], buffer, 1, &error));
    g_assert_nonnull(error);
}

static gpointer read_all(gpointer data)
{
    int fd = GPOINTER_TO_INT(data);
    char buffer[100];
    gsize total = 0;
    ssize_t n;

    while ((n = read(fd, buffer, sizeof buffer)) > 0)
        total += (gsize)n;
    return GSIZE_TO_POINTER(total);
}

static void test_write_full(void)
{
    g_autofree char *buffer = g_malloc0(1000000); /* more than a pipe holds */
    g_autoptr(GError) error = NULL;
    int fds[2];

    g_assert_cmpint(pipe(fds), ==, 0);
    GThread *thread = g_thread_new("reader", read_all, GINT_TO_POINTER(fds[0]));
    g_assert_true(fdio_write_full(fds[1], buffer, 1000000, &error));
    g_assert_no_error(error);
    fdio_clear(&fds[1]);
    g_assert_cmpint(fds[1], ==, -1);
    fdio_clear(&fds[1]);
    g_assert_cmpuint(GPOINTER_TO_SIZE(g_thread_join(thread)), ==, 1000000);
    close(fds[0]);
}

static void test_nonblocking(void)
{
    g_autoptr(GError) error = NULL;
    int fds[2];

    g_assert_cmpint(pipe(fds), ==, 0);
    g_assert_true(fdio_set_nonblocking(fds[0], TRUE, &error));
    g_assert_cmpint(fcntl(fds[0], F_GETFL) & O_NONBLOCK, ==, O_NONBLOCK);
    g_assert_true(fdio_set_nonblocking(fds[0], FALSE, &error));
    g_assert_cmpint(fcntl(fds[0], F_GETFL) & O_NONBLOCK, ==, 0);
    close(fds[0]);
    close(fds[1]);
    g_assert_false(fdio_set_nonblocking(fds[0], TRUE, &error));
    g_assert_nonnull(error);
}

/* UNIX sockets. */

static void test_listen_and_connect(fixture *f, gconstpointer data)
{
    g_autofree char *path = in(f, "socket");
    g_autoptr(GError) error = NULL;
    struct stat st;
    mode_t mask = umask(0077);

    g_assert_cmpint(fdio_unix_connect(path, SOCK_STREAM, &error), ==, -1);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
    g_assert_nonnull(strstr(error->message, path));
    g_clear_error(&error);
    for (int i = 0; i < 2; i++) { /* the second time over the stale socket of the first */
        fdio_auto listener = fdio_unix_listen(path, SOCK_STREAM, 0660, &error);
        g_assert_no_error(error);
        g_assert_cmpint(stat(path, &st), ==, 0);
        g_assert_cmpint(st.st_mode & 07777, ==, 0660); /* whatever the umask */
        fdio_auto client = fdio_unix_connect(path, SOCK_STREAM, &error);
        g_assert_no_error(error);
        fdio_auto server = accept(listener, NULL, NULL);
        g_assert_true(fdio_write_full(client, "hello", 5, &error));
        char buffer[5];
        g_assert_true(fdio_read_full(server, buffer, 5, &error));
        g_assert_cmpint(fcntl(listener, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
        g_assert_cmpint(fcntl(client, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
    }
    umask(mask);
    g_assert_cmpint(fdio_unix_connect(path, SOCK_STREAM, &error), ==, -1); /* nobody listens */
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
}

static void test_listen_spares_files(fixture *f, gconstpointer data)
{
    g_autofree char *path = in(f, "precious"), *long_name = g_strnfill(200, 'x');
    g_autofree char *long_path = in(f, long_name), *text = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_true(g_file_set_contents(path, "data", 4, NULL));
    g_assert_cmpint(fdio_unix_listen(path, SOCK_STREAM, 0600, &error), ==, -1);
    g_assert_nonnull(strstr(error->message, path));
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "data");
    g_clear_error(&error);
    g_assert_cmpint(fdio_unix_listen(long_path, SOCK_STREAM, 0600, &error), ==, -1);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_FILENAME_TOO_LONG);
}

/* Messages. */

static void seqpacket(int fds[2])
{
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), ==, 0);
}

static void test_messages_keep_their_bounds(void)
{
    g_autofree char *largest = g_strnfill(FDIO_MESSAGE_MAX, 'x');
    g_autoptr(GError) error = NULL;
    GBytes *message;
    int fds[2], passed = 77;
    gsize size;

    seqpacket(fds);
    g_assert_true(fdio_send_message(fds[0], "one", 3, -1, &error));
    g_assert_true(fdio_send_message(fds[0], "second", 6, -1, &error));
    g_assert_true(fdio_send_message(fds[0], largest, FDIO_MESSAGE_MAX, -1, &error));
    g_assert_no_error(error);
    message = fdio_recv_message(fds[1], &passed, &error);
    g_assert_cmpint(passed, ==, -1);
    g_assert_cmpstr(g_bytes_get_data(message, &size), ==, "one"); /* NUL-terminated */
    g_assert_cmpuint(size, ==, 3);
    g_bytes_unref(message);
    message = fdio_recv_message(fds[1], NULL, &error);
    g_assert_cmpstr(g_bytes_get_data(message, NULL), ==, "second");
    g_bytes_unref(message);
    message = fdio_recv_message(fds[1], NULL, &error);
    g_assert_cmpuint(g_bytes_get_size(message), ==, FDIO_MESSAGE_MAX);
    g_bytes_unref(message);

    g_assert_false(fdio_send_message(fds[0], largest, FDIO_MESSAGE_MAX + 1, -1, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE);
    g_clear_error(&error);
    g_assert_false(fdio_send_message(fds[0], "", 0, -1, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE);
    g_clear_error(&error);

    close(fds[0]);
    passed = 77;
    g_assert_null(fdio_recv_message(fds[1], &passed, &error));
    g_assert_no_error(error);
    g_assert_cmpint(passed, ==, -1);
    g_assert_false(fdio_send_message(fds[1], "x", 1, -1, &error)); /* an error, no SIGPIPE */
    g_assert_nonnull(error);
    close(fds[1]);
}

static void test_message_larger_than_allowed(void)
{
    g_autofree char *large = g_strnfill(FDIO_MESSAGE_MAX + 1, 'x');
    g_autoptr(GError) error = NULL;
    int fds[2], room = 4 * FDIO_MESSAGE_MAX;

    seqpacket(fds);
    if (setsockopt(fds[0], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) < 0) {
        g_test_skip("needs CAP_NET_ADMIN");
    } else {
        g_assert_cmpint(send(fds[0], large, FDIO_MESSAGE_MAX + 1, 0), ==, FDIO_MESSAGE_MAX + 1);
        g_assert_null(fdio_recv_message(fds[1], NULL, &error));
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE);
    }
    close(fds[0]);
    close(fds[1]);
}

static void test_passing_descriptors(void)
{
    g_autoptr(GError) error = NULL;
    GBytes *message;
    int fds[2], pipe_fds[2], passed = -1;
    guint before = open_descriptors();
    char byte;

    seqpacket(fds);
    g_assert_cmpint(pipe(pipe_fds), ==, 0);
    g_assert_true(fdio_send_message(fds[0], "take it", 7, pipe_fds[1], &error));
    g_assert_true(fdio_send_message(fds[0], "and this", 8, pipe_fds[1], &error));
    close(pipe_fds[1]);
    message = fdio_recv_message(fds[1], &passed, &error);
    g_assert_no_error(error);
    g_bytes_unref(message);
    g_assert_cmpint(fcntl(passed, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
    g_assert_cmpint(write(passed, "p", 1), ==, 1);
    g_assert_true(fdio_read_full(pipe_fds[0], &byte, 1, &error));
    g_assert_cmpint(byte, ==, 'p');
    close(passed);
    message = fdio_recv_message(fds[1], NULL, &error); /* not wanted: closed, not leaked */
    g_bytes_unref(message);
    g_assert_false(fdio_read_full(pipe_fds[0], &byte, 1, &error)); /* the last writer is gone */
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED);
    close(pipe_fds[0]);
    close(fds[0]);
    close(fds[1]);
    g_assert_cmpuint(open_descriptors(), ==, before);
}

/* A peer that sends more descriptors than one must not make us keep any. */
static void test_too_many_descriptors(void)
{
    guint before = open_descriptors();

    for (guint count = 2; count <= 20; count++) {
        g_autoptr(GError) error = NULL;
        char room[CMSG_SPACE(20 * sizeof(int))] __attribute__((aligned(8))) = {0};
        struct iovec part = {"x", 1};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = room,
                                 .msg_controllen = CMSG_SPACE(count * sizeof(int))};
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        int fds[2], passed = 77;
        seqpacket(fds);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(count * sizeof(int));
        for (guint i = 0; i < count; i++)
            memcpy(CMSG_DATA(header) + i * sizeof(int), &fds[0], sizeof(int));
        g_assert_cmpint(sendmsg(fds[0], &message, 0), ==, 1);
        g_assert_null(fdio_recv_message(fds[1], &passed, &error));
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
        g_assert_cmpint(passed, ==, -1);
        close(fds[0]);
        close(fds[1]);
        g_assert_cmpuint(open_descriptors(), ==, before);
    }
}

/* Files. */

static void test_replace_file(fixture *f, gconstpointer data)
{
    g_autofree char *path = in(f, "file"), *text = NULL, *bad = in(f, "none/file"),
                    *dir = in(f, "d");
    g_autoptr(GError) error = NULL;
    struct stat st;
    mode_t mask = umask(0077);

    g_assert_true(fdio_replace_file(path, "first", 5, 0644, &error));
    g_assert_no_error(error);
    g_assert_true(fdio_replace_file(path, "2nd", 3, 0640, &error));
    umask(mask);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "2nd");
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 07777, ==, 0640);
    g_assert_false(fdio_replace_file(bad, "x", 1, 0644, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
    g_clear_error(&error);
    g_assert_cmpint(g_mkdir(dir, 0700), ==, 0);
    g_assert_false(
        fdio_replace_file(dir, "x", 1, 0644, &error)); /* tear_down looks for leftovers */
    g_assert_nonnull(strstr(error->message, dir));
    g_clear_error(&error);
    g_assert_true(fdio_sync_parent(path, &error));
    g_assert_false(fdio_sync_parent(bad, &error));
    g_assert_nonnull(error);
}

/* Whoever reads while it is replaced sees one whole version or the other. */
static gpointer replace_forever(gpointer data)
{
    gpointer *arguments = data;
    gint *stop = arguments[1];

    while (!g_atomic_int_get(stop)) {
        g_assert_true(fdio_replace_file(arguments[0], "aaaaaaaa", 8, 0644, NULL));
        g_assert_true(fdio_replace_file(arguments[0], "bb", 2, 0644, NULL));
    }
    return NULL;
}

static void test_replace_is_atomic(fixture *f, gconstpointer data)
{
    g_autofree char *path = in(f, "file");
    gint stop = 0;
    gpointer arguments[] = {path, &stop};
    GThread *thread;

    g_assert_true(fdio_replace_file(path, "bb", 2, 0644, NULL));
    thread = g_thread_new("writer", replace_forever, arguments);
    for (int i = 0; i < 500; i++) {
        g_autofree char *text = NULL;
        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        g_assert_true(!strcmp(text, "aaaaaaaa") || !strcmp(text, "bb"));
    }
    g_atomic_int_set(&stop, 1);
    g_thread_join(thread);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, function) g_test_add(path, fixture, NULL, set_up, function, tear_down)
    g_test_add_func("/fdio/error-names-the-operation", test_error_names_operation);
    g_test_add_func("/fdio/read-full", test_read_full);
    g_test_add_func("/fdio/write-full", test_write_full);
    g_test_add_func("/fdio/nonblocking", test_nonblocking);
    ADD("/fdio/unix/listen-and-connect", test_listen_and_connect);
    ADD("/fdio/unix/listen-spares-files", test_listen_spares_files);
    g_test_add_func("/fdio/message/keeps-bounds", test_messages_keep_their_bounds);
    g_test_add_func("/fdio/message/larger-than-allowed", test_message_larger_than_allowed);
    g_test_add_func("/fdio/message/passes-descriptors", test_passing_descriptors);
    g_test_add_func("/fdio/message/too-many-descriptors", test_too_many_descriptors);
    ADD("/fdio/file/replace", test_replace_file);
    ADD("/fdio/file/replace-is-atomic", test_replace_is_atomic);
    return g_test_run();
}
