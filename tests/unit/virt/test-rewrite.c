/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Domain XML for the target: what is changed, and that nothing else is. */
#include "samples.h"
#include "virt/rewrite.h"
#include "virt/survey.h"

#include <string.h>

static char *rewrite(const char *xml, const rewrite_rules *rules)
{
    g_autoptr(GError) error = NULL;
    char *text = rewrite_domain(xml, rules, &error);

    g_assert_no_error(error);
    return text;
}

/* A canonical form to compare with: what rewriting without rules gives. */
static char *same(const char *xml)
{
    rewrite_rules nothing = {0};

    return rewrite(xml, &nothing);
}

static GPtrArray *one_disk(const char *target, const char *path, const char *format)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(plan_disk_free);
    plan_disk *disk = plan_disk_new(target, "/old", "qcow2");

    disk->new_path = g_strdup(path);
    disk->new_format = g_strdup(format);
    g_ptr_array_add(list, disk);
    return list;
}

static plan_nic *add_nic(GPtrArray *list, const char *mac, const char *name, gboolean openvswitch)
{
    plan_nic *nic = plan_nic_new(mac);

    nic->new_switch = g_strdup(name);
    nic->openvswitch = openvswitch;
    g_ptr_array_add(list, nic);
    return nic;
}

static void add_vlan(plan_nic *nic, guint16 id)
{
    g_array_append_val(nic->vlans, id);
}

static void must_have(const char *text, const char *part)
{
    if (!strstr(text, part))
        g_error("lacks %s:\n%s", part, text);
}

static void must_lack(const char *text, const char *part)
{
    if (strstr(text, part))
        g_error("has %s:\n%s", part, text);
}

/* All lines of the first that the second does not have, in order, and the other way round. */
static void check_difference(const char *before, const char *after, const char *const *gone,
                             const char *const *come)
{
    g_auto(GStrv) a = g_strsplit(before, "\n", -1);
    g_auto(GStrv) b = g_strsplit(after, "\n", -1);
    guint n = 0;

    for (guint i = 0; a[i]; i++)
        if (!g_strv_contains((const char *const *)b, a[i])) {
            g_assert_nonnull(gone[n]);
            g_assert_cmpstr(g_strstrip(a[i]), ==, gone[n]);
            n++;
        }
    g_assert_null(gone[n]);
    n = 0;
    for (guint i = 0; b[i]; i++)
        if (!g_strv_contains((const char *const *)a, b[i]) && *g_strstrip(b[i])) {
            g_autofree char *indented = NULL;
            gboolean old = FALSE;
            for (guint j = 0; a[j]; j++)
                old = old || !strcmp(g_strstrip(a[j]), b[i]);
            if (old)
                continue;
            g_assert_nonnull(come[n]);
            g_assert_cmpstr(b[i], ==, come[n]);
            n++;
        }
    g_assert_null(come[n]);
}

static void test_nothing(void)
{
    g_autofree char *once = same(WEB);
    g_autofree char *twice = same(once);

    g_assert_cmpstr(once, ==, twice);
    must_have(once, "käse");
    must_have(once, "Web &amp; more");
    must_have(once, "xmlns:app=\"http://example.org/app\"");
}

static void test_disk(void)
{
    g_autoptr(GPtrArray) disks = one_disk("vda", "/srv/ssd/w & x.raw", "raw");
    rewrite_rules rules = {.disks = disks};
    g_autofree char *before = same(WEB);
    g_autofree char *after = rewrite(WEB, &rules);
    static const char *const gone[] = {
        "<driver name=\"qemu\" type=\"qcow2\" cache=\"none\" discard=\"unmap\"/>",
        "<source file=\"/var/lib/libvirt/images/web.qcow2\" index=\"4\"/>",
        "<backingStore type=\"file\" index=\"5\">",
        "<format type=\"qcow2\"/>",
        "<source file=\"/var/lib/libvirt/images/base.qcow2\"/>",
        "<backingStore/>",
        "</backingStore>",
        "<mirror type=\"file\" job=\"copy\"><source file=\"/x\"/></mirror>",
        NULL};
    static const char *const come[] = {
        "<driver name=\"qemu\" type=\"raw\" cache=\"none\" discard=\"unmap\"/>",
        "<source file=\"/srv/ssd/w &amp; x.raw\"/>", NULL};

    check_difference(before, after, gone, come);
}

static void test_volume(void)
{
    g_autoptr(GPtrArray) disks = one_disk("vdc", "/srv/pool/vol1", "qcow2");
    rewrite_rules rules = {.disks = disks};
    g_autofree char *text = rewrite(WEB, &rules);
    g_autoptr(vm) m = vm_parse(text, NULL);

    g_assert_cmpstr(vm_find_disk(m, "vdc")->type, ==, "file");
    g_assert_cmpstr(vm_find_disk(m, "vdc")->source, ==, "/srv/pool/vol1");
    must_lack(text, "volume=");
    must_lack(text, "pool=");
}

