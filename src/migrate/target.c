/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The target's side of a move, in order; see target.h. */
#include "migrate/target-inside.h"

#include "base/hook.h"
#include "base/log.h"
#include "migrate/budget.h"
#include "migrate/control.h"
#include "migrate/insist.h"
#include "migrate/peer.h"
#include "migrate/request.h"
#include "migrate/seeding.h"
#include "migrate/wayback.h"
#include "relay/rpc.h"
#include "relay/squeezed.h"
#include "virt/move.h"

#define LOG_AREA "target"

#define FINISH_TIMEOUT_MS    5000
#define DONE_TIMEOUT         (60 * G_TIME_SPAN_SECOND)
#define WATCH_PAUSE          (500 * G_TIME_SPAN_MILLISECOND)

target *target_new(const job *work, const char *peer, landing_request *asked)
{
    target *self = g_new0(target, 1);
    status_setup setup = {.id = work->id,
                          .role = "target",
                          .vm = asked->machine->name,
                          .peer = peer,
                          .channels_wanted = work->conf->channels,
                          .journal = asked->dry_run ? NULL : work->journal,
                          .changed = work->changed,
                          .user = work->user};

    hook_program("target");
    self->work = work;
    self->peer = peer;
    self->asked = asked;
    self->asking = g_ptr_array_new_with_free_func(g_free);
    g_mutex_init(&self->lock);
    g_cond_init(&self->changed);
    self->status = status_new(&setup);
    status_set_vm(self->status, asked->machine->name, asked->machine->uuid);
    self->limits.share = self->limits.rate = work->conf->bandwidth;
    status_set_limits(self->status, &self->limits);
    return self;
}

void target_free(target *self)
{
    if (!self)
        return;
    session_free(self->session);
    if (self->held)
        seeds_stop(self->held); /* ends the waiting for hints */
    sink_free(self->intake);
    seeds_free(self->held);
    permit_free(self->allowed);
    plan_free(self->made);
    virt_host_close(self->host);
    landing_request_free(self->asked);
    status_free(self->status);
    g_ptr_array_unref(self->asking);
    g_mutex_clear(&self->lock);
    g_cond_clear(&self->changed);
    g_free(self->token);
    g_free(self);
}

status *target_status(target *self)
{
    return self->status;
}

void target_leave_word(target *self)
{
    g_cond_broadcast(&self->changed);
    g_mutex_unlock(&self->lock);
}

/* Lock held. */
static void set_limits(target *self, guint64 own, guint64 share)
{
    self->limits.own = own;
    self->limits.share = share;
    self->limits.rate = budget_least(own, share);
    status_set_limits(self->status, &self->limits);
}

void target_set_share(target *self, guint64 share)
{
    g_mutex_lock(&self->lock);
    set_limits(self, self->limits.own, share);
    target_leave_word(self);
}

/* Lock held. What cannot be said now is said a moment later. */
static void tell_share(target *self)
{
    if (self->limits.share != self->told &&
        control_send_rate(self->session, self->limits.share, NULL))
        self->told = self->limits.share;
}

/* Everything of libvirt's dialogue goes by the permit; what it tells us moves the phases on. */
static gboolean judge(const rpc_packet *packet, rpc_direction direction, void *user,
                      GBytes **instead, GError **error)
{
    target *self = user;

    if (direction == RPC_FROM_PEER) {
        if (!permit_call(self->allowed, packet, instead, error)) {
            g_prefix_error(error, "%s asked libvirt for what this landing does not allow: ",
                           self->peer);
            return FALSE;
        }
        /* Only Prepare goes on with another body. From here on there may be a guest that is ours to destroy: a worker
         * that recovers has to know. */
        if (*instead && !status_advance(self->status, PHASE_MIRRORING, error))
            return FALSE;
        if (*instead && status_decision(self->status) == DECISION_REFUSED) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "the landing of %s was refused",
                        self->asked->machine->name);
            return FALSE;
        }
        return TRUE;
    }
    if (!permit_reply(self->allowed, packet, error))
        return FALSE;
    /* libvirt takes back what it began before it refuses: a guest of this UUID is somebody else's, and nobody may
     * destroy it. */
    if (permit_declined(self->allowed) && status_phase(self->status) == PHASE_MIRRORING &&
        !status_enter(self->status, PHASE_LANDING, error))
        return FALSE;
    if (permit_prepared(self->allowed)) {
        g_mutex_lock(&self->lock);
        self->begun = TRUE;
        g_mutex_unlock(&self->lock);
    }
    if (permit_finished(self->allowed)) {
        if (!intake_loaded(self, error))
            return FALSE;
        /* What cannot be written down now is said while the source can still go on. */
        if (!status_advance(self->status, PHASE_SWITCHING, error))
            return FALSE;
        g_mutex_lock(&self->lock);
        self->loaded = TRUE;
        target_leave_word(self);
    }
    return TRUE;
}

