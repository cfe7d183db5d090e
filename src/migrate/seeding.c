/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which files may be seeds; see seeding.h. */
#include "migrate/seeding.h"

#include "base/log.h"
#include "block/seeds-index.h"
#include "journal/journal.h"
#include "migrate/landing.h"
#include "virt/images.h"

#include <string.h>
#include <sys/stat.h>

#define LOG_AREA  "seeds"
#define NAMES_MAX 4096 /* looked at in one directory */

typedef struct {
    const settings *conf;
    virt_host *host;
    GHashTable *private; /* images_use by path: of VMs and landings; NULL: not known yet */
    void (*found)(const char *path, const char *format, const char *what, void *user);
    void *user;
} search;

static journal *open_book(const settings *conf, gboolean read_only)
{
    g_autofree char *path = settings_journal(conf);
    g_autoptr(GError) error = NULL;
    journal *book = journal_open(path, read_only, &error);

    if (!book)
        log_warning("what is kept here cannot be looked up: %s", error->message);
    return book;
}

static char *index_dir(const settings *conf)
{
    return g_build_filename(conf->state_dir, "seeds", NULL);
}

static JsonObject *details_part(const journal_entry *entry, const char *member, JsonObject **whole)
{
    JsonObject *part = NULL;

    *whole = entry->details ? json_parse(entry->details, -1, NULL) : NULL;
    if (*whole && !json_get_object(*whole, member, &part, NULL))
        part = NULL;
    return part;
}

static plan *plan_of(const journal_entry *entry)
{
    g_autoptr(JsonObject) details = NULL;
    JsonObject *part = details_part(entry, "plan", &details);

    return part ? plan_from_json(part, NULL) : NULL;
}

/* In which format the file landed, by the plan of its landing. */
static const char *landed_format(const journal_entry *entry, const journal_kept *row)
{
    g_autoptr(plan) made = plan_of(entry);

    for (guint i = 0; made && i < made->disks->len; i++) {
        const plan_disk *disk = made->disks->pdata[i];
        g_autofree char *landed =
            g_strconcat(disk->new_path ? disk->new_path : "", PLAN_LANDED, NULL);
        if (!strcmp(landed, row->path))
            return g_intern_string(disk->new_format);
    }
    return NULL;
}

/* In which format the VM had it, before it left. */
static const char *way_back_format(const journal_entry *entry, const journal_kept *row)
{
    g_autoptr(JsonObject) details = NULL;
    JsonObject *part = details_part(entry, "landing", &details), *paths;
    g_autoptr(landing_request) landing = part ? landing_request_from_json(part, NULL) : NULL;

    /* Where a volume of a pool lay, its XML does not tell. */
    if (landing && json_get_object(details, "paths", &paths, NULL))
        (void)vm_take_paths(landing->machine, paths, NULL);
    for (guint i = 0; landing && i < landing->machine->disks->len; i++) {
        const vm_disk *disk = landing->machine->disks->pdata[i];
        if (disk->format && !g_strcmp0(disk->source, row->original))
            return g_intern_string(disk->format);
    }
    return NULL;
}

/* NULL: it is no seed, for whatever reason. `peer` NULL: for any. */
static const char *kept_format(journal *book, const journal_kept *row, const char *peer)
{
    gboolean landed = !strcmp(row->kind, "landed");
    g_autoptr(journal_entry) entry = journal_find(book, row->id, NULL);
    const char *format = NULL;

    if (!entry || strcmp(entry->role, landed ? "target" : "source") ||
        (peer && g_ascii_strcasecmp(entry->peer, peer)))
        return NULL;
    format = landed ? landed_format(entry, row) : way_back_format(entry, row);
    return !g_strcmp0(format, "raw") || !g_strcmp0(format, "qcow2") ? format : NULL;
}

