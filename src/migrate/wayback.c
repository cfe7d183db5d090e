/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* After the hand-over: the source's definition goes and its disks become the way back. Everything here may be
 * repeated after a crash; nothing here touches a running guest.
 *
 * The disks are renamed at once, before the target has proven that its guest runs: a stopped definition with its
 * disks in place could be started by accident or by autostart, and that would be a second copy (I1). They are
 * deleted (way back of 0 hours) only on that proof.
 */
#include "migrate/source-inside.h"
#include "migrate/wayback.h"

#include "base/fdio.h"
#include "base/log.h"
#include "migrate/control.h"
#include "migrate/insist.h"
#include "virt/pools.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_AREA "cleaning"

#define KEEP_WITHOUT_PROOF 24 /* hours, when deletion was asked for and the guest has died */
#define FINISH_TIMEOUT_MS 5000

static char *kept_name(const source *self, const char *path)
{
    return g_strdup_printf("%s.ferry-%.8s", path, self->work->id);
}

/* Moves one disk out of the way; the journal's row comes first, so that nothing is kept unknown. */
static gboolean keep_disk(source *self, journal *book, const char *path, gint64 until,
                          GError **error)
{
    g_autofree char *name = kept_name(self, path);
    journal_kept row = {.path = name,
                        .original = (char *)path,
                        .kind = (char *)"way-back",
                        .id = (char *)self->work->id,
                        .vm_uuid = self->landing->machine->uuid,
                        .until = until};

    if (!journal_keep(book, &row, error))
        return FALSE;
    if (rename(path, name) < 0 && !(errno == ENOENT && access(name, F_OK) == 0))
        return fdio_error(error, errno, "%s: rename to %s", path, name);
    return fdio_sync_parent(name, error);
}

/* A pool lists its volumes as it last saw them. */
static void refresh_pools(source *self)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_autoptr(virt_host) host = virt_host_open(self->work->conf->libvirt_socket, NULL);
    g_auto(GStrv) paths = NULL;

    for (guint i = 0; i < self->landing->machine->disks->len; i++) {
        const vm_disk *disk = self->landing->machine->disks->pdata[i];
        if (vm_disk_is_copied(disk))
            g_strv_builder_add(builder, disk->source);
    }
    paths = g_strv_builder_end(builder);
    if (host)
        pools_refresh(host, (const char *const *)paths);
}

/* Looked up anew: libvirtd may have been restarted, and a transient VM is gone with its guest. */
static gboolean undefine(source *self, GError **error)
{
    g_autoptr(virt_host) host = virt_host_open(self->work->conf->libvirt_socket, error);
    const char *name = self->landing->machine->name;
    g_autoptr(virt_domain) domain = NULL;
    virt_state state;

    if (!host)
        return FALSE;
    domain = virt_domain_find_uuid(host, self->landing->machine->uuid, error);
    if (!domain && g_error_matches(*error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)) {
        g_clear_error(error);
        return TRUE;
    }
    if (!domain || !virt_domain_state(domain, &state, error))
        return FALSE;
    if (state != VIRT_SHUT_OFF) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_BUSY,
                    "%s is not shut off here although it was given up; look at it with "
                    "'virsh dominfo %s'",
                    name, name);
        return FALSE;
    }
    return virt_domain_undefine(domain, error);
}

typedef struct {
    source *self;
    gint64 hours; /* the disks are kept */
} retirement;

/* Everything that must be gone before the VM counts as moved. */
static gboolean retire(void *user, GError **error)
{
    source *self = ((retirement *)user)->self;
    gint64 hours = ((retirement *)user)->hours;
    gint64 until = g_get_real_time() / G_USEC_PER_SEC + hours * 3600;
    g_autoptr(GPtrArray) kept = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *path = settings_journal(self->work->conf);
    g_autoptr(journal) book = journal_open(path, FALSE, error);

    if (!book || !undefine(self, error))
        return FALSE;
    for (guint i = 0; i < self->landing->machine->disks->len; i++) {
        const vm_disk *disk = self->landing->machine->disks->pdata[i];
        if (!vm_disk_is_copied(disk))
            continue;
        if (!keep_disk(self, book, disk->source, until, error))
            return FALSE;
        g_ptr_array_add(kept, kept_name(self, disk->source));
    }
    refresh_pools(self);
    g_ptr_array_add(kept, NULL);
    status_set_way_back(self->status, until, (const char *const *)kept->pdata);
    return TRUE;
}

