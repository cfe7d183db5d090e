/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where each disk of a VM lands on this host, and whether it can. */
#include "virt/space.h"
#include "virt/storage.h"
#include "virt/survey.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What all disks of one survey share. */
typedef struct {
    const survey *s;
    GStrv pools; /* directories of active pools */
    readable *files;
    uid_t owner;
    gid_t group;
    space *room;
} yard;

/* The storage map's value for a disk, or NULL; *rest: what follows a directory key in its path. */
static const char *find_value(const plan_rules *rules, const char *target, const char *path,
                              const char **rest)
{
    const char *best = NULL;
    size_t longest = 0;

    *rest = strrchr(path, '/');
    for (guint i = 0; rules->storage_keys && rules->storage_keys[i]; i++)
        if (!strcmp(rules->storage_keys[i], target))
            return rules->storage_values[i];
    for (guint i = 0; rules->storage_keys && rules->storage_keys[i]; i++) {
        const char *key = rules->storage_keys[i];
        size_t length = strlen(key);
        while (length && key[length - 1] == '/')
            length--;
        if (key[0] == '/' && length + 1 > longest && !strncmp(path, key, length) &&
            path[length] == '/') {
            longest = length + 1;
            best = rules->storage_values[i];
            *rest = path + length;
        }
    }
    return best;
}

/* The directory a map's value and the rest of the old path give: "/srv/ssd/" + "/web/a.qcow2" ->
 * /srv/ssd/web. One spelling for one directory. */
static char *join(const char *directory, const char *rest)
{
    g_auto(GStrv) parts = NULL;
    g_autofree char *below = g_strndup(rest, (gsize)(strrchr(rest, '/') - rest));
    g_autofree char *joined = g_strconcat(directory, below, NULL);
    g_autoptr(GString) path = g_string_new(NULL);

    parts = g_strsplit(joined, "/", -1);
    for (guint i = 0; parts[i]; i++)
        if (*parts[i])
            g_string_append_printf(path, "/%s", parts[i]);
    return path->len ? g_string_free(g_steal_pointer(&path), FALSE) : g_strdup("/");
}

static gboolean use_pool(const yard *y, const vm_disk *disk, const char *name, storage_place *place,
                         gboolean *good, GError **error)
{
    const survey *s = y->s;
    g_autofree char *fix = NULL;

    *good = FALSE;
    switch (storage_find_pool(s->host->conn, name, place, error)) {
    case STORAGE_GOOD:
        *good = TRUE;
        return TRUE;
    case STORAGE_NO_POOL:
        fix = g_strdup_printf("Name a pool of %s (virsh pool-list --all) or a directory: "
                              "--storage %s=/DIRECTORY.",
                              s->here, disk->target);
        findings_add(s->found, 3007, disk->target, fix,
                     "Disk %s is to go to storage pool %s, which %s does not have.", disk->target,
                     name, s->here);
        return TRUE;
    case STORAGE_POOL_INACTIVE:
        fix = g_strdup_printf("On %s: virsh pool-start %s.", s->here, name);
        findings_add(s->found, 3008, disk->target, fix,
                     "Storage pool %s on %s, for disk %s, is not active.", name, s->here,
                     disk->target);
        return TRUE;
    case STORAGE_POOL_KIND:
        findings_add(s->found, 3009, disk->target,
                     "Choose a pool of type dir, fs or netfs, or a directory.",
                     "Storage pool %s on %s, for disk %s, does not hold files in a directory.",
                     name, s->here, disk->target);
        return TRUE;
    case STORAGE_FAILED:
        return FALSE;
    }
    g_return_val_if_reached(FALSE);
}

