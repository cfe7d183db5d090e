/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where each NIC of a VM goes on this host: the switch map, and what this host's switches can do.
 */
#include "virt/survey.h"
#include "virt/switches.h"

#include <string.h>
#include <unistd.h>

/* What the maps ask for a NIC. */
typedef struct {
    const char *key; /* as given; NULL: no pair fits */
    char *name;      /* owned */
    switch_kind kind;
    gboolean vlans_given;
} wish;

static void wish_clear(wish *w)
{
    g_free(w->name);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(wish, wish_clear)

static gboolean key_fits(const char *key, const vm_nic *nic)
{
    switch_kind kind = switches_kind(&key);
    gboolean network = !strcmp(nic->type, "network");

    if (!nic->switch_name)
        return FALSE;
    if (!strcmp(key, nic->switch_name))
        return kind == SWITCH_ANY || (kind == SWITCH_NETWORK) == network;
    return kind != SWITCH_NETWORK && network && !g_strcmp0(key, nic->device);
}

static const char *find_value(const plan_rules *rules, const vm_nic *nic, const char **key)
{
    for (guint i = 0; rules->switch_keys && rules->switch_keys[i]; i++)
        if (!g_ascii_strcasecmp(rules->switch_keys[i], nic->mac)) {
            *key = rules->switch_keys[i];
            return rules->switch_values[i];
        }
    for (guint i = 0; rules->switch_keys && rules->switch_keys[i]; i++)
        if (key_fits(rules->switch_keys[i], nic)) {
            *key = rules->switch_keys[i];
            return rules->switch_values[i];
        }
    return NULL;
}

/* "500", "500,600" or "untagged" into vlans. */
static gboolean parse_vlans(const char *text, GArray *vlans)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", 4096);

    if (!strcmp(text, "untagged"))
        return TRUE;
    for (guint i = 0; parts[i]; i++) {
        guint64 id;
        guint16 value;
        if (!g_ascii_string_to_unsigned(parts[i], 10, 1, 4094, &id, NULL))
            return FALSE;
        value = (guint16)id;
        g_array_append_val(vlans, value);
    }
    return parts[0] != NULL;
}

/* "[network:|bridge:]SWITCH[:VLANS]" into the wish and nic->vlans. */
static gboolean parse_value(const char *value, wish *w, plan_nic *nic)
{
    const char *colon;

    w->kind = switches_kind(&value);
    colon = strrchr(value, ':');
    w->name = colon ? g_strndup(value, (gsize)(colon - value)) : g_strdup(value);
    w->vlans_given = colon != NULL;
    return vm_name_is_sane(w->name) && (!colon || parse_vlans(colon + 1, nic->vlans));
}

static char *vlan_list(const GArray *vlans)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < vlans->len; i++)
        g_string_append_printf(text, "%s%u", i ? "," : "", g_array_index(vlans, guint16, i));
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* "--switch OLD=NEW[:VLANS]" with a switch of this host that would do. */
static char *suggest(const switches *here, const vm_nic *nic, const GArray *vlans)
{
    const char *old = nic->switch_name ? nic->switch_name : nic->mac;
    g_autofree char *tags = vlan_list(vlans);
    const virt_switch *fits = NULL;

    for (guint i = 0; i < here->all->len; i++) {
        const virt_switch *item = here->all->pdata[i];
        if (item->active && !item->host_devices && (!vlans->len || item->openvswitch) &&
            (!fits || (item->openvswitch && !fits->openvswitch)))
            fits = item;
    }
    if (!fits)
        return vlans->len ? g_strdup_printf("--switch %s=SWITCH:untagged, or make an Open vSwitch "
                                            "bridge there",
                                            old)
                          : g_strdup_printf("--switch %s=SWITCH", old);
    return g_strdup_printf("--switch %s=%s%s%s%s%s", old, fits->network ? "network:" : "",
                           fits->name, vlans->len ? ":" : "", tags,
                           !vlans->len && fits->openvswitch
                               ? " (with :VLAN behind it if the NIC has to be in a VLAN there)"
                               : "");
}

