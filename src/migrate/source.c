/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The source's side of a move, in order; see source.h. */
#include "migrate/source-inside.h"

#include "base/hook.h"
#include "base/log.h"
#include "migrate/control.h"
#include "migrate/peer.h"

#include <string.h>

#define LOG_AREA "source"

#define BUSY_PAUSE       G_TIME_SPAN_SECOND
#define ABORT_TIMEOUT_MS 2000
#define JOB_PAUSE_US     50000
#define RUN_TRIES        60
#define RUN_PAUSE_US     G_USEC_PER_SEC

/* The valve has run dry. */
static void look_at_hold(void *user)
{
    source *self = user;

    g_mutex_lock(&self->lock);
    source_leave_word(self);
}

source *source_new(const job *work, const request *asked, gboolean compare)
{
    source *self = g_new0(source, 1);
    status_setup setup = {.id = work->id,
                          .role = "source",
                          .vm = asked->vm,
                          .peer = asked->target,
                          .channels_wanted = work->conf->channels,
                          .journal = compare ? NULL : work->journal,
                          .changed = work->changed,
                          .user = work->user};

    hook_program("source");
    self->work = work;
    self->asked = asked;
    self->compare = compare;
    g_mutex_init(&self->lock);
    g_cond_init(&self->changed);
    self->status = status_new(&setup);
    self->throttle = throttle_new(self->status, work->conf, asked);
    if (asked->hold && !compare)
        self->hold = hold_new(self->status, asked, look_at_hold, self);
    return self;
}

void source_free(source *self)
{
    if (!self)
        return;
    throttle_free(self->throttle);
    session_free(self->session);
    hold_free(self->hold);
    export_table_free(self->exports);
    virt_domain_free(self->domain);
    virt_host_close(self->host);
    landing_request_free(self->landing);
    landing_answer_free(self->landed);
    g_free(self->died);
    status_free(self->status);
    g_mutex_clear(&self->lock);
    g_cond_clear(&self->changed);
    g_free(self);
}

void source_leave_word(source *self)
{
    g_cond_broadcast(&self->changed);
    g_mutex_unlock(&self->lock);
}

status *source_status(source *self)
{
    return self->status;
}

void source_set_limits(source *self, const request_limits *wanted)
{
    throttle_set(self->throttle, wanted);
}

void source_set_share(source *self, guint64 share, guint64 claim)
{
    throttle_set_share(self->throttle, share, claim);
}

gboolean source_cutover(source *self, gint64 at)
{
    gboolean held = self->hold && hold_cutover(self->hold, at);

    g_mutex_lock(&self->lock);
    source_leave_word(self);
    return held;
}

/* Waits a while, or until cancelled. */
static gboolean pause_cancellable(source *self, gint64 span)
{
    gint64 until = g_get_monotonic_time() + span;

    g_mutex_lock(&self->lock);
    while (!status_is_cancelled(self->status) &&
           g_cond_wait_until(&self->changed, &self->lock, until))
        ;
    g_mutex_unlock(&self->lock);
    return !status_is_cancelled(self->status);
}

/* What the peer said instead of a landing becomes our error. */
static gboolean not_landed(source *self, int code, JsonObject *answer)
{
    const char *text = NULL, *error_code = NULL;
    g_autoptr(findings) found = NULL;
    JsonObject *inner;
    JsonArray *array;

    if (answer && json_get_object(answer, "error", &inner, NULL)) {
        (void)json_opt_string(inner, "text", &text, NULL, NULL);
        (void)json_opt_string(inner, "code", &error_code, NULL, NULL);
        if (json_get_array(inner, "findings", &array, NULL))
            found = findings_from_json(array, NULL);
    }
    if (found && findings_block(found)) {
        g_autofree char *summary = findings_summary(found);
        status_set_error(self->status, "blocked", "%s", summary);
        status_take_findings(self->status, found);
    } else if (text) {
        status_set_error(self->status, error_code ? error_code : "peer-error", "%s: %s",
                         self->asked->target, text);
    } else {
        status_set_error(self->status, "peer-error", "%s answered with HTTP status %d; its log says why",
                         self->asked->target, code);
    }
    return FALSE;
}

