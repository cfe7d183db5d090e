/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A VM out of its domain XML: the machine, its disks and NICs; see vm.h. */
#include "virt/vm.h"
#include "virt/vmparts.h"

#include <string.h>

static gboolean printable(const char *text, size_t max)
{
    size_t length = strnlen(text, max + 1);

    if (!length || length > max || !g_utf8_validate(text, (gssize)length, NULL))
        return FALSE;
    for (const char *p = text; *p; p = g_utf8_next_char(p))
        if (!g_unichar_isprint(g_utf8_get_char(p)))
            return FALSE;
    return TRUE;
}

gboolean vm_name_is_sane(const char *name)
{
    return printable(name, 255) && !strchr(name, '/') && strcmp(name, ".") && strcmp(name, "..");
}

gboolean vm_path_is_sane(const char *path)
{
    g_auto(GStrv) parts = NULL;

    if (path[0] != '/' || !printable(path, 4095))
        return FALSE;
    parts = g_strsplit(path, "/", -1);
    for (guint i = 0; parts[i]; i++)
        if (!strcmp(parts[i], ".") || !strcmp(parts[i], ".."))
            return FALSE;
    return TRUE;
}

gboolean vm_invalid(GError **error, const char *format, ...)
{
    va_list args;
    g_autofree char *text = NULL;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, text);
    return FALSE;
}

gboolean vm_take_name(char **field, char *value, const char *what, GError **error)
{
    g_free(*field);
    *field = value;
    if (value && !vm_name_is_sane(value))
        return vm_invalid(error, "%s is empty, too long or has characters that cannot be shown",
                          what);
    return TRUE;
}

static void disk_free(gpointer data)
{
    vm_disk *disk = data;

    g_free(disk->target);
    g_free(disk->type);
    g_free(disk->device);
    g_free(disk->source);
    g_free(disk->format);
    g_free(disk->alias);
    g_free(disk);
}

static void nic_free(gpointer data)
{
    vm_nic *nic = data;

    g_free(nic->mac);
    g_free(nic->type);
    g_free(nic->switch_name);
    g_free(nic->device);
    g_free(nic->portgroup);
    g_free(nic->virtualport);
    g_free(nic->filter);
    g_free(nic->port);
    g_array_unref(nic->vlans);
    g_free(nic);
}

static void file_free(gpointer data)
{
    vm_file *file = data;

    g_free(file->what);
    g_free(file->path);
    g_free(file);
}

void vm_free(vm *self)
{
    if (!self)
        return;
    g_free(self->name);
    g_free(self->uuid);
    g_free(self->title);
    g_free(self->virt_type);
    g_free(self->arch);
    g_free(self->machine);
    g_free(self->emulator);
    g_free(self->cpu_xml);
    g_strfreev(self->hostdevs);
    g_strfreev(self->unknown);
    g_strfreev(self->security);
    g_ptr_array_unref(self->disks);
    g_ptr_array_unref(self->nics);
    g_ptr_array_unref(self->files);
    g_free(self);
}

vm_disk *vm_find_disk(const vm *self, const char *target)
{
    for (guint i = 0; i < self->disks->len; i++) {
        vm_disk *disk = self->disks->pdata[i];
        if (!strcmp(disk->target, target))
            return disk;
    }
    return NULL;
}

gboolean vm_disk_is_empty(const vm_disk *disk)
{
    static const char *const ours[] = {"file", "block", "volume", NULL};

    return !disk->source && g_strv_contains(ours, disk->type) && strcmp(disk->device, "disk") &&
           strcmp(disk->device, "lun");
}

gboolean vm_disk_is_copied(const vm_disk *disk)
{
    return disk->source && !disk->readonly && !disk->shareable;
}

/* Where a disk's data is. A type this does not know leaves the source NULL. */
static gboolean disk_source(vm_disk *disk, const xmlNode *source, GError **error)
{
    g_autofree char *pool = xml_attr(source, "pool");
    g_autofree char *volume = xml_attr(source, "volume");

    if (!strcmp(disk->type, "file"))
        disk->source = xml_attr(source, "file");
    else if (!strcmp(disk->type, "block"))
        disk->source = xml_attr(source, "dev");
    if (disk->source && !vm_path_is_sane(disk->source))
        return vm_invalid(error, "<disk> %s: its path is not an absolute path without \"..\"",
                          disk->target);
    if (!strcmp(disk->type, "volume") && pool && volume) {
        if (!vm_name_is_sane(pool) || !vm_name_is_sane(volume))
            return vm_invalid(error, "<disk> %s: not a pool and a volume", disk->target);
        disk->source = g_strdup_printf("%s/%s", pool, volume);
    }
    return TRUE;
}