/* A NIC that is on no switch: what can stay as it is, and what cannot move. */
static void check_other(const survey *s, const vm_nic *nic)
{
    g_autofree char *link =
        g_build_filename("/sys/class/net", nic->device ? nic->device : "", NULL);
    g_autofree char *fix = g_strdup_printf("Say where it goes: --switch %s=SWITCH.", nic->mac);

    if (!strcmp(nic->type, "user") || !strcmp(nic->type, "hostdev")) /* the latter: FERRY-5001 */
        return;
    if (!strcmp(nic->type, "direct")) {
        if (!nic->device || access(link, F_OK))
            findings_add(s->found, 2001, nic->mac, fix,
                         "NIC %s is on network card %s of its host, and %s has none of that name.",
                         nic->mac, nic->device ? nic->device : "?", s->here);
        return;
    }
    findings_add(s->found, 2005, nic->mac, fix, "NIC %s is of type %s, which ends at its host.",
                 nic->mac, nic->type);
}

static void missing(const survey *s, const switches *here, const vm_nic *nic, const wish *w,
                    const plan_nic *planned)
{
    g_autofree char *have = switches_describe(here);
    g_autofree char *example = suggest(here, nic, w->vlans_given ? planned->vlans : nic->vlans);
    g_autofree char *fix = g_strdup_printf("Say where it goes, for example %s.", example);

    if (w->key)
        findings_add(
            s->found, 2003, nic->mac, fix,
            "NIC %s is to go to switch %s (map entry %s), which %s does not have (it has: %s).",
            nic->mac, w->name, w->key, s->here, have);
    else
        findings_add(s->found, 2001, nic->mac, fix,
                     "NIC %s is on switch %s, which %s does not have (it has: %s).", nic->mac,
                     nic->switch_name, s->here, have);
}

static gboolean same_vlans(const GArray *a, const GArray *b)
{
    return a->len == b->len && (!a->len || !memcmp(a->data, b->data, a->len * sizeof(guint16)));
}

/* What the switch found cannot do for this NIC. */
static void check_switch(const survey *s, const switches *here, const vm_nic *nic,
                         const virt_switch *to, const plan_nic *planned)
{
    const char *old = nic->switch_name ? nic->switch_name : nic->mac;

    if (!to->active) {
        g_autofree char *fix = g_strdup_printf("On %s: virsh net-start %s.", s->here, to->name);
        findings_add(s->found, 2004, nic->mac, fix, "Network %s on %s, for NIC %s, is not active.",
                     to->name, s->here, nic->mac);
    }
    if (to->host_devices) {
        g_autofree char *fix = suggest(here, nic, planned->vlans);
        findings_add(
            s->found, 2007, nic->mac, fix,
            "Network %s on %s gives out devices of the host, which a running VM cannot take "
            "over for NIC %s.",
            to->name, s->here, nic->mac);
    }
    if (planned->vlans->len && !to->openvswitch && !planned->portgroup_tags) {
        g_autofree char *tags = vlan_list(planned->vlans);
        g_autofree char *other = suggest(here, nic, planned->vlans);
        g_autofree char *fix = g_strdup_printf(
            "Choose an Open vSwitch bridge (%s), or a bridge that is in that VLAN already: "
            "--switch %s=%s:untagged.",
            other, old, to->name);
        findings_add(s->found, 2002, nic->mac, fix,
                     "NIC %s needs VLAN %s, and %s %s on %s cannot tag.", nic->mac, tags,
                     to->network ? "network" : "Linux bridge", to->name, s->here);
    }
    if (nic->filter && to->openvswitch)
        findings_add(s->found, 2008, nic->mac,
                     "Choose a Linux bridge for it, or take the filter off the NIC first.",
                     "NIC %s has filter %s, and libvirt applies no filters on Open vSwitch (%s).",
                     nic->mac, nic->filter, to->name);
}

static void check_filter(const survey *s, const vm_nic *nic)
{
    virNWFilterPtr filter =
        nic->filter ? virNWFilterLookupByName(s->host->conn, nic->filter) : NULL;
    g_autofree char *fix = NULL;

    if (!nic->filter || filter) {
        g_clear_pointer(&filter, virNWFilterFree);
        return;
    }
    fix = g_strdup_printf("Copy it: \"virsh nwfilter-dumpxml %s\" at the source, then \"virsh "
                          "nwfilter-define\" on %s.",
                          nic->filter, s->here);
    findings_add(s->found, 2006, nic->mac, fix, "NIC %s has filter %s, which %s does not have.",
                 nic->mac, nic->filter, s->here);
}

