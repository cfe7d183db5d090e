/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Putting ferryd together, reloading it, and its chores; see ferryd.h. */
#include "daemon/ferryd.h"

#include "base/fdio.h"
#include "base/log.h"
#include "daemon/events.h"
#include "daemon/hostinfo.h"
#include "daemon/jobdir.h"
#include "daemon/notify.h"
#include "daemon/routes.h"
#include "daemon/shares.h"
#include "daemon/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define LOG_AREA "ferryd"

#define PATIENCE_MS      30000 /* for an HTTP request */
#define DATA_PATIENCE_MS 5000  /* for a preamble */
#define MINUTE_S         60
/* Shorter than the askers' own patience (CLIENT_TIMEOUT_LONG). */
#define START_MS    42000
#define DECISION_MS 30000
#define END_MS      30000
/* Comparisons at once: each is a process and a libvirt connection. */
#define FLEETING_MAX 16

static gboolean make_directory(const char *path, int mode, GError **error)
{
    return g_mkdir_with_parents(path, mode) == 0 || fdio_error(error, errno, "%s", path);
}

static gboolean make_directories(const settings *conf, GError **error)
{
    g_autofree char *certificates = g_path_get_dirname(conf->tls.certificate);

    /* QEMU's user goes through the runtime directory to its sockets. */
    return make_directory(conf->state_dir, 0700, error) &&
           make_directory(conf->run_dir, 0755, error) &&
           make_directory(conf->tls.peers, 0755, error) &&
           (!settings_own_certificate(conf) ||
            (make_directory(certificates, 0755, error) &&
             pki_create_host(conf->tls.certificate, conf->tls.key, conf->name, error)));
}

/* Held as long as this process lives. A second ferryd would take over sockets and start workers
 * twice. */
static gboolean lock(ferryd *self, GError **error)
{
    g_autofree char *path = g_build_filename(self->conf->run_dir, "ferryd.lock", NULL);

    self->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (self->lock < 0)
        return fdio_error(error, errno, "%s", path);
    if (flock(self->lock, LOCK_EX | LOCK_NB) == 0)
        return TRUE;
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_BUSY, "another ferryd uses %s already",
                self->conf->run_dir);
    return FALSE;
}

/* Workers begin with what is in force here, whatever becomes of the file it came from. */
static gboolean leave_settings(const settings *conf, GError **error)
{
    g_autofree char *path = settings_accepted(conf);
    gsize length;
    const void *text = g_bytes_get_data(conf->text, &length);

    return fdio_replace_file(path, text, length, 0600, error);
}

static gboolean open_journal(ferryd *self, GError **error)
{
    g_autofree char *path = settings_journal(self->conf);
    g_autoptr(journal) writable =
        journal_open(path, FALSE, error); /* makes it, or brings it up to date */

    self->book = writable ? journal_open(path, TRUE, error) : NULL;
    return self->book != NULL;
}

/* A data connection for the landing `id`. Whose it may be, TLS decides in the worker. */
static gboolean take_channel(const char *id, guint channel, int fd, gpointer user, GError **error)
{
    ferryd *self = user;
    g_autoptr(JsonObject) message = NULL;
    const char *role;

    if (!g_hash_table_contains(self->owners, id) &&
        !(moves_get(self->known, id, NULL, &role, NULL) && !strcmp(role, "target"))) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "there is no landing %.8s", id);
        return FALSE;
    }
    message = json_object_new();
    json_object_set_string_member(message, "op", "channel");
    json_object_set_int_member(message, "index", channel);
    return workers_send(self->crew, id, message, fd, error);
}

static gboolean listen_all(ferryd *self, GError **error)
{
    const settings *conf = self->conf;
    g_autofree char *socket = g_build_filename(conf->run_dir, "api.sock", NULL);
    static const char *const everywhere[] = {"0.0.0.0", "::", NULL};
    server_setup setup = {routes_table, conf->name, PATIENCE_MS, self};

    self->served = server_new(&setup);
    self->data = dataport_new(everywhere, conf->data_port, conf->migration, DATA_PATIENCE_MS,
                              take_channel, self, error);
    return self->data &&
           server_listen_peers(self->served, self->identity, (const char *const *)conf->control,
                               conf->control_port, error) &&
           server_listen_local(self->served, socket, conf->api_group, error);
}