/* Where a disk goes by the maps. *good: found; else there is a finding. */
static gboolean locate(const yard *y, const vm_disk *disk, storage_place *place, const char **base,
                       gboolean *good, GError **error)
{
    const char *rest, *value = find_value(y->s->rules, disk->target, disk->source, &rest);
    gboolean volume = disk->source[0] != '/';
    g_autofree char *pool = NULL;

    *good = FALSE;
    *base = strrchr(disk->source, '/') + 1;
    if (value && g_str_has_prefix(value, "pool:"))
        pool = g_strdup(value + strlen("pool:"));
    else if (!value && volume)
        pool = g_strndup(disk->source, (gsize)(*base - 1 - disk->source));
    if (pool)
        return use_pool(y, disk, pool, place, good, error);
    if (value && !vm_path_is_sane(value)) {
        findings_add(y->s->found, 1104, disk->target,
                     "Write OLD=/DIRECTORY or OLD=pool:NAME; OLD is a disk or a directory.",
                     "The storage map's value \"%s\" for disk %s is not an absolute directory.",
                     value, disk->target);
        return TRUE;
    }
    place->directory = join(value ? value : "", value ? rest : disk->source);
    *good = TRUE;
    return TRUE;
}

/* Is the directory one that a disk can be made in? */
static gboolean try_directory(const yard *y, const vm_disk *disk, const char *directory)
{
    const survey *s = y->s;
    g_autofree char *why = NULL, *fix = NULL;

    if (!storage_may_land(directory, (const char *const *)s->rules->storage_roots,
                          (const char *const *)y->pools)) {
        fix = g_strdup_printf("Choose another with --storage %s=/DIRECTORY, or allow it on %s: "
                              "name it in storage-directories of its ferryd.conf, or make it a "
                              "storage pool.",
                              disk->target, s->here);
        findings_add(s->found, 3006, disk->target, fix,
                     "Disk %s is to go to %s, which is no place for disks of VMs on %s.",
                     disk->target, directory, s->here);
        return FALSE;
    }
    switch (storage_try(directory, disk->direct, y->owner, y->group, &why)) {
    case DIRECTORY_GOOD:
        return TRUE;
    case DIRECTORY_MISSING:
        fix = g_strdup_printf("On %s: mkdir -p %s; or choose another: --storage %s=/DIRECTORY.",
                              s->here, directory, disk->target);
        findings_add(s->found, 3004, disk->target, fix,
                     "Disk %s is to go to %s, and %s has no such directory.", disk->target,
                     directory, s->here);
        return FALSE;
    case DIRECTORY_NOT_WRITABLE:
        fix = g_strdup_printf("Make it writable on %s, or choose another: --storage %s=/DIRECTORY.",
                              s->here, disk->target);
        findings_add(s->found, 3005, disk->target, fix,
                     "Disk %s is to go to %s, where %s cannot make files: %s.", disk->target,
                     directory, s->here, why);
        return FALSE;
    case DIRECTORY_NOT_REACHED:
        fix =
            g_strdup_printf("Let that user into every directory of the path (chmod o+x), or choose "
                            "another: --storage %s=/DIRECTORY.",
                            disk->target);
        findings_add(
            s->found, 3022, disk->target, fix,
            "Disk %s is to go to %s, which the user QEMU runs as on %s (%u) may not enter.",
            disk->target, directory, s->here, (unsigned)y->owner);
        return FALSE;
    case DIRECTORY_NOT_DIRECT:
        fix = g_strdup_printf("Choose another file system (--storage %s=/DIRECTORY), or set the "
                              "disk's cache mode to writeback.",
                              disk->target);
        findings_add(
            s->found, 3017, disk->target, fix,
            "Disk %s is used with O_DIRECT (cache=none), which the file system of %s on %s "
            "refuses.",
            disk->target, directory, s->here);
        return FALSE;
    }
    g_return_val_if_reached(FALSE);
}

/* The format to land in: qcow2 or raw; NULL with a finding. */
static const char *choose_format(const survey *s, const vm_disk *disk)
{
    const plan_rules *rules = s->rules;
    const char *value = NULL;
    g_autofree char *fix =
        g_strdup_printf("Convert it on the way: --format %s=qcow2 (or raw).", disk->target);

    for (guint i = 0; rules->format_keys && rules->format_keys[i] && !value; i++)
        if (!strcmp(rules->format_keys[i], disk->target))
            value = rules->format_values[i];
    for (guint i = 0; rules->format_keys && rules->format_keys[i] && !value; i++)
        if (!strcmp(rules->format_keys[i], "*"))
            value = rules->format_values[i];
    if (value && strcmp(value, "qcow2") && strcmp(value, "raw"))
        findings_add(s->found, 1105, disk->target, "Say qcow2 or raw.",
                     "Disk %s is to become \"%s\", and Ferry makes qcow2 and raw.", disk->target,
                     value);
    else if (!value && strcmp(disk->format, "qcow2") && strcmp(disk->format, "raw"))
        findings_add(s->found, 3014, disk->target, fix,
                     "Disk %s is in format %s, and Ferry makes qcow2 and raw.", disk->target,
                     disk->format);
    else
        return value ? value : disk->format;
    return NULL;
}

