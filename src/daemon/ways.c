/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ways back; see ways.h. */
#include "daemon/ways.h"

#include "daemon/expiry.h"

#include <string.h>
#include <sys/stat.h>

#define ENDED "way_back_ended" /* in an entry's details: Unix time */

/* Rows of the way back of this very move. Elements are journal_kept, borrowed from *all. */
static GPtrArray *rows_of(journal *book, const char *id, GPtrArray **all, GError **error)
{
    g_autoptr(GPtrArray) mine = g_ptr_array_new();

    *all = journal_kept_list(book, 0, error);
    if (!*all)
        return NULL;
    for (guint i = 0; i < (*all)->len; i++) {
        journal_kept *kept = (*all)->pdata[i];
        if (!strcmp(kept->kind, "way-back") && !strcmp(kept->id, id))
            g_ptr_array_add(mine, kept);
    }
    return g_steal_pointer(&mine);
}

static JsonObject *about(const journal_entry *move)
{
    JsonObject *way = json_object_new();

    json_object_set_string_member(way, "id", move->id);
    json_object_set_string_member(way, "vm", move->vm);
    json_object_set_string_member(way, "vm_uuid", move->vm_uuid);
    return way;
}

JsonObject *ways_kept(journal *book, const journal_entry *move, GError **error)
{
    g_autoptr(GPtrArray) all = NULL, mine = rows_of(book, move->id, &all, error);
    g_autoptr(JsonObject) way = about(move);
    JsonArray *disks = json_array_new();
    gint64 until = 0, total = 0;
    struct stat info;

    for (guint i = 0; mine && i < mine->len; i++) {
        const journal_kept *kept = mine->pdata[i];
        gint64 bytes = lstat(kept->path, &info) == 0 ? (gint64)info.st_blocks * 512 : 0;
        JsonObject *disk = json_object_new();
        json_object_set_string_member(disk, "path", kept->path);
        json_object_set_int_member(disk, "bytes", bytes);
        json_array_add_object_element(disks, disk);
        until = i ? MIN(until, kept->until) : kept->until;
        total += bytes;
    }
    json_object_set_int_member(way, "until", until);
    json_object_set_int_member(way, "bytes", total);
    json_object_set_array_member(way, "disks", disks);
    /* What is over is only waiting to be deleted. */
    if (!mine || !mine->len || until <= g_get_real_time() / G_USEC_PER_SEC)
        return NULL;
    return g_steal_pointer(&way);
}

JsonObject *ways_end(journal *book, const journal_entry *move, GError **error)
{
    g_autoptr(GPtrArray) all = NULL, mine = rows_of(book, move->id, &all, error);
    g_autoptr(JsonObject) ended = about(move);
    JsonArray *disks = json_array_new();
    gint64 freed = 0;
    gboolean ok = mine != NULL;

    for (guint i = 0; ok && i < mine->len; i++) {
        const journal_kept *kept = mine->pdata[i];
        gint64 bytes;
        ok = expiry_drop(book, kept, &bytes, error);
        if (ok && bytes >= 0) {
            json_array_add_string_element(disks, kept->path);
            freed += bytes;
        }
    }
    json_object_set_array_member(ended, "disks", disks);
    json_object_set_int_member(ended, "freed", freed);
    return ok ? g_steal_pointer(&ended) : NULL;
}

gboolean ways_note_end(journal *book, const journal_entry *move, GError **error)
{
    g_autoptr(JsonObject) details =
        move->details ? json_parse(move->details, -1, error) : json_object_new();
    g_autofree char *text = NULL;

    if (!details)
        return FALSE;
    if (json_object_has_member(details, ENDED))
        return TRUE;
    json_object_set_int_member(details, ENDED, g_get_real_time() / G_USEC_PER_SEC);
    text = json_text(details);
    return journal_set_details(book, move->id, text, error);
}

/* The VM came here by this move, is here still, and nothing is known of an end. */
static gboolean open_at_target(journal *book, const char *id)
{
    g_autoptr(journal_entry) move = journal_find(book, id, NULL), last = NULL;
    g_autoptr(JsonObject) details = NULL;

    last = move ? journal_last_handover(book, move->vm_uuid, NULL) : NULL;
    if (!last || strcmp(last->id, id))
        return FALSE;
    details = move->details ? json_parse(move->details, -1, NULL) : NULL;
    return details && !json_object_has_member(details, ENDED);
}

static gboolean open_at_source(journal *book, const char *id)
{
    g_autoptr(GPtrArray) all = NULL, mine = rows_of(book, id, &all, NULL);

    return mine && mine->len;
}

JsonObject *ways_show(journal *book, JsonObject *migration)
{
    JsonObject *shown, *way, *now;
    const char *id, *role, *phase;
    gint64 until;
    gboolean open;

    if (!json_get_object(migration, "way_back", &way, NULL) ||
        !json_get_string(migration, "id", &id, NULL) ||
        !json_get_string(migration, "role", &role, NULL) ||
        !json_get_string(migration, "phase", &phase, NULL) ||
        !json_opt_int(way, "until", 0, G_MAXINT64, &until, 0, NULL))
        return json_object_ref(migration);
    open = !strcmp(phase, "completed") && until > g_get_real_time() / G_USEC_PER_SEC &&
           (strcmp(role, "source") ? open_at_target(book, id) : open_at_source(book, id));
    shown = json_copy(migration);
    now = json_copy(way);
    json_object_set_boolean_member(now, "open", open);
    json_object_set_object_member(shown, "way_back", now);
    return shown;
}