static gboolean has_children(const xmlNode *node)
{
    for (const xmlNode *n = node ? node->children : NULL; n; n = n->next)
        if (n->type == XML_ELEMENT_NODE)
            return TRUE;
    return FALSE;
}

/* As libvirt makes them, and lets users make them ("ua-…"). */
static gboolean disk_alias(vm_disk *disk, const xmlNode *alias, GError **error)
{
    disk->alias = xml_attr(alias, "name");
    return !disk->alias ||
           g_regex_match_simple("^[A-Za-z0-9_-]{1,200}$", disk->alias, G_REGEX_DOLLAR_ENDONLY, 0) ||
           vm_invalid(error, "<disk> %s: its <alias> is not a name", disk->target);
}

static gboolean add_disk(vm *self, const xmlNode *node, GError **error)
{
    vm_disk *disk = g_new0(vm_disk, 1);
    const xmlNode *source = xml_child(node, "source"), *driver = xml_child(node, "driver");
    g_autofree char *cache = xml_attr(driver, "cache");
    char *target = xml_attr(xml_child(node, "target"), "dev");
    gboolean unique = !target || !vm_find_disk(self, target);

    g_ptr_array_add(self->disks, disk);
    disk->target = target;
    disk->type = xml_attr(node, "type");
    disk->device = xml_attr(node, "device");
    disk->format = xml_attr(driver, "type");
    if (!disk->device)
        disk->device = g_strdup("disk");
    if (!disk->type)
        disk->type = g_strdup("file");
    if (!disk->format)
        disk->format = g_strdup("raw");
    if (!target || strspn(target, "abcdefghijklmnopqrstuvwxyz0123456789") != strlen(target) ||
        strlen(target) < 2 || strlen(target) > 15)
        return vm_invalid(error, "<disk> %u has no target such as \"vda\"", self->disks->len);
    if (!unique)
        return vm_invalid(error, "there are two <disk>s %s", target);
    if (!vm_name_is_sane(disk->type) || !vm_name_is_sane(disk->device) ||
        !vm_name_is_sane(disk->format))
        return vm_invalid(error, "<disk> %s: its type or format is not a name", target);
    disk->readonly = xml_child(node, "readonly") || !strcmp(disk->device, "cdrom");
    disk->shareable = xml_child(node, "shareable") != NULL;
    disk->encrypted = xml_child(node, "encryption") || xml_descend(node, "source/encryption");
    disk->direct = !g_strcmp0(cache, "none") || !g_strcmp0(cache, "directsync");
    if (!disk_alias(disk, xml_child(node, "alias"), error) ||
        (source && !disk_source(disk, source, error)))
        return FALSE;
    if (disk->source) {
        const xmlNode *below = xml_child(node, "backingStore");
        disk->has_backing = !below || xml_child(below, "source");
    }
    disk->names_more = has_children(xml_child(node, "backingStore")) || xml_child(node, "mirror") ||
                       xml_child(source, "backingStore");
    return TRUE;
}

GArray *vm_parse_vlans(const xmlNode *vlan)
{
    g_autoptr(GArray) tags = g_array_new(FALSE, FALSE, sizeof(guint16));

    for (const xmlNode *tag = xml_child(vlan, "tag"); tag; tag = xml_next(tag)) {
        g_autofree char *text = xml_attr(tag, "id");
        guint64 id;
        guint16 value;

        if (!text || !g_ascii_string_to_unsigned(text, 10, 0, 4095, &id, NULL) || tags->len >= 4096)
            return NULL;
        value = (guint16)id;
        g_array_append_val(tags, value);
    }
    return g_steal_pointer(&tags);
}

