/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What ties a VM to the host it is on: devices of the host given to it, and files besides its
 * disks. */
#include "virt/vmparts.h"

#include <string.h>

#define TIES_MAX 64
#define QEMU_NS  "http://libvirt.org/schemas/domain/qemu/1.0"

/* The guest's end of these may be of the host's own devices or files, by their type. */
static const char *const character_devices[] = {"serial", "parallel", "console", "channel", NULL};

static gboolean add_file(vm *self, const char *what, char *path, gboolean written, GError **error)
{
    vm_file *file;

    if (!path || !*path) {
        g_free(path);
        return TRUE;
    }
    for (guint i = 0; i < self->files->len; i++) { /* a console is often the first serial port */
        const vm_file *other = self->files->pdata[i];
        if (!strcmp(other->path, path) && other->written == written) {
            g_free(path);
            return TRUE;
        }
    }
    file = g_new0(vm_file, 1);
    file->what = g_strdup(what);
    file->path = path;
    file->written = written;
    g_ptr_array_add(self->files, file);
    if (self->files->len > VM_FILES_MAX)
        return vm_invalid(error, "the VM uses more than %d files besides its disks", VM_FILES_MAX);
    if (!vm_path_is_sane(path))
        return vm_invalid(error, "the path of its %s is not an absolute path without \"..\"", what);
    return TRUE;
}

