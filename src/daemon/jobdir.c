/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Migrations' directories; see jobdir.h. */
#include "daemon/jobdir.h"

#include "base/fdio.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define LOG_AREA  "workers"
#define DEPTH_MAX 4

GStrv jobdir_list(const char *run_dir)
{
    g_autoptr(GStrvBuilder) ids = g_strv_builder_new();
    g_autoptr(GDir) dir = g_dir_open(run_dir, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir)))
        if (g_uuid_string_is_valid(name))
            g_strv_builder_add(ids, name);
    return g_strv_builder_end(ids);
}

static void remove_at(int parent, const char *name, guint depth)
{
    DIR *dir;
    struct dirent *entry;
    int fd;

    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return;
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while (depth && (entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            remove_at(fd, entry->d_name, depth - 1);
    closedir(dir);
    if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        log_warning("%s is left in the runtime directory: %s", name, g_strerror(errno));
}

void jobdir_remove(const char *run_dir, const char *id)
{
    fdio_auto fd = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0 && g_uuid_string_is_valid(id))
        remove_at(fd, id, DEPTH_MAX);
}