/* The disks have their names again; what was not renamed yet stays. */
static gboolean restore(void *user, GError **error)
{
    source *self = user;
    g_autofree char *path = settings_journal(self->work->conf);
    g_autoptr(journal) book = journal_open(path, FALSE, error);
    g_autoptr(virt_host) host = book ? virt_host_open(self->work->conf->libvirt_socket, error) : NULL;
    g_autoptr(virt_domain) domain = NULL;

    if (!host)
        return FALSE;
    for (guint i = 0; i < self->landing->machine->disks->len; i++) {
        const vm_disk *disk = self->landing->machine->disks->pdata[i];
        g_autofree char *name = vm_disk_is_copied(disk) ? kept_name(self, disk->source) : NULL;
        if (!name)
            continue;
        if (access(disk->source, F_OK) < 0 && rename(name, disk->source) < 0)
            return fdio_error(error, errno, "%s: rename to %s", name, disk->source);
        if (!fdio_sync_parent(disk->source, error) || !journal_forget(book, name, error))
            return FALSE;
    }
    domain = virt_domain_find_uuid(host, self->landing->machine->uuid, error);
    if (domain || !g_error_matches(*error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
        return domain != NULL;
    g_clear_error(error);
    return !self->landing->stored_xml ||
           virt_host_define(host, self->landing->stored_xml, self->landing->autostart, error);
}

void wayback_undo(source *self)
{
    const char *none[] = {NULL};

    insist(self->status, restore, NULL, self);
    refresh_pools(self);
    status_set_way_back(self->status, 0, none);
}

static gboolean delete_disks(void *user, GError **error)
{
    source *self = user;
    g_autofree char *path = settings_journal(self->work->conf);
    g_autoptr(journal) book = journal_open(path, FALSE, error);
    const char *none[] = {NULL};

    if (!book)
        return FALSE;
    for (guint i = 0; i < self->landing->machine->disks->len; i++) {
        const vm_disk *disk = self->landing->machine->disks->pdata[i];
        g_autofree char *name = vm_disk_is_copied(disk) ? kept_name(self, disk->source) : NULL;

        if (!name)
            continue;
        if (unlink(name) < 0 && errno != ENOENT)
            return fdio_error(error, errno, "%s: delete", name);
        if (!journal_forget(book, name, error))
            return FALSE;
    }
    refresh_pools(self);
    status_set_way_back(self->status, 0, none);
    return TRUE;
}

/* Both ways out, for somebody who has to choose. */
static void say_died(source *self, gint64 hours)
{
    status_set_error(self->status, "guest-died",
                     "%s was started at %s and %s before it had been seen running for long enough: 'virsh start' there "
                     "starts it again on its disks there; or 'ferry resolve %.8s --run-here' here takes it back as it was "
                     "at the switchover, whose disks are kept for %" G_GINT64_FORMAT " hours",
                     self->landing->machine->name, self->asked->target, self->died, self->work->id, hours);
}

/* By order nobody waits any longer. */
static void say_unseen(source *self)
{
    g_autoptr(findings) found = findings_new();

    findings_add(found, 1090, self->landing->machine->name,
                 "Look at it there with 'virsh dominfo'; the disks here are kept.",
                 "%s was left to %s by order, and nobody has seen it run there.",
                 self->landing->machine->name, self->asked->target);
    status_take_findings(self->status, found);
}

gboolean wayback_clean(source *self)
{
    gint64 asked = self->asked->way_back >= 0 ? self->asked->way_back : self->work->conf->way_back;
    retirement all = {.self = self, .hours = asked > 0 ? asked : KEEP_WITHOUT_PROOF};
    status_settled word;

    insist(self->status, retire, NULL, &all);
    word = proof_wait(self);
    if (self->returned)
        return FALSE;
    if (word == SETTLED_DEAD)
        say_died(self, all.hours);
    else if (word == SETTLED_UNKNOWN)
        say_unseen(self);
    else if (asked == 0)
        insist(self->status, delete_disks, NULL, self);
    if (self->session) {
        (void)control_send(self->session, CONTROL_DONE, NULL, NULL);
        (void)session_finish(self->session, FINISH_TIMEOUT_MS);
    }
    return word != SETTLED_DEAD;
}

/* Only what was given to this very peer: another one may call a VM by any UUID. */
static gboolean was_given(journal *book, const journal_kept *kept, const char *vm_uuid,
                          const char *peer)
{
    g_autoptr(journal_entry) move = NULL;

    if (strcmp(kept->kind, "way-back") || strcmp(kept->vm_uuid, vm_uuid))
        return FALSE;
    move = journal_find(book, kept->id, NULL);
    return move && !strcmp(move->role, "source") && !g_ascii_strcasecmp(move->peer, peer);
}

void wayback_supersede(const job *work, const char *vm_uuid, const char *peer)
{
    g_autofree char *path = settings_journal(work->conf);
    g_autoptr(GError) error = NULL;
    g_autoptr(journal) book = journal_open(path, FALSE, &error);
    g_autoptr(GPtrArray) all = book ? journal_kept_list(book, 0, &error) : NULL;
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;

    for (guint i = 0; all && i < all->len && !error; i++) {
        journal_kept *kept = all->pdata[i];
        if (!was_given(book, kept, vm_uuid, peer))
            continue;
        kept->until = MIN(kept->until, now);
        (void)journal_keep(book, kept, &error);
    }
    if (error)
        log_warning("the disks kept of an earlier move stay until their time is over: %s",
                    error->message);
}

static void permit(const plan_disk *disk, const journal_kept *kept)
{
    fdio_auto fd = open(disk->new_path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat before, now;

    if (fd < 0 || fstat(fd, &now) < 0 || now.st_ino != disk->inode ||
        lstat(kept->path, &before) < 0 || !S_ISREG(before.st_mode))
        return;
    if (fchmod(fd, before.st_mode & 0777) < 0)
        log_warning("%s does not get the permissions it had: %s", disk->new_path, g_strerror(errno));
}

void wayback_permit(const job *work, const plan *made, const char *vm_uuid, const char *peer)
{
    g_autofree char *path = settings_journal(work->conf);
    g_autoptr(journal) book = journal_open(path, TRUE, NULL);
    g_autoptr(GPtrArray) all = book ? journal_kept_list(book, 0, NULL) : NULL;

    for (guint i = 0; all && i < all->len; i++) {
        const journal_kept *kept = all->pdata[i];
        for (guint j = 0; j < made->disks->len; j++) {
            const plan_disk *disk = made->disks->pdata[j];
            if (!strcmp(disk->new_path, kept->original) && was_given(book, kept, vm_uuid, peer))
                permit(disk, kept);
        }
    }
}
