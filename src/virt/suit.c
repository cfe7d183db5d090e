/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Do this host's CPU, QEMU and memory suit a VM? */
#include "virt/space.h"
#include "virt/survey.h"
#include "virt/vmparts.h"
#include "virt/conn.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Domain capabilities (formatdomaincaps); NULL where this QEMU cannot do it. */
static xmlDoc *ask(virConnectPtr conn, const char *emulator, const char *arch, const char *machine,
                   const char *virt_type)
{
    char *text = virConnectGetDomainCapabilities(conn, emulator, arch, machine, virt_type, 0);
    xmlDoc *doc = text ? xml_parse(text, XML_OWN_MAX, "domainCapabilities", NULL) : NULL;

    free(text);
    return doc;
}

/* Is the VM's emulator one that the host itself keeps: root's, and nobody else's to write? The path
 * comes from a peer. */
static gboolean emulator_is_here(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == 0 &&
           !(st.st_mode & (S_IWGRP | S_IWOTH)) && access(path, X_OK) == 0;
}

/* The first question no machine of this host can answer with yes, as a finding. */
static gboolean explain(const survey *s, const char *emulator, GError **error)
{
    const vm *m = s->machine;
    virConnectPtr conn = s->host->conn;
    g_autofree char *libvirt = NULL, *qemu = NULL;
    g_autofree char *fix = NULL;

    if (!virt_host_versions(s->host, &libvirt, &qemu, error))
        return FALSE;
    g_autoptr(xmlDoc) without_machine = ask(conn, emulator, m->arch, NULL, m->virt_type);
    if (without_machine) {
        fix = g_strdup_printf(
            "Update QEMU on %s, or choose a host whose QEMU is as new as the source's.", s->here);
        findings_add(s->found, 4005, "machine", fix,
                     "QEMU %s on %s does not know the VM's machine type %s.", qemu, s->here,
                     m->machine);
        return TRUE;
    }
    g_autoptr(xmlDoc) any_type = ask(conn, emulator, m->arch, NULL, NULL);
    if (any_type) {
        fix = g_strdup_printf(
            "Switch virtualization on in the firmware of %s and load its KVM module.", s->here);
        findings_add(s->found, 4002, "machine", fix, "The VM needs %s, which %s does not offer.",
                     !strcmp(m->virt_type, "kvm") ? "KVM" : m->virt_type, s->here);
        return TRUE;
    }
    fix = g_strdup_printf("Install QEMU for %s on %s.", m->arch, s->here);
    findings_add(s->found, 4004, "machine", fix, "%s has no QEMU for the VM's architecture %s.",
                 s->here, m->arch);
    return TRUE;
}

/* `who`: whose CPU or memory it is, for sentences. */
static void check_cpu(const survey *s, const vm *m, const char *who, const char *emulator)
{
    g_autoptr(xmlDoc) cpu = m->cpu_xml ? xml_parse(m->cpu_xml, VM_XML_MAX, "cpu", NULL) : NULL;
    const xmlNode *root = cpu ? xmlDocGetRootElement(cpu) : NULL;
    gboolean checked = root && !xml_attr_is(root, "check", "none");
    const char *features, *why;
    int answer;

    if (!root)
        return;
    if (xml_attr_is(root, "mode", "host-passthrough")) {
        findings_add(s->found, 4008, "cpu",
                     "Give the VM a named CPU model if the hosts' CPUs differ.",
                     "%s sees its host's own CPU (host-passthrough): it needs the same CPU on %s.",
                     who, s->here);
        return;
    }
    /* Whatever the host has: these two say so in a stored definition only. */
    if (xml_attr_is(root, "mode", "maximum") || xml_attr_is(root, "mode", "host-model"))
        return;
    answer =
        virConnectCompareHypervisorCPU(s->host->conn, emulator, m->arch, m->machine, m->virt_type,
                                       m->cpu_xml, VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE);
    if (answer > VIR_CPU_COMPARE_INCOMPATIBLE || conn_error_is(VIR_ERR_NO_SUPPORT) ||
        conn_error_is(VIR_ERR_CONFIG_UNSUPPORTED)) /* architectures libvirt compares nothing for */
        return;
    why = virGetLastErrorMessage();
    if (g_str_has_prefix(why, "internal error: "))
        why += strlen("internal error: ");
    features = strstr(why, "features: ");
    if (!conn_error_is(VIR_ERR_CPU_INCOMPATIBLE))
        findings_add(s->found, 4006, "cpu",
                     "Give the VM a CPU model both hosts know (virsh domcapabilities lists them).",
                     "%s cannot offer the CPU that %s has: %s.", s->here, who, why);
    else if (checked)
        findings_add(s->found, 4007, "cpu",
                     "Give the VM a CPU model both hosts have (virsh hypervisor-cpu-baseline).",
                     "%s's CPU lacks what %s uses: %s.", s->here, who,
                     features ? features + strlen("features: ") : why);
    else
        findings_add(s->found, 4013, "cpu", NULL,
                     "%s's CPU may lack %s; libvirt does not check it for %s (check='none').",
                     s->here, features ? features + strlen("features: ") : "some features", who);
}

