/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferryd processes for tests; see daemons.h. */
#include "daemons.h"

#include "base/fdio.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* A port nobody has, below those the kernel gives to connections: with those, another test's
 * connection could take it before ferryd does. */
static guint16 free_port(void)
{
    for (;;) {
        struct sockaddr_in at = {.sin_family = AF_INET};
        fdio_auto fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        guint16 port = (guint16)g_random_int_range(10240, 32000);
        at.sin_port = htons(port);
        if (bind(fd, (struct sockaddr *)&at, sizeof at) == 0)
            return port;
    }
}

void test_daemon_configure(test_daemon *self, const char *extra)
{
    g_autofree char *text = g_strdup_printf(
        "[host]\nname=%s\nstate-directory=%s\nruntime-directory=%s\n"
        "[listen]\ncontrol=127.0.0.1\ncontrol-port=%u\ndata-port=%u\n"
        "[tls]\ncertificate=%s\nkey=%s\npeers=%s\n"
        "[networks]\nmigration=127.0.0.0/8\n%s",
        self->host->name, self->state_dir, self->run_dir, self->control, self->data,
        self->host->certificate, self->host->key, self->host->peers, extra ? extra : "");

    g_assert_true(g_file_set_contents(self->conf, text, -1, NULL));
}

test_daemon *test_daemon_new(const char *scratch, const char *name, const char *extra)
{
    test_daemon *self = g_new0(test_daemon, 1);

    self->host = test_host_new(scratch, name);
    self->conf = g_build_filename(self->host->dir, "ferryd.conf", NULL);
    self->state_dir = g_build_filename(self->host->dir, "state", NULL);
    self->run_dir = g_build_filename(self->host->dir, "run", NULL);
    self->log = g_build_filename(self->host->dir, "log", NULL);
    self->socket = g_build_filename(self->run_dir, "api.sock", NULL);
    self->control = free_port();
    self->data = free_port();
    self->local = client_local(self->socket);
    test_daemon_configure(self, extra);
    return self;
}

/* A test that fails leaves no ferryd behind. */
static void in_child(gpointer user)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static GPid launch(test_daemon *self, const char *argument, const char *notify)
{
    const char *ferryd = g_getenv("FERRYD"), *worker = g_getenv("FAKE_WORKER");
    g_autofree char *command =
        g_strdup_printf("exec '%s' --config '%s' %s 2>>'%s' </dev/null >/dev/null", ferryd,
                        self->conf, argument, self->log);
    const char *arguments[] = {"/bin/sh", "-c", command, NULL};
    g_auto(GStrv) environment = g_get_environ();
    g_autoptr(GError) error = NULL;
    GPid pid;

    g_assert_nonnull(ferryd);
    g_assert_nonnull(worker);
    environment = g_environ_setenv(environment, "FERRY_WORKER", worker, TRUE);
    environment = g_environ_unsetenv(environment, "JOURNAL_STREAM");
    if (notify)
        environment = g_environ_setenv(environment, "NOTIFY_SOCKET", notify, TRUE);
    g_assert_true(g_spawn_async(NULL, (char **)arguments, environment, G_SPAWN_DO_NOT_REAP_CHILD,
                                in_child, NULL, &pid, &error));
    g_assert_no_error(error);
    return pid;
}

static void show_log(test_daemon *self)
{
    g_autofree char *text = NULL;

    if (g_file_get_contents(self->log, &text, NULL, NULL))
        g_printerr("--- %s\n%s---\n", self->host->name, text);
}

void test_daemon_start(test_daemon *self)
{
    g_autofree char *path = g_build_filename(self->host->dir, "notify", NULL);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    fdio_auto fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char state[64] = "";

    g_strlcpy(at.sun_path, path, sizeof at.sun_path);
    (void)unlink(path);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&at, sizeof at), ==, 0);
    self->pid = launch(self, "--foreground", path);
    for (int i = 0; i < DEADLINE_S * 10; i++) {
        if (poll(&p, 1, 100) == 1 && recv(fd, state, sizeof state - 1, 0) > 0)
            break;
        if (waitpid(self->pid, &self->status, WNOHANG) == self->pid) {
            show_log(self);
            g_error("ferryd did not start");
        }
    }
    g_assert_cmpstr(state, ==, "READY=1");
}

