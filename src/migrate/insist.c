/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Trying for ever; see insist.h. */
#include "migrate/insist.h"

#include "base/log.h"

#define LOG_AREA "insist"

#define PAUSE_MIN (G_USEC_PER_SEC / 10)
#define PAUSE_MAX (2 * G_USEC_PER_SEC)

void insist(status *shown, insist_step step, void (*reopen)(void *user), void *user)
{
    g_autofree char *said = NULL;
    gulong pause = PAUSE_MIN;

    for (;;) {
        g_autoptr(GError) error = NULL;

        if (step(user, &error))
            break;
        if (g_strcmp0(said, error->message)) {
            log_warning("%s (trying again)", error->message);
            g_free(said);
            said = g_strdup(error->message);
        }
        status_set_waiting(shown, said);
        g_usleep(pause);
        pause = MIN(2 * pause, PAUSE_MAX);
        if (reopen)
            reopen(user);
    }
    if (said)
        status_set_waiting(shown, NULL);
}

gboolean insist_open_host(const job *work, virt_host **host, GError **error)
{
    virt_host *again = virt_host_open(work->conf->libvirt_socket, error);

    if (!again)
        return FALSE;
    virt_host_close(*host);
    *host = again;
    return TRUE;
}

typedef struct {
    status *shown;
    phase to;
    gboolean success;
} record;

gboolean insist_is_hopeless(const GError *error)
{
    return g_error_matches(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT) ||
           g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND) ||
           g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

static gboolean written(gboolean ok, GError **error)
{
    if (ok || !insist_is_hopeless(*error))
        return ok;
    log_error("%s", (*error)->message);
    g_clear_error(error);
    return TRUE;
}

static gboolean advance(void *user, GError **error)
{
    record *r = user;

    return written(status_advance(r->shown, r->to, error), error);
}

static gboolean end(void *user, GError **error)
{
    record *r = user;

    return written(status_end(r->shown, r->success, error), error);
}

void insist_advance(status *shown, phase to)
{
    record r = {.shown = shown, .to = to};

    insist(shown, advance, NULL, &r);
}

void insist_end(status *shown, gboolean success)
{
    record r = {.shown = shown, .success = success};

    insist(shown, end, NULL, &r);
}