/* The switch. A running VM's XML shows a NIC of a network as one of a bridge, with both names. */
static gboolean nic_switch(vm_nic *nic, const xmlNode *source, GError **error)
{
    g_autofree char *network = xml_attr(source, "network");
    g_autofree char *bridge = xml_attr(source, "bridge");
    g_autofree char *link = xml_attr(source, "dev");
    char *name = NULL, *device = NULL;

    if (network && (!strcmp(nic->type, "network") || !strcmp(nic->type, "bridge"))) {
        g_free(nic->type);
        nic->type = g_strdup("network");
        name = g_steal_pointer(&network);
        device = g_steal_pointer(&bridge);
    } else if (!strcmp(nic->type, "bridge")) {
        name = g_steal_pointer(&bridge);
    } else {
        device = g_steal_pointer(&link);
    }
    /* Both are taken, whatever the first is like. */
    if (!(vm_take_name(&nic->device, device, "the link of an <interface>", NULL) &
          vm_take_name(&nic->switch_name, name, "the switch of an <interface>", NULL)))
        return vm_invalid(error, "<interface> %s: its switch or link is not a name", nic->mac);
    if (!name && (!strcmp(nic->type, "network") || !strcmp(nic->type, "bridge")))
        return vm_invalid(error, "<interface> %s names no switch", nic->mac);
    return TRUE;
}

static gboolean add_nic(vm *self, const xmlNode *node, GError **error)
{
    vm_nic *nic = g_new0(vm_nic, 1);
    const xmlNode *source = xml_child(node, "source");
    g_autofree char *mac = xml_attr(xml_child(node, "mac"), "address");
    char *type = xml_attr(node, "type");
    g_autofree char *port = xml_attr(xml_child(node, "target"), "dev");

    nic->vlans = vm_parse_vlans(xml_child(node, "vlan"));
    nic->mac = g_ascii_strdown(mac ? mac : "", -1);
    nic->type = type ? type : g_strdup("user");
    g_ptr_array_add(self->nics, nic);
    if (!nic->vlans) {
        nic->vlans = g_array_new(FALSE, FALSE, sizeof(guint16));
        return vm_invalid(error, "<interface> %u: its <vlan> is not one", self->nics->len);
    }
    if (!g_regex_match_simple("^[0-9a-f]{2}(:[0-9a-f]{2}){5}$", nic->mac, G_REGEX_DOLLAR_ENDONLY,
                              0))
        return vm_invalid(error, "<interface> %u has no MAC address", self->nics->len);
    if (!vm_name_is_sane(nic->type))
        return vm_invalid(error, "<interface> %s: its type is not a name", nic->mac);
    if (port && (g_str_has_prefix(port, "vnet") || g_str_has_prefix(port, "macvtap")))
        g_clear_pointer(&port, g_free);
    nic->trunk = xml_attr_is(xml_child(node, "vlan"), "trunk", "yes");
    return vm_take_name(&nic->port, g_steal_pointer(&port), "the target of an <interface>",
                        error) &&
           nic_switch(nic, source, error) &&
           vm_take_name(&nic->portgroup, xml_attr(source, "portgroup"),
                        "the port group of an <interface>", error) &&
           vm_take_name(&nic->virtualport, xml_attr(xml_child(node, "virtualport"), "type"),
                        "the virtual port of an <interface>", error) &&
           vm_take_name(&nic->filter, xml_attr(xml_child(node, "filterref"), "filter"),
                        "the filter of an <interface>", error);
}

static gboolean add_devices(vm *self, const xmlNode *devices, GError **error)
{
    for (const xmlNode *n = xml_child(devices, "disk"); n; n = xml_next(n))
        if (self->disks->len == VM_DISKS_MAX)
            return vm_invalid(error, "the VM has more than %d disks", VM_DISKS_MAX);
        else if (!add_disk(self, n, error))
            return FALSE;
    for (const xmlNode *n = xml_child(devices, "interface"); n; n = xml_next(n))
        if (self->nics->len == VM_NICS_MAX)
            return vm_invalid(error, "the VM has more than %d NICs", VM_NICS_MAX);
        else if (!add_nic(self, n, error))
            return FALSE;
    return TRUE;
}

