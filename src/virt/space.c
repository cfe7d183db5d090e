/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Room for disks, by file system; see space.h. */
#include "virt/space.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define MIB (1024ull * 1024)

typedef struct {
    dev_t device;
    char *directory;      /* the first one on it */
    GString *disks;       /* "vda, vdb" */
    guint count;          /* of them */
    guint64 needed, full; /* bytes: now, and when guests have filled their disks */
} volume;

struct space {
    GPtrArray *volumes;
};

static void volume_free(gpointer data)
{
    volume *v = data;

    g_free(v->directory);
    g_string_free(v->disks, TRUE);
    g_free(v);
}

space *space_new(void)
{
    space *self = g_new0(space, 1);

    self->volumes = g_ptr_array_new_with_free_func(volume_free);
    return self;
}

void space_free(space *self)
{
    g_ptr_array_unref(self->volumes);
    g_free(self);
}

static volume *volume_of(space *self, const char *directory)
{
    struct stat st;
    volume *v;

    if (stat(directory, &st))
        return NULL;
    for (guint i = 0; i < self->volumes->len; i++) {
        v = self->volumes->pdata[i];
        if (v->device == st.st_dev)
            return v;
    }
    v = g_new0(volume, 1);
    v->device = st.st_dev;
    v->directory = g_strdup(directory);
    v->disks = g_string_new(NULL);
    g_ptr_array_add(self->volumes, v);
    return v;
}

void space_add(space *self, const char *directory, const vm_disk *disk, const char *format)
{
    volume *v = volume_of(self, directory);
    /* The guest goes on writing while its disk is copied: a twentieth more than it takes now, but
     * never more than a full disk; qcow2's tables take at most 1/4096 of that, and its header a few
     * clusters. */
    guint64 tables = !strcmp(format, "qcow2") ? disk->capacity / 4096 + MIB : 0;
    guint64 full = disk->capacity + tables;
    guint64 taken = disk->allocation ? disk->allocation : disk->capacity;

    if (!v) /* gone since it was tried: making the disk will say so */
        return;
    v->full += full;
    v->needed += MIN(full, taken + taken / 20 + tables + MIB);
    v->count++;
    g_string_append_printf(v->disks, "%s%s", v->disks->len ? ", " : "", disk->target);
}

char *space_text(guint64 bytes)
{
    static const char units[] = "KMGTPE";
    double value = (double)bytes / 1024;
    guint i = 0;

    if (bytes < 1024)
        return g_strdup_printf("%u bytes", (guint)bytes);
    for (; value >= 1024 && units[i + 1]; i++)
        value /= 1024;
    return g_strdup_printf("%.1f %ciB", value, units[i]);
}

/* Bytes that files on this volume take; adds them to `list` if there is one. */
static guint64 taken_by(const volume *v, const char *const *files, GPtrArray *list)
{
    guint64 sum = 0;
    struct stat st;

    for (guint i = 0; files && files[i]; i++)
        if (lstat(files[i], &st) == 0 && S_ISREG(st.st_mode) && st.st_dev == v->device) {
            sum += (guint64)st.st_blocks * 512;
            if (list)
                g_ptr_array_add(list, g_strdup(files[i]));
        }
    return sum;
}

void space_check(const space *self, const char *const *landed, GPtrArray *give_up, findings *found,
                 const char *here)
{
    for (guint i = 0; i < self->volumes->len; i++) {
        const volume *v = self->volumes->pdata[i];
        struct statvfs fs;
        guint64 free_bytes;
        g_autofree char *needed = space_text(v->needed), *full = space_text(v->full);
        g_autofree char *who = g_strdup_printf("Disk%s %s", v->count > 1 ? "s" : "", v->disks->str);
        g_autofree char *available = NULL;

        if (statvfs(v->directory, &fs))
            continue;
        free_bytes = (guint64)fs.f_bavail * fs.f_frsize;
        if (free_bytes < v->needed && free_bytes + taken_by(v, landed, NULL) >= v->needed)
            free_bytes += taken_by(v, landed, give_up);
        available = space_text(free_bytes);
        if (free_bytes < v->needed)
            findings_add(found, 3002, v->directory,
                         "Free some space there, or send a disk elsewhere with --storage.",
                         "%s %s %s in %s on %s, and %s are free.", who,
                         v->count > 1 ? "need" : "needs", needed, v->directory, here, available);
        else if (free_bytes < v->full)
            findings_add(found, 3003, v->directory, NULL,
                         "%s, which %s into %s on %s now, could grow to %s with %s free.", who,
                         v->count > 1 ? "fit" : "fits", v->directory, here, full, available);
    }
}
