/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Phases mirroring to committing at the source: the session to the target, and libvirt's migration through it. */
#include "migrate/source-inside.h"

#include "base/fdio.h"
#include "base/log.h"
#include "base/rate.h"
#include "base/uuid.h"
#include "migrate/control.h"
#include "migrate/deadline.h"
#include "migrate/pace.h"
#include "migrate/stall.h"
#include "net/networks.h"
#include "relay/squeezed.h"

#include <unistd.h>

#define LOG_AREA "source"

#define DIAL_TIMEOUT_MS 10000
#define HOME_TIMEOUT_MS 4000 /* where there is another way, a black hole must not cost much */
#define WATCH_PAUSE     (250 * G_TIME_SPAN_MILLISECOND)
#define MEMORY_STREAMS  1
#define RPC_STREAMS     1

/* Channel `index` is at home at one of the target's addresses, in turn, so that channels spread over the networks;
 * the next address is tried when that one does not answer. */
static channel *dial(unsigned index, gboolean home, gboolean *is_home, void *user, GError **error)
{
    source *self = user;
    GPtrArray *addresses = self->landed->addresses;
    uint8_t preamble[WIRE_PREAMBLE_SIZE];
    wire_preamble fields = {.channel = (uint16_t)index};

    uuid_to_bytes(self->work->id, fields.landing);
    wire_put_preamble(preamble, &fields);
    for (guint i = 0; i < (home ? 1 : addresses->len); i++) {
        GInetAddress *address = addresses->pdata[(index + i) % addresses->len];
        int timeout_ms = i == 0 && addresses->len > 1 ? HOME_TIMEOUT_MS : DIAL_TIMEOUT_MS;
        channel *made;
        int fd;

        *is_home = i == 0;
        g_clear_error(error);
        fd = networks_dial(self->work->conf->migration, address, self->landed->port, timeout_ms,
                           error);
        if (fd < 0)
            continue;
        if (!fdio_write_full(fd, preamble, sizeof preamble, error)) {
            close(fd);
            continue;
        }
        made = channel_client(self->work->identity, fd, self->asked->target, timeout_ms, error);
        if (made)
            return made;
    }
    return NULL;
}

static void on_control(const char *text, size_t length, void *user)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(control_message) message = NULL;
    source *self = user;

    message = control_parse(text, length, SESSION_TARGET, &error);
    if (!message) {
        session_fail(self->session, error);
        return;
    }
    if (message->op == CONTROL_RATE) {
        throttle_set_peer_share(self->throttle, message->bytes);
        return;
    }
    g_mutex_lock(&self->lock);
    /* Words about a token are only listened to once it can have been sent. */
    gboolean committed = status_decision(self->status) == DECISION_GIVEN_UP;
    if (message->op == CONTROL_STARTED && committed && self->said == VERDICT_NONE)
        self->said = VERDICT_STARTED;
    else if (message->op == CONTROL_REFUSED && committed && self->said == VERDICT_NONE)
        self->said = VERDICT_REFUSED;
    else if (message->op == CONTROL_ALIVE && committed && self->proof == SETTLED_UNKNOWN)
        self->proof = SETTLED_ALIVE;
    else if (message->op == CONTROL_DIED && committed && self->proof == SETTLED_UNKNOWN) {
        self->proof = SETTLED_DEAD;
        self->died = g_steal_pointer(&message->text);
    }
    source_leave_word(self);
    if (message->op == CONTROL_ABORT && !committed) {
        status_set_error(self->status, "peer-error", "%s ended the move: %s", self->asked->target,
                         message->text);
        g_set_error(&error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "ended by %s", self->asked->target);
        session_fail(self->session, error);
    }
}

static void on_stream(stream_kind kind, unsigned number, void *user)
{
    source *self = user;

    /* libvirt connects the memory stream once every mirror is in sync. */
    if (kind == STREAM_MEMORY)
        (void)status_advance(self->status, PHASE_SYNCHRONIZING, NULL);
}

static void on_channels(unsigned alive, const GError *error, void *user)
{
    if (error)
        log_warning("%u channels left: %s", alive, error->message);
}

static void on_failed(const GError *error, void *user)
{
    source *self = user;

    if (status_decision(self->status) == DECISION_NONE)
        status_set_error(self->status, "link-lost", "the connection to %s was lost: %s",
                         self->asked->target, error->message);
    g_mutex_lock(&self->lock);
    self->session_over = TRUE;
    source_leave_word(self);
}

/* Stopped while memory is copied: the switchover. Earlier somebody else has paused the guest, which is
 * theirs to end; and one that runs again, without a decision, was not being switched over. */
static void on_suspended(gboolean stopped, gint64 when, void *user)
{
    source *self = user;

    if (status_phase(self->status) < PHASE_SYNCHRONIZING ||
        status_decision(self->status) != DECISION_NONE)
        return;
    g_mutex_lock(&self->lock);
    self->suspended_at = stopped ? when : 0;
    source_leave_word(self);
    session_set_urgent(self->session, stopped);
    if (!stopped) {
        throttle_resume(self->throttle);
        return;
    }
    throttle_rest(self->throttle);
    (void)status_advance(self->status, PHASE_SWITCHING, NULL);
}