typedef struct {
    ferryd *self;
    char *path;
    gboolean landed; /* data of failed moves is kept here */
    GError *error;
} sweep;

static gboolean keeps_landed(journal *book)
{
    g_autoptr(GPtrArray) rows = journal_kept_list(book, 0, NULL);
    gboolean landed = FALSE;

    for (guint i = 0; rows && i < rows->len; i++)
        landed |= !strcmp(((const journal_kept *)rows->pdata[i])->kind, "landed");
    return landed;
}

static void do_sweep(gpointer data)
{
    sweep *s = data;
    g_autoptr(journal) book = journal_open(s->path, FALSE, &s->error);

    if (book)
        expiry_run(s->self->kept, book, g_get_real_time() / G_USEC_PER_SEC, &s->error);
    if (book && !s->error)
        s->landed = keeps_landed(book);
}

static void sweep_done(gpointer data)
{
    sweep *s = data;
    ferryd *self = s->self;

    self->sweeping = FALSE;
    if (s->error)
        log_warning("what has expired could not be looked at: %s", s->error->message);
    g_clear_error(&s->error);
    if (!g_cancellable_is_cancelled(self->stop)) {
        if (s->landed || self->conf->seeds_templates || self->conf->seeds_same_name)
            indexer_offer(self->index);
        if (self->again)
            ferryd_sweep(self);
    }
    g_free(s->path);
    g_free(s);
}

void ferryd_sweep(ferryd *self)
{
    sweep *s;

    self->again = self->sweeping; /* two never run at once */
    if (self->sweeping || g_cancellable_is_cancelled(self->stop))
        return;
    s = g_new0(sweep, 1);
    s->self = self;
    s->path = settings_journal(self->conf);
    self->sweeping = TRUE;
    ferryd_run(self, do_sweep, sweep_done, s);
}

static gboolean on_minute(gpointer user)
{
    ferryd *self = user;

    self->minute = g_timeout_add_seconds(MINUTE_S, on_minute, self);
    moves_prune(self->known);
    replies_prune(self->answered);
    tidy_offer(self->orphans, self->conf);
    ferryd_sweep(self);
    return G_SOURCE_REMOVE;
}

static gboolean is_busy(gpointer user)
{
    ferryd *self = user;

    return workers_count(self->crew) > 0;
}

/* Who has asked for a landing that goes on, and has not heard the answer, asks again. And ferryd may have died before it had
 * told the worker: one that knows already takes no notice. */
static void restore_landings(ferryd *self)
{
    g_auto(GStrv) ids = jobdir_list(self->conf->run_dir);

    for (char **id = ids; *id; id++) {
        g_autoptr(JsonObject) start =
            workers_has(self->crew, *id) ? replies_restore(self->answered, *id) : NULL;
        if (!start)
            continue;
        g_hash_table_replace(self->owners, g_strdup(*id),
                             g_strdup(json_object_get_string_member(start, "peer")));
        (void)workers_send(self->crew, *id, start, -1, NULL);
    }
}

