/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* This host's libvirt: the connection and what it says about the host; see host.h. */
#include "virt/conn.h"
#include "virt/xml.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The modular daemon first: where it runs, the other socket may be there, activated, and of no use.
 */
static const char *const sockets[] = {"/run/libvirt/virtqemud-sock", "/run/libvirt/libvirt-sock"};

virt_host *virt_host_open(const char *socket, GError **error)
{
    virConnectPtr conn;
    virt_host *self;

    for (guint i = 0; !socket && i < G_N_ELEMENTS(sockets); i++)
        if (access(sockets[i], F_OK) == 0)
            socket = sockets[i];
    if (!socket) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED,
                    "libvirt does not run on this host: neither %s nor %s exists. Start it with "
                    "\"systemctl start libvirtd\" (or \"virtqemud.socket\")",
                    sockets[0], sockets[1]);
        return NULL;
    }
    conn = conn_open(socket, error);
    if (!conn) {
        g_prefix_error(error, "libvirt does not answer (\"systemctl status %s\" tells why): ",
                       strstr(socket, "virtqemud") ? "virtqemud" : "libvirtd");
        return NULL;
    }
    self = g_new0(virt_host, 1);
    self->conn = conn;
    self->socket = g_strdup(socket);
    return self;
}

void virt_host_close(virt_host *self)
{
    if (!self)
        return;
    virConnectClose(self->conn);
    g_free(self->socket);
    g_free(self);
}

const char *virt_host_socket(const virt_host *self)
{
    return self->socket;
}

char *virt_host_uuid(virt_host *self, GError **error)
{
    g_autoptr(xmlDoc) caps = conn_capabilities(self->conn, error);
    g_autofree char *uuid = NULL;

    if (!caps)
        return NULL;
    uuid = xml_text(xml_descend(xmlDocGetRootElement(caps), "host/uuid"));
    if (!uuid || !g_uuid_string_is_valid(uuid)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED,
                    "libvirt does not know the UUID of this host: set host_uuid in libvirtd.conf");
        return NULL;
    }
    return g_ascii_strdown(uuid, -1);
}

gboolean virt_host_qemu_owner(virt_host *self, uid_t *uid, gid_t *gid, GError **error)
{
    g_autoptr(xmlDoc) caps = conn_capabilities(self->conn, error);
    const xmlNode *host;

    *uid = 0;
    *gid = 0;
    if (!caps)
        return FALSE;
    host = xml_child(xmlDocGetRootElement(caps), "host");
    for (const xmlNode *n = xml_child(host, "secmodel"); n; n = xml_next(n)) {
        g_autofree char *model = xml_text(xml_child(n, "model"));
        g_autofree char *label = xml_text(xml_child(n, "baselabel")); /* "+64055:+109" */
        if (!g_strcmp0(model, "dac") && label && sscanf(label, "+%u:+%u", uid, gid) != 2) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED,
                        "libvirt does not tell who runs QEMU here (\"%s\")", label);
            return FALSE;
        }
    }
    return TRUE;
}

static char *version_text(unsigned long version)
{
    return g_strdup_printf("%lu.%lu.%lu", version / 1000000, version / 1000 % 1000, version % 1000);
}

gboolean virt_host_versions(virt_host *self, char **libvirt, char **qemu, GError **error)
{
    unsigned long of_libvirt, of_qemu;

    if (virConnectGetLibVersion(self->conn, &of_libvirt) < 0 ||
        virConnectGetVersion(self->conn, &of_qemu) < 0)
        return conn_error(error, "libvirt does not tell its version");
    *libvirt = version_text(of_libvirt);
    *qemu = version_text(of_qemu);
    return TRUE;
}
