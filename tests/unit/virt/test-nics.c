/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where NICs go: precedence of the switch map's pairs, and what switches cannot do. */
#include "samples.h"
#include "virt/survey.h"
#include "virt/switches.h"

#include <string.h>

typedef struct {
    vm *machine;
    switches here;
    findings *found;
    GPtrArray *planned; /* of plan_nic */
} fixture;

static virt_switch *add_switch(fixture *f, const char *name, gboolean network, gboolean openvswitch)
{
    virt_switch *item = g_new0(virt_switch, 1);

    item->name = g_strdup(name);
    item->network = network;
    item->openvswitch = openvswitch;
    item->active = TRUE;
    if (network)
        item->portgroups =
            g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_array_unref);
    g_ptr_array_add(f->here.all, item);
    return item;
}

static void switch_free(gpointer data)
{
    virt_switch *item = data;

    g_free(item->name);
    g_clear_pointer(&item->portgroups, g_hash_table_unref);
    g_free(item);
}

static void set_up(fixture *f, gconstpointer xml)
{
    g_autoptr(GError) error = NULL;

    f->machine = vm_parse(xml, &error);
    g_assert_no_error(error);
    f->here.all = g_ptr_array_new_with_free_func(switch_free);
    f->found = findings_new();
    f->planned = g_ptr_array_new_with_free_func(plan_nic_free);
}

static void tear_down(fixture *f, gconstpointer xml)
{
    vm_free(f->machine);
    g_ptr_array_unref(f->here.all);
    findings_free(f->found);
    g_ptr_array_unref(f->planned);
}

/* Plans with "OLD=NEW OLD=NEW …". */
static void plan_with(fixture *f, const char *map)
{
    g_auto(GStrv) pairs = g_strsplit(map, " ", -1);
    g_autoptr(GStrvBuilder) keys = g_strv_builder_new(), values = g_strv_builder_new();
    plan_rules rules = {0};
    survey s = {NULL, f->machine, &rules, f->found, "zulu"};

    for (guint i = 0; pairs[i]; i++) {
        char *equals = strchr(pairs[i], '=');
        if (!equals)
            continue;
        *equals = 0;
        g_strv_builder_add(keys, pairs[i]);
        g_strv_builder_add(values, equals + 1);
    }
    rules.switch_keys = g_strv_builder_end(keys);
    rules.switch_values = g_strv_builder_end(values);
    nics_plan(&s, &f->here, f->machine, f->planned);
    g_strfreev(rules.switch_keys);
    g_strfreev(rules.switch_values);
}

/* "SWITCH[ network][ 500,600]" of the NIC, or "-". */
static void expect(const fixture *f, guint index, const char *expected)
{
    const plan_nic *nic = f->planned->pdata[index];
    g_autoptr(GString) text = g_string_new(nic->new_switch ? nic->new_switch : "-");

    if (nic->network)
        g_string_append(text, " network");
    for (guint i = 0; i < nic->vlans->len; i++)
        g_string_append_printf(text, "%c%u", i ? ',' : ' ', g_array_index(nic->vlans, guint16, i));
    g_assert_cmpstr(text->str, ==, expected);
}

/* Exactly these codes, in order; the last 0. */
static void expect_codes(const fixture *f, const int *codes)
{
    guint n = 0;

    for (; codes[n]; n++) {
        g_assert_cmpuint(n, <, f->found->len);
        g_assert_cmpint(((finding *)f->found->pdata[n])->code, ==, codes[n]);
    }
    if (n < f->found->len)
        g_error("unexpected: %s", ((finding *)f->found->pdata[n])->text);
}

static void expect_words(const fixture *f, guint index, const char *in_text, const char *in_fix)
{
    const finding *one = f->found->pdata[index];

    if (in_text && !strstr(one->text, in_text))
        g_error("\"%s\" lacks \"%s\"", one->text, in_text);
    if (in_fix && (!one->fix || !strstr(one->fix, in_fix)))
        g_error("\"%s\" lacks \"%s\"", one->fix, in_fix);
}

#define CODES(...) ((const int[]){__VA_ARGS__, 0})
#define NONE       ((const int[]){0})

