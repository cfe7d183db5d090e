/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferryd: the control plane of Ferry on one host. See docs/design.md and ferryd(8). */
#include "daemon/ferryd.h"
#include "daemon/notify.h"

#include "base/hook.h"
#include "base/log.h"

#include <glib-unix.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#define LOG_AREA "ferryd"

static gboolean on_terminate(gpointer loop)
{
    g_main_loop_quit(loop);
    return G_SOURCE_CONTINUE;
}

static gboolean on_hangup(gpointer self)
{
    ferryd_reload(self);
    return G_SOURCE_CONTINUE;
}

static int run(const char *config)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    g_autoptr(ferryd) self = ferryd_new(config, &error);

    if (!self) {
        log_error("%s", error->message);
        return EXIT_FAILURE;
    }
    g_unix_signal_add(SIGTERM, on_terminate, loop);
    g_unix_signal_add(SIGINT, on_terminate, loop);
    g_unix_signal_add(SIGHUP, on_hangup, self);
    notify_manager("READY=1");
    g_main_loop_run(loop);
    notify_manager("STOPPING=1");
    log_info("ends; %u workers go on", workers_count(self->crew));
    return EXIT_SUCCESS;
}

/* All that is wrong with the settings, one line each. */
static int check(const char *config)
{
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(settings) conf = settings_check(config, problems);

    for (guint i = 0; i < problems->len; i++)
        g_printerr("%s\n", (const char *)problems->pdata[i]);
    if (conf)
        g_print("%s: no mistakes found\n", config ? config : SETTINGS_FILE);
    return conf ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    g_autofree char *config = NULL;
    gboolean foreground = FALSE, only_check = FALSE, version = FALSE;
    const GOptionEntry entries[] = {
        {"config", 'c', 0, G_OPTION_ARG_FILENAME, &config, "Settings (" SETTINGS_FILE ")", "FILE"},
        {"foreground", 'f', 0, G_OPTION_ARG_NONE, &foreground,
         "Stay in the foreground; ferryd always does", NULL},
        {"check-config", 0, 0, G_OPTION_ARG_NONE, &only_check,
         "Say all that is wrong with the settings, and end", NULL},
        {"version", 0, 0, G_OPTION_ARG_NONE, &version, "Show the version", NULL},
        {NULL}};
    g_autoptr(GOptionContext) context = g_option_context_new("- Ferry's daemon");
    g_autoptr(GError) error = NULL;

    setlocale(LC_CTYPE, ""); /* --help has characters that are not ASCII */
    hook_program("ferryd");
    signal(SIGPIPE, SIG_IGN);
    umask(022);
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error) || argc > 1) {
        g_printerr("ferryd: %s%s; see 'ferryd --help'\n", error ? error->message : "what is ",
                   error ? "" : argv[1]);
        return 2;
    }
    if (version) {
        g_print("ferryd " FERRY_VERSION "\n");
        return EXIT_SUCCESS;
    }
    return only_check ? check(config) : run(config);
}