/* peer and vm_uuid NULL: of any. */
static void find_kept(const search *s, const char *kind, const char *peer, const char *vm_uuid)
{
    g_autoptr(journal) book = open_book(s->conf, TRUE);
    g_autoptr(GPtrArray) rows = book ? journal_kept_list(book, 0, NULL) : NULL;

    for (guint i = 0; rows && i < rows->len; i++) {
        const journal_kept *row = rows->pdata[i];
        const char *format;
        if (strcmp(row->kind, kind) || (vm_uuid && g_ascii_strcasecmp(row->vm_uuid, vm_uuid)) ||
            !g_file_test(row->path, G_FILE_TEST_IS_REGULAR))
            continue;
        format = kept_format(book, row, peer);
        if (format)
            s->found(row->path, format, kind, s->user);
    }
}

/* What is being written by landings of this host belongs to VMs that libvirt may not know yet. */
static void add_landings(const settings *conf, GHashTable *private)
{
    g_autoptr(journal) book = open_book(conf, TRUE);
    g_autoptr(GPtrArray) moves = book ? journal_list(book, TRUE, G_MAXUINT, NULL) : NULL;

    for (guint i = 0; moves && i < moves->len; i++) {
        const journal_entry *entry = moves->pdata[i];
        g_autoptr(plan) made = !strcmp(entry->role, "target") ? plan_of(entry) : NULL;
        for (guint j = 0; made && j < made->disks->len; j++) {
            const plan_disk *disk = made->disks->pdata[j];
            if (disk->new_path)
                g_hash_table_replace(private, g_strdup(disk->new_path),
                                     GINT_TO_POINTER(IMAGES_DISK));
        }
    }
}

/* Looked up once, and only where there are directories to look into. */
static gboolean know_private(search *s)
{
    g_autoptr(GError) error = NULL;

    if (s->private || !s->host)
        return s->private != NULL;
    s->private = images_of_vms(s->host, &error);
    if (s->private)
        add_landings(s->conf, s->private);
    else
        log_warning("[seeds] is not used now: %s", error->message);
    return s->private != NULL;
}

static void look_at(search *s, const char *directory, const char *name, const char *what)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);
    struct stat st;
    const char *format;
    images_use use;

    /* Hidden files are unfinished ones; what Ferry keeps is one VM's alone. */
    if (*name == '.' || strstr(name, ".ferry-") || lstat(path, &st) < 0 || !S_ISREG(st.st_mode) ||
        st.st_size == 0 || !know_private(s))
        return;
    use = GPOINTER_TO_INT(g_hash_table_lookup(s->private, path));
    /* What is only below disks of VMs is shared where the administrator says so: linked clones. */
    if (use == IMAGES_DISK || (use == IMAGES_BELOW && strcmp(what, "template")))
        return;
    format = images_format(path);
    if (format)
        s->found(path, format, what, s->user);
}

static char *directory_of(const search *s, const char *place)
{
    g_autoptr(GError) error = NULL;
    char *directory = s->host ? images_directory(s->host, place, &error) : NULL;

    if (error)
        log_warning("[seeds] %s is left out: %s", place, error->message);
    return directory;
}

static void find_same_name(search *s, const plan *made)
{
    for (char **place = s->conf->seeds_same_name; place && *place; place++) {
        g_autofree char *directory = directory_of(s, *place);
        for (guint i = 0; directory && i < made->disks->len; i++) {
            const plan_disk *disk = made->disks->pdata[i];
            g_autofree char *old = disk->old_path ? g_path_get_basename(disk->old_path) : NULL;
            g_autofree char *new = disk->new_path ? g_path_get_basename(disk->new_path) : NULL;
            if (old)
                look_at(s, directory, old, "same-name");
            if (new &&g_strcmp0(old, new))
                look_at(s, directory, new, "same-name");
        }
    }
}

static int by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void find_all(search *s, char *const *places, const char *what)
{
    for (; places && *places; places++) {
        g_autofree char *directory = directory_of(s, *places);
        g_autoptr(GDir) list = directory ? g_dir_open(directory, 0, NULL) : NULL;
        g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
        const char *name;

        while (list && names->len < NAMES_MAX && (name = g_dir_read_name(list)))
            g_ptr_array_add(names, g_strdup(name));
        g_ptr_array_sort(names, by_name);
        for (guint i = 0; i < names->len; i++)
            look_at(s, directory, names->pdata[i], what);
    }
}

