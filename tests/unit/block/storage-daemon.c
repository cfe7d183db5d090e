/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU's programs in tests; see storage-daemon.h. */
#include "storage-daemon.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static guint counter;

storage_daemon *storage_daemon_new(const char *directory, const char *path, const char *format,
                                   const char *export)
{
    storage_daemon *self = g_new0(storage_daemon, 1);
    g_autoptr(GError) error = NULL;
    g_autofree char *file = g_strdup_printf("driver=file,node-name=file,filename=%s", path);
    g_autofree char *node = g_strdup_printf("driver=%s,node-name=disk,file=file", format);
    g_autofree char *server = NULL, *block = NULL, *line = NULL;
    g_autoptr(GDataInputStream) said = NULL;

    self->socket = g_strdup_printf("%s/nbd-%u.sock", directory, ++counter);
    server = g_strdup_printf("addr.type=unix,addr.path=%s", self->socket);
    block = g_strdup_printf("type=nbd,id=export,node-name=disk,writable=on,name=%s", export);
    /* What follows --chardev is set up last: a greeting on standard output says that all is there. */
    self->process = g_subprocess_new(
        G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error,
        "qemu-storage-daemon", "--blockdev", file, "--blockdev", node, "--nbd-server", server,
        "--export", block, "--chardev", "stdio,id=monitor", "--monitor", "chardev=monitor", NULL);
    g_assert_no_error(error);
    said = g_data_input_stream_new(g_subprocess_get_stdout_pipe(self->process));
    g_filter_input_stream_set_close_base_stream(G_FILTER_INPUT_STREAM(said), FALSE);
    line = g_data_input_stream_read_line(said, NULL, NULL, &error);
    g_assert_no_error(error);
    g_assert_nonnull(line);
    g_assert_nonnull(strstr(line, "QMP"));
    return self;
}

static void end(storage_daemon *self, int signal_number)
{
    if (!self->process)
        return;
    g_subprocess_send_signal(self->process, signal_number);
    g_assert_true(g_subprocess_wait(self->process, NULL, NULL));
    g_clear_object(&self->process);
}

void storage_daemon_stop(storage_daemon *self)
{
    end(self, SIGKILL);
}

void storage_daemon_free(storage_daemon *self)
{
    end(self, SIGTERM);
    g_free(self->socket);
    g_free(self);
}

void storage_run(const char *const *argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocess) process = g_subprocess_newv(argv, G_SUBPROCESS_FLAGS_NONE, &error);

    g_assert_no_error(error);
    g_assert_true(g_subprocess_wait_check(process, NULL, &error));
    g_assert_no_error(error);
}

void storage_make(const char *path, const char *format, uint64_t size)
{
    g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, size);
    const char *argv[] = {"qemu-img", "create", "-q", "-f", format, path, text, NULL};
    const char *prepared[] = {"qemu-img", "create", "-q", "-f", "qcow2", "-o", "preallocation=metadata",
                              path,       text,     NULL};

    if (!strcmp(format, "raw")) { /* qemu-img would write its first block */
        g_assert_true(g_file_set_contents(path, "", 0, NULL));
        g_assert_cmpint(truncate(path, (off_t)size), ==, 0);
    } else {
        storage_run(!strcmp(format, "prepared") ? prepared : argv);
    }
}

void storage_remove(const char *directory)
{
    g_autoptr(GDir) all = g_dir_open(directory, 0, NULL);
    const char *name;

    while (all && (name = g_dir_read_name(all))) {
        g_autofree char *path = g_build_filename(directory, name, NULL);
        g_unlink(path);
    }
    g_rmdir(directory);
}
