/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A stand-in for ferry-worker in the tests of ferryd: it speaks the link protocol (docs/api.md) and
 * keeps the journal, but moves nothing. It does what ferryd must cope with; the real worker is
 * tried in the lab.
 *
 * A move or landing begins, says "mirroring", and goes on until it is told to cancel (ends
 * cancelled) or gets SIGUSR1 (ends completed). With --recover it says "synchronizing" and goes on
 * likewise; of VMs called "unreadable" it says that it does not understand the journal. VMs called
 * "bound-N" have a target that lets them have N bytes/s. VMs called
 * "held…" with a hold are ready at once, until told to cut over. VMs called
 * "early-…" die before they have done anything, landings of "slow" are answered on SIGUSR2. Every
 * status has "pid", so that tests can find it.
 */
#include "base/fdio.h"
#include "base/json.h"
#include "journal/journal.h"
#include "migrate/phase.h"
#include "migrate/request.h"
#include "migrate/settings.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GOOD_LANDING "{\"findings\": [], \"port\": 1}"

typedef struct {
    settings *conf;
    journal *book;
    char *id, *role, *vm, *peer, *dir, *socket;
    const char *phase;
    gint64 version;
    gint64 bandwidth, share, claim, peer_share; /* limits, as told */
    int listening, link;
    const char *hold;  /* state; NULL: none */
    gint64 cutover_at;
    char *group;
    gboolean fleeting; /* a comparison: not in the journal */
    gboolean stuck;    /* once ferryd is there to hear it */
} fake;

static volatile sig_atomic_t told_to_finish, told_to_answer;

static void on_signal(int number)
{
    if (number == SIGUSR1)
        told_to_finish = 1;
    else
        told_to_answer = 1;
}

static void send_event(fake *f, JsonObject *event)
{
    g_autofree char *text = json_text(event);

    if (f->link >= 0)
        (void)fdio_send_message(f->link, text, strlen(text), -1, NULL);
    json_object_unref(event);
}

static JsonObject *limits_of(const fake *f)
{
    JsonObject *limits = json_object_new();

    json_object_set_int_member(limits, "bandwidth", f->bandwidth);
    json_object_set_int_member(limits, "share", f->share);
    json_object_set_int_member(limits, "claim", f->claim);
    json_object_set_int_member(limits, "peer_share", f->peer_share);
    return limits;
}

static JsonObject *status_of(fake *f)
{
    JsonObject *status = json_object_new();

    json_object_set_string_member(status, "id", f->id);
    json_object_set_int_member(status, "version", ++f->version);
    json_object_set_string_member(status, "role", f->role);
    json_object_set_string_member(status, "vm", f->vm);
    json_object_set_string_member(status, "peer", f->peer);
    json_object_set_string_member(status, "phase", f->phase);
    json_object_set_int_member(status, "began", 1);
    if (!strcmp(f->phase, "completed") || !strcmp(f->phase, "cancelled"))
        json_object_set_double_member(status, "ended", (double)g_get_real_time() / G_USEC_PER_SEC);
    json_object_set_int_member(status, "pid", getpid());
    json_object_set_object_member(status, "limits", limits_of(f));
    if (f->hold)
        json_object_set_object_member(status, "hold", request_hold_json(f->hold, f->cutover_at, f->group));
    return status;
}

static void send_status(fake *f)
{
    JsonObject *event = json_object_new();

    if (!f->phase)
        return;
    json_object_set_string_member(event, "event", "status");
    json_object_set_object_member(event, "status", status_of(f));
    send_event(f, event);
}

static void answer(fake *f, int code, const char *body)
{
    JsonObject *event = json_object_new();

    json_object_set_string_member(event, "event", "answer");
    json_object_set_int_member(event, "code", code);
    json_object_set_object_member(event, "body", json_parse(body, -1, NULL));
    send_event(f, event);
}

static void enter(fake *f, const char *now)
{
    g_autoptr(JsonObject) status = NULL;
    g_autofree char *text = NULL;

    f->phase = now;
    status = status_of(f);
    text = json_text(status);
    if (!f->fleeting)
        (void)journal_set_phase(f->book, f->id, now, text, NULL);
    send_status(f);
}

static void end(fake *f, const char *now)
{
    JsonObject *event = json_object_new();

    if (now) {
        g_autoptr(JsonObject) status = NULL;
        g_autofree char *text = NULL;
        f->phase = now;
        status = status_of(f);
        text = json_text(status);
        if (!f->fleeting)
            (void)journal_end(f->book, f->id, now, text, NULL);
        send_status(f);
    }
    json_object_set_string_member(event, "event", "ended");
    send_event(f, event);
    (void)unlink(f->socket);
    (void)rmdir(f->dir);
    _exit(EXIT_SUCCESS);
}

