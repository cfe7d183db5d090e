/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What ties a VM to the host it is on: devices of the host given to it, and files besides its
 * disks. */
#include "virt/vmparts.h"

#include <string.h>

#define TIES_MAX 64
#define QEMU_NS  "http://libvirt.org/schemas/domain/qemu/1.0"

/* The host's end of these may be its own devices, files, sockets or ports, by their type. */
static const char *const character_devices[] = {"serial",   "parallel",  "console", "channel",
                                                "redirdev", "smartcard", NULL};
/* Types whose host's end libvirt or QEMU makes, for this VM alone. */
static const char *const made_types[] = {"null",      "vc",           "pty",  "stdio", "spicevmc",
                                         "spiceport", "qemu-vdagent", "dbus", NULL};

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

/* The host's ends that are left: a file, or a socket that QEMU makes; see read_character. */
static gboolean character_ties(const xmlNode *node, const char *type)
{
    const xmlNode *source = xml_child(node, "source");

    if (!type || g_strv_contains(made_types, type))
        return FALSE;
    if (strcmp(type, "file") && strcmp(type, "unix"))
        return TRUE;
    return (source && xml_next(source)) ||
           (!strcmp(type, "unix") && xml_attr_is(source, "mode", "connect"));
}

static gboolean rng_ties(const xmlNode *backend)
{
    static const char *const harmless[] = {"", "/dev/random", "/dev/urandom", "/dev/hwrng", NULL};
    g_autofree char *path = xml_text(backend);

    if (xml_attr_is(backend, "model", "random")) /* any other file would be read to the guest */
        return !g_strv_contains(harmless, g_strstrip(path));
    return backend && !xml_attr_is(backend, "model", "builtin");
}

/* Screens on the host's own display, sockets and devices. A VNC or SPICE socket is a file. */
static gboolean graphics_tie(const xmlNode *node, const char *type)
{
    return g_strcmp0(type, "vnc") && g_strcmp0(type, "spice") && g_strcmp0(type, "egl-headless") &&
           (g_strcmp0(type, "dbus") || xml_attr_is(node, "p2p", "yes") ||
            xmlHasProp(node, (const xmlChar *)"address"));
}

/* Pass: DIMMs of ordinary memory. The others are of files or of the CPU's own. */
static gboolean memory_ties(const xmlNode *node, const char *model)
{
    return (g_strcmp0(model, "dimm") && g_strcmp0(model, "virtio-mem")) ||
           xml_descend(node, "source/path");
}

static gboolean ties_by_kind(const xmlNode *node)
{
    const char *name = (const char *)node->name;
    g_autofree char *type = xml_attr(node, "type");
    g_autofree char *model = xml_attr(node, "model");
    g_autofree char *mode = xml_attr(node, "mode");
    const xmlNode *backend = xml_child(node, "backend");

    if (!strcmp(name, "filesystem") || !strcmp(name, "shmem") || !strcmp(name, "lease"))
        return TRUE;
    if (!strcmp(name, "memory"))
        return memory_ties(node, model);
    if (!strcmp(name, "tpm"))
        return !xml_attr_is(backend, "type", "emulator") || xml_child(backend, "source");
    if (!strcmp(name, "crypto"))
        return !xml_attr_is(backend, "model", "builtin");
    if (!strcmp(name, "rng"))
        return rng_ties(backend);
    if (!strcmp(name, "input"))
        return !g_strcmp0(type, "passthrough") || !g_strcmp0(type, "evdev");
    if (!strcmp(name, "graphics"))
        return graphics_tie(node, type);
    if (!strcmp(name, "audio"))
        return type && strcmp(type, "none") && strcmp(type, "spice") && strcmp(type, "dbus");
    if (!strcmp(name, "interface")) /* takes the network card over as a whole */
        return !g_strcmp0(type, "direct") &&
               xml_attr_is(xml_child(node, "source"), "mode", "passthrough");
    if (!strcmp(name, "smartcard") && g_strcmp0(mode, "passthrough"))
        return TRUE;
    return g_strv_contains(character_devices, name) && character_ties(node, type);
}

/* The file or socket behind a serial port and the like, and its log. */
static gboolean read_character(vm *self, const xmlNode *node, const char *type, GError **error)
{
    g_autofree char *what = g_strdup_printf("%s device", (const char *)node->name);
    g_autofree char *log = g_strdup_printf("%s log", (const char *)node->name);
    gboolean local = !g_strcmp0(type, "file") || !g_strcmp0(type, "unix");

    return add_file(self, what, local ? xml_attr(xml_child(node, "source"), "path") : NULL, TRUE,
                    error) &&
           add_file(self, log, xml_attr(xml_child(node, "log"), "file"), TRUE, error);
}