/* "web.qcow2" that becomes raw is "web.raw"; where another disk of the VM is called so,
 * "web-vda.raw". */
static char *rename_for(const vm *machine, const vm_disk *disk, const char *base,
                        const char *format)
{
    g_autofree char *ending = g_strdup_printf(".%s", disk->format);
    g_autofree char *stem = NULL, *name = NULL;

    if (!strcmp(disk->format, format) || !g_str_has_suffix(base, ending))
        return g_strdup(base);
    stem = g_strndup(base, strlen(base) - strlen(ending));
    name = g_strdup_printf("%s.%s", stem, format);
    for (guint i = 0; i < machine->disks->len; i++) {
        const vm_disk *other = machine->disks->pdata[i];
        const char *slash = other->source ? strrchr(other->source, '/') : NULL;
        if (other != disk && slash && !strcmp(slash + 1, name))
            return g_strdup_printf("%s-%s.%s", stem, disk->target, format);
    }
    return g_steal_pointer(&name);
}

/* Kinds of disks that do not move yet: one sentence each. */
static gboolean can_move(const survey *s, const vm_disk *disk)
{
    if (disk->shareable) {
        findings_add(s->found, 3011, disk->target,
                     "Detach it for the move, or keep its image on storage both hosts reach.",
                     "Disk %s is shareable: other VMs may be writing to it.", disk->target);
    } else if (strcmp(disk->type, "file") && strcmp(disk->type, "volume")) {
        findings_add(
            s->found, 3010, disk->target,
            "Copy it into an image file first (virsh blockcopy), or detach it for the move.",
            "Disk %s is of type %s, and Ferry moves disks that are image files.", disk->target,
            disk->type);
    } else if (!strcmp(disk->device, "lun")) {
        findings_add(s->found, 3010, disk->target, "Detach it for the move.",
                     "Disk %s is a LUN passed through to the guest.", disk->target);
    } else if (disk->encrypted) {
        findings_add(s->found, 3019, disk->target,
                     "Copy it into an image that QEMU does not encrypt first (virsh blockcopy).",
                     "Disk %s is encrypted by QEMU, and its secret stays on its host.",
                     disk->target);
    } else if (!disk->source || !disk->capacity || disk->capacity > G_MAXINT64 / 2) {
        findings_add(s->found, 3016, disk->target, NULL, "The size of disk %s is not known.",
                     disk->target);
    } else {
        return TRUE;
    }
    return FALSE;
}

/* What the file of the disk is to be called; NULL with a finding. */
static char *choose_name(const survey *s, const vm_disk *disk, const char *base, const char *format)
{
    const plan_rules *rules = s->rules;

    for (guint i = 0; rules->name_keys && rules->name_keys[i]; i++) {
        const char *name = rules->name_values[i];
        if (strcmp(rules->name_keys[i], disk->target))
            continue;
        if (vm_name_is_sane(name) && strcmp(name, ".") && strcmp(name, ".."))
            return g_strdup(name);
        findings_add(s->found, 1106, disk->target, "Name a file, without a directory.",
                     "Disk %s is to be called \"%s\", which is no name of a file.", disk->target,
                     name);
        return NULL;
    }
    return rename_for(s->machine, disk, base, format);
}

