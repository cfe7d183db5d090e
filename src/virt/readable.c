/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of this host that an arriving VM wants to read: media, read-only disks, kernels. A peer
 * names them, so what is another VM's or the host's own is not given to its guest. */
#include "virt/qcow2.h"
#include "virt/storage.h"
#include "virt/survey.h"
#include "virt/vmparts.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    dev_t device;
    ino_t inode;
} identity;

struct readable {
    const survey *s;
    const char *const *pools;
    GArray *written; /* of identity: what VMs of this host write to; NULL: not looked yet */
};

readable *readable_new(const survey *s, const char *const *pools)
{
    readable *self = g_new0(readable, 1);

    self->s = s;
    self->pools = pools;
    return self;
}

void readable_free(readable *self)
{
    g_clear_pointer(&self->written, g_array_unref);
    g_free(self);
}

static void add(readable *self, const char *path)
{
    struct stat st;
    identity id;

    if (path[0] != '/' || stat(path, &st))
        return;
    id = (identity){st.st_dev, st.st_ino};
    g_array_append_val(self->written, id);
}

static void add_volume(readable *self, const char *pool, const char *volume)
{
    g_autoptr(virStoragePool) found = virStoragePoolLookupByName(self->s->host->conn, pool);
    g_autoptr(virStorageVol) named = found ? virStorageVolLookupByName(found, volume) : NULL;
    char *path = named ? virStorageVolGetPath(named) : NULL;

    if (path)
        add(self, path);
    free(path);
}

/* All that an element and those below it name. What is below a writable image is as much its VM's.
 */
static void add_all(readable *self, const xmlNode *node)
{
    g_autofree char *pool = xml_attr(node, "pool"), *volume = xml_attr(node, "volume");

    if (pool && volume)
        add_volume(self, pool, volume);
    for (const xmlAttr *a = node->properties; a; a = a->next) {
        g_autofree char *value = xml_attr(node, (const char *)a->name);
        if (value)
            add(self, value);
    }
    for (const xmlNode *n = node->children; n; n = n->next)
        if (n->type == XML_ELEMENT_NODE)
            add_all(self, n);
}

/* Whatever a VM's devices name it may write to, except for what it is said to read only. */
static void add_vm(readable *self, const xmlNode *domain)
{
    const xmlNode *devices = xml_child(domain, "devices");
    const xmlNode *nvram = xml_descend(domain, "os/nvram");
    g_autofree char *variables = xml_text(nvram);

    if (variables)
        add(self, variables);
    if (xml_child(nvram, "source"))
        add_all(self, xml_child(nvram, "source"));
    for (const xmlNode *n = devices ? devices->children : NULL; n; n = n->next)
        if (n->type == XML_ELEMENT_NODE && !xml_child(n, "readonly") &&
            !(xml_is(n, "disk") && xml_attr_is(n, "device", "cdrom")))
            add_all(self, n);
}

/* One of a VM's two definitions; one that went away meanwhile has none. */
static gboolean add_definition(readable *self, virDomainPtr domain, unsigned flags, GError **error)
{
    char *text = virDomainGetXMLDesc(domain, flags);
    g_autoptr(xmlDoc) doc = NULL;

    if (!text)
        return conn_error_is(VIR_ERR_NO_DOMAIN) ||
               conn_error(error, "what VM %s uses is not known", virDomainGetName(domain));
    doc = xml_parse(text, XML_OWN_MAX, "domain", error);
    free(text);
    if (doc)
        add_vm(self, xmlDocGetRootElement(doc));
    return doc != NULL;
}

static gboolean look(readable *self, GError **error)
{
    virDomainPtr *domains = NULL;
    int count = virConnectListAllDomains(self->s->host->conn, &domains, 0);
    gboolean ok = count >= 0;

    if (!ok)
        conn_error(error, "libvirt does not tell the VMs of this host");
    self->written = g_array_new(FALSE, FALSE, sizeof(identity));
    for (int i = 0; i < count; i++) {
        ok = ok && add_definition(self, domains[i], 0, error) &&
             add_definition(self, domains[i], VIR_DOMAIN_XML_INACTIVE, error);
        virDomainFree(domains[i]);
    }
    free(domains);
    return ok;
}

/* The way back of a VM that has moved away, or what landed of one whose move failed. */
static gboolean is_kept(const char *path)
{
    return g_str_has_suffix(path, PLAN_LANDED) ||
           g_regex_match_simple("\\.ferry-[0-9a-f]{8}$", path, G_REGEX_DOLLAR_ENDONLY, 0);
}

static gboolean is_written(const readable *self, const struct stat *st)
{
    for (guint i = 0; i < self->written->len; i++) {
        const identity *id = &g_array_index(self->written, identity, i);
        if (id->device == st->st_dev && id->inode == st->st_ino)
            return TRUE;
    }
    return FALSE;
}

gboolean readable_look(readable *self, const char *path, const char *format, const char **why,
                       GError **error)
{
    g_autofree char *real = storage_resolve(path), *directory = g_path_get_dirname(real);
    const char *const *roots = (const char *const *)self->s->rules->storage_roots;
    struct stat st;

    *why = NULL;
    if (!self->written && !look(self, error))
        return FALSE;
    if (!storage_may_read(path) || (format && !storage_may_land(directory, roots, self->pools)))
        *why = "is in no place for disks of VMs there";
    else if (stat(real, &st) || !S_ISREG(st.st_mode) || access(real, R_OK))
        *why = "is not there";
    else if (is_kept(real))
        *why = "is kept for another VM there";
    else if (is_written(self, &st))
        *why = "is used by another VM there";
    else if (format && strcmp(format, "raw") && strcmp(format, "qcow2"))
        *why = "is neither raw nor qcow2";
    else if (!g_strcmp0(format, "qcow2") && !qcow2_stands_alone(real))
        *why = "is there, but is not one qcow2 image without others below it";
    return TRUE;
}
