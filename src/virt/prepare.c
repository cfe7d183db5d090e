/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes the disks of a plan, and takes them back; see plan.h.
 *
 * A pool that can be landed in is a directory with a name, so its volumes are made like any other
 * file, and it is told to look again: unlike virStorageVolCreateXML, O_EXCL never writes over what
 * libvirt has not noticed yet.
 */
#include "base/fdio.h"
#include "virt/conn.h"
#include "virt/plan.h"
#include "virt/pools.h"
#define LOG_AREA "virt"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* qemu-img with arguments; *out gets its standard output, or NULL when that is not wanted. */
static gboolean qemu_img(const char *const *argv, char **out, GError **error)
{
    g_autoptr(GSubprocess) process = g_subprocess_newv(
        argv, G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE, error);
    g_autofree char *text = NULL, *said = NULL;

    if (!process || !g_subprocess_communicate_utf8(process, NULL, NULL, &text, &said, error))
        return FALSE;
    if (!g_subprocess_get_successful(process)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s",
                    *said ? g_strstrip(said) : "qemu-img failed");
        return FALSE;
    }
    if (out)
        *out = g_steal_pointer(&text);
    return TRUE;
}

static gboolean fill_in(const plan_disk *disk, int fd, GError **error)
{
    g_autofree char *size = g_strdup_printf("%" G_GUINT64_FORMAT, disk->capacity);
    /* Every cluster gets its place now (QEMU's "metadata" preallocation, 160 MiB of tables for 1 TiB; the data stays
     * a hole): then no write changes a table, and the sink can write the file by itself (relay/sink.h). */
    const char *argv[] = {"qemu-img", "create", "-q", "-f", "qcow2", "-o", "preallocation=metadata",
                          disk->new_path, size, NULL};

    if (!strcmp(disk->new_format, "qcow2"))
        return qemu_img(argv, NULL, error);
    if (ftruncate(fd, (off_t)disk->capacity))
        return fdio_error(error, errno, "its size cannot be set");
    return TRUE;
}

/* The plan's mark on a file it made, known before the file is: so even a worker that died in
 * between leaves files that can be told. Not every file system can keep one. */
static const char *const marks[] = {"trusted.ferry.plan", "user.ferry.plan"};

static void set_mark(int fd, const char *mark)
{
    for (guint i = 0; i < G_N_ELEMENTS(marks); i++)
        if (fsetxattr(fd, marks[i], mark, strlen(mark), 0) == 0)
            return;
}

static gboolean has_mark(const char *path, const char *mark)
{
    char value[64];

    for (guint i = 0; i < G_N_ELEMENTS(marks); i++) {
        ssize_t length = lgetxattr(path, marks[i], value, sizeof(value));
        if (length > 0 && (size_t)length == strlen(mark) && !memcmp(value, mark, (size_t)length))
            return TRUE;
    }
    return FALSE;
}

static gboolean make(plan_disk *disk, const char *mark, GError **error)
{
    struct stat st;
    fdio_auto fd = open(disk->new_path, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return fdio_error(error, errno, "%s cannot be made", disk->new_path);
    set_mark(fd, mark);
    if (fchmod(fd, 0600) == 0 && fstat(fd, &st) == 0 && fill_in(disk, fd, error)) {
        disk->inode = st.st_ino;
        return TRUE;
    }
    if (error && !*error)
        fdio_error(error, errno, "its mode cannot be set");
    g_prefix_error(error, "%s cannot be made: ", disk->new_path);
    unlink(disk->new_path); /* ours: O_EXCL said so */
    return FALSE;
}

/* Is what is at its path the file that this plan made? */
static gboolean is_ours(const plan *self, const plan_disk *disk)
{
    struct stat st;

    return disk->new_path && lstat(disk->new_path, &st) == 0 && S_ISREG(st.st_mode) &&
           (has_mark(disk->new_path, self->mark) || (disk->inode && st.st_ino == disk->inode));
}

static void refresh_pools(const plan *self, virt_host *host)
{
    g_autoptr(GPtrArray) paths = g_ptr_array_new();

    for (guint i = 0; i < self->disks->len; i++) {
        const plan_disk *disk = self->disks->pdata[i];
        if (disk->new_path)
            g_ptr_array_add(paths, disk->new_path);
    }
    g_ptr_array_add(paths, NULL);
    pools_refresh(host, (const char *const *)paths->pdata);
}

gboolean plan_prepare(plan *self, virt_host *host, GError **error)
{
    for (guint i = 0; i < self->give_up->len; i++) {
        const char *path = self->give_up->pdata[i];
        if (unlink(path) == 0)
            log_notice("%s was deleted: its room is needed for the move itself", path);
        else if (errno != ENOENT)
            return fdio_error(error, errno, "%s, whose room is needed, cannot be deleted", path);
    }
    for (guint i = 0; i < self->disks->len; i++) {
        plan_disk *disk = self->disks->pdata[i];
        if (!disk->new_path || !disk->new_format) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "disk %s has no place in the plan",
                        disk->target);
        } else if (make(disk, self->mark, error)) {
            continue;
        }
        g_prefix_error(error, "disk %s: ", disk->target);
        while (i-- > 0) {
            plan_disk *made = self->disks->pdata[i];
            if (is_ours(self, made))
                unlink(made->new_path);
            made->inode = 0;
        }
        return FALSE;
    }
    refresh_pools(self, host);
    return TRUE;
}

