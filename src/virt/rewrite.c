/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Domain XML as it is to be on the target; see rewrite.h. */
#include "virt/rewrite.h"
#include "virt/vmparts.h"

#include <string.h>

static const plan_disk *find_disk(const GPtrArray *disks, const char *target)
{
    for (guint i = 0; disks && target && i < disks->len; i++) {
        const plan_disk *disk = disks->pdata[i];
        if (!strcmp(disk->target, target))
            return disk;
    }
    return NULL;
}

/* All elements of the name below the node, at any level. xml_parse bounds the depth. */
static void drop_all(xmlNode *node, const char *name)
{
    xmlNode *next;

    for (xmlNode *n = node ? node->children : NULL; n; n = next) {
        next = n->next;
        if (xml_is(n, name))
            xml_drop(n);
        else if (n->type == XML_ELEMENT_NODE)
            drop_all(n, name);
    }
}

/* Whatever it was (a file with a chain below it, a volume of a pool), it is one image file now. */
static void rewrite_source(xmlNode *node, const plan_disk *disk)
{
    xmlNode *source = xml_child(node, "source"), *driver = xml_child(node, "driver");
    static const char *const gone[] = {"pool", "volume", "mode", "index", "dev"};

    if (!source)
        source = xml_add(node, driver, "source");
    xml_set(node, "type", "file");
    for (guint i = 0; i < G_N_ELEMENTS(gone); i++)
        xml_drop_attr(source, gone[i]);
    xml_set(source, "file", disk->new_path);
    if (!driver) {
        driver = xml_add(node, NULL, "driver");
        xml_set(driver, "name", "qemu");
    }
    xml_set(driver, "type", disk->new_format);
    drop_all(node, "backingStore");
    drop_all(node, "mirror");
}

static void rewrite_disk(xmlNode *node, const rewrite_rules *rules)
{
    g_autofree char *target = xml_attr(xml_child(node, "target"), "dev");
    const plan_disk *disk = find_disk(rules->disks, target);

    if (disk) {
        rewrite_source(node, disk);
    } else if (rules->ejected && target && g_strv_contains(rules->ejected, target)) {
        drop_all(node, "source");
        drop_all(node, "backingStore");
        drop_all(node, "mirror");
    }
}

/* The plan's next NIC with this MAC: two NICs may share one, and then go in order. */
static const plan_nic *next_nic(const GPtrArray *nics, const char *mac, gboolean *used)
{
    const plan_nic *last = NULL;

    for (guint i = 0; nics && mac && i < nics->len; i++) {
        const plan_nic *nic = nics->pdata[i];
        if (g_ascii_strcasecmp(nic->mac, mac))
            continue;
        last = nic;
        if (!used[i]) {
            used[i] = TRUE;
            break;
        }
    }
    return last;
}

static gboolean same_vlans(const GArray *a, const GArray *b)
{
    return a && a->len == b->len &&
           (!a->len || !memcmp(a->data, b->data, a->len * sizeof(guint16)));
}

/* A <vlan> that says the same already stays: it may say more (native VLAN, trunk of one). */
static void rewrite_vlans(xmlNode *node, const plan_nic *nic)
{
    xmlNode *vlan = xml_child(node, "vlan");
    g_autoptr(GArray) now = vm_parse_vlans(vlan);

    if (same_vlans(now, nic->vlans) || (now && !now->len && nic->portgroup_tags))
        return;
    xml_drop(vlan);
    if (!nic->vlans->len)
        return;
    vlan = xml_add(node, xml_child(node, "source"), "vlan");
    if (nic->vlans->len > 1)
        xml_set(vlan, "trunk", "yes");
    for (guint i = 0; i < nic->vlans->len; i++) {
        char id[8];
        g_snprintf(id, sizeof(id), "%u", g_array_index(nic->vlans, guint16, i));
        xml_set(xml_add(vlan, NULL, "tag"), "id", id);
    }
}

/* From one Open vSwitch to the next a port keeps its interface ID: an SDN controller knows it by
 * that. A network brings its own virtual port. */
static void rewrite_virtualport(xmlNode *node, const plan_nic *nic)
{
    xmlNode *port = xml_child(node, "virtualport");

    if (port && !(nic->openvswitch && xml_attr_is(port, "type", "openvswitch"))) {
        xml_drop(port);
        port = NULL;
    }
    if (!port && nic->openvswitch && !nic->network)
        xml_set(xml_add(node, xml_child(node, "source"), "virtualport"), "type", "openvswitch");
}