static void add_seed(const char *path, const char *format, const char *what, void *user)
{
    seeds_add(user, path, format, what);
}

seeds *seeding_start(const settings *conf, virt_host *host, const char *peer, const char *vm_uuid,
                     const plan *made)
{
    g_autofree char *directory = index_dir(conf);
    seeds *store = seeds_new(directory);
    search s = {.conf = conf, .host = host, .found = add_seed, .user = store};

    find_kept(&s, "landed", peer, vm_uuid);
    find_kept(&s, "way-back", peer, vm_uuid);
    find_same_name(&s, made);
    find_all(&s, conf->seeds_templates, "template");
    g_clear_pointer(&s.private, g_hash_table_unref);
    seeds_start(store);
    return store;
}

static void add_path(const char *path, const char *format, const char *what, void *user)
{
    g_strv_builder_add(user, path);
}

GStrv seeding_landed(const settings *conf, const char *peer, const char *vm_uuid)
{
    g_autoptr(GStrvBuilder) paths = g_strv_builder_new();
    search s = {.conf = conf, .found = add_path, .user = paths};

    find_kept(&s, "landed", peer, vm_uuid);
    return g_strv_builder_end(paths);
}

void seeding_keep_landed(const settings *conf, const char *peer, const char *vm_uuid, guint hours)
{
    g_auto(GStrv) paths = seeding_landed(conf, peer, vm_uuid);
    g_autoptr(journal) book = *paths ? open_book(conf, FALSE) : NULL;
    g_autoptr(GPtrArray) rows = book ? journal_kept_list(book, 0, NULL) : NULL;
    g_autoptr(GError) error = NULL;

    for (guint i = 0; rows && i < rows->len; i++) {
        journal_kept *row = rows->pdata[i];
        if (!g_strv_contains((const char *const *)paths, row->path))
            continue;
        row->until = g_get_real_time() / G_USEC_PER_SEC + (gint64)hours * 3600;
        if (!journal_keep(book, row, &error)) {
            log_warning("%s: %s", row->path, error->message);
            return;
        }
    }
}

typedef struct {
    char *path;
    const char *format; /* interned */
} image_file;

static void free_image_file(gpointer data)
{
    image_file *file = data;

    g_free(file->path);
    g_free(file);
}

static void add_file(const char *path, const char *format, const char *what, void *user)
{
    image_file *file = g_new0(image_file, 1);

    *file = (image_file){g_strdup(path), g_intern_string(format)};
    g_ptr_array_add(user, file);
}

void seeding_index(const settings *conf, virt_host *host, const gint *stop)
{
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(free_image_file);
    g_autoptr(GPtrArray) paths = g_ptr_array_new();
    g_autofree char *directory = index_dir(conf);
    search s = {.conf = conf, .host = host, .found = add_file, .user = files};

    find_kept(&s, "landed", NULL, NULL);
    find_all(&s, conf->seeds_same_name, "same-name");
    find_all(&s, conf->seeds_templates, "template");
    g_clear_pointer(&s.private, g_hash_table_unref);
    for (guint i = 0; i < files->len; i++)
        g_ptr_array_add(paths, ((image_file *)files->pdata[i])->path);
    g_ptr_array_add(paths, NULL);
    if (files->len && g_mkdir_with_parents(directory, 0700) < 0) {
        log_warning("%s: %s", directory, g_strerror(errno));
        return;
    }
    seeds_index_keep_only(directory, (const char *const *)paths->pdata);
    for (guint i = 0; i < files->len && !g_atomic_int_get(stop); i++) {
        const image_file *file = files->pdata[i];
        g_autoptr(GError) error = NULL;
        gboolean made;
        if (!seeds_index_make(directory, file->path, file->format, stop, &made, &error))
            log_warning("no index: %s", error->message);
        else if (made)
            log_info("%s has an index now", file->path);
    }
}