static gboolean path_is_free(const survey *s, const plan_disk *disk, const GPtrArray *others)
{
    struct stat st;

    for (guint i = 0; i < others->len; i++) {
        const plan_disk *other = others->pdata[i];
        if (other != disk && other->new_path && !strcmp(other->new_path, disk->new_path)) {
            g_autofree char *fix = g_strdup_printf("Give them directories of their own: --storage "
                                                   "%s=/DIRECTORY.",
                                                   disk->target);
            findings_add(s->found, 3015, disk->target, fix, "Disks %s and %s would both become %s.",
                         other->target, disk->target, disk->new_path);
            return FALSE;
        }
    }
    if (lstat(disk->new_path, &st) == 0) {
        g_autofree char *fix = g_strdup_printf("Remove or rename it if no VM needs it, or choose "
                                               "another directory: --storage %s=/DIRECTORY.",
                                               disk->target);
        findings_add(s->found, 3001, disk->target, fix,
                     "Disk %s would become %s, which exists on %s.", disk->target, disk->new_path,
                     s->here);
        return FALSE;
    }
    return TRUE;
}

static gboolean plan_copied(yard *y, const vm_disk *disk, GPtrArray *disks, GError **error)
{
    const survey *s = y->s;
    plan_disk *planned;
    g_auto(storage_place) place = {0};
    g_autofree char *name = NULL;
    const char *base, *format;
    gboolean good;

    if (!can_move(s, disk))
        return TRUE;
    planned = plan_disk_new(disk->target, disk->source, disk->format);
    g_ptr_array_add(disks, planned);
    planned->capacity = disk->capacity;
    planned->export = disk->alias ? g_strconcat("drive-", disk->alias, NULL) : NULL;
    format = choose_format(s, disk);
    if (!locate(y, disk, &place, &base, &good, error))
        return FALSE;
    if (!good || !format)
        return TRUE;
    name = choose_name(s, disk, base, format);
    if (!name)
        return TRUE;
    planned->new_path = g_build_filename(place.directory, name, NULL);
    planned->new_format = g_strdup(format);
    planned->pool = g_steal_pointer(&place.pool);
    if (disk->has_backing)
        findings_add(
            s->found, 3012, disk->target, NULL,
            "Disk %s is the top of a chain of images: it becomes one image with all of their "
            "content.",
            disk->target);
    if (try_directory(y, disk, place.directory) && path_is_free(s, planned, disks))
        space_add(y->room, place.directory, disk, format);
    return TRUE;
}

/* A medium or image that is only read: not copied, so it must be here, at the mapped path (then it
 * is added to media) or the same. *why: as readable_look says it. */
static gboolean find_readable(const yard *y, const vm_disk *disk, GPtrArray *media,
                              const char **why, GError **error)
{
    const char *rest, *value = find_value(y->s->rules, disk->target, disk->source, &rest);
    g_autofree char *directory = value && vm_path_is_sane(value) ? join(value, rest) : NULL;
    g_autofree char *path =
        directory ? g_build_filename(directory, strrchr(disk->source, '/') + 1, NULL) : NULL;

    if (disk->names_more) {
        *why = "names other images with it";
        return TRUE;
    }
    if (path) {
        if (!readable_look(y->files, path, disk->format, why, error))
            return FALSE;
        if (!*why) {
            plan_disk *found = plan_disk_new(disk->target, disk->source, disk->format);
            found->new_path = g_steal_pointer(&path);
            found->new_format = g_strdup(disk->format);
            g_ptr_array_add(media, found);
            return TRUE;
        }
    }
    if (!strcmp(disk->type, "file"))
        return readable_look(y->files, disk->source, disk->format, why, error);
    *why = "is not a file of that path";
    return TRUE;
}

static void refuse_readonly(const yard *y, const vm_disk *disk, const char *why)
{
    const survey *s = y->s;
    g_autofree char *fix = NULL;

    if (strcmp(disk->device, "disk")) {
        fix = g_strdup_printf("Take it out (virsh change-media %s %s --eject), or copy it to a "
                              "directory for disks of VMs on %s and say which: --storage "
                              "%s=/DIRECTORY.",
                              s->machine->name, disk->target, s->here, disk->target);
        findings_add(s->found, 3013, disk->target, fix,
                     "Drive %s holds %s, which %s cannot give to the VM: it %s.", disk->target,
                     disk->source, s->here, why);
    } else {
        fix = g_strdup_printf("Copy it, as one raw or qcow2 image, to a directory for disks of VMs "
                              "on %s and say which: --storage %s=/DIRECTORY; or detach it.",
                              s->here, disk->target);
        findings_add(s->found, 3021, disk->target, fix,
                     "Disk %s (%s) is only read and so not copied, and %s cannot give it to the "
                     "VM: it %s.",
                     disk->target, disk->source, s->here, why);
    }
}

