/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Directories of this host: which ones a peer may name, and whether a disk can really be made
 * there. */
#include "virt/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The system's own directories: a disk image of a guest, made there, could be taken for a program,
 * a setting or a key. Of /var only what libvirt has. */
static const char *const system_directories[] = {
    "/bin",  "/boot", "/dev", "/etc",  "/home", "/lib", "/lib32", "/lib64", "/libx32",
    "/proc", "/root", "/run", "/sbin", "/sys",  "/usr", "/var",   NULL};
static const char *const for_machines[] = {"/var/lib/libvirt", "/var/log/libvirt", "/var/tmp",
                                           NULL};
/* A file system of its own, mounted below one of these, was put there by who runs the host; except
 * for those that the system itself mounts. */
static const char *const mounted_below[] = {"/home/", "/run/", "/var/lib/", NULL};
static const char *const mounted_by_system[] = {"/run/credentials", "/run/lock", "/run/systemd",
                                                "/run/user", NULL};
/* What a guest must not read: secrets, devices, and what libvirt keeps of other VMs. */
static const char *const not_to_read[] = {"/dev",
                                          "/etc",
                                          "/proc",
                                          "/root/.ssh",
                                          "/run",
                                          "/sys",
                                          "/var/lib/ferry",
                                          "/var/lib/libvirt/dnsmasq",
                                          "/var/lib/libvirt/qemu",
                                          "/var/lib/libvirt/secrets",
                                          "/var/lib/libvirt/swtpm",
                                          "/var/log",
                                          NULL};

static gboolean is_below(const char *path, const char *const *directories)
{
    for (guint i = 0; directories && directories[i]; i++) {
        size_t length = strlen(directories[i]);
        while (length > 1 && directories[i][length - 1] == '/')
            length--;
        if (length == 1 ||
            (!strncmp(path, directories[i], length) && (path[length] == '/' || !path[length])))
            return TRUE;
    }
    return FALSE;
}

char *storage_resolve(const char *path)
{
    g_autofree char *real = realpath(path, NULL);

    return g_strdup(real ? real : path);
}

/* Is the directory on a file system that is mounted for data? */
static gboolean is_mounted(const char *directory)
{
    g_autofree char *root = g_strdup(directory);
    struct stat st, above;

    if (stat(root, &st))
        return FALSE;
    while (strcmp(root, "/")) {
        g_autofree char *parent = g_path_get_dirname(root);
        if (stat(parent, &above))
            return FALSE;
        if (above.st_dev != st.st_dev)
            break;
        g_free(root);
        root = g_steal_pointer(&parent);
    }
    for (guint i = 0; mounted_below[i]; i++)
        if (g_str_has_prefix(root, mounted_below[i]))
            return !is_below(root, mounted_by_system);
    return FALSE;
}

gboolean storage_may_land(const char *directory, const char *const *roots, const char *const *pools)
{
    g_autofree char *real = storage_resolve(directory);

    if (is_below(real, pools))
        return TRUE;
    if (roots && roots[0])
        return is_below(real, roots);
    return strcmp(real, "/") && (is_below(real, for_machines) ||
                                 !is_below(real, system_directories) || is_mounted(real));
}

gboolean storage_may_read(const char *path)
{
    g_autofree char *real = storage_resolve(path);

    return !is_below(real, not_to_read);
}

typedef struct {
    const char *directory;
    uid_t owner;
    gid_t group;
    gboolean reached;
} probe;

/* Runs in a thread of its own that becomes QEMU's user for good: the bare system calls, unlike the
 * C library's functions, change the calling thread only. */
static gpointer probe_as_qemu(gpointer data)
{
    probe *p = data;
    gid_t groups[64];
    int count = G_N_ELEMENTS(groups);
    struct passwd entry, *found = NULL;
    char buffer[4096];

    if (getpwuid_r(p->owner, &entry, buffer, sizeof(buffer), &found) || !found ||
        getgrouplist(entry.pw_name, p->group, groups, &count) < 0) {
        groups[0] = p->group;
        count = 1;
    }
    if (syscall(SYS_setgroups, (size_t)count, groups) ||
        syscall(SYS_setresgid, p->group, p->group, p->group) ||
        syscall(SYS_setresuid, p->owner, p->owner, p->owner))
        return NULL; /* not root: nothing can be said, and `reached` stays */
    p->reached = faccessat(AT_FDCWD, p->directory, X_OK, 0) == 0;
    return NULL;
}

static gboolean qemu_reaches(const char *directory, uid_t owner, gid_t group)
{
    probe p = {.directory = directory, .owner = owner, .group = group, .reached = TRUE};

    if (owner != 0 && geteuid() == 0)
        g_thread_join(g_thread_new("storage-probe", probe_as_qemu, &p));
    return p.reached;
}

directory_answer storage_try(const char *directory, gboolean direct, uid_t owner, gid_t group,
                             char **why)
{
    struct stat st;
    int fd;

    *why = NULL;
    if (stat(directory, &st) || !S_ISDIR(st.st_mode))
        return DIRECTORY_MISSING;
    /* A file without a name: nobody sees it, and it is gone with the descriptor. */
    fd = open(directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) { /* NFS: ask, do not try */
        if (faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS)) {
            *why = g_strdup(g_strerror(errno));
            return DIRECTORY_NOT_WRITABLE;
        }
    } else if (fd < 0) {
        *why = g_strdup(g_strerror(errno));
        return DIRECTORY_NOT_WRITABLE;
    } else {
        close(fd);
        if (direct) {
            fd = open(directory, O_TMPFILE | O_WRONLY | O_CLOEXEC | O_DIRECT, 0600);
            if (fd < 0 && errno == EINVAL)
                return DIRECTORY_NOT_DIRECT;
            if (fd >= 0)
                close(fd);
        }
    }
    return qemu_reaches(directory, owner, group) ? DIRECTORY_GOOD : DIRECTORY_NOT_REACHED;
}
