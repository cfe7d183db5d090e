/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferry-worker: one migration on one side. Started by ferryd, outlives it, and ends with its migration.
 *
 * The main thread speaks with ferryd; a second one runs the move (source_run, target_run), which has the rest.
 */
#include "base/log.h"
#include "base/rate.h"
#include "migrate/source.h"
#include "migrate/target.h"
#include "worker/boss.h"
#include "worker/index.h"

#include <errno.h>
#include <glib-unix.h>
#include <locale.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_AREA "worker"

#define START_TIMEOUT_S 60

typedef struct {
    settings *conf;
    pki *identity;
    journal *journal;
    job work;
    char *id, *peer;
    boss *boss;
    GMainLoop *loop;
    GThread *thread;
    request *asked;
    journal_entry *entry; /* recovering: what the journal says */
    source *source; /* one of the two, once it is clear which */
    target *target;
    gboolean listing; /* or neither: only the VMs of this host are asked for */
} worker;

static void on_answer(int code, JsonObject *body, void *user)
{
    worker *self = user;
    JsonObject *event = json_object_new();

    json_object_set_string_member(event, "event", "answer");
    json_object_set_int_member(event, "code", code);
    json_object_set_object_member(event, "body", body);
    boss_send(self->boss, event);
}

static JsonObject *error_body(const char *code, const char *text)
{
    JsonObject *outer = json_object_new(), *inner = json_object_new();

    json_object_set_string_member(inner, "code", code);
    json_object_set_string_member(inner, "text", text);
    json_object_set_object_member(outer, "error", inner);
    return outer;
}

static void on_changed(void *user)
{
    worker *self = user;

    boss_changed(self->boss);
}

static JsonObject *show_status(void *user)
{
    worker *self = user;

    if (self->source)
        return status_to_json(source_status(self->source));
    return self->target ? status_to_json(target_status(self->target)) : NULL;
}

static gboolean quit(gpointer user)
{
    worker *self = user;

    g_main_loop_quit(self->loop);
    return G_SOURCE_REMOVE;
}

/* What the journal has cannot be understood: ferryd tells people, and starts no other worker for it. */
static void tell_stuck(worker *self, const GError *error)
{
    JsonObject *event = json_object_new();

    log_error("the journal's entry cannot be understood: %s", error->message);
    json_object_set_string_member(event, "event", "stuck");
    json_object_set_string_member(event, "why", error->message);
    boss_send(self->boss, event);
}

static void list_vms(worker *self)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(virt_host) host = virt_host_open(self->conf->libvirt_socket, &error);
    JsonArray *vms = host ? virt_host_vms(host, &error) : NULL;
    JsonObject *body;

    if (!vms) {
        on_answer(500, error_body("internal", error->message), self);
        return;
    }
    body = json_object_new();
    json_object_set_array_member(body, "vms", vms);
    on_answer(200, body, self);
}

static gpointer run(gpointer user)
{
    worker *self = user;
    g_autoptr(GError) error = NULL;

    if (self->listing)
        list_vms(self);
    else if (self->source && self->entry)
        (void)source_recover(self->source, self->entry, &error);
    else if (self->source)
        source_run(self->source);
    else if (self->entry)
        (void)target_recover(self->target, self->entry, &error);
    else
        target_run(self->target);
    if (error)
        tell_stuck(self, error);
    g_idle_add(quit, self);
    return NULL;
}

static void begin(worker *self)
{
    const char *name = self->source ? self->asked->vm : NULL;
    g_autofree char *object = g_strdup_printf("%.8s%s%s", self->id, name ? " " : "",
                                              name ? name : "");

    log_set_object(object);
    self->thread = g_thread_new("move", run, self);
}

static gboolean start_source(worker *self, JsonObject *message, const char *mode, GError **error)
{
    JsonObject *asked;

    if (!json_get_object(message, "request", &asked, error))
        return FALSE;
    self->asked = request_from_json(asked, error);
    if (!self->asked)
        return FALSE;
    self->source = source_new(&self->work, self->asked, !strcmp(mode, "compare"));
    return TRUE;
}

static gboolean start_target(worker *self, JsonObject *message, GError **error)
{
    landing_request *landing;
    JsonObject *object;
    const char *peer;

    if (!json_get_object(message, "landing", &object, error) ||
        !json_get_string(message, "peer", &peer, error))
        return FALSE;
    landing = landing_request_from_json(object, error);
    if (!landing)
        return FALSE;
    self->peer = g_strdup(peer);
    self->target = target_new(&self->work, self->peer, landing);
    return TRUE;
}

static void bad_start(worker *self, const GError *error)
{
    on_answer(400, error_body("bad-request", error->message), self);
    g_idle_add(quit, self);
}

