/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A migration's private directory; see job.h. */
#include "migrate/job.h"

#include "base/fdio.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

gboolean job_make_qemu_dir(const job *self, virt_host *host, GError **error)
{
    uid_t uid;
    gid_t gid;

    if (!virt_host_qemu_owner(host, &uid, &gid, error))
        return FALSE;
    job_remove_sockets(self);
    if (mkdir(self->qemu_dir, 0700) < 0 || chown(self->qemu_dir, uid, gid) < 0)
        return fdio_error(error, errno, "%s", self->qemu_dir);
    return TRUE;
}

void job_remove_sockets(const job *self)
{
    GDir *dir = g_dir_open(self->qemu_dir, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(self->qemu_dir, name, NULL);
        (void)unlink(path);
    }
    g_clear_pointer(&dir, g_dir_close);
    (void)rmdir(self->qemu_dir);
    (void)unlink(self->rpc_socket);
}