static gboolean accept_answer(source *self, JsonObject *answer)
{
    g_autoptr(GError) error = NULL;
    const landing_answer *landed;

    self->landed = landing_answer_from_json(answer, &error);
    landed = self->landed;
    if (!landed) {
        status_set_error(self->status, "peer-error", "%s gave an answer that makes no sense: %s",
                         self->asked->target, error->message);
        return FALSE;
    }
    if (!g_ascii_strcasecmp(landed->host_uuid, self->landing->host_uuid))
        return source_refuse(self, 1005, "blocked", "Name another host.",
                      "The target is this host, under another name.");
    if (landed->made)
        status_set_plan(self->status, landed->made);
    status_take_findings(self->status, landed->found);
    if (self->compare)
        return TRUE;
    if (!landed->made || !landed->directory || !landed->addresses->len ||
        strcmp(landed->directory, self->work->qemu_dir)) {
        status_set_error(self->status, "peer-error",
                         "%s answered without a usable landing; 'runtime-directory' in its "
                         "ferryd.conf must be the same as here (%s)",
                         self->asked->target, self->work->conf->run_dir);
        return FALSE;
    }
    return TRUE;
}

/* Phase landing: asks until the target has a free slot. */
gboolean source_land(source *self)
{
    g_autoptr(JsonObject) body = landing_request_to_json(self->landing);
    g_autofree char *waiting =
        g_strdup_printf("a free slot at %s (its limit of incoming moves is reached)",
                        self->asked->target);

    for (;;) {
        g_autoptr(JsonObject) answer = NULL;
        g_autoptr(GError) error = NULL;
        int code;

        if (!peer_call(self->work, self->asked->target, "POST", "/v1/landings", body, &code, &answer,
                       &error)) {
            status_set_error(self->status, peer_error_code(error), "%s", error->message);
            return FALSE;
        }
        if (code == 503 && !self->compare) {
            if (status_phase(self->status) != PHASE_QUEUED)
                (void)status_enter(self->status, PHASE_QUEUED, NULL);
            status_set_waiting(self->status, waiting);
            if (!pause_cancellable(self, BUSY_PAUSE))
                return FALSE;
            continue;
        }
        if (status_phase(self->status) == PHASE_QUEUED)
            (void)status_enter(self->status, PHASE_LANDING, NULL);
        return code / 100 == 2 && answer ? accept_answer(self, answer)
                                         : not_landed(self, code, answer);
    }
}

/* Tells the target that it is over, over the session if that still works. */
static void end_landing(source *self, const char *why)
{
    gboolean over;

    g_mutex_lock(&self->lock);
    over = self->session_over || !self->session;
    g_mutex_unlock(&self->lock);
    if (!over && control_send(self->session, CONTROL_ABORT, why, NULL) &&
        session_finish(self->session, ABORT_TIMEOUT_MS))
        return;
    peer_end_landing(self->work, self->asked->target, self->work->id);
}

/* libvirt resumes the guest by itself, unless it lost us or its daemon in between: then it waits for us. A connection of
 * its own: the one we had may have died with the daemon. */
static gboolean run_again_once(source *self, GError **error)
{
    g_autoptr(virt_host) host = virt_host_open(self->work->conf->libvirt_socket, error);
    g_autoptr(virt_domain) domain =
        host ? virt_domain_find_uuid(host, self->landing->machine->uuid, error) : NULL;
    virt_state state;
    gboolean busy;

    if (!domain)
        return FALSE;
    do {
        if (!virt_domain_has_job(domain, &busy, error))
            return FALSE;
        if (busy)
            g_usleep(JOB_PAUSE_US);
    } while (busy);
    if (self->landing->autostart && !virt_domain_set_autostart(domain, TRUE, error))
        return FALSE;
    if (!virt_domain_state(domain, &state, error))
        return FALSE;
    return state != VIRT_PAUSED || virt_domain_resume(domain, error);
}