static void test_eject(void)
{
    static const char *const targets[] = {"sda", NULL};
    rewrite_rules rules = {.ejected = targets};
    g_autofree char *text = rewrite(WEB, &rules);
    g_autoptr(vm) m = vm_parse(text, NULL);

    g_assert_nonnull(vm_find_disk(m, "sda"));
    g_assert_null(vm_find_disk(m, "sda")->source);
    g_assert_cmpuint(m->disks->len, ==, 5);
}

/* Open vSwitch to Open vSwitch: the interface ID stays; the tap's generated name goes. */
static void test_openvswitch(void)
{
    g_autoptr(GPtrArray) nics = g_ptr_array_new_with_free_func(plan_nic_free);
    plan_nic *nic = add_nic(nics, "52:54:00:00:00:05", "Converged", TRUE);
    rewrite_rules rules = {.nics = nics};
    g_autofree char *before = same(WEB);
    g_autofree char *after = NULL;
    static const char *const gone[] = {"<source bridge=\"vSwitch-VLAN500\"/>",
                                       "<target dev=\"vnet0\"/>", NULL};
    static const char *const come[] = {"<source bridge=\"Converged\"/>", NULL};

    add_vlan(nic, 500);
    after = rewrite(WEB, &rules);
    check_difference(before, after, gone, come);
}

static void test_trunk(void)
{
    g_autoptr(GPtrArray) nics = g_ptr_array_new_with_free_func(plan_nic_free);
    plan_nic *nic = add_nic(nics, "52:54:00:00:00:07", "Converged", TRUE);
    rewrite_rules rules = {.nics = nics};
    g_autofree char *text = NULL;
    g_autoptr(vm) m = NULL;

    add_vlan(nic, 500);
    add_vlan(nic, 600);
    text = rewrite(WEB, &rules);
    m = vm_parse(text, NULL);
    nic = NULL;
    const vm_nic *third = m->nics->pdata[2];
    g_assert_cmpstr(third->type, ==, "bridge");
    g_assert_cmpstr(third->switch_name, ==, "Converged");
    g_assert_cmpstr(third->virtualport, ==, "openvswitch");
    g_assert_cmpuint(third->vlans->len, ==, 2);
    g_assert_true(third->trunk);
    must_have(text, "<model type=\"e1000\"/>");
}

static void test_linux_bridge(void)
{
    g_autoptr(GPtrArray) nics = g_ptr_array_new_with_free_func(plan_nic_free);
    rewrite_rules rules = {.nics = nics};
    g_autofree char *text = NULL;
    g_autoptr(vm) m = NULL;

    add_nic(nics, "52:54:00:00:00:05", "br0", FALSE);
    add_nic(nics, "52:54:00:00:00:06", "lan", FALSE)->network = TRUE;
    text = rewrite(WEB, &rules);
    m = vm_parse(text, NULL);
    must_lack(text, "openvswitch");
    must_lack(text, "<vlan");
    must_lack(text, "portid");
    must_lack(text, "portgroup");
    must_have(text, "web-lan"); /* somebody chose that name */
    const vm_nic *a = m->nics->pdata[0], *b = m->nics->pdata[1];
    g_assert_cmpstr(a->switch_name, ==, "br0");
    g_assert_cmpstr(b->type, ==, "network");
    g_assert_cmpstr(b->switch_name, ==, "lan");
    g_assert_null(b->device);
}

/* Kept as it is, with the VLANs that its port group gives here as well. */
static void test_portgroup(void)
{
    g_autoptr(GPtrArray) nics = g_ptr_array_new_with_free_func(plan_nic_free);
    plan_nic *nic = add_nic(nics, "52:54:00:00:00:06", "ovsnet", TRUE);
    rewrite_rules rules = {.nics = nics};
    g_autofree char *text = NULL;
    static const char stored[] =
        SMALL("<interface type='network'><mac address='52:54:00:00:00:06'/>"
              "<source network='ovsnet' portgroup='p600'/><model type='virtio'/></interface>");

    nic->network = TRUE;
    nic->portgroup = g_strdup("p600");
    nic->portgroup_tags = TRUE;
    add_vlan(nic, 600);
    text = rewrite(stored, &rules);
    must_have(text, "<source network=\"ovsnet\" portgroup=\"p600\"/>");
    must_lack(text, "<vlan");
    nic->portgroup_tags = FALSE;
    g_free(text);
    text = rewrite(stored, &rules);
    must_have(text, "<tag id=\"600\"/>");
}