ferryd *ferryd_new(const char *config, GError **error)
{
    g_autoptr(ferryd) self = g_new0(ferryd, 1);
    g_autofree char *program = spawn_program(), *accepted = NULL;
    workers_events events = events_of_workers(self);

    self->lock = -1;
    self->stop = g_cancellable_new();
    self->config = config ? g_canonicalize_filename(config, NULL) : NULL;
    self->old_conf = g_ptr_array_new_with_free_func((GDestroyNotify)settings_free);
    self->old_identity = g_ptr_array_new_with_free_func((GDestroyNotify)pki_free);
    self->conf = settings_load(self->config, error);
    if (!self->conf || !make_directories(self->conf, error) || !lock(self, error) ||
        !leave_settings(self->conf, error))
        return NULL;
    accepted = settings_accepted(self->conf);
    self->identity = pki_load(&self->conf->tls, error);
    if (!self->identity || !open_journal(self, error))
        return NULL;
    self->host_uuid = hostinfo_uuid(self->conf, error);
    if (!self->host_uuid)
        return NULL;
    self->fleeting = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    self->owners = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    self->stuck = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    self->answered = replies_new(self->conf->run_dir);
    self->pairing = token_new();
    self->kept = expiry_new();
    self->leaving = admission_new(self->conf->max_outgoing);
    self->arriving = admission_new(self->conf->max_incoming);
    self->starts = pending_new("migration", START_MS);
    self->commits = pending_new("the commit of", DECISION_MS);
    self->ends = pending_new("the end of", END_MS);
    self->crew = workers_new(program, accepted, self->conf->run_dir, &events);
    self->known = moves_new(self->book, events_phase, self);
    self->recoveries = recovery_new(self->crew);
    self->index = indexer_new(program, accepted, is_busy, self);
    self->orphans = tidy_new(program, accepted);
    self->queue = outgoing_new(self);
    (void)workers_adopt(self->crew);
    restore_landings(self);
    if (!events_take_up(self, error) || !listen_all(self, error))
        return NULL;
    outgoing_load(self->queue);
    self->minute = g_timeout_add_seconds(1, on_minute, self);
    log_info("%s %s: control port %u, data port %u, %u workers found", self->conf->name,
             FERRY_VERSION, server_port(self->served), dataport_number(self->data),
             workers_count(self->crew));
    if (networks_empty(self->conf->migration))
        log_warning(
            "no network is allowed for migrations: set 'migration' in [networks] of ferryd.conf");
    return g_steal_pointer(&self);
}

void ferryd_free(ferryd *self)
{
    if (!self)
        return;
    g_cancellable_cancel(self->stop);
    while (self->busy)
        g_main_context_iteration(NULL, TRUE);
    g_clear_handle_id(&self->minute, g_source_remove);
    pending_free(self->starts);
    pending_free(self->commits);
    pending_free(self->ends);
    dataport_free(self->data);
    server_free(self->served);
    outgoing_free(self->queue);
    recovery_free(self->recoveries);
    indexer_free(self->index);
    tidy_free(self->orphans);
    workers_free(self->crew);
    moves_free(self->known);
    admission_free(self->leaving);
    admission_free(self->arriving);
    expiry_free(self->kept);
    token_free(self->pairing);
    g_clear_pointer(&self->fleeting, g_hash_table_unref);
    g_clear_pointer(&self->owners, g_hash_table_unref);
    g_clear_pointer(&self->stuck, g_hash_table_unref);
    replies_free(self->answered);
    journal_close(self->book);
    g_free(self->host_uuid);
    pki_free(self->identity);
    settings_free(self->conf);
    g_ptr_array_unref(self->old_identity);
    g_ptr_array_unref(self->old_conf);
    fdio_clear(&self->lock);
    g_object_unref(self->stop);
    g_free(self->config);
    g_free(self->refused);
    g_free(self);
}

/* Keys that only a restart can change. */
static const char *fixed_key(const settings *old, const settings *new)
{
    if (strcmp(old->state_dir, new->state_dir))
        return "state-directory";
    if (strcmp(old->run_dir, new->run_dir))
        return "runtime-directory";
    if (strcmp(old->name, new->name))
        return "name";
    if (g_strcmp0(old->api_group, new->api_group))
        return "api-group";
    if (old->control_port != new->control_port || old->data_port != new->data_port ||
        !g_strv_equal((const char *const *)old->control, (const char *const *)new->control))
        return "[listen]";
    return NULL;
}

