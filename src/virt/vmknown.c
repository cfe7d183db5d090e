/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of a definition is known to be harmless on another host; all else is listed by its name.
 *
 * A definition comes from another host, and libvirt acts upon it as root. So elements are let
 * through by name, and whatever looks like a path only where vmties.c or a disk's or NIC's plan
 * looks at it. libvirt itself reads some elements whatever their namespace: none has one outside
 * <metadata>.
 */
#include "virt/vmparts.h"

#include <string.h>

#define UNKNOWN_MAX 64
#define QEMU_NS     "http://libvirt.org/schemas/domain/qemu/1.0"

/* Children of an element, by "ELEMENT" or, where others have the same name, "PARENT/ELEMENT".
 * Elements without a row may have any. */
static const struct {
    const char *element, *children;
} known[] = {
    {"domain", "name uuid hwuuid genid title description metadata memory maxMemory currentMemory "
               "memoryBacking memtune vcpu vcpus cpu cputune numatune blkiotune resource iothreads "
               "iothreadids defaultiothread throttlegroups sysinfo os features clock on_poweroff "
               "on_reboot on_crash on_lockfailure pm perf keywrap devices seclabel launchSecurity"},
    {"os", "type firmware loader nvram kernel initrd cmdline dtb boot bootmenu smbios bios acpi"},
    {"os/nvram", "source"},
    {"nvram/source", "seclabel"},
    /* What is not listed here is a tie or unknown; see vmties.c for the ties. */
    {"devices", "emulator disk controller interface serial parallel console channel input graphics "
                "video sound audio watchdog memballoon rng tpm panic vsock memory hub iommu crypto "
                "nvram smartcard redirdev redirfilter hostdev filesystem shmem lease"},
    {"disk", "source target driver backingStore mirror iotune throttlefilters readonly shareable "
             "serial wwn vendor product boot blockio geometry encryption auth address alias acpi"},
    {"disk/source", "seclabel encryption backingStore"},
    {"interface",
     "mac source target model driver link bandwidth mtu vlan virtualport filterref rom "
     "tune coalesce teaming guest port ip route backend boot address alias acpi"},
    {"devices/serial", "source protocol target log address alias acpi"},
    {"devices/parallel", "source protocol target log address alias acpi"},
    {"devices/console", "source protocol target log address alias acpi"},
    {"devices/channel", "source protocol target log address alias acpi"},
    {"devices/redirdev", "source protocol boot address alias acpi"},
    {"devices/smartcard", "source protocol certificate database address alias acpi"},
    {"devices/graphics", "listen channel image jpeg zlib playback streaming clipboard mouse "
                         "filetransfer gl audio"},
    {"devices/video", "model driver address alias acpi"},
    {"devices/sound", "codec audio driver address alias acpi"},
    {"devices/audio", "input output"},
    {"devices/controller", "driver model target master pcihole64 address alias acpi"},
    {"devices/input", "source driver address alias acpi"},
    {"devices/rng", "backend rate driver address alias acpi"},
    {"devices/tpm", "backend address alias acpi"},
    {"devices/memory", "source target uuid address alias acpi"},
    {"devices/memballoon", "stats driver address alias acpi"},
    {"devices/crypto", "backend driver address alias acpi"},
    {"devices/iommu", "driver address alias acpi"},
    {"devices/vsock", "cid driver address alias acpi"},
    {"devices/watchdog", "address alias acpi"},
    {"devices/panic", "address alias acpi"},
    {"devices/hub", "address alias acpi"},
    {"devices/nvram", "address alias acpi"},
};

/* Where a path may stand: "PARENT/ELEMENT@ATTRIBUTE", or without an attribute for the text. */
static const char *const looked_at[] = {
    "devices/emulator", "os/kernel", "os/initrd", "os/dtb", "os/loader", "os/nvram", "acpi/table",
    "os/nvram@template", "nvram/source@file", "sysinfo/entry@file", "rng/backend",
    "disk/source@file", "disk/source@dev", "interface/source@path", "interface/rom@file",
    "serial/source@path", "parallel/source@path", "console/source@path", "channel/source@path",
    "redirdev/source@path", "smartcard/source@path", "serial/log@file", "parallel/log@file",
    "console/log@file", "channel/log@file", "devices/console@tty", "devices/graphics@socket",
    "graphics/listen@socket",
    /* These are no files: text for people or the guest, a secret of the VM's, a control group. */
    "domain/title", "domain/description", "os/cmdline", "sysinfo/entry", "bios/entry",
    "system/entry", "baseBoard/entry", "chassis/entry", "oemStrings/entry", "disk/serial",
    "disk/vendor", "disk/product", "devices/graphics@passwd", "resource/partition", NULL};