static void test_dropped(void)
{
    static const char *const models[] = {"apparmor", NULL};
    g_autoptr(GPtrArray) nics = g_ptr_array_new_with_free_func(plan_nic_free);
    rewrite_rules rules = {.nics = nics, .security = models, .emulator = "/usr/bin/q&emu"};
    g_autofree char *text = NULL;

    add_nic(nics, "52:54:00:00:00:06", NULL, FALSE)->drop_port = TRUE;
    text = rewrite(WEB, &rules);
    must_lack(text, "apparmor");
    must_lack(text, "web-lan");
    must_have(text, "model=\"dac\"");
    must_have(text, "<emulator>/usr/bin/q&amp;emu</emulator>");
    must_have(text, "portgroup=\"p600\""); /* no new switch: it stays */
}

/* Two NICs may have one MAC (teaming): each goes where its own entry says. */
static void test_twins(void)
{
    g_autoptr(GPtrArray) nics = g_ptr_array_new_with_free_func(plan_nic_free);
    rewrite_rules rules = {.nics = nics};
    g_autofree char *text = NULL;
    g_autoptr(vm) m = NULL;
#define TWIN(b)                                                                                    \
    "<interface type='bridge'><mac address='52:54:00:00:00:05'/><source bridge='" b                \
    "'/></interface>"

    add_nic(nics, "52:54:00:00:00:05", "new-a", FALSE);
    add_nic(nics, "52:54:00:00:00:05", "new-b", FALSE);
    text = rewrite(SMALL(TWIN("a") TWIN("b")), &rules);
    m = vm_parse(text, NULL);
    g_assert_cmpstr(((vm_nic *)m->nics->pdata[0])->switch_name, ==, "new-a");
    g_assert_cmpstr(((vm_nic *)m->nics->pdata[1])->switch_name, ==, "new-b");
}

static void test_with_live(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text =
        rewrite_with_live(SMALL("<disk type='file'><source file='/a'/><target dev='vda'/></disk>"
                                "<disk type='file'><source file='/b'/><target dev='vdb'/></disk>"
                                "<interface type='network'><mac address='52:54:00:00:00:06'/>"
                                "<source network='n' portgroup='p'/></interface>"),
                          SMALL("<disk type='file'><source file='/b'/><target dev='vdb'/>"
                                "<alias name='virtio-disk1'/></disk>"
                                "<disk type='file'><source file='/a'/><target dev='vda'/>"
                                "<alias name='ua-system'/></disk>"
                                "<interface type='bridge'><mac address='52:54:00:00:00:06'/>"
                                "<source network='n' portgroup='p' bridge='b'/>"
                                "<vlan><tag id='600'/></vlan></interface>"),
                          &error);
    g_autoptr(vm) m = text ? vm_parse(text, &error) : NULL;

    g_assert_no_error(error);
    const vm_nic *nic = m->nics->pdata[0];
    g_assert_cmpuint(nic->vlans->len, ==, 1);
    g_assert_cmpuint(g_array_index(nic->vlans, guint16, 0), ==, 600);
    g_assert_cmpstr(nic->portgroup, ==, "p");
    g_assert_cmpstr(vm_find_disk(m, "vda")->alias, ==, "ua-system");
    g_assert_cmpstr(vm_find_disk(m, "vdb")->alias, ==, "virtio-disk1");
}

static void test_too_long(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = g_strnfill(4000, 'x'), *text = NULL;
    g_autoptr(GPtrArray) disks = NULL;
    g_autoptr(GString) xml = g_string_new(NULL);
    rewrite_rules rules = {0};

    path[0] = '/';
    disks = one_disk("vda", path, "raw");
    rules.disks = disks;
    g_string_append(xml, SMALL("<disk><source file='/a'/><target dev='vda'/></disk>"));
    while (xml->len < VM_XML_MAX - 1000)
        g_string_append(xml, "<!-- padding, as long as it takes -->");
    text = rewrite_domain(xml->str, &rules, &error);
    /* Comments behind the root are not part of the domain: the result is short. */
    g_assert_no_error(error);
    g_string_truncate(xml, 0);
    g_string_append(xml, "<domain type='qemu'><description>");
    while (xml->len < VM_XML_MAX - 500)
        g_string_append(xml, "padding ");
    g_string_append(xml,
                    "</description><devices><disk><source file='/a'/><target dev='vda'/></disk>"
                    "</devices></domain>");
    g_free(text);
    text = rewrite_domain(xml->str, &rules, &error);
    g_assert_null(text);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
}