/* See vm_parse_memory. */
static gboolean amount(char *text, const char *unit, guint64 *bytes)
{
    static const struct {
        const char *name;
        guint64 factor;
    } units[] = {{"b", 1},           {"bytes", 1},       {"KB", 1000},     {"k", 1024},
                 {"KiB", 1024},      {"MB", 1000000},    {"M", 1 << 20},   {"MiB", 1 << 20},
                 {"GB", 1000000000}, {"G", 1 << 30},     {"GiB", 1 << 30}, {"TB", 1000000000000},
                 {"T", 1ull << 40},  {"TiB", 1ull << 40}};
    guint64 value;

    if (!g_ascii_string_to_unsigned(g_strstrip(text), 10, 1, G_MAXUINT32 * 1024ull, &value, NULL))
        return FALSE;
    for (guint i = 0; i < G_N_ELEMENTS(units); i++)
        if (!strcmp(unit ? unit : "KiB", units[i].name) &&
            value <= (1ull << 50) / units[i].factor) {
            *bytes = value * units[i].factor;
            return TRUE;
        }
    return FALSE;
}

gboolean vm_parse_memory(const xmlNode *node, guint64 *bytes)
{
    g_autofree char *text = xml_text(node);
    g_autofree char *unit = xml_attr(node, "unit");

    return text && amount(text, unit, bytes);
}

/* With NUMA cells libvirt takes their sum for <memory>; DIMMs may come on top. */
static gboolean read_more_memory(vm *self, const xmlNode *domain, GError **error)
{
    const xmlNode *cell = xml_descend(domain, "cpu/numa/cell");
    const xmlNode *dimm = xml_descend(domain, "devices/memory");
    guint64 cells = 0, dimms = 0;

    for (; cell; cell = xml_next(cell)) {
        g_autofree char *size = xml_attr(cell, "memory"), *unit = xml_attr(cell, "unit");
        guint64 bytes;
        if (!size)
            continue;
        if (!amount(size, unit, &bytes))
            return vm_invalid(error, "the memory of a NUMA <cell> is not an amount");
        cells += bytes;
    }
    for (; dimm; dimm = xml_next(dimm)) {
        const xmlNode *size = xml_descend(dimm, "target/size");
        guint64 bytes;
        if (!size)
            continue;
        if (!vm_parse_memory(size, &bytes))
            return vm_invalid(error, "the <size> of a <memory> device is not an amount");
        dimms += bytes;
    }
    self->memory = MAX(self->memory, cells + dimms);
    return TRUE;
}

static gboolean read_machine(vm *self, xmlDoc *doc, const xmlNode *domain, GError **error)
{
    g_autofree char *uuid = xml_text(xml_child(domain, "uuid"));
    g_autofree char *vcpus = xml_text(xml_child(domain, "vcpu"));
    const xmlNode *type = xml_descend(domain, "os/type"), *cpu = xml_child(domain, "cpu");
    guint64 count = 1;

    if (!vm_take_name(&self->name, xml_text(xml_child(domain, "name")), "the VM's <name>", error) ||
        !vm_take_name(&self->virt_type, xml_attr(domain, "type"), "the VM's type", error) ||
        !vm_take_name(&self->arch, xml_attr(type, "arch"), "the VM's architecture", error) ||
        !vm_take_name(&self->machine, xml_attr(type, "machine"), "the VM's machine type", error))
        return FALSE;
    if (!self->name || !self->virt_type || !self->arch)
        return vm_invalid(error, "the VM has no <%s>",
                          !self->name        ? "name"
                          : !self->virt_type ? "domain type=…"
                                             : "os><type arch=…");
    if (g_uuid_string_is_valid(self->name))
        return vm_invalid(error, "the VM's <name> is a UUID, and could be taken for another VM's");
    if (!uuid || !g_uuid_string_is_valid(uuid))
        return vm_invalid(error, "the VM's <uuid> is missing or is none");
    self->uuid = g_ascii_strdown(uuid, -1);
    self->title = xml_text(xml_child(domain, "title"));
    self->emulator = xml_text(xml_descend(domain, "devices/emulator"));
    if (self->emulator && !vm_path_is_sane(self->emulator))
        return vm_invalid(error, "<emulator> is not an absolute path without \"..\"");
    if (!vm_parse_memory(xml_child(domain, "memory"), &self->memory))
        return vm_invalid(error, "the VM's <memory> is missing or is not an amount");
    if (!read_more_memory(self, domain, error))
        return FALSE;
    if (vcpus && !g_ascii_string_to_unsigned(g_strstrip(vcpus), 10, 1, 65535, &count, NULL))
        return vm_invalid(error, "the VM's <vcpu> is not a number");
    self->vcpus = (guint)count;
    self->huge_pages = xml_descend(domain, "memoryBacking/hugepages") != NULL;
    if (cpu) {
        xmlBuffer *buffer = xmlBufferCreate();
        xmlNodeDump(buffer, doc, (xmlNode *)cpu, 0, 0);
        self->cpu_xml = g_strdup((const char *)xmlBufferContent(buffer));
        xmlBufferFree(buffer);
    }
    return TRUE;
}