typedef struct {
    GPtrArray *found; /* of char *, owned */
} search;

static void note(search *s, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void note(search *s, const char *format, ...)
{
    va_list args;

    if (s->found->len == UNKNOWN_MAX)
        return;
    va_start(args, format);
    g_ptr_array_add(s->found, g_strdup_vprintf(format, args));
    va_end(args);
}

static gboolean has_word(const char *words, const char *word)
{
    size_t length = strlen(word);

    for (const char *p = strstr(words, word); p; p = strstr(p + 1, word))
        if ((p == words || p[-1] == ' ') && (p[length] == ' ' || !p[length]))
            return length > 0;
    return FALSE;
}

static const char *parent_name(const xmlNode *node)
{
    return node->parent && node->parent->type == XML_ELEMENT_NODE ? (const char *)node->parent->name
                                                                  : "";
}

static const char *children_of(const xmlNode *node)
{
    g_autofree char *path = g_strdup_printf("%s/%s", parent_name(node), (const char *)node->name);

    for (guint i = 0; i < G_N_ELEMENTS(known); i++)
        if (!strcmp(known[i].element, path) || !strcmp(known[i].element, (const char *)node->name))
            return known[i].children;
    return NULL;
}

static gboolean is_path(const char *text)
{
    while (g_ascii_isspace(*text))
        text++;
    return *text == '/' || g_str_has_prefix(text, "unix:") || g_str_has_prefix(text, "file:");
}

static void check_attributes(search *s, const xmlNode *node)
{
    for (const xmlAttr *a = node->properties; a; a = a->next) {
        g_autofree char *value = NULL, *place = NULL;
        if (a->ns) {
            note(s, "the attribute %s:%s of <%s>", a->ns->prefix ? (const char *)a->ns->prefix : "",
                 (const char *)a->name, (const char *)node->name);
            continue;
        }
        value = xml_attr(node, (const char *)a->name);
        place = g_strdup_printf("%s/%s@%s", parent_name(node), (const char *)node->name,
                                (const char *)a->name);
        if (value && is_path(value) && !g_strv_contains(looked_at, place))
            note(s, "the path %s in <%s %s=…>", value, (const char *)node->name,
                 (const char *)a->name);
    }
}

/* The text of an element that has nothing but text. */
static void check_text(search *s, const xmlNode *node)
{
    g_autofree char *place = NULL, *text = NULL;

    for (const xmlNode *n = node->children; n; n = n->next)
        if (n->type == XML_ELEMENT_NODE)
            return;
    text = xml_text(node);
    place = g_strdup_printf("%s/%s", parent_name(node), (const char *)node->name);
    if (text && is_path(text) && !g_strv_contains(looked_at, place))
        note(s, "the path %s in <%s>", g_strstrip(text), (const char *)node->name);
}

/* Whether what it holds is of no interest: nothing to libvirt, or refused as a tie as a whole. What
 * is below a disk goes where the disk is copied, and is refused elsewhere; but see `namespaces`. */
static gboolean is_opaque(const xmlNode *node)
{
    static const char *const ties[] = {"hostdev", "filesystem", "shmem", "lease", NULL};
    const char *name = (const char *)node->name;

    return !strcmp(name, "backingStore") || !strcmp(name, "mirror") ||
           (!strcmp(parent_name(node), "devices") && g_strv_contains(ties, name));
}

static void check(search *s, const xmlNode *node, gboolean opaque)
{
    const char *children = opaque ? NULL : children_of(node);

    if (!opaque) {
        check_attributes(s, node);
        check_text(s, node);
    }
    for (const xmlNode *n = node->children; n; n = n->next) {
        const char *name = (const char *)n->name;
        if (n->type != XML_ELEMENT_NODE)
            continue;
        if (n->ns) {
            gboolean told = !strcmp((const char *)node->name, "domain") &&
                            !strcmp((const char *)n->ns->href, QEMU_NS);
            if (!told) /* else it is a tie */
                note(s, "<%s:%s> in <%s>", n->ns->prefix ? (const char *)n->ns->prefix : "", name,
                     (const char *)node->name);
        } else if (children && !has_word(children, name)) {
            note(s, "<%s> in <%s>", name, (const char *)node->name);
        } else if (strcmp(name, "metadata") || strcmp((const char *)node->name, "domain")) {
            check(s, n, opaque || is_opaque(n));
        }
    }
}

void vm_read_unknown(vm *self, const xmlNode *domain)
{
    search s = {g_ptr_array_new()};

    check(&s, domain, FALSE);
    g_ptr_array_add(s.found, NULL);
    self->unknown = (GStrv)g_ptr_array_free(s.found, FALSE);
}
