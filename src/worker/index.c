/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keeping the index of seeds; see index.h. */
#include "worker/index.h"

#include "base/log.h"
#include "block/seeds-scan.h"
#include "migrate/seeding.h"

#include <signal.h>
#include <sys/prctl.h>

#define LOG_AREA "index"

static gint stop;

static void on_sigterm(int number)
{
    g_atomic_int_set(&stop, 1);
}

int index_run(const char *config)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(settings) conf = NULL;
    g_autoptr(virt_host) host = NULL;

    /* Even while it is stopped because something moves. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGTERM, on_sigterm);
    seeds_scan_priority(SEEDS_IDLE);
    conf = settings_load(config, &error);
    if (!conf) {
        log_error("%s", error->message);
        return 1;
    }
    if (conf->seeds_templates || conf->seeds_same_name) {
        host = virt_host_open(conf->libvirt_socket, &error);
        if (!host)
            log_warning("[seeds] has no index now: %s", error->message);
    }
    seeding_index(conf, host, &stop);
    g_clear_pointer(&host, virt_host_close);
    virt_stop();
    return 0;
}