static void set_image(source *self, const char *target)
{
    for (guint i = 0; i < self->landing->machine->disks->len; i++) {
        const vm_disk *disk = self->landing->machine->disks->pdata[i];
        if (!strcmp(disk->target, target) && disk->source && disk->format)
            export_table_set_image(self->exports, disk->source, disk->format);
    }
}

/* QEMU's mirror writes to us what the target calls these disks. */
static gboolean open_exports(source *self, GError **error)
{
    const GPtrArray *disks = self->landed->made->disks;

    self->exports = export_table_new();
    for (guint i = 0; i < disks->len; i++) {
        const plan_disk *disk = disks->pdata[i];

        if (!disk->export) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                        "the answer of %s has no export for disk %s; the same version of Ferry "
                        "has to run on both hosts",
                        self->asked->target, disk->target);
            return FALSE;
        }
        export_table_add(self->exports, disk->export, disk->target, disk->capacity);
        set_image(self, disk->target);
    }
    return TRUE;
}

gboolean source_open_session(source *self, GError **error)
{
    session_setup setup = {.role = SESSION_SOURCE,
                           .channels = self->work->conf->channels,
                           .link_timeout_ms = (int)self->work->conf->link_timeout * 1000,
                           .dial = dial,
                           .on_control = on_control,
                           .on_channels = on_channels,
                           .on_stream = on_stream,
                           .on_failed = on_failed,
                           .user = self};
    static const mode_t for_us = 0600, for_qemu = 0666; /* in a directory only QEMU's user can enter */
    g_autofree char *memory = landing_memory_socket(self->work->qemu_dir);
    g_autofree char *disk = landing_disk_socket(self->work->qemu_dir);
    guint disks = self->landed->made->disks->len;

    if (!job_make_qemu_dir(self->work, self->host, error))
        return FALSE;
    self->judge = (rpc_judge){.judge = handover_judge, .user = self};
    self->session = session_new(&setup, error);
    if (!self->session || !open_exports(self, error))
        return FALSE;
    return session_listen(self->session, STREAM_RPC, self->work->rpc_socket, for_us, RPC_STREAMS,
                          rpc_codec_new, &self->judge, error) &&
           session_listen(self->session, STREAM_MEMORY, memory, for_qemu, MEMORY_STREAMS,
                          squeezed_codec_new, self->hold ? hold_valve(self->hold) : NULL, error) &&
           (!disks || session_listen(self->session, STREAM_DISK, disk, for_qemu, disks,
                                     export_codec_new, self->exports, error));
}

/* Ends a move whose guest runs here; once it is stopped, the hand-over sees for itself. */
static void give_up(source *self, const char *code, const GError *why)
{
    if (status_phase(self->status) >= PHASE_SWITCHING)
        return;
    status_set_error(self->status, code, "%s", why->message);
    session_fail(self->session, why);
    (void)move_abort(self->domain, NULL);
}

/* While it is held no deadline counts but one for links, and that is long, here and there. */
static void bear_with_links(source *self)
{
    const settings *conf = self->work->conf;
    gboolean held = hold_is_ready(self->hold);

    if (held == self->patient || !control_send_hold(self->session, held, NULL))
        return;
    session_set_link_timeout(self->session,
                             (int)(held ? conf->hold_link_timeout : conf->link_timeout) * 1000);
    self->patient = held;
}

/* No stall, but nothing that ends by itself. */
static void show_pace(source *self, pace *memory, const move_progress *progress)
{
    gint64 now = g_get_monotonic_time();
    g_autofree char *dirty = rate_text(progress->dirty_rate), *sent = NULL, *text = NULL;

    if (!pace_look(memory, progress->memory_done, progress->dirty_rate, progress->iteration, now))
        return;
    sent = rate_text(memory->rate);
    text = g_strdup_printf("%s changes its memory faster (%s) than it crosses (%s): it is moved when it does less, or "
                           "with more bandwidth ('ferry set %.8s bandwidth=none')",
                           self->landing->machine->name, dirty, sent, self->work->id);
    (void)status_set_waiting_in(self->status, PHASE_SYNCHRONIZING,
                                memory->behind ? text : NULL);
}

static void show_progress(source *self, pace *memory, const move_progress *progress)
{
    if (status_phase(self->status) == PHASE_MIRRORING) {
        status_set_progress(self->status, progress->disk_done, progress->disk_total);
    } else if (status_phase(self->status) == PHASE_SYNCHRONIZING) {
        status_set_progress(self->status, progress->memory_done,
                            progress->memory_done + progress->memory_remaining);
        if (!self->hold || !hold_holds(self->hold))
            show_pace(self, memory, progress);
    }
    g_mutex_lock(&self->lock);
    self->progressed = progress->memory_done + progress->iteration;
    if (status_phase(self->status) == PHASE_MIRRORING)
        self->progressed += progress->disk_done;
    g_mutex_unlock(&self->lock);
}