static void on_start(worker *self, JsonObject *message)
{
    g_autoptr(GError) error = NULL;
    const char *mode;
    gboolean ok;

    if (self->source || self->target || self->listing) {
        log_warning("told to start twice");
        return;
    }
    ok = json_get_string(message, "mode", &mode, &error);
    self->listing = ok && !strcmp(mode, "list");
    ok = ok && (self->listing           ? TRUE
                : !strcmp(mode, "land") ? start_target(self, message, &error)
                                        : start_source(self, message, mode, &error));
    if (ok)
        begin(self);
    else
        bad_start(self, error);
}

static void cancel(worker *self, const char *why)
{
    if (self->source)
        (void)source_cancel(self->source, why);
    else if (self->target)
        (void)target_cancel(self->target, why);
}

static void tell_decision(worker *self, const char *decision)
{
    JsonObject *event = json_object_new();

    json_object_set_string_member(event, "event", "decision");
    json_object_set_string_member(event, "decision", decision);
    boss_send(self->boss, event);
}

static void on_decision(gboolean accepted, void *user)
{
    tell_decision(user, accepted ? "accepted" : "refused");
}

/* What there is to keep to from now on: this host's share (for either side), or what the user wants. */
static gboolean set_limits(worker *self, JsonObject *message, GError **error)
{
    gint64 share, claim;
    request_limits wanted;

    if (!json_opt_int(message, "share", 0, (gint64)RATE_MAX, &share, -1, error) ||
        !json_opt_int(message, "claim", 0, (gint64)RATE_MAX, &claim, share, error) ||
        !request_limits_from_json(message, &wanted, error))
        return FALSE;
    if (share >= 0 && self->source)
        source_set_share(self->source, (guint64)share, (guint64)claim);
    else if (share >= 0 && self->target)
        target_set_share(self->target, (guint64)share);
    if (self->source && (wanted.bandwidth >= 0 || wanted.latency_guard >= 0))
        source_set_limits(self->source, &wanted);
    return TRUE;
}

static void on_message(JsonObject *message, int *fd, void *user)
{
    worker *self = user;
    g_autoptr(GError) error = NULL;
    const char *op, *text;
    gint64 index, at;

    if (!json_get_string(message, "op", &op, &error)) {
        log_warning("ferryd: %s", error->message);
    } else if (!strcmp(op, "start")) {
        on_start(self, message);
    } else if (!strcmp(op, "channel") && self->target && *fd >= 0 &&
               json_get_int(message, "index", 0, WIRE_CHANNELS_MAX - 1, &index, &error)) {
        target_add_connection(self->target, (unsigned)index, *fd);
        *fd = -1;
    } else if (!strcmp(op, "cancel") && json_get_string(message, "why", &text, &error)) {
        cancel(self, text);
    } else if (!strcmp(op, "limits") && (self->source || self->target) &&
               set_limits(self, message, &error)) {
        return;
    } else if (!strcmp(op, "cutover") && self->source &&
               request_time_from_json(message, "at", &at, &error)) {
        if (!source_cutover(self->source, at))
            log_warning("told to switch over, but nothing is held");
    } else if (!strcmp(op, "commit") && self->target &&
               json_get_string(message, "token", &text, &error)) {
        if (!target_commit(self->target, text, on_decision, self))
            tell_decision(self, "another-token");
    } else {
        log_warning("ferryd: \"%s\" is not possible now%s%s", op, error ? ": " : "",
                    error ? error->message : "");
    }
}

static gboolean on_sigterm(gpointer user)
{
    cancel(user, "the worker was told to end (SIGTERM)");
    return G_SOURCE_CONTINUE;
}

/* ferryd died between starting us and telling us what for. */
static gboolean on_no_start(gpointer user)
{
    worker *self = user;

    if (!self->source && !self->target && !self->listing) {
        log_warning("nobody said within %d s what there is to do", START_TIMEOUT_S);
        g_main_loop_quit(self->loop);
    }
    return G_SOURCE_REMOVE;
}

static gboolean find_entry(worker *self, GError **error)
{
    self->entry = journal_find(self->journal, self->id, error);
    if (!self->entry && !*error)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "the journal has no migration %s",
                    self->id);
    return self->entry != NULL;
}

/* The journal's entry decides which side we are. */
static gboolean understand_entry(worker *self, GError **error)
{
    g_autoptr(JsonObject) details = NULL;
    JsonObject *part;

    details = json_parse(self->entry->details ? self->entry->details : "{}", -1, error);
    if (!details)
        return FALSE;
    if (!strcmp(self->entry->role, "source")) {
        if (!json_get_object(details, "request", &part, error) ||
            !(self->asked = request_from_json(part, error)))
            return FALSE;
        self->source = source_new(&self->work, self->asked, FALSE);
    } else {
        landing_request *landing;
        if (!json_get_object(details, "landing", &part, error) ||
            !(landing = landing_request_from_json(part, error)))
            return FALSE;
        self->peer = g_strdup(self->entry->peer);
        self->target = target_new(&self->work, self->peer, landing);
    }
    return TRUE;
}