static gboolean read_meminfo(const char *field, guint64 *bytes)
{
    g_autofree char *text = NULL;
    const char *line;

    if (!g_file_get_contents("/proc/meminfo", &text, NULL, NULL) || !(line = strstr(text, field)))
        return FALSE;
    *bytes = g_ascii_strtoull(line + strlen(field), NULL, 10) * 1024;
    return TRUE;
}

/* Free huge pages of all sizes, bytes. */
static guint64 free_huge_pages(void)
{
    g_autoptr(GDir) sizes = g_dir_open("/sys/kernel/mm/hugepages", 0, NULL);
    guint64 sum = 0;
    const char *name;

    while (sizes && (name = g_dir_read_name(sizes))) {
        g_autofree char *path =
            g_build_filename("/sys/kernel/mm/hugepages", name, "free_hugepages", NULL);
        g_autofree char *text = NULL;
        guint64 kib;
        if (sscanf(name, "hugepages-%" G_GUINT64_FORMAT "kB", &kib) == 1 &&
            g_file_get_contents(path, &text, NULL, NULL))
            sum += g_ascii_strtoull(text, NULL, 10) * kib * 1024;
    }
    return sum;
}

static void check_memory(const survey *s, const vm *m, const char *who)
{
    guint64 available, reserve = s->rules->memory_reserve;
    g_autofree char *wanted = space_text(m->memory), *have = NULL, *kept = NULL;

    if (m->huge_pages) {
        available = free_huge_pages();
        have = space_text(available);
        if (available < m->memory)
            findings_add(
                s->found, 4010, "memory", "Reserve more huge pages there (vm.nr_hugepages).",
                "%s needs %s of huge pages, and %s has %s free.", who, wanted, s->here, have);
        return;
    }
    if (!read_meminfo("MemAvailable:", &available))
        return;
    kept = space_text(reserve);
    available -= MIN(available, reserve);
    have = space_text(available);
    if (available < m->memory)
        findings_add(s->found, 4001, "memory",
                     reserve ? "Stop or move something there, lower memory-reserve in its "
                               "ferryd.conf, or choose another host."
                             : "Stop or move something there, or choose another host.",
                     "%s needs %s of memory, and %s has %s to give%s%s%s.", who, wanted, s->here,
                     have, reserve ? " (" : "", reserve ? kept : "",
                     reserve ? " are kept for the host)" : "");
}

/* Labels of a peer's choice are not taken over; see rewrite.c. */
static void check_labels(const survey *s, const vm *stored)
{
    if (s->machine->own_label || (stored && stored->own_label))
        findings_add(s->found, 4014, "security", NULL,
                     "The VM has a security label of its own choice, or protection switched off: "
                     "that is dropped, and %s's own protection applies.",
                     s->here);
}

static gboolean has_model(xmlDoc *caps, const char *model)
{
    const xmlNode *n = xml_descend(xmlDocGetRootElement(caps), "host/secmodel");
    gboolean known = !strcmp(model, "none") || !strcmp(model, "dac");

    for (; n && !known; n = xml_next(n)) {
        g_autofree char *name = xml_text(xml_child(n, "model"));
        known = !g_strcmp0(name, model);
    }
    return known;
}

/* <seclabel>s of a model this host does not have (selinux, apparmor): libvirt would refuse the VM.
 */