void test_daemon_stop(test_daemon *self, int number)
{
    gboolean over = FALSE;

    kill(self->pid, number);
    wait_until((over = over || waitpid(self->pid, &self->status, WNOHANG) == self->pid));
    g_spawn_close_pid(self->pid);
    self->pid = 0;
}

char *test_daemon_run(test_daemon *self, const char *argument, int *status)
{
    GPid pid;
    char *text = NULL;
    gboolean over = FALSE;

    (void)unlink(self->log);
    pid = launch(self, argument, NULL);
    wait_until((over = over || waitpid(pid, status, WNOHANG) == pid));
    g_assert_true(g_file_get_contents(self->log, &text, NULL, NULL));
    return text;
}

/* The pids of workers of our run directory, from their command lines. */
static void end_workers(test_daemon *self)
{
    g_autoptr(GDir) dir = g_dir_open("/proc", 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir))) {
        g_autofree char *file = g_strdup_printf("/proc/%s/cmdline", name), *line = NULL;
        gsize length;
        if (!g_ascii_isdigit(*name) || !g_file_get_contents(file, &line, &length, NULL))
            continue;
        for (gsize i = 0; i < length; i++)
            if (!line[i])
                line[i] = ' ';
        if (strstr(line, self->run_dir) && strstr(line, "--id"))
            kill((pid_t)atoi(name), SIGKILL);
    }
}

void test_daemon_free(test_daemon *self)
{
    if (self->pid) {
        test_daemon_stop(self, SIGTERM);
        if (!WIFEXITED(self->status) || WEXITSTATUS(self->status)) {
            show_log(self);
            g_error("ferryd ended with status %#x", self->status);
        }
    }
    end_workers(self);
    if (g_test_verbose())
        show_log(self);
    client_free(self->local);
    test_host_free(self->host);
    g_free(self->conf);
    g_free(self->socket);
    g_free(self->run_dir);
    g_free(self->state_dir);
    g_free(self->log);
    g_free(self);
}

static JsonObject *call(test_daemon *self, const char *method, const char *path, const char *body,
                        GError **error)
{
    g_autoptr(JsonObject) parsed = body ? object(body) : NULL;

    return ask(self->local, method, path, parsed, error);
}

JsonObject *local_call(test_daemon *self, const char *method, const char *path, const char *body,
                       int status)
{
    g_autoptr(GError) error = NULL;
    JsonObject *answer = call(self, method, path, body, &error);

    g_assert_no_error(error);
    g_assert_cmpint(client_status(self->local), ==, status);
    return answer;
}

void local_refused(test_daemon *self, const char *method, const char *path, const char *body,
                   const char *expected)
{
    local_refused_saying(self, method, path, body, expected, "");
}

void local_refused_saying(test_daemon *self, const char *method, const char *path,
                          const char *body, const char *expected, const char *what)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) answer = call(self, method, path, body, &error);
    g_autofree char *got = NULL;

    g_assert_null(answer);
    g_assert_error(error, CLIENT_ERROR, CLIENT_ERROR_ANSWER);
    got = g_strdup_printf("%d %s", client_status(self->local), client_code(self->local));
    g_test_message("%s", error->message);
    g_assert_cmpstr(got, ==, expected);
    if (!strstr(error->message, what))
        g_error("\"%s\" does not say: %s", error->message, what);
}

char *move_member(test_daemon *self, const char *id, const char *member)
{
    g_autofree char *path = g_strdup_printf("/v1/migrations/%s", id);
    g_autoptr(JsonObject) answer = call(self, "GET", path, NULL, NULL);
    JsonNode *node = answer ? json_object_get_member(answer, member) : NULL;

    if (!node || !JSON_NODE_HOLDS_VALUE(node))
        return g_strdup("");
    if (json_node_get_value_type(node) == G_TYPE_STRING)
        return g_strdup(json_node_get_string(node));
    return g_strdup_printf("%" G_GINT64_FORMAT, json_node_get_int(node));
}

gboolean move_is(test_daemon *self, const char *id, const char *member, const char *value)
{
    g_autofree char *now = move_member(self, id, member);

    return !strcmp(now, value);
}

void move_signal(test_daemon *self, const char *id, int number)
{
    g_autofree char *pid = NULL;

    wait_until(!move_is(self, id, "pid", "")); /* after a restart it has to report first */
    pid = move_member(self, id, "pid");
    g_assert_cmpint(kill((pid_t)atoi(pid), number), ==, 0);
}