/* A NIC without a VLAN, by a map that says none, where there may be several: seldom what was meant. */
static void note_no_vlan(const survey *s, const vm_nic *nic, const virt_switch *to, const wish *w,
                         const plan_nic *planned)
{
    g_autofree char *fix = NULL;

    if (!w->key || w->vlans_given || planned->vlans->len || planned->portgroup || !to->openvswitch)
        return;
    fix = g_strdup_printf("Say --switch %s=%s:VLAN if it has to be in one, :untagged if it is meant so.",
                          nic->switch_name ? nic->switch_name : nic->mac, to->name);
    findings_add(s->found, 2011, nic->mac, fix,
                 "NIC %s will be in no VLAN on %s of %s, which can tag: it is on a trunk there.",
                 nic->mac, to->name, s->here);
}

static void resolve(const survey *s, const switches *here, const vm_nic *nic, plan_nic *planned)
{
    g_auto(wish) w = {0};
    const char *value = find_value(s->rules, nic, &w.key);
    const virt_switch *to, *other;

    if (!value && !nic->switch_name) {
        check_other(s, nic);
        return;
    }
    if (value && !parse_value(value, &w, planned)) {
        findings_add(
            s->found, 1103, nic->mac,
            "Write OLD=NEW, OLD=NEW:VLAN, OLD=NEW:VLAN,VLAN or OLD=NEW:untagged, with VLANs "
            "from 1 to 4094.",
            "The switch map's entry %s=%s cannot be understood.", w.key, value);
        return;
    }
    if (!value) {
        w.name = g_strdup(nic->switch_name);
        w.kind = !strcmp(nic->type, "network") ? SWITCH_NETWORK : SWITCH_BRIDGE;
    }
    to = switches_find(here, w.name, w.kind);
    if (!to && !value)
        to = switches_find(here, w.name, SWITCH_ANY);
    if (!to) {
        missing(s, here, nic, &w, planned);
        return;
    }
    other = value && w.kind == SWITCH_ANY ? switches_find(here, w.name, SWITCH_NETWORK) : NULL;
    if (other && other != to) {
        g_autofree char *fix = g_strdup_printf("Say network:%s if you mean the network.", w.name);
        findings_add(s->found, 2010, nic->mac, fix,
                     "%s has a bridge and a network called %s; NIC %s goes to the bridge.", s->here,
                     w.name, nic->mac);
    }
    if (!w.vlans_given)
        g_array_append_vals(planned->vlans, nic->vlans->data, nic->vlans->len);
    planned->new_switch = g_strdup(to->name);
    planned->network = to->network;
    planned->openvswitch = to->openvswitch;
    if (to->network && nic->portgroup) {
        const GArray *tags = g_hash_table_lookup(to->portgroups, nic->portgroup);
        if (tags)
            planned->portgroup = g_strdup(nic->portgroup);
        planned->portgroup_tags = tags && same_vlans(tags, planned->vlans);
    }
    check_switch(s, here, nic, to, planned);
    note_no_vlan(s, nic, to, &w, planned);
}

/* A name somebody chose for the tap: it may be somebody else's here. */
static void check_port(const survey *s, const vm_nic *nic, plan_nic *planned)
{
    g_autofree char *link = nic->port ? g_build_filename("/sys/class/net", nic->port, NULL) : NULL;

    if (!link || access(link, F_OK))
        return;
    planned->drop_port = TRUE;
    findings_add(s->found, 2009, nic->mac, NULL,
                 "NIC %s's port name %s is taken on %s: it gets another.", nic->mac, nic->port,
                 s->here);
}

static gboolean is_known(const GPtrArray *known, guint before, const char *mac)
{
    for (guint i = 0; i < before; i++)
        if (!strcmp(((const plan_nic *)known->pdata[i])->mac, mac))
            return TRUE;
    return FALSE;
}

void nics_plan(const survey *s, const switches *here, const vm *machine, GPtrArray *known)
{
    guint before = known->len;

    for (guint i = 0; i < machine->nics->len; i++) {
        const vm_nic *nic = machine->nics->pdata[i];
        plan_nic *planned;
        if (is_known(known, before, nic->mac))
            continue;
        planned = plan_nic_new(nic->mac);
        planned->old_switch = g_strdup(nic->switch_name);
        g_ptr_array_add(known, planned);
        resolve(s, here, nic, planned);
        check_port(s, nic, planned);
        check_filter(s, nic);
    }
}