/* Whatever vm_parse lets in, rewriting copes with, and what comes out is let in again. */
static void test_mutations(void)
{
    g_autoptr(GPtrArray) disks = one_disk("vda", "/srv/ssd/w.raw", "raw");
    g_autoptr(GPtrArray) nics = g_ptr_array_new_with_free_func(plan_nic_free);
    rewrite_rules rules = {.disks = disks, .nics = nics, .emulator = "/usr/bin/qemu"};
    guint survivors = 0;
    size_t length = strlen(WEB);

    add_vlan(add_nic(nics, "52:54:00:00:00:05", "Converged", TRUE), 500);
    for (guint i = 0; i < 3000; i++) {
        g_autofree char *xml = g_strdup(WEB);
        g_autofree char *text = NULL;
        g_autoptr(vm) before = NULL;
        g_autoptr(vm) after = NULL;

        for (int n = g_test_rand_int_range(1, 4); n; n--) {
            size_t at = (size_t)g_test_rand_int_range(0, (gint32)length);
            if (g_test_rand_bit())
                xml[at] = (char)g_test_rand_int_range(1, 256);
            else /* whole words wander, too */
                memmove(xml + at, xml + (size_t)g_test_rand_int_range(0, (gint32)length - 8),
                        MIN(8, length - at));
        }
        before = vm_parse(xml, NULL);
        if (!before)
            continue;
        survivors++;
        text = rewrite(xml, &rules);
        after = vm_parse(text, NULL);
        g_assert_nonnull(after);
        g_assert_cmpstr(before->name, ==, after->name);
        g_assert_cmpuint(before->disks->len, ==, after->disks->len);
        g_assert_cmpuint(before->nics->len, ==, after->nics->len);
    }
    g_assert_cmpuint(survivors, >, 100);
}

static void test_all_chains(void)
{
    g_autoptr(GPtrArray) disks = one_disk("vda", "/srv/a.raw", "raw");
    rewrite_rules rules = {.disks = disks};
    g_autofree char *text = rewrite(
        SMALL(
            "<disk type='file'><source file='/o'><backingStore type='file'><source file='/etc/s'/>"
            "</backingStore></source><target dev='vda'/><backingStore/><backingStore type='file'>"
            "<source file='/etc/s'/></backingStore><mirror/><mirror/></disk>"),
        &rules);

    must_lack(text, "backingStore");
    must_lack(text, "/etc/s");
    must_lack(text, "mirror");
}

/* Neither labels of a peer's choice nor no protection at all; what libvirt makes itself stays. */
static void test_labels(void)
{
    g_autofree char *text = same(
        SMALL("<disk type='file'><source file='/a'><seclabel model='dac' relabel='no'/></source>"
              "<target dev='vda'/></disk><serial type='file'><source path='/var/log/x'>"
              "<seclabel model='dac'><label>root</label></seclabel></source></serial></devices>"
              "<seclabel type='static' model='dac'><label>+0:+0</label></seclabel>"
              "<seclabel type='none'/><seclabel type='none' model='apparmor'/>"
              "<seclabel model='none'/><seclabel type='dynamic' model='dac' relabel='no'/>"
              "<seclabel type='dynamic' model='selinux'><baselabel>b</baselabel></seclabel>"
              "<seclabel type='dynamic' model='dac'><label>+0:+0</label></seclabel>"
              "<seclabel type='dynamic' model='apparmor' relabel='yes'/><devices>"));

    must_lack(text, "label>");
    must_lack(text, "none");
    must_lack(text, "static");
    must_lack(text, "dac");
    must_have(text, "<seclabel type=\"dynamic\" model=\"apparmor\" relabel=\"yes\"/>");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virt/rewrite/nothing", test_nothing);
    g_test_add_func("/virt/rewrite/disk", test_disk);
    g_test_add_func("/virt/rewrite/every-chain-goes", test_all_chains);
    g_test_add_func("/virt/rewrite/volume-becomes-file", test_volume);
    g_test_add_func("/virt/rewrite/eject", test_eject);
    g_test_add_func("/virt/rewrite/openvswitch", test_openvswitch);
    g_test_add_func("/virt/rewrite/trunk", test_trunk);
    g_test_add_func("/virt/rewrite/linux-bridge-and-network", test_linux_bridge);
    g_test_add_func("/virt/rewrite/port-group", test_portgroup);
    g_test_add_func("/virt/rewrite/security-port-emulator", test_dropped);
    g_test_add_func("/virt/rewrite/labels-of-a-peer's-choice", test_labels);
    g_test_add_func("/virt/rewrite/two-nics-one-mac", test_twins);
    g_test_add_func("/virt/rewrite/what-only-the-live-one-has", test_with_live);
    g_test_add_func("/virt/rewrite/too-long", test_too_long);
    g_test_add_func("/virt/rewrite/mutations", test_mutations);
    return g_test_run();
}
