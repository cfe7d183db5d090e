/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The switches this host has; see switches.h. */
#include "virt/switches.h"
#include "virt/vmparts.h"

#include <string.h>
#include <unistd.h>

#define OVS_SECONDS "5" /* an ovsdb-server that takes longer is not answering */

static void switch_free(gpointer data)
{
    virt_switch *self = data;

    g_free(self->name);
    g_clear_pointer(&self->portgroups, g_hash_table_unref);
    g_free(self);
}

static virt_switch *add(switches *self, const char *name)
{
    virt_switch *item = g_new0(virt_switch, 1);

    item->name = g_strdup(name);
    item->active = TRUE;
    g_ptr_array_add(self->all, item);
    return item;
}

/* Only Open vSwitch itself knows its bridges: with the userspace datapath they look like taps. */
static void list_openvswitch(switches *self)
{
    g_autofree char *program = g_find_program_in_path("ovs-vsctl");
    g_autoptr(GSubprocess) process = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *out = NULL, *err = NULL;
    g_auto(GStrv) names = NULL;

    if (!program)
        return;
    process = g_subprocess_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE,
                               &error, program, "--timeout=" OVS_SECONDS, "list-br", NULL);
    if (!process || !g_subprocess_communicate_utf8(process, NULL, NULL, &out, &err, &error)) {
        self->ovs_silence = g_strdup(error->message);
        return;
    }
    if (!g_subprocess_get_successful(process)) {
        self->ovs_silence = g_strdup(*err ? g_strstrip(err) : "ovs-vsctl failed");
        return;
    }
    names = g_strsplit(out, "\n", -1);
    for (guint i = 0; names[i]; i++)
        if (*names[i])
            add(self, names[i])->openvswitch = TRUE;
}

static void list_linux(switches *self)
{
    g_autoptr(GDir) links = g_dir_open("/sys/class/net", 0, NULL);
    const char *name;

    while (links && (name = g_dir_read_name(links))) {
        g_autofree char *bridge = g_build_filename("/sys/class/net", name, "bridge", NULL);
        if (access(bridge, F_OK) == 0)
            add(self, name);
    }
}

static gboolean has_openvswitch(const xmlNode *parent)
{
    return xml_attr_is(xml_child(parent, "virtualport"), "type", "openvswitch");
}

static gboolean add_network(switches *self, virNetworkPtr network, GError **error)
{
    char *text = virNetworkGetXMLDesc(network, 0);
    g_autoptr(xmlDoc) doc = text ? xml_parse(text, XML_OWN_MAX, "network", error) : NULL;
    const xmlNode *root;
    virt_switch *item;

    free(text);
    if (!text)
        return conn_error_is(VIR_ERR_NO_NETWORK) || /* gone meanwhile */
               conn_error(error, "a libvirt network of this host cannot be read");
    if (!doc)
        return FALSE;
    root = xmlDocGetRootElement(doc);
    item = add(self, virNetworkGetName(network));
    item->network = TRUE;
    item->active = virNetworkIsActive(network) == 1;
    item->openvswitch = has_openvswitch(root);
    item->host_devices = xml_attr_is(xml_child(root, "forward"), "mode", "hostdev");
    item->portgroups =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_array_unref);
    for (const xmlNode *n = xml_child(root, "portgroup"); n; n = xml_next(n)) {
        g_autofree char *name = xml_attr(n, "name");
        g_autoptr(GArray) vlans = vm_parse_vlans(xml_child(n, "vlan"));
        item->openvswitch |= has_openvswitch(n);
        if (name && vlans)
            g_hash_table_insert(item->portgroups, g_steal_pointer(&name), g_steal_pointer(&vlans));
    }
    return TRUE;
}

static gboolean list_networks(switches *self, virConnectPtr conn, GError **error)
{
    virNetworkPtr *networks = NULL;
    int count = virConnectListAllNetworks(conn, &networks, 0);
    gboolean ok = TRUE;

    if (count < 0)
        return conn_error_no_driver() ||
               conn_error(error, "libvirt does not tell the networks of this host");
    for (int i = 0; i < count; i++) {
        ok = ok && add_network(self, networks[i], error);
        virNetworkFree(networks[i]);
    }
    free(networks);
    return ok;
}

switches *switches_list(virConnectPtr conn, GError **error)
{
    g_autoptr(switches) self = g_new0(switches, 1);

    self->all = g_ptr_array_new_with_free_func(switch_free);
    list_openvswitch(self);
    list_linux(self);
    if (!list_networks(self, conn, error))
        return NULL;
    return g_steal_pointer(&self);
}

void switches_free(switches *self)
{
    g_ptr_array_unref(self->all);
    g_free(self->ovs_silence);
    g_free(self);
}

switch_kind switches_kind(const char **name)
{
    if (g_str_has_prefix(*name, "network:")) {
        *name += strlen("network:");
        return SWITCH_NETWORK;
    }
    if (g_str_has_prefix(*name, "bridge:")) {
        *name += strlen("bridge:");
        return SWITCH_BRIDGE;
    }
    return SWITCH_ANY;
}

const virt_switch *switches_find(const switches *self, const char *name, switch_kind kind)
{
    for (guint i = 0; i < self->all->len; i++) { /* bridges come first */
        const virt_switch *item = self->all->pdata[i];
        if (!strcmp(item->name, name) &&
            (kind == SWITCH_ANY || (kind == SWITCH_NETWORK) == item->network))
            return item;
    }
    return NULL;
}

char *switches_describe(const switches *self)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < self->all->len; i++) {
        const virt_switch *item = self->all->pdata[i];
        const char *comma = text->len ? ", " : "";
        if (item->network)
            g_string_append_printf(text, "%snetwork %s", comma, item->name);
        else
            g_string_append_printf(text, "%s%s (%s)", comma, item->name,
                                   item->openvswitch ? "Open vSwitch" : "Linux bridge");
    }
    if (!text->len)
        g_string_append(text, "none");
    if (self->ovs_silence)
        g_string_append_printf(text, "; Open vSwitch does not answer: %s", self->ovs_silence);
    return g_string_free(g_steal_pointer(&text), FALSE);
}