static gboolean plan_readonly(const yard *y, const vm_disk *disk, GPtrArray *media, GError **error)
{
    const char *why;

    if (!find_readable(y, disk, media, &why, error))
        return FALSE;
    if (why)
        refuse_readonly(y, disk, why);
    return TRUE;
}

/* A medium or read-only image of the stored definition alone. */
static gboolean check_stored_readonly(const yard *y, const vm_disk *disk, GPtrArray *ejected,
                                      GError **error)
{
    const survey *s = y->s;
    const char *why = "is not a file, or names other images with it";

    if (!strcmp(disk->type, "file") && !disk->names_more &&
        !readable_look(y->files, disk->source, disk->format, &why, error))
        return FALSE;
    if (why && strcmp(disk->device, "disk")) {
        g_ptr_array_add(ejected, g_strdup(disk->target));
        findings_add(s->found, 3020, disk->target, NULL,
                     "The stored definition has %s in drive %s, which %s cannot give to the VM (it "
                     "%s): the drive will be empty at the next start.",
                     disk->source, disk->target, s->here, why);
    } else if (why) {
        refuse_readonly(y, disk, why);
    }
    return TRUE;
}

/* The same image, as far as what was found out about it goes. */
static gboolean same_image(const vm_disk *live, const vm_disk *disk)
{
    return live->readonly == disk->readonly && !strcmp(live->type, disk->type) &&
           !strcmp(live->format, disk->format) && disk->source &&
           !g_strcmp0(live->source, disk->source) && !disk->names_more;
}

/* A disk of the stored definition: what the running VM's disk of that name becomes; or a medium; or
 * not to be had. */
static gboolean check_stored(const yard *y, const vm_disk *disk, GPtrArray *ejected, GError **error)
{
    const survey *s = y->s;
    const vm_disk *live = vm_find_disk(s->machine, disk->target);

    if (vm_disk_is_empty(disk) || (live && vm_disk_is_copied(live) && vm_disk_is_copied(disk)) ||
        (live && same_image(live, disk)))
        return TRUE;
    if (disk->readonly && disk->source)
        return check_stored_readonly(y, disk, ejected, error);
    findings_add(
        s->found, 3018, disk->target,
        "Restart the VM so that it has the disk, or detach it from the definition (virsh "
        "detach-disk --config).",
        "Disk %s (%s) is in the stored definition only: the running VM does not have it, so "
        "it would not come along.",
        disk->target, disk->source ? disk->source : disk->type);
    return TRUE;
}

static gboolean plan_all(yard *y, const vm *stored, GPtrArray *disks, GPtrArray *media,
                         GPtrArray *ejected, GError **error)
{
    const vm *machine = y->s->machine;

    for (guint i = 0; i < machine->disks->len; i++) {
        const vm_disk *disk = machine->disks->pdata[i];
        if (vm_disk_is_empty(disk))
            continue;
        if (disk->source && disk->readonly ? !plan_readonly(y, disk, media, error)
                                           : !plan_copied(y, disk, disks, error))
            return FALSE;
    }
    for (guint i = 0; stored && i < stored->disks->len; i++)
        if (!check_stored(y, stored->disks->pdata[i], ejected, error))
            return FALSE;
    space_check(y->room, (const char *const *)y->s->rules->landed, y->s->rules->give_up,
                y->s->found, y->s->here);
    return TRUE;
}

gboolean disks_plan(const survey *s, const vm *stored, GPtrArray *disks, GPtrArray *media,
                    GPtrArray *ejected, GError **error)
{
    yard y = {.s = s};
    gboolean ok;

    if (!virt_host_qemu_owner(s->host, &y.owner, &y.group, error))
        return FALSE;
    y.pools = storage_pool_directories(s->host->conn, error);
    if (!y.pools)
        return FALSE;
    y.room = space_new();
    y.files = readable_new(s, (const char *const *)y.pools);
    ok = plan_all(&y, stored, disks, media, ejected, error);
    space_free(y.room);
    readable_free(y.files);
    g_strfreev(y.pools);
    return ok;
}