/* Shows how far things are, while move_run blocks the main thread of the move. */
static gpointer watch_progress(gpointer user)
{
    source *self = user;
    g_auto(GStrv) disks = plan_disk_targets(self->landed->made);
    pace memory = {0};

    g_mutex_lock(&self->lock);
    while (self->moving) {
        move_progress progress;
        g_autoptr(GError) withdrawn = NULL;
        session_stats stats;
        guint64 arrived;

        g_mutex_unlock(&self->lock);
        arrived = self->hold ? hold_arrived(self->hold) : 0;
        session_get_stats(self->session, &stats);
        status_set_session(self->status, &stats);
        if (move_get_progress(self->domain, (const char *const *)disks, &progress, NULL) &&
            progress.active) {
            if (self->hold &&
                !hold_look(self->hold, self->domain, status_phase(self->status) == PHASE_SYNCHRONIZING,
                           arrived, &progress, &withdrawn))
                give_up(self, "group", withdrawn);
            show_progress(self, &memory, &progress);
        }
        if (self->hold)
            bear_with_links(self);
        g_mutex_lock(&self->lock);
        if (self->moving && !(self->hold && hold_is_due(self->hold)))
            g_cond_wait_until(&self->changed, &self->lock, g_get_monotonic_time() + WATCH_PAUSE);
    }
    g_mutex_unlock(&self->lock);
    return NULL;
}

gboolean source_is_cancelled(source *self, GError **error)
{
    gboolean cancelled = status_is_cancelled(self->status);

    if (cancelled)
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "the move was cancelled");
    return cancelled;
}

gboolean source_give_up(source *self, const char *code, const char *format, ...)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    if (!status_give_up(self->status, code, text))
        return FALSE;
    throttle_rest(self->throttle); /* libvirt waits for what is under way */
    g_set_error_literal(&error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "given up");
    session_fail(self->session, error);
    /* Once the guest is stopped libvirt has no job to abort, only a reply to wait for, which it shall not get. */
    if (status_phase(self->status) < PHASE_SWITCHING)
        (void)move_abort(self->domain, NULL);
    return TRUE;
}

/* A synchronous mirror, and the target does nothing: QEMU gets its writes back with an error, which ends the
 * mirror and lets the guest's own be done with the disk here. */
static void on_stalled(void *user)
{
    source *self = user;

    if (status_phase(self->status) >= PHASE_SWITCHING)
        return; /* the guest is stopped already */
    (void)source_give_up(self, "guest-stall",
                         "%s did not take a write for %u s, and with a synchronous mirror the guest waits for it: "
                         "the move was given up ('max-guest-stall' in ferryd.conf says after how long; a mirror in "
                         "the background never makes a guest wait)",
                         self->asked->target, self->work->conf->max_guest_stall);
}

/* Phases mirroring to committing: one call of libvirt's, with our hands in it. */
gboolean source_migrate(source *self, GError **error)
{
    g_autofree char *memory = landing_memory_socket(self->work->qemu_dir);
    g_autofree char *disk = landing_disk_socket(self->work->qemu_dir);
    g_autofree char *uri = g_strconcat("unix://", memory, NULL);
    g_autofree char *disks_uri = g_strconcat("unix://", disk, NULL);
    g_auto(GStrv) disks = plan_disk_targets(self->landed->made);
    move_terms terms = {.rpc_socket = self->work->rpc_socket,
                        .uri = uri,
                        .disks_uri = disks_uri,
                        .disks = (const char *const *)disks,
                        .live_xml = self->landed->made->live_xml,
                        .synchronous = self->asked->synchronous};
    GThread *watcher;
    move_watch *suspend;
    stall *stalls = NULL;
    deadline *progress;
    gboolean moved;

    /* Should this host go down after the give-up, its libvirt must not start the guest by itself (I1). */
    if (self->landing->autostart && !virt_domain_set_autostart(self->domain, FALSE, error))
        return FALSE;
    suspend = move_watch_suspend(self->domain, on_suspended, self, error);
    if (!suspend)
        return FALSE;
    g_mutex_lock(&self->lock);
    self->moving = TRUE;
    g_mutex_unlock(&self->lock);
    watcher = g_thread_new("progress", watch_progress, self);
    if (self->asked->synchronous && self->work->conf->max_guest_stall)
        stalls = stall_watch(self->exports, self->work->conf->max_guest_stall, on_stalled, self);
    progress = deadline_watch(self);
    /* A cancel from here on finds something to abort; an earlier one is seen now. */
    moved = !source_is_cancelled(self, error) && move_run(self->domain, &terms, error);
    g_mutex_lock(&self->lock);
    self->moving = FALSE;
    source_leave_word(self);
    /* libvirt may have lost its daemon; whose the guest is, is still being found out. */
    g_mutex_lock(&self->lock);
    while (self->handing)
        g_cond_wait(&self->changed, &self->lock);
    g_mutex_unlock(&self->lock);
    g_thread_join(watcher);
    if (self->hold)
        hold_end(self->hold);
    stall_unwatch(stalls);
    deadline_unwatch(progress);
    move_unwatch(suspend);
    return moved;
}