/* The source waits for its cutover, perhaps for long. */
static void be_held(target *self, gboolean held)
{
    const settings *conf = self->work->conf;
    g_autofree char *waiting = g_strdup_printf("held: %s says when it switches over", self->peer);

    session_set_link_timeout(self->session,
                             (int)(held ? conf->hold_link_timeout : conf->link_timeout) * 1000);
    status_set_hold(self->status, request_hold_json(held ? "ready" : "over", 0, NULL));
    status_set_waiting(self->status, held ? waiting : NULL);
}

static void on_control(const char *text, size_t length, void *user)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(control_message) message = NULL;
    target *self = user;

    message = control_parse(text, length, SESSION_SOURCE, &error);
    if (!message) {
        session_fail(self->session, error);
        return;
    }
    if (message->op == CONTROL_HOLD)
        be_held(self, message->on);
    if (message->op == CONTROL_ABORT) {
        (void)status_cancel(self->status, message->text);
        g_mutex_lock(&self->lock);
    } else {
        g_mutex_lock(&self->lock);
        if (message->op == CONTROL_RATE)
            set_limits(self, message->bytes, self->limits.share);
        if (message->op == CONTROL_COMMIT && !self->token)
            self->token = g_steal_pointer(&message->text);
        else if (message->op == CONTROL_DONE)
            self->done = TRUE;
    }
    target_leave_word(self);
}

static void on_stream(stream_kind kind, unsigned number, void *user)
{
    target *self = user;
    gboolean begun;

    g_mutex_lock(&self->lock);
    begun = self->begun;
    g_mutex_unlock(&self->lock);
    /* Not before Prepare: the phase says whether there may be a guest of ours. */
    if (kind == STREAM_MEMORY && begun)
        (void)status_advance(self->status, PHASE_SYNCHRONIZING, NULL);
}

static void on_channels(unsigned alive, const GError *error, void *user)
{
    target *self = user;

    if (error)
        log_warning("%u channels left: %s", alive, error->message);
    g_mutex_lock(&self->lock);
    if (alive)
        self->arrived = TRUE;
    target_leave_word(self);
}

static void on_failed(const GError *error, void *user)
{
    target *self = user;

    if (status_decision(self->status) == DECISION_NONE)
        status_set_error(self->status, "link-lost", "the landing was closed: %s", error->message);
    g_mutex_lock(&self->lock);
    self->session_over = TRUE;
    target_leave_word(self);
}

/* One strv of pairs behind another: the request's rules come first, so they win. */
static GStrv join(GStrv first, GStrv second)
{
    g_autoptr(GStrvBuilder) all = g_strv_builder_new();

    if (first)
        g_strv_builder_addv(all, (const char **)first);
    if (second)
        g_strv_builder_addv(all, (const char **)second);
    return g_strv_builder_end(all);
}