static void test_same_names(fixture *f, gconstpointer xml)
{
    virt_switch *network = add_switch(f, "ovsnet", TRUE, TRUE);
    GArray *tags = g_array_new(FALSE, FALSE, sizeof(guint16));
    guint16 id = 600;

    g_array_append_val(tags, id);
    g_hash_table_insert(network->portgroups, g_strdup("p600"), tags);
    add_switch(f, "vSwitch-VLAN500", FALSE, TRUE);
    add_switch(f, "vSwitch-VLAN600", FALSE, TRUE); /* a bridge of that name, not a network */
    plan_with(f, "");
    expect_codes(f, NONE);
    expect(f, 0, "vSwitch-VLAN500 500");
    expect(f, 1, "ovsnet network 600");
    expect(f, 2, "vSwitch-VLAN600");
    g_assert_cmpstr(((plan_nic *)f->planned->pdata[1])->portgroup, ==, "p600");
    g_assert_true(((plan_nic *)f->planned->pdata[1])->portgroup_tags);
}

static void test_converged(fixture *f, gconstpointer xml)
{
    add_switch(f, "Converged", FALSE, TRUE);
    plan_with(
        f, "vSwitch-VLAN500=Converged:500 ovsnet=Converged:600 vSwitch-VLAN600=Converged:600,601");
    expect_codes(f, NONE);
    expect(f, 0, "Converged 500");
    expect(f, 1, "Converged 600");
    expect(f, 2, "Converged 600,601");
}

/* A MAC is more exact than a name, wherever it stands; among names the first wins; a NIC keeps its
 * VLANs. */
static void test_precedence(fixture *f, gconstpointer xml)
{
    add_switch(f, "a", FALSE, TRUE);
    add_switch(f, "b", FALSE, TRUE);
    plan_with(f, "vSwitch-VLAN500=a vSwitch-VLAN500=b ovsnet=a vSwitch-VLAN600=a:7 "
                 "52:54:00:00:00:06=b:9 52:54:00:00:00:07=b:untagged");
    expect_codes(f, NONE);
    expect(f, 0, "a 500");
    expect(f, 1, "b 9");
    expect(f, 2, "b");
}

/* The bridge behind a network is a name for it too; prefixes tell bridge and network apart. */
static void test_prefixes(fixture *f, gconstpointer xml)
{
    add_switch(f, "both", FALSE, TRUE);
    add_switch(f, "both", TRUE, TRUE);
    plan_with(f, "bridge:vSwitch-VLAN500=both network:vSwitch-VLAN600=network:both:5 "
                 "bridge:vSwitch-VLAN600=bridge:both");
    expect_codes(f, CODES(2010));
    expect(f, 0, "both 500");
    expect(f, 1, "both 600");
    expect(f, 2, "both network 5");
}

static void test_no_counterpart(fixture *f, gconstpointer xml)
{
    add_switch(f, "br0", FALSE, FALSE);
    add_switch(f, "Converged", FALSE, TRUE);
    plan_with(f, "ovsnet=elsewhere:5");
    expect_codes(f, CODES(2001, 2003, 2001));
    expect_words(f, 0, "switch vSwitch-VLAN500, which zulu does not have", NULL);
    expect_words(f, 0, "br0 (Linux bridge), Converged (Open vSwitch)",
                 "--switch vSwitch-VLAN500=Converged:500");
    expect_words(f, 1, "elsewhere", "--switch ovsnet=Converged:5");
    expect_words(f, 2, NULL, "--switch vSwitch-VLAN600=Converged (with :VLAN");
    expect(f, 0, "-");
}

static void test_cannot_tag(fixture *f, gconstpointer xml)
{
    add_switch(f, "br0", FALSE, FALSE);
    add_switch(f, "lan", TRUE, FALSE);
    plan_with(f, "vSwitch-VLAN500=br0 ovsnet=lan:600 vSwitch-VLAN600=lan");
    expect_codes(f, CODES(2002, 2002));
    expect_words(f, 0, "VLAN 500, and Linux bridge br0 on zulu cannot tag",
                 "--switch vSwitch-VLAN500=br0:untagged");
    expect_words(f, 1, "network lan", NULL);
}