/* libvirt reads every element of a name in some places and the first in others: what is checked
 * here must be all there is. `names`: those that may be there once, whatever their namespace; NULL:
 * all without one. */
static gboolean once(const xmlNode *parent, const char *const *names, GError **error)
{
    static const char *const many[] = {"seclabel", "sysinfo", NULL};
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (const xmlNode *n = parent ? parent->children : NULL; n; n = n->next) {
        const char *name = (const char *)n->name;
        if (n->type != XML_ELEMENT_NODE ||
            (names ? !g_strv_contains(names, name) : n->ns || g_strv_contains(many, name)))
            continue;
        if (!g_hash_table_add(seen, (gpointer)name))
            return vm_invalid(error, "<%s> has more than one <%s>", (const char *)parent->name,
                              name);
    }
    return TRUE;
}

static gboolean all_once(const xmlNode *domain, GError **error)
{
    static const char *const one[] = {"emulator", NULL};
    static const char *const of_disk[] = {"source",       "target", "driver",
                                          "backingStore", "mirror", NULL};
    static const char *const of_nic[] = {"source", "target", "virtualport", "vlan", "mac",
                                         "model",  "driver", "rom",         NULL};
    static const char *const of_others[] = {"backend", "log", "gl", NULL};
    static const char *const of_os[] = {"type",   "loader", "nvram", "kernel",
                                        "initrd", "dtb",    "acpi",  NULL};
    const xmlNode *devices = xml_child(domain, "devices");

    if (!once(domain, NULL, error) || !once(devices, one, error))
        return FALSE;
    for (const xmlNode *n = xml_child(devices, "disk"); n; n = xml_next(n))
        if (!once(n, of_disk, error))
            return FALSE;
    for (const xmlNode *n = xml_child(devices, "interface"); n; n = xml_next(n))
        if (!once(n, of_nic, error))
            return FALSE;
    for (const xmlNode *n = devices ? devices->children : NULL; n; n = n->next)
        if (n->type == XML_ELEMENT_NODE && !once(n, of_others, error))
            return FALSE;
    return once(xml_child(domain, "os"), of_os, error);
}

vm *vm_parse(const char *xml, GError **error)
{
    g_autoptr(xmlDoc) doc = xml_parse(xml, VM_XML_MAX, "domain", error);
    g_autoptr(vm) self = NULL;
    const xmlNode *domain;

    if (!doc)
        return NULL;
    domain = xmlDocGetRootElement(doc);
    self = g_new0(vm, 1);
    self->disks = g_ptr_array_new_with_free_func(disk_free);
    self->nics = g_ptr_array_new_with_free_func(nic_free);
    self->files = g_ptr_array_new_with_free_func(file_free);
    if (!all_once(domain, error) || !read_machine(self, doc, domain, error) ||
        !add_devices(self, xml_child(domain, "devices"), error) ||
        !vm_read_ties(self, domain, error))
        return NULL;
    vm_read_unknown(self, domain);
    return g_steal_pointer(&self);
}

JsonObject *vm_paths_to_json(const vm *self)
{
    JsonObject *object = json_object_new();

    for (guint i = 0; i < self->disks->len; i++) {
        const vm_disk *disk = self->disks->pdata[i];
        if (vm_disk_is_copied(disk))
            json_object_set_string_member(object, disk->target, disk->source);
    }
    return object;
}

gboolean vm_take_paths(vm *self, JsonObject *paths, GError **error)
{
    for (guint i = 0; i < self->disks->len; i++) {
        vm_disk *disk = self->disks->pdata[i];
        const char *path;
        if (!vm_disk_is_copied(disk))
            continue;
        if (!json_get_string(paths, disk->target, &path, error))
            return FALSE;
        if (!vm_path_is_sane(path) || (strcmp(disk->type, "volume") && strcmp(disk->source, path)))
            return vm_invalid(error, "\"%s\" is not where disk %s lies", path, disk->target);
        g_free(disk->source);
        disk->source = g_strdup(path);
    }
    return TRUE;
}