static gboolean make_plan(target *self, findings *found, GError **error)
{
    const settings *conf = self->work->conf;
    const landing_request *asked = self->asked;
    g_auto(GStrv) landed = seeding_landed(conf, self->peer, asked->machine->uuid);
    g_auto(GStrv) switch_keys = join(asked->switch_keys, conf->switch_keys);
    g_auto(GStrv) switch_values = join(asked->switch_values, conf->switch_values);
    g_auto(GStrv) storage_keys = join(asked->storage_keys, conf->storage_keys);
    g_auto(GStrv) storage_values = join(asked->storage_values, conf->storage_values);
    plan_rules rules = {.switch_keys = switch_keys,
                        .switch_values = switch_values,
                        .storage_keys = storage_keys,
                        .storage_values = storage_values,
                        .format_keys = asked->format_keys,
                        .format_values = asked->format_values,
                        .name_keys = asked->name_keys,
                        .name_values = asked->name_values,
                        .storage_roots = conf->storage_directories,
                        .memory_reserve = conf->memory_reserve,
                        .landed = landed};

    if (networks_empty(conf->migration))
        findings_add(found, 1006, conf->name,
                     "Set 'migration' in [networks] of its /etc/ferry/ferryd.conf.",
                     "%s has no network that may carry migrations.", conf->name);
    self->made = plan_make(self->host, asked->machine, asked->live_xml, asked->stored_xml, &rules,
                           found, error);
    return self->made != NULL;
}

/* What stands in the way here, another landing or a file, is the state of this host and no fault in us. */
static gboolean fail(target *self, const GError *error)
{
    gboolean conflict = g_error_matches(error, G_IO_ERROR, G_IO_ERROR_BUSY) ||
                        g_error_matches(error, G_IO_ERROR, G_IO_ERROR_EXISTS);
    const char *code = conflict ? "conflict" : "internal";

    status_set_error(self->status, code, "%s", error->message);
    self->work->answer(peer_status_of_code(code), status_error_json(self->status), self->work->user);
    return FALSE;
}

/* Looks, and answers at once when that is the end of it. */
static gboolean look(target *self, landing_answer *answer)
{
    g_autoptr(GError) error = NULL;

    self->host = virt_host_open(self->work->conf->libvirt_socket, &error);
    if (!self->host)
        return fail(self, error);
    answer->host_uuid = virt_host_uuid(self->host, &error);
    if (!answer->host_uuid)
        return fail(self, error);
    answer->found = findings_new();
    /* Coming from ourselves, every name and path would be taken: the source says the one thing that matters. */
    if (!g_ascii_strcasecmp(answer->host_uuid, self->asked->host_uuid)) {
        self->work->answer(200, landing_answer_to_json(answer), self->work->user);
        return FALSE;
    }
    if (!make_plan(self, answer->found, &error))
        return fail(self, error);
    if (findings_block(answer->found))
        g_clear_pointer(&self->made, plan_free);
    answer->made = self->made;
    if (self->asked->dry_run) {
        self->work->answer(200, landing_answer_to_json(answer), self->work->user);
        return FALSE;
    }
    if (answer->made)
        return TRUE;
    g_autofree char *summary = findings_summary(answer->found);
    status_set_error(self->status, "blocked", "%s", summary);
    status_take_findings(self->status, answer->found);
    self->work->answer(409, status_error_json(self->status), self->work->user);
    return FALSE;
}

static gboolean write_start(journal *book, gpointer entry, GError **error)
{
    return journal_begin(book, entry, error);
}

static gboolean journal_start(target *self, GError **error)
{
    g_autoptr(JsonObject) details = json_object_new();
    g_autoptr(JsonObject) shown = status_to_json(self->status);
    g_autofree char *shown_text = json_text(shown);
    g_autofree char *text = NULL;
    journal_entry entry = {.id = (char *)self->work->id,
                           .role = (char *)"target",
                           .vm = self->asked->machine->name,
                           .vm_uuid = self->asked->machine->uuid,
                           .peer = (char *)self->peer,
                           .phase = (char *)phase_name(PHASE_QUEUED),
                           .status = shown_text};

    json_object_set_object_member(details, "landing", landing_request_to_json(self->asked));
    json_object_set_object_member(details, "plan", plan_to_json(self->made));
    entry.details = text = json_text(details);
    return status_write(self->status, write_start, &entry, error);
}