static void begin_journal(fake *f)
{
    journal_entry entry = {.id = f->id,
                           .role = f->role,
                           .vm = f->vm,
                           .vm_uuid = f->id, /* each is another VM */
                           .peer = f->peer,
                           .phase = (char *)"queued",
                           .details = (char *)"{}",
                           .status = (char *)"{}",
                           .began = g_get_real_time()};
    g_autoptr(GError) error = NULL;

    if (!journal_begin(f->book, &entry, &error)) {
        g_printerr("fake-worker: %s\n", error->message);
        _exit(EXIT_FAILURE);
    }
}

static void start_source(fake *f, JsonObject *message, gboolean compare)
{
    JsonObject *asked = json_object_get_object_member(message, "request");

    f->role = g_strdup("source");
    f->vm = g_strdup(json_object_get_string_member(asked, "vm"));
    f->peer = g_strdup(json_object_get_string_member(asked, "target"));
    f->fleeting = compare;
    f->bandwidth = json_object_get_int_member_with_default(asked, "bandwidth", 0);
    if (json_object_get_boolean_member_with_default(asked, "hold", FALSE))
        f->hold = g_str_has_prefix(f->vm, "held") ? "ready" : "preparing";
    f->group = g_strdup(json_object_get_string_member_with_default(asked, "group", NULL));
    f->cutover_at = json_object_get_int_member_with_default(asked, "cutover_at", 0);
    if (g_str_has_prefix(f->vm, "bound-"))
        f->peer_share = g_ascii_strtoll(f->vm + strlen("bound-"), NULL, 10);
    if (g_str_has_prefix(f->vm, "early-"))
        _exit(EXIT_FAILURE);
    if (compare) {
        f->phase = "comparing";
        send_status(f);
        answer(f, 200, "{\"possible\": true}");
        end(f, "completed");
    }
    begin_journal(f);
    enter(f, f->hold && !strcmp(f->hold, "ready") ? "synchronizing" : "mirroring");
}

static void start_landing(fake *f, JsonObject *message)
{
    JsonObject *landing = json_object_get_object_member(message, "landing");

    f->role = g_strdup("target");
    f->vm = g_strdup(json_object_get_string_member(landing, "live_xml"));
    f->peer = g_strdup(json_object_get_string_member(message, "peer"));
    f->fleeting = json_object_get_boolean_member_with_default(landing, "dry_run", FALSE);
    if (f->fleeting) {
        answer(f, 200, "{\"findings\": []}");
        end(f, NULL);
    }
    if (!strcmp(f->vm, "blocked")) {
        answer(f, 409, "{\"error\": {\"code\": \"blocked\", \"text\": \"no\", \"findings\": []}}");
        end(f, NULL);
    }
    if (!strcmp(f->vm, "mute")) /* never answers: dies instead */
        _exit(EXIT_FAILURE);
    begin_journal(f);
    enter(f, "mirroring");
    if (strcmp(f->vm, "slow"))
        answer(f, 201, GOOD_LANDING);
}

static void list_vms(fake *f)
{
    f->fleeting = TRUE;
    answer(f, 200, "{\"vms\": [{\"name\": \"web01\"}]}");
    end(f, NULL);
}

/* Whoever is at the other end of a channel hears which one it got. */
static void on_channel(JsonObject *message, int fd)
{
    g_autofree char *line =
        g_strdup_printf("channel %d\n", (int)json_object_get_int_member(message, "index"));
    char byte;

    (void)!write(fd, line, strlen(line));
    if (read(fd, &byte, 1) == 1) /* the first byte behind the preamble */
        (void)!write(fd, &byte, 1);
}

static void on_commit(fake *f, JsonObject *message)
{
    JsonObject *event = json_object_new();
    gboolean known = journal_decide(f->book, f->id, DECISION_ACCEPTED,
                                    json_object_get_string_member(message, "token"), NULL);

    if (known)
        enter(f, "committing");
    json_object_set_string_member(event, "event", "decision");
    json_object_set_string_member(event, "decision", known ? "accepted" : "another-token");
    send_event(f, event);
}

static void on_limits(fake *f, JsonObject *message)
{
    f->bandwidth = json_object_get_int_member_with_default(message, "bandwidth", f->bandwidth);
    f->share = json_object_get_int_member_with_default(message, "share", f->share);
    f->claim = json_object_get_int_member_with_default(message, "claim", f->claim);
    send_status(f);
}

static void on_cutover(fake *f, JsonObject *message)
{
    f->cutover_at = json_object_get_int_member_with_default(message, "at", 0);
    if (!f->cutover_at)
        f->hold = "over";
    send_status(f);
}

