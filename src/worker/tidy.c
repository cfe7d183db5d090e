/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One look at what is left; see tidy.h. */
#include "worker/tidy.h"

#include "base/fdio.h"
#include "base/log.h"
#include "migrate/orphans.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#define LOG_AREA "orphans"

static gboolean write_down(const settings *conf, const findings *found, GError **error)
{
    g_autoptr(JsonObject) object = json_object_new();
    g_autofree char *path = orphans_file(conf), *text = NULL;

    json_object_set_double_member(object, "at", (double)g_get_real_time() / G_USEC_PER_SEC);
    json_object_set_array_member(object, "findings", findings_to_json(found));
    text = json_text(object);
    return fdio_replace_file(path, text, strlen(text), 0600, error);
}

static gboolean look(const settings *conf, GError **error)
{
    g_autoptr(virt_host) host = virt_host_open(conf->libvirt_socket, error);
    g_autoptr(findings) found = host ? orphans_look(conf, host, error) : NULL;

    return found && write_down(conf, found, error);
}

int tidy_run(const char *config)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(settings) conf = NULL;
    gboolean ok;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    conf = settings_load(config, &error);
    ok = conf && look(conf, &error);
    if (!ok)
        log_warning("what moves have left behind could not be looked for: %s", error->message);
    virt_stop();
    return ok ? 0 : 1;
}
