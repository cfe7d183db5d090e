/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that are called like what Ferry keeps, and that the journal has no row of; see orphans.h. */
#include "migrate/orphans.h"

#include "base/log.h"
#include "migrate/landing.h"
#include "virt/plan.h"

#include <string.h>
#include <sys/stat.h>

#define LOG_AREA "orphans"

/* What is looked at, at most. */
#define MOVES_MAX       10000
#define DIRECTORIES_MAX 256
#define NAMES_MAX       65536
#define HOURS_MIN       24 /* that an adopted file is kept: somebody may want it */

typedef struct {
    const settings *conf;
    journal *book;
    GHashTable *directories; /* set: where disks of moves lie or have lain */
} search;

static gboolean is_file(const char *path)
{
    struct stat info;

    return lstat(path, &info) == 0 && S_ISREG(info.st_mode);
}

static void note_directory(search *s, const char *path)
{
    if (g_path_is_absolute(path) && g_hash_table_size(s->directories) < DIRECTORIES_MAX)
        g_hash_table_add(s->directories, g_path_get_dirname(path));
}

/* A file that this migration has renamed, or was about to: it gets a row if it has none. */
static gboolean adopt(search *s, const journal_entry *of, const char *kind, const char *original,
                      const char *path, guint hours, GError **error)
{
    gint64 until = g_get_real_time() / G_USEC_PER_SEC + (gint64)MAX(hours, HOURS_MIN) * 3600;
    g_autoptr(GError) local = NULL;
    g_autoptr(journal_kept) known = journal_kept_find(s->book, path, &local);
    journal_kept row = {.path = (char *)path,
                        .original = (char *)original,
                        .kind = (char *)kind,
                        .id = of->id,
                        .vm_uuid = of->vm_uuid,
                        .until = until};

    if (local) {
        g_propagate_error(error, g_steal_pointer(&local));
        return FALSE;
    }
    if (known || !is_file(path))
        return TRUE;
    if (!journal_keep(s->book, &row, error))
        return FALSE;
    log_notice("%s of migration %.8s was not in the journal any more: it is now, and will be deleted in %u hours", path,
               of->id, MAX(hours, HOURS_MIN));
    return TRUE;
}

static JsonObject *part_of(JsonObject *details, const char *member)
{
    JsonObject *part;

    return details && json_get_object(details, member, &part, NULL) ? part : NULL;
}

/* A VM that has left: its disks are the way back. */
static gboolean look_at_source(search *s, const journal_entry *entry, JsonObject *details, GError **error)
{
    JsonObject *asked = part_of(details, "landing"), *paths = part_of(details, "paths");
    g_autoptr(landing_request) landing = asked ? landing_request_from_json(asked, NULL) : NULL;

    if (!landing || (paths && !vm_take_paths(landing->machine, paths, NULL)))
        return TRUE;
    for (guint i = 0; i < landing->machine->disks->len; i++) {
        const vm_disk *disk = landing->machine->disks->pdata[i];
        g_autofree char *kept = NULL;
        if (!disk->source || !vm_disk_is_copied(disk))
            continue;
        note_directory(s, disk->source);
        kept = g_strdup_printf("%s.ferry-%.8s", disk->source, entry->id);
        if (entry->ended && entry->decision == DECISION_GIVEN_UP &&
            !adopt(s, entry, "way-back", disk->source, kept, s->conf->way_back, error))
            return FALSE;
    }
    return TRUE;
}

/* A landing that failed: what had arrived is kept for the next try. */
static gboolean look_at_target(search *s, const journal_entry *entry, JsonObject *details, GError **error)
{
    JsonObject *part = part_of(details, "plan");
    g_autoptr(plan) made = part ? plan_from_json(part, NULL) : NULL;

    for (guint i = 0; made && i < made->disks->len; i++) {
        const plan_disk *disk = made->disks->pdata[i];
        g_autofree char *landed = NULL;
        if (!disk->new_path)
            continue;
        note_directory(s, disk->new_path);
        landed = g_strconcat(disk->new_path, PLAN_LANDED, NULL);
        if (entry->ended && entry->decision != DECISION_ACCEPTED &&
            !adopt(s, entry, "landed", disk->new_path, landed, s->conf->keep_landed, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean look_at_move(search *s, const journal_entry *entry, GError **error)
{
    g_autoptr(JsonObject) details = entry->details ? json_parse(entry->details, -1, NULL) : NULL;

    return strcmp(entry->role, "source") ? look_at_target(s, entry, details, error)
                                         : look_at_source(s, entry, details, error);
}

/* "….ferry-5d0f1c2e" or "….ferry-landed" */
static gboolean is_kept_name(const char *name)
{
    const char *mark = g_strrstr(name, ".ferry-");

    if (!mark)
        return FALSE;
    mark += strlen(".ferry-");
    return !strcmp(mark, "landed") ||
           (strlen(mark) == 8 && strspn(mark, "0123456789abcdef") == 8);
}

static gboolean look_into(search *s, const char *directory, findings *found, GError **error)
{
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *name;

    for (guint i = 0; dir && i < NAMES_MAX && (name = g_dir_read_name(dir)); i++) {
        g_autofree char *path = g_build_filename(directory, name, NULL);
        g_autoptr(GError) local = NULL;
        g_autoptr(journal_kept) known = NULL;
        if (!is_kept_name(name) || !is_file(path))
            continue;
        known = journal_kept_find(s->book, path, &local);
        if (local) {
            g_propagate_error(error, g_steal_pointer(&local));
            return FALSE;
        }
        if (!known)
            findings_add(found, 1202, path, "Look at what it is, and remove it by hand.",
                         "%s is called like what Ferry keeps, but the journal does not know it.", path);
    }
    return TRUE;
}

/* Rows stay until their time is over: the file may be on a file system that is not mounted now. */
static gboolean look_at_rows(search *s, findings *found, GError **error)
{
    g_autoptr(GPtrArray) rows = journal_kept_list(s->book, 0, error);

    for (guint i = 0; rows && i < rows->len; i++) {
        const journal_kept *row = rows->pdata[i];
        note_directory(s, row->path);
        if (!strcmp(row->kind, "way-back") && !is_file(row->path))
            findings_add(found, 1203, row->path, "Mount the file system it was on, if that is why.",
                         "%s, the way back of a VM, is not there.", row->path);
    }
    return rows != NULL;
}

gboolean orphans_files(const settings *conf, journal *book, findings *found, GError **error)
{
    g_autoptr(GHashTable) directories = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    search s = {.conf = conf, .book = book, .directories = directories};
    g_autoptr(GPtrArray) moves = journal_list(book, FALSE, MOVES_MAX, error);
    GHashTableIter at;
    gpointer directory;

    if (!moves || !look_at_rows(&s, found, error))
        return FALSE;
    for (guint i = 0; i < moves->len; i++)
        if (!look_at_move(&s, moves->pdata[i], error))
            return FALSE;
    g_hash_table_iter_init(&at, directories);
    while (g_hash_table_iter_next(&at, &directory, NULL))
        if (!look_into(&s, directory, found, error))
            return FALSE;
    return TRUE;
}
