/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Expired files; see expiry.h. */
#include "daemon/expiry.h"

#include "base/fdio.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_AREA "expiry"

struct expiry {
    GHashTable *complained; /* set of paths */
};

expiry *expiry_new(void)
{
    expiry *self = g_new0(expiry, 1);

    self->complained = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return self;
}

void expiry_free(expiry *self)
{
    if (!self)
        return;
    g_hash_table_unref(self->complained);
    g_free(self);
}

/* Opens the directory of an absolute path component by component, none of which may be a symbolic
 * link: somebody else may own a directory on the way. Returns -1 with errno. */
static int open_parent(char **parts, guint count)
{
    fdio_auto fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    for (guint i = 0; fd >= 0 && i + 1 < count; i++) {
        int next;
        if (!*parts[i])
            continue;
        next = openat(fd, parts[i], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
            return -1;
        fdio_clear(&fd);
        fd = next;
    }
    return g_steal_fd(&fd);
}

/* *held keeps the file's blocks until it is closed: to free those of a big disk takes long. */
static gboolean take_away(const char *path, int *held, gint64 *bytes, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);
    guint count = g_strv_length(parts);
    const char *name = count ? parts[count - 1] : "";
    fdio_auto parent = -1;
    struct stat info;

    *bytes = -1;
    if (*path != '/' || !strstr(name, ".ferry-") ||
        g_strv_contains((const char *const *)parts, "..")) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_FILENAME,
                    "%s: this is no name Ferry gives to what it keeps", path);
        return FALSE;
    }
    parent = open_parent(parts, count);
    /* O_PATH asks for no right to read, and keeps what it found as well as an open file does. */
    *held = parent < 0 ? -1 : openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (*held < 0 || fstat(*held, &info) < 0)
        return errno == ENOENT || fdio_error(error, errno, "%s", path);
    if (!S_ISREG(info.st_mode)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_REGULAR_FILE,
                    "%s is not a regular file: look at it, and remove it by hand", path);
        return FALSE;
    }
    if (unlinkat(parent, name, 0) < 0 && errno != ENOENT)
        return fdio_error(error, errno, "%s: delete", path);
    *bytes = (gint64)info.st_blocks * 512;
    return TRUE;
}

gboolean expiry_delete(const char *path, gint64 *bytes, GError **error)
{
    fdio_auto held = -1;

    return take_away(path, &held, bytes, error);
}

typedef struct {
    gint64 *bytes;
    int held;
} dropped;

static gboolean drop(const char *path, void *user, GError **error)
{
    dropped *file = user;

    return take_away(path, &file->held, file->bytes, error);
}

gboolean expiry_drop(journal *book, const journal_kept *kept, gint64 *bytes, GError **error)
{
    dropped file = {.bytes = bytes, .held = -1};
    gboolean in_use, ok;

    *bytes = -1;
    ok = journal_drop(book, kept, drop, &file, &in_use, error);
    /* Only now are its blocks freed: nobody waits for the journal meanwhile. */
    fdio_clear(&file.held);
    if (!ok)
        return FALSE;
    if (in_use) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_BUSY, "%s: the VM it is of is landing here",
                    kept->path);
        return FALSE;
    }
    if (*bytes >= 0)
        log_notice("%s, kept since migration %.8s (%s), was deleted", kept->path, kept->id,
                   kept->kind);
    return TRUE;
}

guint expiry_run(expiry *self, journal *book, gint64 now, GError **error)
{
    g_autoptr(GPtrArray) expired = journal_kept_list(book, now, error);
    guint count = 0;

    for (guint i = 0; expired && i < expired->len; i++) {
        const journal_kept *kept = expired->pdata[i];
        g_autoptr(GError) problem = NULL;
        gint64 bytes;
        if (expiry_drop(book, kept, &bytes, &problem)) {
            g_hash_table_remove(self->complained, kept->path);
            count += bytes >= 0;
        } else if (!g_error_matches(problem, G_IO_ERROR, G_IO_ERROR_BUSY) &&
                   g_hash_table_add(self->complained, g_strdup(kept->path))) {
            log_warning("not deleted: %s", problem->message);
        }
    }
    return count;
}
