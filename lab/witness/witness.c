/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lab's witness: hears what guests report, probes them, and finds every broken promise. */
#include "request.h"
#include "tell.h"

#include <glib-unix.h>
#include <locale.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    char *listen, *control, *out;
    char **hosts;
};

static int fail(const char *message)
{
    fprintf(stderr, "witness: %s\n", message);
    return EXIT_FAILURE;
}

/* Takes "0x10=alpha". */
static gboolean parse_host(const char *text, struct watch_host *host)
{
    char *end = NULL;
    guint64 tos = g_ascii_strtoull(text, &end, 0);

    if (end == text || *end != '=' || !end[1] || tos > 255)
        return FALSE;
    host->tos = (guint8)tos;
    host->name = g_intern_string(end + 1);
    return TRUE;
}

static GInetSocketAddress *parse_listen(const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text ? text : "0.0.0.0", ":", 2);
    guint64 port = REPORT_WITNESS_PORT;

    if (!parts[0] || (parts[1] && !g_ascii_string_to_unsigned(parts[1], 10, 1, 65535, &port, NULL)))
        return NULL;
    GSocketAddress *a = g_inet_socket_address_new_from_string(parts[0], (guint)port);
    return a ? G_INET_SOCKET_ADDRESS(a) : NULL;
}

static gboolean write_report(struct watch *watch, const char *path, GError **error)
{
    g_autoptr(JsonNode) stats = tell_stats(watch, NULL);
    g_autofree char *text = json_to_string(stats, TRUE);

    return g_file_set_contents(path, text, -1, error);
}

static gboolean on_signal(gpointer user)
{
    g_main_loop_quit(user);
    return G_SOURCE_CONTINUE;
}

/* Serves until it is asked to end; the report is written then. */
static int serve(const struct options *o)
{
    struct watch_host hosts[WATCH_HOSTS];
    struct sched_param priority = {.sched_priority = 20};
    guint n_hosts = o->hosts ? g_strv_length(o->hosts) : 0;
    g_autoptr(GInetSocketAddress) address = parse_listen(o->listen);
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    g_autoptr(GError) error = NULL;
    struct control *control = NULL;
    gboolean good = TRUE;

    if (!address)
        return fail("--listen takes an IPv4 address and perhaps a port, as in 0.0.0.0:4005");
    if (n_hosts > WATCH_HOSTS)
        return fail("there are too many --host options");
    for (guint i = 0; i < n_hosts; i++)
        if (!parse_host(o->hosts[i], &hosts[i]))
            return fail("--host takes the mark of a host and its name, as in 0x10=alpha");
    struct watch *watch = watch_new(address, hosts, n_hosts, &error);
    if (!watch)
        return fail(error->message);
    if (o->control && !(control = control_new(o->control, NULL, request_run, watch, &error))) {
        watch_free(watch);
        return fail(error->message);
    }
    /* A gap shall be the guest's, not ours: go first where we may. What we start runs as usual. */
    if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &priority) < 0)
        fprintf(stderr, "witness: no real-time priority; gaps may be measured too long\n");
    g_unix_signal_add(SIGINT, on_signal, loop);
    g_unix_signal_add(SIGTERM, on_signal, loop);
    g_main_loop_run(loop);
    if (o->out)
        good = write_report(watch, o->out, &error);
    if (control)
        control_free(control);
    watch_free(watch);
    return good ? EXIT_SUCCESS : fail(error->message);
}

/* Exits with 0 only if nothing is missing and nothing corrupt. */
static int verify(const char *path, const char *vm, char **images)
{
    g_autoptr(JsonBuilder) b = json_builder_new();

    json_builder_begin_object(b);
    json_builder_set_member_name(b, "op");
    json_builder_add_string_value(b, "verify");
    json_builder_set_member_name(b, "vm");
    json_builder_add_string_value(b, vm);
    if (images[0]) {
        json_builder_set_member_name(b, "images");
        json_builder_begin_array(b);
        for (; *images; images++)
            json_builder_add_string_value(b, *images);
        json_builder_end_array(b);
    }
    json_builder_end_object(b);
    g_autoptr(JsonNode) request = json_builder_get_root(b);
    g_autofree char *line = json_to_string(request, FALSE);
    return control_main("witness", path, line);
}

int main(int argc, char **argv)
{
    struct options o = {0};
    const GOptionEntry entries[] = {
        {"listen", 'l', 0, G_OPTION_ARG_STRING, &o.listen, "Where reports come in (0.0.0.0:4005)",
         "ADDRESS[:PORT]"},
        {"host", 'H', 0, G_OPTION_ARG_STRING_ARRAY, &o.hosts, "Packets marked TOS come from NAME",
         "TOS=NAME"},
        {"control", 'c', 0, G_OPTION_ARG_FILENAME, &o.control, "Serve requests on this UNIX socket",
         "PATH"},
        {"out", 'o', 0, G_OPTION_ARG_FILENAME, &o.out, "Write the report here at the end", "FILE"},
        {0}};
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;

    setlocale(LC_ALL, "");
    g_option_context_set_summary(
        context,
        "  witness [OPTION…]                   listens until SIGTERM or {\"op\":\"quit\"}\n"
        "  witness ctl PATH JSON               asks the witness on that socket, prints its answer\n"
        "  witness verify PATH VM [IMAGE…]     has it compare the VM's disks with what it heard");
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error))
        return fail(error->message);
    int status = EXIT_FAILURE;
    if (argc == 1)
        status = serve(&o);
    else if (argc == 4 && strcmp(argv[1], "ctl") == 0)
        status = control_main("witness", argv[2], argv[3]);
    else if (argc >= 4 && strcmp(argv[1], "verify") == 0)
        status = verify(argv[2], argv[3], argv + 4);
    else
        fail("this cannot be understood; see witness --help");
    g_free(o.listen);
    g_free(o.control);
    g_free(o.out);
    g_strfreev(o.hosts);
    return status;
}
