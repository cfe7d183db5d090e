/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What ties a VM to its host, and whether this host can take its name and has its files. */
#include "virt/conn.h"
#include "virt/storage.h"
#include "virt/survey.h"

#include <string.h>
#include <unistd.h>

static gboolean check_identity(const survey *s, GError **error)
{
    const vm *m = s->machine;
    g_autoptr(virDomain) same_uuid = virDomainLookupByUUIDString(s->host->conn, m->uuid);
    g_autofree char *fix = NULL;

    if (same_uuid) {
        fix = g_strdup_printf(
            "If it is a leftover, on %s: virsh undefine %s; if it is the VM itself, "
            "it is there already.",
            s->here, virDomainGetName(same_uuid));
        findings_add(s->found, 1102, "uuid", fix,
                     "%s already has a VM with UUID %s; it is called %s there.", s->here, m->uuid,
                     virDomainGetName(same_uuid));
        return TRUE;
    }
    if (!conn_error_is(VIR_ERR_NO_DOMAIN))
        return conn_error(error, "whether %s has the VM is not known", s->here);
    g_autoptr(virDomain) same_name = virDomainLookupByName(s->host->conn, m->name);
    if (same_name) {
        fix = g_strdup_printf(
            "Rename one of them while it is shut off: virsh domrename %s NEWNAME.", m->name);
        findings_add(s->found, 1101, "name", fix, "%s already has another VM called %s.", s->here,
                     m->name);
        return TRUE;
    }
    return conn_error_is(VIR_ERR_NO_DOMAIN) ||
           conn_error(error, "whether %s has the VM is not known", s->here);
}

#define VM_LOGS "/var/log/libvirt/"

static gboolean check_read(const survey *s, const vm_file *file, readable *files, GError **error)
{
    g_autofree char *fix = NULL;
    const char *why;

    if (!readable_look(files, file->path, NULL, &why, error))
        return FALSE;
    if (!why)
        return TRUE;
    fix = g_strdup_printf("Copy it to the same path on %s, or have the VM use another.", s->here);
    findings_add(s->found, 4009, file->what, fix,
                 "The VM's %s is %s, which %s cannot give to the VM: it %s.", file->what,
                 file->path, s->here, why);
    return TRUE;
}

static void check_written(const survey *s, const vm_file *file, const char *const *pools)
{
    g_autofree char *directory = g_path_get_dirname(file->path);
    g_autofree char *fix = NULL;

    /* libvirt opens it as root and may empty it: logs may be there already, anything else is
     * somebody's. */
    if (!g_str_has_prefix(file->path, VM_LOGS) &&
        (!storage_may_land(directory, (const char *const *)s->rules->storage_roots, pools) ||
         g_file_test(file->path, G_FILE_TEST_EXISTS | G_FILE_TEST_IS_SYMLINK))) {
        findings_add(s->found, 5004, file->what, "Choose a file below /var/log/libvirt for it.",
                     "The VM's %s is %s, which is there already or no place for files of VMs on "
                     "%s.",
                     file->what, file->path, s->here);
        return;
    }
    if (g_file_test(directory, G_FILE_TEST_IS_DIR))
        return;
    fix = g_strdup_printf("On %s: mkdir -p %s.", s->here, directory);
    findings_add(s->found, 5002, file->what, fix,
                 "The VM's %s is %s, and %s has no such directory.", file->what, file->path,
                 s->here);
}

/* A peer's text for a terminal. */
static char *shown(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    g_autoptr(GString) clean = g_string_new(NULL);

    for (const char *p = valid; *p && clean->len < 200; p = g_utf8_next_char(p))
        g_string_append_unichar(clean,
                                g_unichar_isprint(g_utf8_get_char(p)) ? g_utf8_get_char(p) : '?');
    return g_string_free(g_steal_pointer(&clean), FALSE);
}

static gboolean has_told(const vm *other, const vm_file *file)
{
    for (guint i = 0; other && i < other->files->len; i++) {
        const vm_file *told = other->files->pdata[i];
        if (told->written == file->written && !strcmp(told->path, file->path))
            return TRUE;
    }
    return FALSE;
}

/* Files of the host in a definition, except for those that have been looked at in the other. */
static gboolean check_files(const survey *s, const vm *m, const vm *other, GError **error)
{
    g_auto(GStrv) directories = storage_pool_directories(s->host->conn, error);
    const char *const *pools = (const char *const *)directories;
    g_autoptr(readable) files = directories ? readable_new(s, pools) : NULL;

    for (guint i = 0; files && i < m->files->len; i++) {
        const vm_file *file = m->files->pdata[i];
        if (has_told(other, file))
            continue;
        if (file->written)
            check_written(s, file, pools);
        else if (!check_read(s, file, files, error))
            return FALSE;
    }
    return files != NULL;
}

/* What of a definition, live or stored, reaches into the host or could; not again what the other
 * (NULL: none) had already. */
static void check_ties(const survey *s, const vm *m, const vm *other)
{
    for (guint i = 0; m->hostdevs[i]; i++) {
        g_autofree char *device = shown(m->hostdevs[i]);
        if (other && g_strv_contains((const char *const *)other->hostdevs, m->hostdevs[i]))
            continue;
        findings_add(s->found, 5001, device,
                     "Detach it for the move (virsh detach-device), or shut the VM down first.",
                     "The VM uses %s, which ties it to its host.", device);
    }
    for (guint i = 0; m->unknown[i]; i++) {
        g_autofree char *what = shown(m->unknown[i]);
        if (other && g_strv_contains((const char *const *)other->unknown, m->unknown[i]))
            continue;
        findings_add(
            s->found, 5006, "definition",
            "Take it out of the definition (virsh edit) and restart the VM, or shut the VM "
            "down first and move it by hand.",
            "The VM's definition has %s, which Ferry does not know to be harmless on "
            "another host.",
            what);
    }
}

/* libvirt compares the live definition with the source's; what is stored is only ever seen by us.
 */
static void check_stored(const survey *s, const vm *stored)
{
    const vm *m = s->machine;

    if (!g_strcmp0(m->emulator, stored->emulator) && !g_strcmp0(m->machine, stored->machine) &&
        !g_strcmp0(m->arch, stored->arch) && !g_strcmp0(m->virt_type, stored->virt_type))
        return;
    findings_add(s->found, 5005, "definition",
                 "Restart the VM, so that both are the same, or undo the change with 'virsh edit'.",
                 "The VM's stored definition has another emulator or machine type than the running "
                 "VM.");
}

gboolean devices_check(const survey *s, const vm *stored, GError **error)
{
    if (!check_identity(s, error) || !check_files(s, s->machine, NULL, error))
        return FALSE;
    check_ties(s, s->machine, NULL);
    if (!stored)
        return TRUE;
    check_ties(s, stored, s->machine);
    check_stored(s, stored);
    return check_files(s, stored, s->machine, error);
}