static gboolean open_session(target *self, GError **error)
{
    const job *work = self->work;
    session_setup setup = {.role = SESSION_TARGET,
                           .channels = work->conf->channels,
                           .link_timeout_ms = (int)work->conf->link_timeout * 1000,
                           .on_control = on_control,
                           .on_channels = on_channels,
                           .on_stream = on_stream,
                           .on_failed = on_failed,
                           .user = self};
    g_autofree char *memory = landing_memory_socket(work->qemu_dir);
    g_autofree char *disk = landing_disk_socket(work->qemu_dir);
    g_autofree char *uri = g_strconcat("unix://", memory, NULL);
    g_autofree char *disks_uri = g_strconcat("unix://", disk, NULL);
    g_auto(GStrv) disks = plan_disk_targets(self->made);
    guint count = g_strv_length(disks);
    permit_terms terms = {.name = self->asked->machine->name,
                          .open_name = "qemu:///system",
                          .xml = self->made->live_xml,
                          .uri = uri,
                          .disks_uri = count ? disks_uri : NULL,
                          .disks = (const char *const *)disks,
                          .flags_required = move_flags(count > 0),
                          .flags_allowed = move_flags_allowed(count > 0)};

    self->allowed = permit_new(&terms);
    self->judge = (rpc_judge){.judge = judge, .user = self};
    self->session = session_new(&setup, error);
    if (!self->session)
        return FALSE;
    if (!session_offer(self->session, STREAM_RPC, virt_host_socket(self->host), 1, rpc_codec_new,
                       &self->judge, error) ||
        !session_offer(self->session, STREAM_MEMORY, memory, 1, squeezed_codec_new, NULL, error) ||
        (count && (!intake_open(self, disk, error) ||
                   !session_offer(self->session, STREAM_DISK, NULL, count, sink_codec_new,
                                  self->intake, error))))
        return FALSE;
    g_mutex_lock(&self->lock);
    self->landed = TRUE;
    g_mutex_unlock(&self->lock);
    return TRUE;
}

/* Disks, sockets, permit: what the landing consists of. */
static gboolean prepare(target *self, landing_answer *answer, GError **error)
{
    g_autoptr(GPtrArray) local = NULL;

    if (!journal_start(self, error)) {
        status_leave_journal(self->status);
        return FALSE;
    }
    if (!status_enter(self->status, PHASE_LANDING, error))
        return FALSE;
    status_set_plan(self->status, self->made);
    local = networks_local_addresses(self->work->conf->migration, error);
    if (!local)
        return FALSE;
    if (!local->len) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NETWORK_UNREACHABLE,
                    "this host has no address on any of its migration networks now; "
                    "look at its links and at [networks] in ferryd.conf");
        return FALSE;
    }
    answer->addresses = g_ptr_array_new_with_free_func(g_object_unref);
    for (guint i = 0; i < local->len; i++)
        g_ptr_array_add(answer->addresses,
                        g_object_ref(((networks_local *)local->pdata[i])->address));
    answer->port = self->work->conf->data_port;
    answer->directory = g_strdup(self->work->qemu_dir);
    self->prepared = plan_prepare(self->made, self->host, error);
    if (!self->prepared || !job_make_qemu_dir(self->work, self->host, error))
        return FALSE;
    wayback_permit(self->work, self->made, self->asked->machine->uuid, self->peer);
    self->held = seeding_start(self->work->conf, self->host, self->peer,
                               self->asked->machine->uuid, self->made);
    return open_session(self, error);
}