static gboolean foreign_security(const survey *s, const vm *stored, GStrv *models, GError **error)
{
    const vm *const both[] = {s->machine, stored};
    g_autoptr(xmlDoc) caps = conn_capabilities(s->host->conn, error);
    g_autoptr(GPtrArray) foreign = g_ptr_array_new_with_free_func(g_free);

    if (!caps)
        return FALSE;
    for (guint i = 0; i < G_N_ELEMENTS(both); i++)
        for (guint j = 0; both[i] && both[i]->security[j]; j++) {
            const char *model = both[i]->security[j];
            if (has_model(caps, model) ||
                g_ptr_array_find_with_equal_func(foreign, model, g_str_equal, NULL))
                continue;
            g_ptr_array_add(foreign, g_strdup(model));
            findings_add(
                s->found, 4011, "security", NULL,
                "%s does not use %s: the VM's label for it is dropped, and %s's own protection "
                "applies.",
                s->here, model, s->here);
        }
    g_ptr_array_add(foreign, NULL);
    *models = (GStrv)g_ptr_array_free(g_steal_pointer(&foreign), FALSE);
    return TRUE;
}

/* Is a value among those of an <enum> of a device's domain capabilities? */
static gboolean has_value(const xmlNode *device, const char *name, const char *value)
{
    for (const xmlNode *e = xml_child(device, "enum"); e; e = xml_next(e))
        for (const xmlNode *v = xml_child(e, "value"); v; v = xml_next(v)) {
            g_autofree char *text = xml_text(v);
            if (xml_attr_is(e, "name", name) && !g_strcmp0(text, value))
                return TRUE;
        }
    return FALSE;
}

static void check_limits(const survey *s, const vm *m, const char *who, xmlDoc *caps)
{
    const xmlNode *root = xmlDocGetRootElement(caps);
    g_autofree char *most = xml_attr(xml_child(root, "vcpu"), "max");
    guint64 limit = most ? g_ascii_strtoull(most, NULL, 10) : 0;

    if (limit && m->vcpus > limit)
        findings_add(s->found, 4012, "cpu", NULL,
                     "%s has %u virtual CPUs, and QEMU on %s allows %s for this machine type.", who,
                     m->vcpus, s->here, most);
    if (m->tpm && !has_value(xml_descend(root, "devices/tpm"), "backendModel", "emulator")) {
        g_autofree char *fix = g_strdup_printf("Install swtpm on %s.", s->here);
        findings_add(s->found, 5003, "tpm", fix, "%s has a TPM, and %s has no TPM emulator.", who,
                     s->here);
    }
}

#define LIVE   "The VM"
#define STORED "The VM's stored definition"

/* What the stored definition asks for beyond the running VM, which has been looked at: libvirt will
 * give it that at the next start. caps: NULL when there are none, and a finding says why. */
static void check_stored(const survey *s, const vm *stored, xmlDoc *caps, const char *emulator)
{
    const vm *m = s->machine;

    if (stored->memory > m->memory || stored->huge_pages != m->huge_pages)
        check_memory(s, stored, STORED);
    if (!caps)
        return;
    if (stored->vcpus > m->vcpus || stored->tpm != m->tpm)
        check_limits(s, stored, STORED, caps);
    if (g_strcmp0(stored->cpu_xml, m->cpu_xml))
        check_cpu(s, stored, STORED, emulator);
}

gboolean suit_check(const survey *s, const vm *stored, char **emulator, GStrv *security,
                    GError **error)
{
    const vm *m = s->machine;
    const char *wanted = m->emulator && emulator_is_here(m->emulator) ? m->emulator : NULL;
    g_autoptr(xmlDoc) caps = NULL;
    g_autofree char *path = NULL;

    *emulator = NULL;
    *security = NULL;
    check_memory(s, m, LIVE);
    check_labels(s, stored);
    if (!foreign_security(s, stored, security, error))
        return FALSE;
    caps = ask(s->host->conn, wanted, m->arch, m->machine, m->virt_type);
    path = caps ? xml_text(xml_child(xmlDocGetRootElement(caps), "path")) : NULL;
    if (stored)
        check_stored(s, stored, caps, path);
    if (!caps)
        return explain(s, wanted, error);
    check_limits(s, m, LIVE, caps);
    check_cpu(s, m, LIVE, path);
    if (m->emulator && !wanted) {
        findings_add(s->found, 4003, "emulator", NULL,
                     "%s does not have %s: the VM will run in %s there.", s->here, m->emulator,
                     path);
        *emulator = g_steal_pointer(&path);
    }
    return TRUE;
}
