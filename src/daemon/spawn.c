/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starting workers; see spawn.h. */
#include "daemon/spawn.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

/* All that a worker gets of our environment: how to log, and what sanitizers and hooks are told in
 * tests. */
static const char *const passed_on[] = {
    "LANG",         "LC_ALL",        "TZ",           "TMPDIR",      "FERRY_DEBUG", "JOURNAL_STREAM",
    "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "FERRY_HOOKS"};

char *spawn_program(void)
{
    const char *named = g_getenv("FERRY_WORKER");

    return g_strdup(named && *named ? named : FERRY_LIBEXECDIR "/ferry-worker");
}

/* Between fork and exec: async-signal-safe calls only. */
static void in_child(gpointer user)
{
    sigset_t none;

    setsid();
    umask(022);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static GStrv environment(void)
{
    g_auto(GStrv) clean = g_new0(char *, 1);

    clean = g_environ_setenv(clean, "PATH",
                             "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", TRUE);
    for (guint i = 0; i < G_N_ELEMENTS(passed_on); i++) {
        const char *value = g_getenv(passed_on[i]);
        if (value)
            clean = g_environ_setenv(clean, passed_on[i], value, TRUE);
    }
    return g_steal_pointer(&clean);
}

/* Standard input and output become /dev/null, other descriptors are closed. */
static gboolean start(const char *const *arguments, pid_t *pid, GError **error)
{
    g_auto(GStrv) clean = environment();

    return g_spawn_async("/", (char **)arguments, clean,
                         G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL, in_child, NULL,
                         pid, error);
}

gboolean spawn_once(const char *program, const char *config, const char *mode, pid_t *pid,
                    GError **error)
{
    const char *arguments[] = {program, mode, "--config", config, NULL};

    return start(arguments, pid, error);
}

gboolean spawn_worker(const char *program, const char *config, const char *id, gboolean recover,
                      pid_t *pid, GError **error)
{
    const char *arguments[] = {program, "--id", id, "--config", config, recover ? "--recover" : NULL, NULL};

    return start(arguments, pid, error);
}