/* Does any VM of this host, running or not, name the file? A mention anywhere in its XML counts. */
static gboolean in_use(virt_host *host, const char *path, gboolean *used, GError **error)
{
    hook_around("libvirt:list");
    g_autofree char *needle = g_markup_escape_text(path, -1);
    virDomainPtr *domains = NULL;
    int count = virConnectListAllDomains(host->conn, &domains, 0);

    *used = FALSE;
    if (count < 0)
        return conn_error(error, "libvirt does not tell the VMs of this host");
    for (int i = 0; i < count; i++) {
        char *xml = virDomainGetXMLDesc(domains[i], 0);
        /* One that cannot be read is gone, or its host is in trouble: then nothing is touched. */
        *used = *used || (xml ? strstr(xml, needle) != NULL : !conn_error_is(VIR_ERR_NO_DOMAIN));
        free(xml);
        virDomainFree(domains[i]);
    }
    free(domains);
    return TRUE;
}

#define QCOW2_CLUSTER 65536 /* qemu-img's default */

/* Has no guest data reached it? When in doubt: it has. */
static gboolean is_untouched(const plan_disk *disk)
{
    const char *argv[] = {"qemu-img", "map",   "--output=json", "-U",
                          "-f",       "qcow2", disk->new_path,  NULL};
    guint64 last = disk->capacity - disk->capacity % QCOW2_CLUSTER;
    g_autofree char *map = NULL, *begins = NULL;
    fdio_auto fd = -1;
    char *end;

    if (!strcmp(disk->new_format, "qcow2")) {
        if (!qemu_img(argv, &map, NULL))
            return FALSE;
        /* A last cluster that is not whole is written when the file is made. */
        begins = g_strdup_printf("\"start\": %" G_GUINT64_FORMAT ",", last);
        end = last < disk->capacity ? strstr(map, begins) : NULL;
        if (end)
            *end = 0;
        return !strstr(map, "\"zero\": false");
    }
    fd = open(disk->new_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 && lseek(fd, 0, SEEK_DATA) < 0 && errno == ENXIO;
}

/* Does the file of an earlier try hold more than what has landed now? */
static gboolean holds_more(const char *name, const plan_disk *disk, const char *const *earlier)
{
    struct stat old, now;

    return earlier && g_strv_contains(earlier, name) && lstat(name, &old) == 0 &&
           S_ISREG(old.st_mode) && lstat(disk->new_path, &now) == 0 && old.st_blocks > now.st_blocks;
}

static gboolean put_away(const plan_disk *disk, gboolean keep, const char *const *earlier,
                         GPtrArray *kept, GError **error)
{
    g_autofree char *name = g_strconcat(disk->new_path, PLAN_LANDED, NULL);

    if (!keep || is_untouched(disk) || holds_more(name, disk, earlier)) {
        if (unlink(disk->new_path) && errno != ENOENT)
            return fdio_error(error, errno, "%s cannot be removed", disk->new_path);
    } else {
        if (rename(disk->new_path, name))
            return fdio_error(error, errno, "%s cannot be renamed", disk->new_path);
        g_ptr_array_add(kept, g_steal_pointer(&name));
    }
    return fdio_sync_parent(disk->new_path, error);
}

GStrv plan_abandon(const plan *self, virt_host *host, gboolean keep, const char *const *earlier,
                   GError **error)
{
    g_autoptr(GPtrArray) kept = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < self->disks->len; i++) {
        const plan_disk *disk = self->disks->pdata[i];
        gboolean used;
        if (!is_ours(self, disk))
            continue;
        if (!in_use(host, disk->new_path, &used, error))
            return NULL;
        if (used)
            log_warning("%s is in use by a VM and stays as it is", disk->new_path);
        else if (!put_away(disk, keep, earlier, kept, error))
            return NULL;
    }
    refresh_pools(self, host);
    g_ptr_array_add(kept, NULL);
    return (GStrv)g_ptr_array_free(g_steal_pointer(&kept), FALSE);
}
