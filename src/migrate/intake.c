/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The disks that arrive in a landing: what their streams are written to, and whether all of it is
 * what the source sent (I4). */
#include "migrate/target-inside.h"

#include "base/log.h"
#include "migrate/control.h"

#define LOG_AREA "target"

/* The last FLUSH may still be on its way when the token is here: they come by different streams. */
#define SEAL_TIMEOUT_MS 15000
#define ABORT_TIMEOUT   (5 * G_TIME_SPAN_SECOND)

/* Both sides' users are to read which disk it was, and why; the landing ends. */
static void on_error(gboolean verify, const char *text, void *user)
{
    target *self = user;
    session *to = g_atomic_pointer_get(&self->session);

    status_set_error(self->status, verify ? "verify-failed" : "disk-failed", "%s", text);
    if (to)
        (void)control_send(to, CONTROL_ABORT, text, NULL);
    g_mutex_lock(&self->lock);
    self->spoiled = TRUE;
    g_cond_broadcast(&self->changed);
    g_mutex_unlock(&self->lock);
}

static gboolean read_held(void *user, const uint8_t sha[OP_SHA256], uint32_t length, void *out)
{
    return seeds_read(user, sha, length, out);
}

static unsigned wait_hints(void *user, uint64_t from, uint64_t *out, unsigned most, gboolean *last)
{
    return seeds_wait_hints(user, from, out, most, last);
}

gboolean intake_open(target *self, const char *nbd_socket, GError **error)
{
    const GPtrArray *disks = self->made->disks;
    g_autofree sink_disk *table = g_new0(sink_disk, disks->len);
    sink_seeds held = {.read = read_held, .wait_hints = wait_hints, .user = self->held};
    sink_setup setup = {.disks = table,
                        .count = disks->len,
                        .nbd_socket = nbd_socket,
                        .ledger_directory =
                            self->asked->read_back ? self->work->conf->state_dir : NULL,
                        .seeds = &held,
                        .on_error = on_error,
                        .user = self};

    for (guint i = 0; i < disks->len; i++) {
        const plan_disk *disk = disks->pdata[i];

        if (!disk->export) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                        "libvirt at the source gives no alias of disk %s", disk->target);
            return FALSE;
        }
        table[i] = (sink_disk){.export = disk->export,
                               .what = disk->target,
                               .path = disk->new_path,
                               .format = disk->new_format,
                               .size = disk->capacity};
    }
    self->intake = sink_new(&setup, error);
    return self->intake != NULL;
}

static gboolean is_verified(target *self)
{
    gboolean verified;

    g_mutex_lock(&self->lock);
    verified = self->verified;
    g_mutex_unlock(&self->lock);
    return verified;
}

static gboolean seal(target *self, GError **error)
{
    seeds_stop(self->held); /* nothing more is asked for */
    if (!sink_wait_sealed(self->intake, SEAL_TIMEOUT_MS, error))
        return FALSE;
    g_mutex_lock(&self->lock);
    self->verified = TRUE;
    g_mutex_unlock(&self->lock);
    return TRUE;
}

gboolean intake_loaded(target *self, GError **error)
{
    gint64 until;

    if (!self->intake || seal(self, error))
        return TRUE;
    on_error(TRUE, (*error)->message, self);
    /* The source ends the session when it has read that; were we faster, it would not know why. */
    until = g_get_monotonic_time() + ABORT_TIMEOUT;
    g_mutex_lock(&self->lock);
    while (!self->session_over && g_cond_wait_until(&self->changed, &self->lock, until))
        ;
    g_mutex_unlock(&self->lock);
    return FALSE;
}

gboolean intake_verify(target *self, GError **error)
{
    gboolean good;

    if (!self->intake)
        return TRUE;
    good = is_verified(self) || seal(self, error);
    if (good && self->asked->read_back) {
        status_set_waiting(self->status, "the disks to be read back from their media");
        good = sink_read_back(self->intake, error);
        status_set_waiting(self->status, NULL);
    }
    if (!good)
        status_set_error(self->status, "verify-failed", "%s", (*error)->message);
    return good;
}
