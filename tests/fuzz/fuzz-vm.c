/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Domain XML from the other host: a VM whose names and paths are what vm.h says, or an error.
 *
 * Input: XML. */
#include "fuzz.h"
#include "virt/vm.h"

static void check_path(const char *path)
{
    g_assert_true(!path || vm_path_is_sane(path));
}

static void check(const vm *m)
{
    g_assert_true(vm_name_is_sane(m->name));
    g_assert_true(g_uuid_string_is_valid(m->uuid));
    check_path(m->emulator);
    g_assert_cmpuint(m->disks->len, <=, VM_DISKS_MAX);
    g_assert_cmpuint(m->nics->len, <=, VM_NICS_MAX);
    g_assert_cmpuint(m->files->len, <=, VM_FILES_MAX);
    for (guint i = 0; i < m->disks->len; i++) {
        const vm_disk *disk = m->disks->pdata[i];
        g_assert_nonnull(disk->target);
        g_assert_true(!disk->source || !strcmp(disk->type, "volume") ||
                      vm_path_is_sane(disk->source));
    }
    for (guint i = 0; i < m->files->len; i++)
        check_path(((const vm_file *)m->files->pdata[i])->path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *xml = g_strndup((const char *)data, size);
    g_autoptr(GError) error = NULL;
    g_autoptr(vm) machine = vm_parse(xml, &error);

    g_assert_cmpint(machine == NULL, ==, error != NULL);
    if (machine)
        check(machine);
    return 0;
}