/* Waits for what decides the landing's fate: a token, or a reason to end. TRUE: a token. */
static gboolean wait_for_token(target *self)
{
    gint64 deadline =
        g_get_monotonic_time() + (gint64)self->work->conf->landing_timeout * G_TIME_SPAN_SECOND;
    session_stats stats = {0};
    gint64 before;
    gboolean token;

    g_mutex_lock(&self->lock);
    while (!self->token && !self->session_over && !self->spoiled && self->back == BACK_NO &&
           !status_is_cancelled(self->status)) {
        tell_share(self);
        if (status_phase(self->status) < PHASE_MIRRORING && g_get_monotonic_time() > deadline) {
            status_set_error(self->status, "timeout", "%s did not %s within %u s", self->peer,
                             self->arrived ? "begin to migrate" : "connect",
                             self->work->conf->landing_timeout);
            break;
        }
        before = g_get_monotonic_time();
        g_cond_wait_until(&self->changed, &self->lock, before + WATCH_PAUSE);
        g_mutex_unlock(&self->lock);
        session_get_stats(self->session, &stats);
        status_set_session(self->status, &stats);
        g_mutex_lock(&self->lock);
        /* Without any link it cannot go on: how long that may last is link-timeout's to say. */
        if (self->arrived && stats.channels_alive == 0)
            deadline += g_get_monotonic_time() - before;
    }
    token = self->token != NULL && self->back == BACK_NO;
    g_mutex_unlock(&self->lock);
    return token;
}

/* Its disks are the source's, which may keep them a moment longer than this. */
static void show_way_back(target *self)
{
    gint64 until = g_get_real_time() / G_USEC_PER_SEC + self->asked->way_back * 3600;
    const char *none[] = {NULL};

    if (self->asked->way_back > 0)
        status_set_way_back(self->status, until, none);
}

/* The guest is ours. The source may still want to hear so, and says when it is tidy; if it cannot, we end all the same:
 * it will ask our journal. */
static gboolean complete(target *self)
{
    gint64 deadline;
    gboolean alive;

    insist_advance(self->status, PHASE_CLEANING);
    alive = accept_settle(self);
    if (self->given_back)
        return FALSE;
    /* They have served. */
    seeding_keep_landed(self->work->conf, self->peer, self->asked->machine->uuid, 0);
    show_way_back(self);
    deadline = g_get_monotonic_time() + DONE_TIMEOUT;
    g_mutex_lock(&self->lock);
    while (!self->done && !self->session_over && self->session && self->back == BACK_NO &&
           g_cond_wait_until(&self->changed, &self->lock, deadline))
        ;
    g_mutex_unlock(&self->lock);
    return accept_give_back(self) ? FALSE : alive;
}

void target_finish(target *self, gboolean ours)
{
    session_stats stats;
    gboolean good = FALSE;

    /* Before its streams break, which would look like the reason. */
    if (!ours && status_is_cancelled(self->status) && self->session && !self->session_over)
        (void)control_send(self->session, CONTROL_ABORT, "it was cancelled there", NULL);
    if (ours) {
        good = complete(self) && !status_has_error(self->status);
        ours = !self->given_back;
    } else if (self->prepared && !self->settled)
        accept_refuse(self, status_is_cancelled(self->status) ? "the move was cancelled"
                                                              : "the landing has failed");
    target_close_door(self);
    if (self->session) {
        if (!ours && !self->session_over)
            (void)control_send(self->session, CONTROL_ABORT, "the landing has ended", NULL);
        (void)session_finish(self->session, FINISH_TIMEOUT_MS);
        session_get_stats(self->session, &stats);
        status_set_session(self->status, &stats);
        g_clear_pointer(&self->session, session_free);
    }
    if (!ours)
        abandon_landing(self);
    job_remove_sockets(self->work);
    insist_end(self->status, good);
}

void target_run(target *self)
{
    landing_answer answer = {0};
    g_autoptr(GError) error = NULL;
    gboolean ours = FALSE;

    if (look(self, &answer)) {
        if (prepare(self, &answer, &error)) {
            self->work->answer(201, landing_answer_to_json(&answer), self->work->user);
            ours = wait_for_token(self) && accept_commit(self);
        } else {
            (void)fail(self, error);
        }
        target_finish(self, ours);
    }
    g_clear_pointer(&answer.found, findings_free);
    g_clear_pointer(&answer.addresses, g_ptr_array_unref);
    g_free(answer.host_uuid);
    g_free(answer.directory);
}

gboolean target_cancel(target *self, const char *why)
{
    gboolean won = status_cancel(self->status, why);

    g_mutex_lock(&self->lock);
    target_leave_word(self);
    return won;
}