static gboolean run_again(source *self, GError **error)
{
    for (int i = 0; i < RUN_TRIES; i++) {
        g_clear_error(error);
        if (run_again_once(self, error))
            return TRUE;
        if (g_error_matches(*error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
            return FALSE;
        log_warning("%s (trying again)", (*error)->message);
        g_usleep(RUN_PAUSE_US);
    }
    return FALSE;
}

static void take_back(source *self)
{
    g_autoptr(GError) error = NULL;
    gboolean touched = self->session != NULL || self->recovering;

    /* The guest first, then the target: nothing can start there without our token. */
    if (touched && self->domain && !run_again(self, &error))
        status_set_error(self->status, "internal",
                         "%s could not be seen running here again: %s; look at it with 'virsh list'",
                         virt_domain_name(self->domain), error->message);
    if (self->landed || self->recovering)
        end_landing(self, status_is_cancelled(self->status) ? "cancelled at the source"
                                                            : "the move failed at the source");
}

static gboolean move(source *self)
{
    g_autoptr(GError) error = NULL;

    if (self->hold && !hold_suits(self->landing->machine->memory, &error)) {
        status_set_error(self->status, "blocked", "%s", error->message);
        return FALSE;
    }
    if (!status_enter(self->status, PHASE_LANDING, &error))
        return source_fail(self, error);
    if (!source_land(self) || !compare_is_expected(self) || source_is_cancelled(self, &error))
        return FALSE;
    if (!source_open_session(self, &error) || !status_enter(self->status, PHASE_MIRRORING, &error))
        return source_fail(self, error);
    throttle_drive(self->throttle, self->session);
    if (!source_migrate(self, &error) && status_decision(self->status) == DECISION_NONE)
        status_set_error(self->status, "migration-failed", "libvirt: %s", error->message);
    return status_decision(self->status) == DECISION_GIVEN_UP;
}

static gboolean journal_start(source *self, GError **error)
{
    g_autoptr(JsonObject) details = json_object_new();
    g_autoptr(JsonObject) shown = status_to_json(self->status);
    g_autofree char *shown_text = json_text(shown);
    g_autofree char *text = NULL;
    journal_entry entry = {.id = (char *)self->work->id,
                           .role = (char *)"source",
                           .vm = (char *)self->asked->vm,
                           .vm_uuid = (char *)"",
                           .peer = self->asked->target,
                           .phase = (char *)phase_name(PHASE_QUEUED),
                           .status = shown_text};

    json_object_set_object_member(details, "request", request_to_json(self->asked));
    entry.details = text = json_text(details);
    return journal_begin(self->work->journal, &entry, error);
}

/* What recovery needs to know of the VM. */
static gboolean journal_landing(source *self, GError **error)
{
    g_autoptr(JsonObject) details = json_object_new();
    g_autofree char *text = NULL;

    json_object_set_object_member(details, "request", request_to_json(self->asked));
    json_object_set_object_member(details, "landing", landing_request_to_json(self->landing));
    json_object_set_object_member(details, "paths", vm_paths_to_json(self->landing->machine));
    text = json_text(details);
    return journal_set_vm(self->work->journal, self->work->id, self->landing->machine->name,
                          self->landing->machine->uuid, error) &&
           journal_set_details(self->work->journal, self->work->id, text, error);
}

void source_finish(source *self, gboolean moved)
{
    session_stats stats;
    GError *error = NULL;
    gboolean good = FALSE;

    throttle_rest(self->throttle);
    if (moved)
        (void)status_advance(self->status, PHASE_CLEANING, NULL);
    if (moved)
        good = wayback_clean(self);
    else
        take_back(self);
    if (self->session) {
        session_get_stats(self->session, &stats);
        status_set_session(self->status, &stats);
    }
    job_remove_sockets(self->work);
    if (!status_end(self->status, good, &error)) {
        log_error("%s", error->message);
        g_clear_error(&error);
    }
}

/* What is usual for the guest is learned while the hosts compare and the target prepares. */
static void watch_guest(source *self)
{
    g_autoptr(GStrvBuilder) disks = g_strv_builder_new();

    for (guint i = 0; i < self->landing->machine->disks->len; i++) {
        const vm_disk *disk = self->landing->machine->disks->pdata[i];
        if (vm_disk_is_copied(disk))
            g_strv_builder_add(disks, disk->target);
    }
    throttle_watch(self->throttle, self->domain, g_strv_builder_end(disks));
}

void source_run(source *self)
{
    g_autoptr(GError) error = NULL;

    if (self->compare) {
        compare_run(self);
        return;
    }
    if (!journal_start(self, &error) || !status_enter(self->status, PHASE_COMPARING, &error))
        (void)source_fail(self, error);
    else if (source_look(self) && (journal_landing(self, &error) || source_fail(self, error)))
        watch_guest(self);
    source_finish(self, !status_has_error(self->status) && move(self));
}

gboolean source_cancel(source *self, const char *why)
{
    g_autoptr(GError) error = NULL;
    gboolean moving;

    if (!status_cancel(self->status, why))
        return FALSE;
    throttle_rest(self->throttle); /* libvirt waits for what is under way */
    g_mutex_lock(&self->lock);
    moving = self->moving;
    source_leave_word(self);
    if (!moving)
        return TRUE;
    /* Once the guest is stopped libvirt has no job to abort, only a reply to wait for, which it shall not get. */
    if (status_phase(self->status) >= PHASE_SWITCHING || !move_abort(self->domain, &error)) {
        g_clear_error(&error);
        g_set_error_literal(&error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "cancelled");
        session_fail(self->session, error);
    }
    return TRUE;
}