static void on_message(fake *f, JsonObject *message, int fd)
{
    const char *op = json_object_get_string_member(message, "op");
    const char *mode = json_object_get_string_member_with_default(message, "mode", "");

    if (!strcmp(op, "start") && f->phase)
        return; /* told again by a ferryd that was restarted */
    if (!strcmp(op, "start") && !strcmp(mode, "land"))
        start_landing(f, message);
    else if (!strcmp(op, "start") && !strcmp(mode, "list"))
        list_vms(f);
    else if (!strcmp(op, "start"))
        start_source(f, message, !strcmp(mode, "compare"));
    else if (!strcmp(op, "channel"))
        on_channel(message, fd);
    else if (!strcmp(op, "commit"))
        on_commit(f, message);
    else if (!strcmp(op, "limits"))
        on_limits(f, message);
    else if (!strcmp(op, "cutover"))
        on_cutover(f, message);
    else if (!strcmp(op, "cancel"))
        end(f, "cancelled");
}

static void take_connection(fake *f)
{
    JsonObject *event;

    fdio_clear(&f->link);
    f->link = accept4(f->listening, NULL, NULL, SOCK_CLOEXEC);
    send_status(f);
    if (!f->stuck)
        return;
    event = json_object_new();
    json_object_set_string_member(event, "event", "stuck");
    json_object_set_string_member(event, "why", "it is written in runes");
    send_event(f, event);
    end(f, NULL);
}

static void take_message(fake *f)
{
    fdio_auto fd = -1;
    g_autoptr(GBytes) packet = fdio_recv_message(f->link, &fd, NULL);
    g_autoptr(JsonObject) message = NULL;

    if (!packet) {
        fdio_clear(&f->link);
        return;
    }
    message = json_parse(g_bytes_get_data(packet, NULL), (gssize)g_bytes_get_size(packet), NULL);
    if (message)
        on_message(f, message, fd);
}

static void serve(fake *f, const sigset_t *with_signals)
{
    for (;;) {
        struct pollfd p[2] = {{.fd = f->listening, .events = POLLIN},
                              {.fd = f->link, .events = POLLIN}};
        int n = ppoll(p, 2, NULL, with_signals);
        if (told_to_finish)
            end(f, "completed");
        if (told_to_answer) {
            told_to_answer = 0;
            answer(f, 201, GOOD_LANDING);
        }
        if (n <= 0)
            continue;
        if (p[1].revents)
            take_message(f);
        if (p[0].revents)
            take_connection(f);
    }
}

static void recover(fake *f)
{
    g_autoptr(journal_entry) entry = journal_find(f->book, f->id, NULL);

    if (!entry)
        _exit(EXIT_FAILURE);
    f->role = g_strdup(entry->role);
    f->vm = g_strdup(entry->vm);
    f->peer = g_strdup(entry->peer);
    f->stuck = !strcmp(f->vm, "unreadable");
    if (!f->stuck)
        enter(f, "synchronizing");
}

int main(int argc, char **argv)
{
    fake f = {.link = -1};
    g_autofree char *config = NULL, *book = NULL;
    gboolean again = FALSE, tidy = FALSE;
    const GOptionEntry entries[] = {{"config", 0, 0, G_OPTION_ARG_FILENAME, &config, NULL, NULL},
                                    {"id", 0, 0, G_OPTION_ARG_STRING, &f.id, NULL, NULL},
                                    {"recover", 0, 0, G_OPTION_ARG_NONE, &again, NULL, NULL},
                                    {"tidy", 0, 0, G_OPTION_ARG_NONE, &tidy, NULL, NULL},
                                    {NULL}};
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t ours, before;

    signal(SIGPIPE, SIG_IGN);
    alarm(600); /* a test that failed may have forgotten it */
    sigemptyset(&ours);
    sigaddset(&ours, SIGUSR1);
    sigaddset(&ours, SIGUSR2);
    sigprocmask(SIG_BLOCK, &ours, &before);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error) ||
        !(f.conf = settings_load(config, &error)))
        g_error("fake-worker: %s", error->message);
    if (tidy) {
        settings_free(f.conf);
        return EXIT_SUCCESS;
    }
    book = settings_journal(f.conf);
    f.book = journal_open(book, FALSE, &error);
    f.dir = settings_job_dir(f.conf, f.id);
    f.socket = g_build_filename(f.dir, "worker.sock", NULL);
    if (f.book && again)
        recover(&f);
    f.listening = f.book ? fdio_unix_listen(f.socket, SOCK_SEQPACKET, 0600, &error) : -1;
    if (f.listening < 0)
        g_error("fake-worker: %s", error->message);
    serve(&f, &before);
}
