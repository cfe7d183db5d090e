/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Does a guest live, and if not, what became of it? */
#include "virt/conn.h"

#include <libvirt/libvirt-qemu.h>
#include <string.h>

static const char *shut_off(int reason)
{
    switch (reason) {
    case VIR_DOMAIN_SHUTOFF_SHUTDOWN:
        return "was shut down from inside";
    case VIR_DOMAIN_SHUTOFF_DESTROYED:
        return "was switched off by somebody with access to libvirt (virsh destroy)";
    case VIR_DOMAIN_SHUTOFF_CRASHED:
        return "crashed";
    case VIR_DOMAIN_SHUTOFF_MIGRATED:
        return "was moved away by somebody";
    case VIR_DOMAIN_SHUTOFF_SAVED:
        return "was saved to a file by somebody (virsh managedsave)";
    case VIR_DOMAIN_SHUTOFF_FAILED:
        return "could not go on: QEMU ended";
    default:
        return "was shut off";
    }
}

static const char *paused(int reason)
{
    switch (reason) {
    case VIR_DOMAIN_PAUSED_IOERROR:
        return "stands still because of an error of its disk";
    case VIR_DOMAIN_PAUSED_USER:
        return "was paused by somebody";
    default:
        return "is paused";
    }
}

/* Sums what "net.N.rx.pkts", "block.N.rd.reqs" and the like say. */
static guint64 sum(virDomainStatsRecordPtr record, const char *prefix, const char *const *suffixes)
{
    guint64 total = 0;

    for (int i = 0; i < record->nparams; i++) {
        const virTypedParameter *p = &record->params[i];
        for (guint s = 0; suffixes[s]; s++)
            if (p->type == VIR_TYPED_PARAM_ULLONG && g_str_has_prefix(p->field, prefix) &&
                g_str_has_suffix(p->field, suffixes[s]))
                total += p->value.ul;
    }
    return total;
}

/* A monitor that is busy answers next time: the counters stay 0. */
static void count(virt_domain *self, virt_life *life)
{
    static const char *const blocks[] = {".rd.reqs", ".wr.reqs", ".fl.reqs", NULL};
    static const char *const nics[] = {".tx.pkts", NULL}; /* what it sends: anybody may send to it */
    virDomainPtr list[] = {self->domain, NULL};
    virDomainStatsRecordPtr *records = NULL;

    if (virDomainListGetStats(list, VIR_DOMAIN_STATS_BLOCK | VIR_DOMAIN_STATS_INTERFACE, &records,
                              VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT) != 1)
        return;
    life->requests = sum(records[0], "block.", blocks);
    life->packets = sum(records[0], "net.", nics);
    virDomainStatsRecordListFree(records);
}

gboolean virt_domain_life(virt_domain *self, virt_life *life, GError **error)
{
    int now, reason;

    memset(life, 0, sizeof *life);
    if (virDomainGetState(self->domain, &now, &reason, 0) < 0 ||
        !virt_domain_state(self, &life->state, NULL) ||
        !virt_domain_cpu_time(self, &life->cpu, NULL))
        return conn_error(error, "what VM %s does is not known", self->name);
    life->dead = now == VIR_DOMAIN_SHUTOFF || now == VIR_DOMAIN_CRASHED ||
                 (now == VIR_DOMAIN_PAUSED && reason == VIR_DOMAIN_PAUSED_CRASHED);
    if (now == VIR_DOMAIN_SHUTOFF)
        life->how = shut_off(reason);
    else if (life->dead)
        life->how = "crashed (its kernel panicked)";
    else if (now == VIR_DOMAIN_PAUSED)
        life->how = paused(reason);
    else
        count(self, life);
    return TRUE;
}

/* The live definition says whether the guest has opened the agent's end of the channel. */
static gboolean agent_is_connected(virt_domain *self)
{
    char *xml = virDomainGetXMLDesc(self->domain, 0);
    const char *at = xml ? strstr(xml, "name='org.qemu.guest_agent.0'") : NULL;
    const char *end = at ? strchr(at, '>') : NULL;
    gboolean connected = end && g_strstr_len(at, end - at, "state='connected'");

    free(xml);
    return connected;
}

gboolean virt_domain_answers(virt_domain *self, int seconds)
{
    char *answer;

    if (!agent_is_connected(self))
        return FALSE;
    answer = virDomainQemuAgentCommand(self->domain, "{\"execute\":\"guest-ping\"}", seconds, 0);
    free(answer);
    return answer != NULL;
}