/* Sockets chosen for a screen; those libvirt makes by itself are not in the XML. */
static gboolean read_graphics(vm *self, const xmlNode *node, GError **error)
{
    if (!add_file(self, "graphics socket", xml_attr(node, "socket"), TRUE, error))
        return FALSE;
    for (const xmlNode *n = xml_child(node, "listen"); n; n = xml_next(n))
        if (!add_file(self, "graphics socket", xml_attr(n, "socket"), TRUE, error))
            return FALSE;
    return TRUE;
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
    else if (!strcmp(name, "interface"))
        return add_file(self, "option ROM", xml_attr(xml_child(node, "rom"), "file"), FALSE, error);
    else if (!strcmp(name, "graphics"))
        return read_graphics(self, node, error);
    else if (g_strv_contains(character_devices, name))
        return read_character(self, node, type, error);
    return TRUE;
}

/* A path as text, or since libvirt 8.5 a source like a disk's. */
static char *nvram_path(const xmlNode *nvram)
{
    return nvram && xmlHasProp(nvram, (const xmlChar *)"type")
               ? xml_attr(xml_child(nvram, "source"), "file")
               : xml_text(nvram);
}

static gboolean read_boot_files(vm *self, const xmlNode *domain, GError **error)
{
    const xmlNode *os = xml_child(domain, "os");

    if (!add_file(self, "kernel", xml_text(xml_child(os, "kernel")), FALSE, error) ||
        !add_file(self, "initial RAM disk", xml_text(xml_child(os, "initrd")), FALSE, error) ||
        !add_file(self, "device tree", xml_text(xml_child(os, "dtb")), FALSE, error) ||
        !add_file(self, "firmware", xml_text(xml_child(os, "loader")), FALSE, error) ||
        !add_file(self, "NVRAM template", xml_attr(xml_child(os, "nvram"), "template"), FALSE,
                  error))
        return FALSE;
    for (const xmlNode *s = xml_child(domain, "sysinfo"); s; s = xml_next(s))
        for (const xmlNode *e = xml_child(s, "entry"); e; e = xml_next(e))
            if (!add_file(self, "firmware setting", xml_attr(e, "file"), FALSE, error))
                return FALSE;
    for (const xmlNode *t = xml_descend(os, "acpi/table"); t; t = xml_next(t))
        if (!add_file(self, "ACPI table", xml_text(t), FALSE, error))
            return FALSE;
    return add_file(self, "NVRAM", nvram_path(xml_child(os, "nvram")), TRUE, error);
}

/* What of the firmware is not a file to be read, or its variables one to be written. */
static void add_firmware_ties(const xmlNode *os, GPtrArray *ties)
{
    const xmlNode *loader = xml_child(os, "loader"), *nvram = xml_child(os, "nvram");
    g_autofree char *type = xml_attr(nvram, "type");

    if (xml_attr_is(loader, "type", "pflash") && !xml_attr_is(loader, "readonly", "yes"))
        g_ptr_array_add(ties, g_strdup("firmware that it can write to (<loader> without "
                                       "readonly='yes')"));
    if (type && strcmp(type, "file"))
        g_ptr_array_add(ties, g_strdup_printf("NVRAM of type %s", type));
}

gboolean vm_label_asks_protection(const xmlNode *label, gboolean made)
{
    g_autofree char *type = xml_attr(label, "type"), *model = xml_attr(label, "model");

    return (!type || !strcmp(type, "dynamic")) && g_strcmp0(model, "none") &&
           !xml_attr_is(label, "relabel", "no") && !xml_child(label, "baselabel") &&
           (made || (!xml_child(label, "label") && !xml_child(label, "imagelabel")));
}

/* Labels of disks and other devices as well: these are never made by libvirt. */
static gboolean has_label(const xmlNode *node)
{
    for (const xmlNode *n = node ? node->children : NULL; n; n = n->next)
        if (n->type == XML_ELEMENT_NODE && (xml_is(n, "seclabel") || has_label(n)))
            return TRUE;
    return FALSE;
}

static void read_labels(vm *self, const xmlNode *domain, GPtrArray *models)
{
    for (const xmlNode *n = xml_child(domain, "seclabel"); n; n = xml_next(n)) {
        char *model = xml_attr(n, "model");
        if (model)
            g_ptr_array_add(models, model);
        if (!vm_label_asks_protection(n, TRUE))
            self->own_label = TRUE;
    }
    if (has_label(xml_child(domain, "devices")) || has_label(xml_child(domain, "os")))
        self->own_label = TRUE;
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
    add_firmware_ties(xml_child(domain, "os"), ties);
    read_labels(self, domain, models);
    if (ties->len > TIES_MAX || models->len > TIES_MAX)
        return vm_invalid(error, "the VM has more than %d devices of its host", TIES_MAX);
    g_ptr_array_add(ties, NULL);
    g_ptr_array_add(models, NULL);
    self->hostdevs = (GStrv)g_ptr_array_free(g_steal_pointer(&ties), FALSE);
    self->security = (GStrv)g_ptr_array_free(g_steal_pointer(&models), FALSE);
    return TRUE;
}