static void rewrite_nic(xmlNode *node, const plan_nic *nic)
{
    xmlNode *source = xml_child(node, "source"), *target = xml_child(node, "target");
    static const char *const gone[] = {"network", "bridge", "portgroup", "portid",
                                       "dev",     "mode",   "type",      "path"};
    g_autofree char *port = xml_attr(target, "dev");

    if (port && (nic->drop_port || g_str_has_prefix(port, "vnet")))
        xml_drop_attr(target, "dev");
    if (target && !target->properties && !target->children)
        xml_drop(target);
    xml_drop(xml_child(node, "actual"));
    if (!nic->new_switch)
        return;
    if (!source)
        source = xml_add(node, xml_child(node, "mac"), "source");
    for (guint i = 0; i < G_N_ELEMENTS(gone); i++)
        xml_drop_attr(source, gone[i]);
    xml_set(node, "type", nic->network ? "network" : "bridge");
    xml_set(source, nic->network ? "network" : "bridge", nic->new_switch);
    if (nic->network && nic->portgroup)
        xml_set(source, "portgroup", nic->portgroup);
    rewrite_virtualport(node, nic);
    rewrite_vlans(node, nic);
}

static void rewrite_security(xmlNode *domain, const char *const *models)
{
    xmlNode *next;

    for (xmlNode *n = xml_child(domain, "seclabel"); n; n = next) {
        g_autofree char *model = xml_attr(n, "model");
        next = xml_next(n);
        if ((models && model && g_strv_contains(models, model)) ||
            !vm_label_asks_protection(n, FALSE))
            xml_drop(n);
    }
    drop_all(xml_child(domain, "devices"), "seclabel");
    drop_all(xml_child(domain, "os"), "seclabel");
}

static char *finish(xmlDoc *doc, GError **error)
{
    g_autofree char *text = xml_print(doc);

    if (strlen(text) > VM_XML_MAX) {
        vm_invalid(error, "the VM's XML would be longer than %d KiB", VM_XML_MAX / 1024);
        return NULL;
    }
    return g_steal_pointer(&text);
}

char *rewrite_domain(const char *xml, const rewrite_rules *rules, GError **error)
{
    g_autoptr(xmlDoc) doc = xml_parse(xml, VM_XML_MAX, "domain", error);
    g_autofree gboolean *used = g_new0(gboolean, rules->nics ? rules->nics->len + 1 : 1);
    xmlNode *domain, *devices, *emulator;

    if (!doc)
        return NULL;
    domain = xmlDocGetRootElement(doc);
    devices = xml_child(domain, "devices");
    emulator = xml_child(devices, "emulator");
    if (emulator && rules->emulator) {
        xmlChar *escaped = xmlEncodeSpecialChars(doc, (const xmlChar *)rules->emulator);
        xmlNodeSetContent(emulator, escaped);
        xmlFree(escaped);
    }
    for (xmlNode *n = xml_child(devices, "disk"); n; n = xml_next(n))
        rewrite_disk(n, rules);
    for (xmlNode *n = xml_child(devices, "interface"); n; n = xml_next(n)) {
        g_autofree char *mac = xml_attr(xml_child(n, "mac"), "address");
        const plan_nic *nic = next_nic(rules->nics, mac, used);
        if (nic)
            rewrite_nic(n, nic);
    }
    rewrite_security(domain, rules->security);
    return finish(doc, error);
}

static void copy_aliases(xmlDoc *doc, xmlNode *to, const xmlNode *from)
{
    for (; to; to = xml_next(to)) {
        g_autofree char *target = xml_attr(xml_child(to, "target"), "dev");

        for (const xmlNode *n = from; n && target; n = xml_next(n))
            if (xml_attr_is(xml_child(n, "target"), "dev", target) && xml_child(n, "alias") &&
                !xml_child(to, "alias"))
                xmlAddChild(to, xmlDocCopyNode(xml_child(n, "alias"), doc, 1));
    }
}

char *rewrite_with_live(const char *migratable, const char *plain, GError **error)
{
    g_autoptr(xmlDoc) doc = xml_parse(migratable, VM_XML_MAX, "domain", error);
    g_autoptr(xmlDoc) full = doc ? xml_parse(plain, VM_XML_MAX, "domain", error) : NULL;
    const xmlNode *from;

    if (!full)
        return NULL;
    copy_aliases(doc, xml_descend(xmlDocGetRootElement(doc), "devices/disk"),
                 xml_descend(xmlDocGetRootElement(full), "devices/disk"));
    /* Both list the same NICs in the same order. */
    from = xml_descend(xmlDocGetRootElement(full), "devices/interface");
    for (xmlNode *n = xml_descend(xmlDocGetRootElement(doc), "devices/interface"); n && from;
         n = xml_next(n), from = xml_next(from)) {
        g_autofree char *mac = xml_attr(xml_child(n, "mac"), "address");
        xmlNode *vlan = xml_child(from, "vlan");
        if (vlan && !xml_child(n, "vlan") && xml_attr_is(xml_child(from, "mac"), "address", mac))
            xmlAddNextSibling(xml_child(n, "mac"), xmlDocCopyNode(vlan, doc, 1));
    }
    return finish(doc, error);
}