static gboolean reload(ferryd *self, GError **error)
{
    g_autoptr(settings) conf = settings_load(self->config, error);
    g_autoptr(pki) identity = conf ? pki_load(&conf->tls, error) : NULL;
    const char *fixed;

    if (!identity)
        return FALSE;
    fixed = fixed_key(self->conf, conf);
    if (fixed) {
        g_set_error(
            error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
            "%s cannot change while ferryd runs: restart it (moves under way are not disturbed)",
            fixed);
        return FALSE;
    }
    if (!leave_settings(conf, error))
        return FALSE;
    if (!server_set_identity(self->served, identity, error)) {
        (void)leave_settings(self->conf, NULL);
        return FALSE;
    }
    dataport_allow(self->data, conf->migration);
    admission_set_slots(self->leaving, conf->max_outgoing);
    admission_set_slots(self->arriving, conf->max_incoming);
    g_ptr_array_add(self->old_identity, self->identity);
    g_ptr_array_add(self->old_conf, self->conf);
    self->identity = g_steal_pointer(&identity);
    self->conf = g_steal_pointer(&conf);
    outgoing_pump(self->queue);
    shares_update(self);
    return TRUE;
}

void ferryd_reload(ferryd *self)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *state =
        g_strdup_printf("RELOADING=1\nMONOTONIC_USEC=%" G_GINT64_FORMAT, g_get_monotonic_time());
    g_autofree char *done = NULL;

    notify_manager(state);
    g_clear_pointer(&self->refused, g_free);
    if (reload(self, &error)) {
        log_notice("the settings were read again");
    } else {
        log_error("the old settings stay in force: %s", error->message);
        self->refused = g_strdup(error->message);
    }
    done = g_strdup_printf("READY=1\nSTATUS=%s%s",
                           self->refused ? "The old settings stay in force: " : "",
                           self->refused ? self->refused : "");
    notify_manager(done);
}

gboolean ferryd_may_begin(ferryd *self, exchange *x)
{
    g_autofree char *path = settings_journal(self->conf);
    g_autoptr(GError) error = NULL;

    if (journal_probe(path, &error))
        return TRUE;
    log_error("no move can begin: %s", error->message);
    exchange_fail(x, 507, "journal", "no move can begin at %s: %s", self->conf->name, error->message);
    return FALSE;
}

void ferryd_compare(ferryd *self, JsonObject *start, exchange *x)
{
    g_autofree char *id = g_uuid_string_random();
    g_autoptr(GError) error = NULL;

    if (g_hash_table_size(self->fleeting) >= FLEETING_MAX) {
        exchange_fail(x, 503, "busy", "%u comparisons are under way at %s; try again", FLEETING_MAX,
                      self->conf->name);
    } else if (!workers_start(self->crew, id, start, &error)) {
        log_error("no worker can be started: %s", error->message);
        exchange_fail(x, 500, "internal", "%s cannot start a worker; its log says why",
                      self->conf->name);
    } else {
        g_hash_table_add(self->fleeting, g_strdup(id));
        pending_add(self->starts, id, x);
    }
}

typedef struct {
    ferryd *self;
    void (*work)(gpointer), (*done)(gpointer);
    gpointer data;
} errand;

static void in_thread(GTask *task, gpointer source, gpointer data, GCancellable *cancel)
{
    errand *e = data;

    e->work(e->data);
    g_task_return_boolean(task, TRUE);
}

static void back_again(GObject *source, GAsyncResult *result, gpointer user)
{
    g_autofree errand *e = user;

    e->done(e->data);
    e->self->busy--;
}

void ferryd_run(ferryd *self, void (*work)(gpointer data), void (*done)(gpointer data),
                gpointer data)
{
    errand *e = g_new0(errand, 1);
    g_autoptr(GTask) task = g_task_new(NULL, NULL, back_again, e);

    *e = (errand){self, work, done, data};
    self->busy++;
    g_task_set_task_data(task, e, NULL);
    g_task_run_in_thread(task, in_thread);
}