static void test_networks(fixture *f, gconstpointer xml)
{
    add_switch(f, "off", TRUE, TRUE)->active = FALSE;
    add_switch(f, "pci", TRUE, TRUE)->host_devices = TRUE;
    plan_with(f, "vSwitch-VLAN500=off ovsnet=pci vSwitch-VLAN600=off");
    expect_codes(f, CODES(2004, 2007, 2004, 2011));
    expect_words(f, 0, NULL, "virsh net-start off");
}

/* It keeps its VLAN, it is said to have none, it has none and nobody says so. */
static void test_no_vlan(fixture *f, gconstpointer xml)
{
    add_switch(f, "Converged", FALSE, TRUE);
    plan_with(f, "vSwitch-VLAN500=Converged ovsnet=Converged:untagged vSwitch-VLAN600=Converged");
    expect_codes(f, CODES(2011));
    expect_words(f, 0, "52:54:00:00:00:07 will be in no VLAN on Converged of zulu",
                 "--switch vSwitch-VLAN600=Converged:VLAN");
    g_assert_false(findings_block(f->found));
}

static void test_bad_entries(fixture *f, gconstpointer xml)
{
    add_switch(f, "a", FALSE, TRUE);
    plan_with(f, "vSwitch-VLAN500=a:4095 ovsnet=a: vSwitch-VLAN600=:5");
    expect_codes(f, CODES(1103, 1103, 1103));
}

static const char others[] = SMALL(
    "<interface type='user'><mac address='52:54:00:00:00:01'/></interface>"
    "<interface type='direct'><mac address='52:54:00:00:00:02'/><source dev='lo' mode='bridge'/>"
    "</interface>"
    "<interface type='direct'><mac address='52:54:00:00:00:03'/>"
    "<source dev='nosuch0' mode='bridge'/></interface>"
    "<interface type='vhostuser'><mac address='52:54:00:00:00:04'/></interface>"
    "<interface type='ethernet'><mac address='52:54:00:00:00:05'/><target dev='lo'/></interface>");

static void test_others(fixture *f, gconstpointer xml)
{
    add_switch(f, "br0", FALSE, FALSE);
    plan_with(f, "52:54:00:00:00:05=br0");
    expect_codes(f, CODES(2001, 2005, 2009));
    expect_words(f, 0, "nosuch0", "--switch 52:54:00:00:00:03=");
    expect_words(f, 1, "vhostuser", "--switch 52:54:00:00:00:04=");
    expect(f, 0, "-");
    expect(f, 1, "-");
    expect(f, 4, "br0");
    g_assert_true(((plan_nic *)f->planned->pdata[4])->drop_port);
}

/* NICs known from the running VM are not looked at again; those of the stored definition alone are.
 */
static void test_stored(fixture *f, gconstpointer xml)
{
    plan_rules rules = {0};
    survey s = {NULL, f->machine, &rules, f->found, "zulu"};
    g_autoptr(GError) error = NULL;
    g_autoptr(vm) stored = vm_parse(others, &error);

    add_switch(f, "vSwitch-VLAN500", FALSE, TRUE);
    add_switch(f, "vSwitch-VLAN600", FALSE, TRUE);
    add_switch(f, "ovsnet", TRUE, TRUE);
    plan_with(f, "");
    g_assert_cmpuint(f->planned->len, ==, 3);
    nics_plan(&s, &f->here, stored, f->planned);
    g_assert_cmpuint(f->planned->len, ==, 7); /* …:05 is known */
    expect_codes(f, CODES(2001, 2005));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, xml, test) g_test_add("/virt/nics/" path, fixture, xml, set_up, test, tear_down)
    ADD("same-names", WEB, test_same_names);
    ADD("converged", WEB, test_converged);
    ADD("precedence", WEB, test_precedence);
    ADD("prefixes", WEB, test_prefixes);
    ADD("no-counterpart", WEB, test_no_counterpart);
    ADD("a-switch-that-cannot-tag", WEB, test_cannot_tag);
    ADD("networks", WEB, test_networks);
    ADD("no-vlan", WEB, test_no_vlan);
    ADD("bad-map-entries", WEB, test_bad_entries);
    ADD("other-types", others, test_others);
    ADD("stored-definition", WEB, test_stored);
    return g_test_run();
}
