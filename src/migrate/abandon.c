/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Nothing of a landing that failed stays, except the data that landed: renamed, for the next try. The journal's row comes
 * before the new name, so that nothing is kept unknown. Where the disk was not renamed after all, because nothing had
 * landed in it or an earlier try left more, what the journal said before holds again.
 */
#include "migrate/target-inside.h"

#include "base/log.h"
#include "migrate/seeding.h"

#include <string.h>
#include <sys/stat.h>

#define LOG_AREA "target"

/* What may become of one disk. */
typedef struct {
    char *name;           /* where it is put aside */
    journal_kept *before; /* the row that was there; NULL: none */
    struct stat was;      /* the disk */
} aside;

static void aside_free(gpointer data)
{
    aside *one = data;

    g_free(one->name);
    journal_kept_free(one->before);
    g_free(one);
}

static gboolean announce(const target *self, journal *book, const char *path, gint64 until,
                         GPtrArray *all, GError **error)
{
    aside *one = g_new0(aside, 1);
    g_autoptr(GError) unknown = NULL;
    journal_kept row = {.original = (char *)path,
                        .kind = (char *)"landed",
                        .id = (char *)self->work->id,
                        .vm_uuid = self->asked->machine->uuid,
                        .until = until};

    row.path = one->name = g_strconcat(path, PLAN_LANDED, NULL);
    /* Gone: removed, or put aside by a worker that died then, and it has its row. */
    if (lstat(path, &one->was) < 0) {
        aside_free(one);
        return TRUE;
    }
    one->before = journal_kept_find(book, one->name, &unknown);
    if (unknown) {
        aside_free(one);
        g_propagate_error(error, g_steal_pointer(&unknown));
        return FALSE;
    }
    g_ptr_array_add(all, one);
    return journal_keep(book, &row, error);
}

/* FALSE with an error: those that are in `all` have their rows. */
static gboolean announce_all(const target *self, journal *book, gint64 until, GPtrArray *all,
                             GError **error)
{
    for (guint i = 0; i < self->made->disks->len; i++) {
        const plan_disk *disk = self->made->disks->pdata[i];
        if (disk->new_path && !announce(self, book, disk->new_path, until, all, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean was_renamed(const aside *one)
{
    struct stat now;

    return lstat(one->name, &now) == 0 && now.st_dev == one->was.st_dev &&
           now.st_ino == one->was.st_ino;
}

static gboolean take_back_rows(journal *book, const GPtrArray *all, GError **error)
{
    for (guint i = 0; i < all->len; i++) {
        const aside *one = all->pdata[i];
        if (was_renamed(one))
            continue;
        if (!(one->before ? journal_keep(book, one->before, error)
                          : journal_forget(book, one->name, error)))
            return FALSE;
    }
    return TRUE;
}

/* The disks stay where they are if the journal cannot be written: recovery, or whoever reads the log, finds them there. */
static gboolean put_aside(target *self, guint hours, GError **error)
{
    g_autofree char *path = settings_journal(self->work->conf);
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(aside_free);
    g_auto(GStrv) earlier =
        seeding_landed(self->work->conf, self->peer, self->asked->machine->uuid);
    gint64 until = g_get_real_time() / G_USEC_PER_SEC + (gint64)hours * 3600;
    g_autoptr(journal) book = hours ? journal_open(path, FALSE, error) : NULL;
    g_auto(GStrv) kept = NULL;
    g_autoptr(GError) unwritten = NULL;

    if (hours && !book)
        return FALSE;
    if (!hours || announce_all(self, book, until, all, error))
        kept = plan_abandon(self->made, self->host, hours > 0, (const char *const *)earlier, error);
    if (!take_back_rows(book, all, &unwritten))
        log_error("the journal speaks of landed data that is not there: %s", unwritten->message);
    return kept != NULL;
}

void abandon_landing(target *self)
{
    g_autoptr(GError) error = NULL;
    guint hours = self->work->conf->keep_landed;

    if (!self->prepared)
        return;
    if (!put_aside(self, hours, &error))
        log_error("landed data could not be put aside: %s", error->message);
    /* What earlier tries left is as good for the next one as what landed now. */
    seeding_keep_landed(self->work->conf, self->peer, self->asked->machine->uuid, hours);
}