static gboolean set_up(worker *self, const char *config, const char *id, GError **error)
{
    g_autofree char *book = NULL;

    if (!g_uuid_string_is_valid(id)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "--id: \"%s\" is not a UUID", id);
        return FALSE;
    }
    self->id = g_ascii_strdown(id, -1);
    self->conf = settings_load(config, error);
    if (!self->conf)
        return FALSE;
    self->identity = pki_load(&self->conf->tls, error);
    book = settings_journal(self->conf);
    self->journal = self->identity ? journal_open(book, FALSE, error) : NULL;
    if (!self->journal)
        return FALSE;
    self->work = (job){.conf = self->conf,
                       .identity = self->identity,
                       .journal = self->journal,
                       .id = self->id,
                       .dir = settings_job_dir(self->conf, self->id),
                       .answer = on_answer,
                       .changed = on_changed,
                       .user = self};
    self->work.qemu_dir = g_build_filename(self->work.dir, "qemu", NULL);
    self->work.rpc_socket = g_build_filename(self->work.dir, "rpc.sock", NULL);
    if (mkdir(self->work.dir, 0711) < 0 && errno != EEXIST) {
        g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(errno), "%s: %s", self->work.dir,
                    g_strerror(errno));
        return FALSE;
    }
    return TRUE;
}

static gboolean work(worker *self, const char *config, const char *id, gboolean recover,
                     GError **error)
{
    boss_setup setup = {.message = on_message, .status = show_status, .user = self};
    g_autofree char *socket = NULL;
    g_autoptr(GError) unreadable = NULL;

    if (!set_up(self, config, id, error))
        return FALSE;
    socket = g_build_filename(self->work.dir, "worker.sock", NULL);
    self->boss = boss_new(socket, &setup, error);
    /* Source and target tell the boss from their first moment on. */
    if (!self->boss || (recover && !find_entry(self, error)))
        return FALSE;
    if (recover && !understand_entry(self, &unreadable)) {
        tell_stuck(self, unreadable);
        boss_end(self->boss);
        return TRUE;
    }
    g_unix_signal_add(SIGTERM, on_sigterm, self);
    g_timeout_add_seconds(START_TIMEOUT_S, on_no_start, self);
    if (recover)
        begin(self);
    g_main_loop_run(self->loop);
    g_clear_pointer(&self->thread, g_thread_join);
    boss_end(self->boss);
    return TRUE;
}

static void tear_down(worker *self)
{
    /* The session's threads may still leave word: they go before the link. */
    source_free(self->source);
    target_free(self->target);
    virt_stop();
    boss_free(self->boss);
    if (self->work.dir)
        (void)rmdir(self->work.dir);
    g_free(self->work.dir);
    g_free(self->work.qemu_dir);
    g_free(self->work.rpc_socket);
    request_free(self->asked);
    journal_entry_free(self->entry);
    journal_close(self->journal);
    pki_free(self->identity);
    settings_free(self->conf);
    g_main_loop_unref(self->loop);
    g_free(self->id);
    g_free(self->peer);
}

int main(int argc, char **argv)
{
    g_autofree char *config = NULL, *id = NULL;
    gboolean recover = FALSE, index = FALSE, version = FALSE;
    const GOptionEntry entries[] = {
        {"config", 'c', 0, G_OPTION_ARG_FILENAME, &config, "Settings (" SETTINGS_FILE ")", "FILE"},
        {"id", 0, 0, G_OPTION_ARG_STRING, &id, "The migration", "UUID"},
        {"recover", 0, 0, G_OPTION_ARG_NONE, &recover,
         "Bring what the journal has of it to its end", NULL},
        {"index", 0, 0, G_OPTION_ARG_NONE, &index,
         "Bring the index of what need not be sent up to date instead", NULL},
        {"version", 0, 0, G_OPTION_ARG_NONE, &version, "Show the version", NULL},
        {NULL}};
    g_autoptr(GOptionContext) context = g_option_context_new("- carry one migration, for ferryd");
    g_autoptr(GError) error = NULL;
    worker self = {.loop = g_main_loop_new(NULL, FALSE)};
    gboolean ok = FALSE;

    setlocale(LC_CTYPE, ""); /* --help has characters that are not ASCII */
    signal(SIGPIPE, SIG_IGN);
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        g_printerr("ferry-worker: %s\n", error->message);
        g_main_loop_unref(self.loop);
        return 2;
    }
    if (version) {
        g_print("ferry-worker " FERRY_VERSION "\n");
        ok = TRUE;
    } else if (index) {
        ok = index_run(config) == 0;
    } else if (!id) {
        g_printerr("ferry-worker: --id is needed; ferryd starts workers, people use 'ferry migrate'\n");
    } else {
        ok = work(&self, config, id, recover, &error);
        if (!ok)
            log_error("%s", error->message);
    }
    tear_down(&self);
    return ok ? 0 : 1;
}