/* "hostdev pci 0000:01:00.0", "hostdev usb 0x1234:0x5678", "hostdev mdev UUID" */
static char *describe_hostdev(const xmlNode *node)
{
    g_autoptr(GString) text = g_string_new((const char *)node->name);
    g_autofree char *type = xml_attr(node, "type");
    const xmlNode *source = xml_child(node, "source"), *address = xml_child(source, "address");
    static const char *const parts[] = {"domain", "bus", "slot", "function", "device", "uuid"};

    if (type)
        g_string_append_printf(text, " %s", type);
    for (guint i = 0, n = 0; address && i < G_N_ELEMENTS(parts); i++) {
        g_autofree char *part = xml_attr(address, parts[i]);
        const char *digits = part && g_str_has_prefix(part, "0x") ? part + 2 : part;
        if (part)
            g_string_append_printf(text, "%s%s", !n++ ? " " : i == 3 ? "." : ":", digits);
    }
    if (!address) {
        g_autofree char *vendor = xml_attr(xml_child(source, "vendor"), "id");
        g_autofree char *product = xml_attr(xml_child(source, "product"), "id");
        if (vendor && product)
            g_string_append_printf(text, " %s:%s", vendor, product);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* "filesystem /srv/data": an element with what its <source> (or its own attribute) names. */
static char *describe(const xmlNode *node, const char *what)
{
    static const char *const names[] = {"dir", "file", "dev", "path", "evdev", "name", NULL};
    g_autofree char *found = NULL;

    for (guint i = 0; names[i] && !found; i++)
        found = xml_attr(xml_child(node, "source"), names[i]);
    return found ? g_strdup_printf("%s %s", what, found) : g_strdup(what);
}

static gboolean ties_by_kind(const xmlNode *node)
{
    const char *name = (const char *)node->name;
    g_autofree char *type = xml_attr(node, "type");
    g_autofree char *model = xml_attr(node, "model");
    g_autofree char *mode = xml_attr(node, "mode");
    g_autofree char *backend = xml_attr(xml_child(node, "backend"), "type");

    if (!strcmp(name, "filesystem") || !strcmp(name, "shmem"))
        return TRUE;
    if (!strcmp(name, "memory"))
        return !g_strcmp0(model, "nvdimm") || !g_strcmp0(model, "virtio-pmem");
    if (!strcmp(name, "tpm"))
        return !g_strcmp0(backend, "passthrough");
    if (!strcmp(name, "input"))
        return !g_strcmp0(type, "passthrough") || !g_strcmp0(type, "evdev");
    if (!strcmp(name, "smartcard"))
        return mode && g_str_has_prefix(mode, "host");
    return g_strv_contains(character_devices, name) &&
           (!g_strcmp0(type, "dev") || !g_strcmp0(type, "pipe"));
}

static gboolean read_device(vm *self, const xmlNode *node, GPtrArray *ties, GError **error)
{
    const char *name = (const char *)node->name;
    g_autofree char *type = xml_attr(node, "type");

    if (!strcmp(name, "hostdev") || (!strcmp(name, "interface") && !g_strcmp0(type, "hostdev")))
        g_ptr_array_add(ties, describe_hostdev(node));
    else if (ties_by_kind(node))
        g_ptr_array_add(ties, describe(node, name));
    else if (!strcmp(name, "tpm"))
        self->tpm = TRUE;
    else if (!strcmp(name, "rng"))
        return add_file(self, "random numbers",
                        xml_attr_is(xml_child(node, "backend"), "model", "random")
                            ? xml_text(xml_child(node, "backend"))
                            : NULL,
                        FALSE, error);
    else if (g_strv_contains(character_devices, name)) {
        g_autofree char *what = g_strdup_printf("%s device", name);
        g_autofree char *log = g_strdup_printf("%s log", name);
        const xmlNode *source = xml_child(node, "source");
        gboolean local = !g_strcmp0(type, "file") || !g_strcmp0(type, "unix");
        return add_file(self, what, local ? xml_attr(source, "path") : NULL,
                        g_strcmp0(type, "unix") || !xml_attr_is(source, "mode", "connect"),
                        error) &&
               add_file(self, log, xml_attr(xml_child(node, "log"), "file"), TRUE, error);
    }
    return TRUE;
}

static gboolean read_boot_files(vm *self, const xmlNode *domain, GError **error)
{
    const xmlNode *os = xml_child(domain, "os");

    if (!add_file(self, "kernel", xml_text(xml_child(os, "kernel")), FALSE, error) ||
        !add_file(self, "initial RAM disk", xml_text(xml_child(os, "initrd")), FALSE, error) ||
        !add_file(self, "device tree", xml_text(xml_child(os, "dtb")), FALSE, error) ||
        !add_file(self, "firmware", xml_text(xml_child(os, "loader")), FALSE, error) ||
        !add_file(self, "ACPI table", xml_text(xml_descend(os, "acpi/table")), FALSE, error) ||
        !add_file(self, "NVRAM template", xml_attr(xml_child(os, "nvram"), "template"), FALSE,
                  error))
        return FALSE;
    for (const xmlNode *s = xml_child(domain, "sysinfo"); s; s = xml_next(s))
        for (const xmlNode *e = xml_child(s, "entry"); e; e = xml_next(e))
            if (!add_file(self, "firmware setting", xml_attr(e, "file"), FALSE, error))
                return FALSE;
    return xml_child(xml_child(os, "nvram"), "source") ||
           add_file(self, "NVRAM", xml_text(xml_child(os, "nvram")), TRUE, error);
}

gboolean vm_read_ties(vm *self, const xmlNode *domain, GError **error)
{
    g_autoptr(GPtrArray) ties = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) models = g_ptr_array_new_with_free_func(g_free);
    const xmlNode *devices = xml_child(domain, "devices");

    if (!read_boot_files(self, domain, error))
        return FALSE;
    for (const xmlNode *n = devices ? devices->children : NULL; n; n = n->next)
        if (n->type == XML_ELEMENT_NODE && !read_device(self, n, ties, error))
            return FALSE;
    for (const xmlNode *n = domain->children; n; n = n->next)
        if (n->type == XML_ELEMENT_NODE && n->ns && !strcmp((const char *)n->ns->href, QEMU_NS))
            g_ptr_array_add(ties, g_strdup("QEMU arguments of its own (qemu:commandline)"));
    if (xml_child(domain, "launchSecurity"))
        g_ptr_array_add(ties, g_strdup("memory encrypted by the CPU (launchSecurity)"));
    for (const xmlNode *n = xml_child(domain, "seclabel"); n; n = xml_next(n)) {
        char *model = xml_attr(n, "model");
        if (model)
            g_ptr_array_add(models, model);
    }
    if (ties->len > TIES_MAX || models->len > TIES_MAX)
        return vm_invalid(error, "the VM has more than %d devices of its host", TIES_MAX);
    g_ptr_array_add(ties, NULL);
    g_ptr_array_add(models, NULL);
    self->hostdevs = (GStrv)g_ptr_array_free(g_steal_pointer(&ties), FALSE);
    self->security = (GStrv)g_ptr_array_free(g_steal_pointer(&models), FALSE);
    return TRUE;
}
