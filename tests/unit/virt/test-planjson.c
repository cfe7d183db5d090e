/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plans as JSON: there and back, and what a hostile peer might send. */
#include "samples.h"
#include "virt/survey.h"

#include <string.h>

static plan *sample(void)
{
    plan *self = plan_new();
    plan_disk *disk = plan_disk_new("vda", "/var/lib/libvirt/images/web.qcow2", "qcow2");
    plan_disk *volume = plan_disk_new("vdb", "fast/vol1", "qcow2");
    plan_nic *nic = plan_nic_new("52:54:00:00:00:05");
    guint16 vlan = 500;

    disk->new_path = g_strdup("/srv/ssd/web.raw");
    disk->new_format = g_strdup("raw");
    disk->capacity = 1ull << 40;
    disk->export = g_strdup("drive-virtio-disk0");
    disk->inode = G_MAXUINT64 - 1;
    volume->new_path = g_strdup("/srv/pool/vol1");
    volume->new_format = g_strdup("qcow2");
    volume->pool = g_strdup("fast");
    volume->capacity = 1;
    g_ptr_array_add(self->disks, disk);
    g_ptr_array_add(self->disks, volume);
    nic->old_switch = g_strdup("vSwitch-VLAN500");
    nic->new_switch = g_strdup("Converged");
    nic->openvswitch = TRUE;
    g_array_append_val(nic->vlans, vlan);
    g_ptr_array_add(self->nics, nic);
    self->mark = g_strdup("0123456789abcdef0123456789abcdef");
    self->live_xml = g_strdup(WEB);
    self->persistent_xml = g_strdup(WEB);
    return self;
}

static void test_round_trip(void)
{
    g_autoptr(plan) before = sample();
    g_autoptr(JsonObject) object = plan_to_json(before);
    g_autofree char *text = json_text(object);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) parsed = json_parse(text, -1, &error);
    g_autoptr(plan) after = plan_from_json(parsed, &error);
    g_autoptr(JsonObject) again = NULL;
    g_autofree char *text_again = NULL;

    g_assert_no_error(error);
    again = plan_to_json(after);
    text_again = json_text(again);
    g_assert_cmpstr(text, ==, text_again);
    g_assert_cmpuint(((plan_disk *)after->disks->pdata[0])->inode, ==, G_MAXUINT64 - 1);
    g_assert_cmpstr(((plan_disk *)after->disks->pdata[1])->pool, ==, "fast");
    g_assert_cmpstr(((plan_disk *)after->disks->pdata[0])->export, ==, "drive-virtio-disk0");
    g_assert_cmpstr(after->live_xml, ==, before->live_xml);
}

/* Each replaces a piece of a good plan. */
static void test_hostile(void)
{
    static const struct {
        const char *good, *bad;
    } changes[] = {
        {"\"/srv/ssd/web.raw\"", "\"/srv/../etc/cron.d/x\""},
        {"\"/srv/ssd/web.raw\"", "\"srv/web.raw\""},
        {"\"/srv/ssd/web.raw\"", "\"/srv/a\\nb\""},
        {"\"/srv/ssd/web.raw\"", "7"},
        {"\"new_format\":\"raw\"", "\"new_format\":\"vmdk\""},
        {"\"target\":\"vda\"", "\"target\":\"../vda\""},
        {"\"target\":\"vda\"", "\"target\":\"vdb\""},
        {"\"target\":\"vda\",", ""},
        {"\"old_path\":\"fast/vol1\"", "\"old_path\":\"../vol1\""},
        {"\"old_path\":\"fast/vol1\"", "\"old_path\":\"a/b/c\""},
        {"\"pool\":\"fast\"", "\"pool\":\"../fast\""},
        {"drive-virtio-disk0", "virtio-disk0"},
        {"drive-virtio-disk0", "drive-a/b"},
        {"\"pool\":\"fast\"", "\"pool\":\"fast\",\"export\":\"drive-virtio-disk0\""},
        {"\"capacity\":1}", "\"capacity\":-1}"},
        {"\"capacity\":1}", "\"capacity\":1.5}"},
        {"\"capacity\":1}", "\"capacity\":\"1\"}"},
        {"52:54:00:00:00:05\"", "52:54:00:00:00:05\\n\""},
        {"\"Converged\"", "\"a/b\""},
        {"[500]", "[4096]"},
        {"[500]", "[-1]"},
        {"[500]", "[\"500\"]"},
        {"[500]", "[[500]]"},
        {"[500]", "500"},
        {"0123456789abcdef\"", "0123456789abcdeg\""},
        {"\"mark\":", "\"nomark\":"},
        {"\"disks\":", "\"nodisks\":"},
        {"\"disks\":[{", "\"disks\":[5,{"},
        {"\"persistent_xml\":\"<domain", "\"persistent_xml\":\"<!DOCTYPE x><domain"},
        {"\"live_xml\":", "\"nolive_xml\":"},
    };
    g_autoptr(plan) good = sample();
    g_autoptr(JsonObject) object = plan_to_json(good);
    g_autofree char *text = json_text(object);

    for (guint i = 0; i < G_N_ELEMENTS(changes); i++) {
        const char *found = strstr(text, changes[i].good);
        g_autoptr(GError) error = NULL;
        g_autofree char *changed = NULL;
        g_autoptr(JsonObject) parsed = NULL;
        g_autoptr(plan) after = NULL;

        g_assert_nonnull(found);
        changed = g_strdup_printf("%.*s%s%s", (int)(found - text), text, changes[i].bad,
                                  found + strlen(changes[i].good));
        parsed = json_parse(changed, -1, &error);
        g_assert_no_error(error);
        after = plan_from_json(parsed, &error);
        if (after)
            g_error("accepted: %s for %s", changes[i].bad, changes[i].good);
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
    }
}

/* The stored definition must be of the VM that came. */
static void test_other_vm(void)
{
    g_autoptr(plan) self = sample();
    g_autoptr(JsonObject) object = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(plan) after = NULL;

    g_free(self->persistent_xml);
    self->persistent_xml = g_strdup(HEAD("web02") EMULATOR TAIL);
    object = plan_to_json(self);
    after = plan_from_json(object, &error);
    g_assert_null(after);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
}

static void test_too_many(void)
{
    g_autoptr(plan) self = sample();
    g_autoptr(JsonObject) object = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(plan) after = NULL;

    for (guint i = 0; i < VM_DISKS_MAX; i++) {
        g_autofree char *target = g_strdup_printf("sd%u", i);
        g_ptr_array_add(self->disks, plan_disk_new(target, "/a", "raw"));
    }
    object = plan_to_json(self);
    after = plan_from_json(object, &error);
    g_assert_null(after);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virt/planjson/round-trip", test_round_trip);
    g_test_add_func("/virt/planjson/hostile", test_hostile);
    g_test_add_func("/virt/planjson/another-vm", test_other_vm);
    g_test_add_func("/virt/planjson/too-many", test_too_many);
    return g_test_run();
}
