/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where disks land, made and taken back in real directories; the connection is to libvirt's own
 * test driver, which has pools but no daemon. */
#include "samples.h"
#include "virt/conn.h"
#include "virt/storage.h"
#include "virt/survey.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (1ull << 20)

typedef struct {
    virt_host host;
    char *dir; /* holds old/, new/ */
    findings *found;
    plan *made;
    GPtrArray *media, *ejected;
    GPtrArray *keys[3], *values[3]; /* storage, format, name */
    char *roots[2];
} fixture;

static void silence(void *user, virErrorPtr error)
{
}

static void set_up(fixture *f, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;

    virSetErrorFunc(NULL, silence);
    f->host.conn = virConnectOpen("test:///default");
    g_assert_nonnull(f->host.conn);
    f->dir = g_dir_make_tmp("ferry-disks-XXXXXX", &error);
    g_assert_no_error(error);
    for (guint i = 0; i < 2; i++) {
        g_autofree char *path = g_build_filename(f->dir, i ? "new" : "old", NULL);
        g_assert_cmpint(g_mkdir(path, 0755), ==, 0);
    }
    for (guint i = 0; i < G_N_ELEMENTS(f->keys); i++) {
        f->keys[i] = g_ptr_array_new_with_free_func(g_free);
        f->values[i] = g_ptr_array_new_with_free_func(g_free);
    }
    f->roots[0] = f->dir;
    f->found = findings_new();
    f->made = plan_new();
    f->made->mark = g_strdup("0123456789abcdef0123456789abcdef");
    f->media = g_ptr_array_new_with_free_func(plan_disk_free);
    f->ejected = g_ptr_array_new_with_free_func(g_free);
}

static void remove_tree(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *child = g_build_filename(path, name, NULL);
        if (g_remove(child))
            remove_tree(child);
    }
    (void)g_rmdir(path);
}

static void tear_down(fixture *f, gconstpointer unused)
{
    virConnectClose(f->host.conn);
    remove_tree(f->dir);
    g_free(f->dir);
    findings_free(f->found);
    plan_free(f->made);
    g_ptr_array_unref(f->media);
    g_ptr_array_unref(f->ejected);
    for (guint i = 0; i < G_N_ELEMENTS(f->keys); i++) {
        g_ptr_array_unref(f->keys[i]);
        g_ptr_array_unref(f->values[i]);
    }
}

/* DIR/NAME; kept by the fixture's storage map lists, so never freed by hand. */
static char *at(const fixture *f, const char *name)
{
    return g_build_filename(f->dir, name, NULL);
}

static void map(fixture *f, int which, const char *key, const char *value)
{
    g_ptr_array_add(f->keys[which], *key == '@' ? at(f, key + 1) : g_strdup(key));
    g_ptr_array_add(f->values[which], *value == '@' ? at(f, value + 1) : g_strdup(value));
}

/* A disk of the VM's XML; a file name that begins with @ is below the fixture's directory. */
static char *disk(const fixture *f, const char *target, const char *file, const char *format,
                  const char *more)
{
    g_autofree char *path = *file == '@' ? at(f, file + 1) : g_strdup(file);

    return g_strdup_printf("<disk type='file'><driver type='%s'/><source file='%s'/>%s"
                           "<target dev='%s'/></disk>",
                           format, path, more, target);
}

#define END "<backingStore/>"

/* Plans the disks given (taken), each of `capacity` bytes, all of it allocated. */
static void plan_them(fixture *f, guint64 capacity, char *a, char *b)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *xml = g_strconcat(
        "<domain type='qemu'><name>s</name><uuid>ebab134f-7609-4580-b43d-5ae59ea22778</uuid>"
        "<memory>1024</memory><os><type arch='x86_64'>hvm</type></os><devices>",
        a, b ? b : "", "</devices></domain>", NULL);
    g_autoptr(vm) machine = vm_parse(xml, &error);
    plan_rules rules = {0};
    survey s = {&f->host, machine, &rules, f->found, "zulu"};

    g_free(a);
    g_free(b);
    g_assert_no_error(error);
    for (guint i = 0; i < machine->disks->len; i++) {
        vm_disk *one = machine->disks->pdata[i];
        one->capacity = one->allocation = capacity;
    }
    for (guint i = 0; i < G_N_ELEMENTS(f->keys); i++) {
        g_ptr_array_add(f->keys[i], NULL);
        g_ptr_array_add(f->values[i], NULL);
    }
    rules.storage_keys = (GStrv)f->keys[0]->pdata;
    rules.storage_values = (GStrv)f->values[0]->pdata;
    rules.format_keys = (GStrv)f->keys[1]->pdata;
    rules.format_values = (GStrv)f->values[1]->pdata;
    rules.name_keys = (GStrv)f->keys[2]->pdata;
    rules.name_values = (GStrv)f->values[2]->pdata;
    rules.storage_roots = f->roots[0] ? f->roots : NULL;
    g_assert_true(disks_plan(&s, NULL, f->made->disks, f->media, f->ejected, &error));
    g_assert_no_error(error);
}

static void expect_codes(const fixture *f, const int *codes)
{
    guint n = 0;

    for (; codes[n]; n++) {
        g_assert_cmpuint(n, <, f->found->len);
        g_assert_cmpint(((finding *)f->found->pdata[n])->code, ==, codes[n]);
    }
    if (n < f->found->len)
        g_error("unexpected: %s", ((finding *)f->found->pdata[n])->text);
}

#define CODES(...) ((const int[]){__VA_ARGS__, 0})
#define NONE       ((const int[]){0})

static void expect_path(const fixture *f, guint index, const char *expected, const char *format)
{
    const plan_disk *planned = f->made->disks->pdata[index];
    g_autofree char *path = at(f, expected);

    g_assert_cmpstr(planned->new_path, ==, path);
    g_assert_cmpstr(planned->new_format, ==, format);
}

static void test_same_place(fixture *f, gconstpointer unused)
{
    plan_them(f, 8 * MIB, disk(f, "vda", "@new/a.qcow2", "qcow2", END), NULL);
    expect_codes(f, NONE);
    expect_path(f, 0, "new/a.qcow2", "qcow2");
}

/* The longest directory wins, whatever the order; below it the path goes on; a target beats
 * directories. */
static void test_precedence(fixture *f, gconstpointer unused)
{
    g_autofree char *deep = at(f, "new/web");

    g_assert_cmpint(g_mkdir(deep, 0755), ==, 0);
    map(f, 0, "@", "/nowhere");
    map(f, 0, "@old/", "@new/");
    map(f, 0, "vdb", "@old");
    map(f, 0, "@old", "/nowhere");
    plan_them(f, MIB, disk(f, "vda", "@old/web/a.raw", "raw", END),
              disk(f, "vdb", "@old/web/b.raw", "raw", END));
    expect_codes(f, NONE);
    expect_path(f, 0, "new/web/a.raw", "raw");
    expect_path(f, 1, "old/b.raw", "raw");
}

/* A directory's name is not a prefix of another's. */
static void test_whole_names(fixture *f, gconstpointer unused)
{
    g_autofree char *twin = at(f, "old2");

    g_assert_cmpint(g_mkdir(twin, 0755), ==, 0);
    map(f, 0, "@old", "@new");
    plan_them(f, MIB, disk(f, "vda", "@old2/a.raw", "raw", END), NULL);
    expect_path(f, 0, "old2/a.raw", "raw");
}

/* A name that is asked for wins over what would come of the format; it is never a way out of the directory. */
static void test_names(fixture *f, gconstpointer unused)
{
    map(f, 0, "vda", "@new");
    map(f, 1, "*", "raw");
    map(f, 2, "vda", "web.qcow2");
    map(f, 2, "vdb", "../b");
    plan_them(f, MIB, disk(f, "vda", "@old/a.qcow2", "qcow2", END),
              disk(f, "vdb", "@old/b.raw", "raw", END));
    expect_codes(f, CODES(1106));
    expect_path(f, 0, "new/web.qcow2", "raw");
}

static void test_formats(fixture *f, gconstpointer unused)
{
    map(f, 0, "@old", "@new");
    map(f, 1, "*", "raw");
    map(f, 1, "vdb", "qcow2");
    plan_them(f, MIB, disk(f, "vda", "@old/a.qcow2", "qcow2", END),
              disk(f, "vdb", "@old/a.raw", "raw", END));
    expect_codes(f, NONE);
    expect_path(f, 0, "new/a-vda.raw", "raw"); /* "a.raw" is the name of the other disk */
    expect_path(f, 1, "new/a-vdb.qcow2", "qcow2");
}

static void test_bad_formats(fixture *f, gconstpointer unused)
{
    map(f, 1, "vdb", "vdi");
    plan_them(f, MIB, disk(f, "vda", "@new/a.vmdk", "vmdk", END),
              disk(f, "vdb", "@new/b.raw", "raw", END));
    expect_codes(f, CODES(3014, 1105));
}

static void test_missing_directory(fixture *f, gconstpointer unused)
{
    plan_them(f, MIB, disk(f, "vda", "@nosuch/a.raw", "raw", END), NULL);
    expect_codes(f, CODES(3004));
    g_assert_nonnull(strstr(((finding *)f->found->pdata[0])->fix, "mkdir -p"));
}

static void test_file_exists(fixture *f, gconstpointer unused)
{
    g_autofree char *path = at(f, "new/a.raw"), *other = at(f, "new/b.raw");

    g_assert_true(g_file_set_contents(path, "x", 1, NULL));
    g_assert_cmpint(symlink("/nowhere", other), ==, 0); /* a dangling link is there as well */
    plan_them(f, MIB, disk(f, "vda", "@new/a.raw", "raw", END),
              disk(f, "vdb", "@new/b.raw", "raw", END));
    expect_codes(f, CODES(3001, 3001));
}

static void test_collision(fixture *f, gconstpointer unused)
{
    map(f, 0, "vda", "@new");
    map(f, 0, "vdb", "@new");
    plan_them(f, MIB, disk(f, "vda", "@old/1/disk.raw", "raw", END),
              disk(f, "vdb", "@old/2/disk.raw", "raw", END));
    expect_codes(f, CODES(3015));
}

/* Two disks that would fit alone do not fit together. */
static void test_space(fixture *f, gconstpointer unused)
{
    plan_them(f, 1ull << 50, disk(f, "vda", "@new/a.raw", "raw", END),
              disk(f, "vdb", "@new/b.raw", "raw", END));
    expect_codes(f, CODES(3002));
    g_assert_nonnull(strstr(((finding *)f->found->pdata[0])->text, "vda, vdb need 2.0 PiB"));
}

static void test_kinds(fixture *f, gconstpointer unused)
{
    plan_them(
        f, MIB,
        g_strdup(
            "<disk type='block'><source dev='/dev/sdx'/><target dev='vda'/></disk>"
            "<disk type='network'><source protocol='rbd' name='p/i'/><target dev='vdb'/></disk>"
            "<disk device='lun'><source file='/x'/>" END "<target dev='sda'/></disk>"),
        disk(f, "vdc", "@new/c.raw", "raw", END "<shareable/>"));
    expect_codes(f, CODES(3010, 3010, 3010, 3011));
}

static void test_more_kinds(fixture *f, gconstpointer unused)
{
    plan_them(f, MIB, disk(f, "vda", "@new/a.qcow2", "qcow2", END "<encryption format='luks'/>"),
              disk(f, "vdb", "@new/b.qcow2", "qcow2", ""));
    expect_codes(f, CODES(3019, 3012));
}

static void test_no_size(fixture *f, gconstpointer unused)
{
    plan_them(f, 0, disk(f, "vda", "@new/a.raw", "raw", END),
              g_strdup("<disk><target dev='vdb'/></disk>"));
    expect_codes(f, CODES(3016, 3016));
}

static void test_pools(fixture *f, gconstpointer unused)
{
    map(f, 0, "vda", "pool:nosuch");
    map(f, 0, "vdb", "relative/path");
    plan_them(f, MIB, disk(f, "vda", "@old/a.raw", "raw", END),
              disk(f, "vdb", "@old/b.raw", "raw", END));
    expect_codes(f, CODES(3007, 1104));
}

/* Without roots of its own, a host's system directories are no place for what a peer names. */
static void test_system_places(fixture *f, gconstpointer unused)
{
    g_autofree char *link = at(f, "link");

    f->roots[0] = NULL;
    g_assert_cmpint(symlink("/etc", link), ==, 0);
    plan_them(f, MIB, disk(f, "vda", "/etc/cron.d/a", "raw", END),
              disk(f, "vdb", "@link/b", "raw", END));
    expect_codes(f, CODES(3006, 3006));
}

static void test_roots(fixture *f, gconstpointer unused)
{
    plan_them(f, MIB, disk(f, "vda", "/srv/a.raw", "raw", END), NULL);
    expect_codes(f, CODES(3006));
}

static void test_media(fixture *f, gconstpointer unused)
{
    g_autofree char *moved = at(f, "new/cd.iso");

    g_assert_true(g_file_set_contents(moved, "x", 1, NULL));
    map(f, 0, "@old", "@new");
    plan_them(f, MIB,
              g_strdup_printf(
                  "<disk device='cdrom'><source file='%s/old/cd.iso'/><target dev='sda'/>"
                  "</disk><disk device='cdrom'><source file='%s'/><target dev='sdb'/></disk>"
                  "<disk device='cdrom'><target dev='sdc'/></disk>"
                  "<disk device='cdrom'><source file='/etc/passwd'/><target dev='sdd'/></disk>",
                  f->dir, moved),
              disk(f, "vda", "@old/template.raw", "raw", "<readonly/>"));
    expect_codes(f, CODES(3013, 3021));
    g_assert_cmpuint(f->media->len, ==, 1);
    g_assert_cmpstr(((plan_disk *)f->media->pdata[0])->new_path, ==, moved);
}

static void prepare(fixture *f)
{
    g_autoptr(GError) error = NULL;

    map(f, 0, "@old", "@new");
    map(f, 1, "vdb", "qcow2");
    plan_them(f, 4 * MIB + 512, disk(f, "vda", "@old/a.raw", "raw", END),
              disk(f, "vdb", "@old/b.raw", "raw", END));
    expect_codes(f, NONE);
    g_assert_true(plan_prepare(f->made, &f->host, &error));
    g_assert_no_error(error);
}

static void write_at(const char *path, const char *text, off_t offset)
{
    int fd = open(path, O_WRONLY);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(pwrite(fd, text, strlen(text), offset), ==, (gssize)strlen(text));
    close(fd);
}

static void test_prepare(fixture *f, gconstpointer unused)
{
    g_autofree char *a = at(f, "new/a.raw"), *b = at(f, "new/b.qcow2");
    g_autofree char *out = NULL;
    struct stat st;

    prepare(f);
    g_assert_cmpint(stat(a, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, 4 * MIB + 512);
    g_assert_cmpint(st.st_blocks, ==, 0);
    g_assert_cmpint(st.st_mode & 0777, ==, 0600);
    const char *argv[] = {"qemu-img", "info", "--output=json", b, NULL};
    g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out,
                               NULL, NULL, NULL));
    g_assert_nonnull(strstr(out, "\"virtual-size\": 4194816"));
    g_assert_nonnull(strstr(out, "\"format\": \"qcow2\""));
}

/* What cannot be made whole is not made at all, and what was there stays. */
static void test_prepare_fails(fixture *f, gconstpointer unused)
{
    g_autofree char *a = at(f, "new/a.raw"), *b = at(f, "new/b.raw"), *text = NULL;
    g_autoptr(GError) error = NULL;

    plan_them(f, MIB, disk(f, "vda", "@new/a.raw", "raw", END),
              disk(f, "vdb", "@new/b.raw", "raw", END));
    g_assert_true(g_file_set_contents(b, "somebody's", -1, NULL));
    g_assert_false(plan_prepare(f->made, &f->host, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS);
    g_assert_nonnull(strstr(error->message, "vdb"));
    g_assert_cmpint(access(a, F_OK), !=, 0);
    g_assert_true(g_file_get_contents(b, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "somebody's");
}

static void test_abandon_untouched(fixture *f, gconstpointer unused)
{
    g_autofree char *a = at(f, "new/a.raw"), *b = at(f, "new/b.qcow2");
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) kept = NULL;

    prepare(f);
    kept = plan_abandon(f->made, &f->host, TRUE, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(g_strv_length(kept), ==, 0);
    g_assert_cmpint(access(a, F_OK), !=, 0);
    g_assert_cmpint(access(b, F_OK), !=, 0);
}

/* Landed data stays under another name, in place of what an earlier try left; a second call finds
 * nothing to do. */
static void test_abandon_landed(fixture *f, gconstpointer unused)
{
    g_autofree char *a = at(f, "new/a.raw"), *b = at(f, "new/b.qcow2");
    g_autofree char *kept_a = g_strconcat(a, PLAN_LANDED, NULL);
    g_autofree char *command = g_strdup_printf("qemu-io -f qcow2 -c 'write 0 64k' %s", b);
    g_autofree char *text = NULL, *out = NULL;
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) kept = NULL;
    gsize length;
    int status;

    prepare(f);
    g_assert_true(g_file_set_contents(kept_a, "of an earlier try", -1, NULL));
    write_at(a, "landed", 1 << 20);
    g_assert_true(g_spawn_command_line_sync(command, &out, NULL, &status, NULL));
    g_assert_cmpint(status, ==, 0);
    kept = plan_abandon(f->made, &f->host, TRUE, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(g_strv_length(kept), ==, 2);
    g_assert_cmpstr(kept[0], ==, kept_a);
    g_assert_true(g_file_get_contents(kept_a, &text, &length, NULL));
    g_assert_cmpuint(length, ==, 4 * MIB + 512);
    g_assert_cmpint(memcmp(text + (1 << 20), "landed", 6), ==, 0);
    g_assert_cmpint(access(a, F_OK), !=, 0);
    g_strfreev(kept);
    kept = plan_abandon(f->made, &f->host, TRUE, NULL, &error);
    g_assert_cmpuint(g_strv_length(kept), ==, 0);
}

/* Of two tries of this VM what holds more stays; what another VM left there never does. */
static void test_abandon_beside_an_earlier_try(fixture *f, gconstpointer unused)
{
    g_autofree char *a = at(f, "new/a.raw"), *kept_a = g_strconcat(a, PLAN_LANDED, NULL);
    g_autofree char *much = g_strnfill(2 * MIB, 'x'), *text = NULL;
    const char *earlier[] = {kept_a, NULL};
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) kept = NULL;

    prepare(f);
    g_assert_true(g_file_set_contents(kept_a, much, 2 * MIB, NULL));
    write_at(a, "landed", 1 << 20);
    kept = plan_abandon(f->made, &f->host, TRUE, earlier, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(g_strv_length(kept), ==, 0);
    g_assert_cmpint(access(a, F_OK), !=, 0);
    g_assert_true(g_file_get_contents(kept_a, &text, NULL, NULL));
    g_assert_cmpint(text[0], ==, 'x');
    g_strfreev(kept);

    g_assert_true(plan_prepare(f->made, &f->host, &error));
    write_at(a, "landed", 1 << 20);
    kept = plan_abandon(f->made, &f->host, TRUE, NULL, &error);
    g_assert_cmpuint(g_strv_length(kept), ==, 1);
    g_free(text);
    g_assert_true(g_file_get_contents(kept_a, &text, NULL, NULL));
    g_assert_cmpint(text[0], ==, 0);
    g_assert_cmpint(memcmp(text + (1 << 20), "landed", 6), ==, 0);
}

static void test_abandon_keeps_nothing(fixture *f, gconstpointer unused)
{
    g_autofree char *a = at(f, "new/a.raw"), *kept_a = g_strconcat(a, PLAN_LANDED, NULL);
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) kept = NULL;

    prepare(f);
    write_at(a, "landed", 1 << 20);
    kept = plan_abandon(f->made, &f->host, FALSE, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(g_strv_length(kept), ==, 0);
    g_assert_cmpint(access(a, F_OK), !=, 0);
    g_assert_cmpint(access(kept_a, F_OK), !=, 0);
}

/* What is to be given up is gone before the disks are made; gone already is fine. */
static void test_prepare_gives_up(fixture *f, gconstpointer unused)
{
    g_autofree char *old = at(f, "new/other.raw" PLAN_LANDED);

    g_assert_true(g_file_set_contents(old, "x", 1, NULL));
    g_ptr_array_add(f->made->give_up, g_strdup(old));
    g_ptr_array_add(f->made->give_up, at(f, "new/none" PLAN_LANDED));
    prepare(f);
    g_assert_cmpint(access(old, F_OK), !=, 0);
}

/* A file that the plan did not make is nobody's to take away, though it is at a path of the plan.
 */
static void test_abandon_stranger(fixture *f, gconstpointer unused)
{
    g_autofree char *a = at(f, "new/a.raw");
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) kept = NULL;
    plan_disk *planned;

    prepare(f);
    planned = f->made->disks->pdata[0];
    planned->inode = 0; /* as in the journal of a worker that died while it made them */
    g_assert_cmpint(unlink(a), ==, 0);
    g_assert_true(g_file_set_contents(a, "another VM's", -1, NULL));
    kept = plan_abandon(f->made, &f->host, TRUE, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpint(access(a, F_OK), ==, 0);
}

static void test_abandon_by_mark(fixture *f, gconstpointer unused)
{
    g_autofree char *a = at(f, "new/a.raw");
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) kept = NULL;

    prepare(f);
    for (guint i = 0; i < f->made->disks->len; i++)
        ((plan_disk *)f->made->disks->pdata[i])->inode = 0;
    kept = plan_abandon(f->made, &f->host, TRUE, NULL, &error);
    g_assert_no_error(error);
    if (access(a, F_OK) == 0)
        g_test_skip("this file system keeps no extended attributes");
}

/* QEMU's user is really tried: a directory that is root's alone is out of its reach. */
static void test_reach(fixture *f, gconstpointer unused)
{
    g_autofree char *path = at(f, "new"), *why = NULL;

    if (geteuid() != 0) {
        g_test_skip("only root can try as another user");
        return;
    }
    g_assert_cmpint(storage_try(path, FALSE, 0, 0, &why), ==, DIRECTORY_GOOD);
    g_assert_cmpint(storage_try(path, FALSE, 65534, 65534, &why), ==, DIRECTORY_NOT_REACHED);
    g_assert_cmpint(g_chmod(f->dir, 0711), ==, 0);
    g_assert_cmpint(storage_try(path, FALSE, 65534, 65534, &why), ==, DIRECTORY_GOOD);
    g_assert_cmpuint(geteuid(), ==, 0);
    g_assert_cmpint(g_chmod(f->dir, 0700), ==, 0); /* root still may: only a thread became nobody */
    g_assert_cmpint(access(path, W_OK), ==, 0);
}

static void test_places(void)
{
    static const char *const roots[] = {"/srv/vms/", NULL};
    static const char *const pools[] = {"/home/vms", NULL};

    g_assert_true(storage_may_land("/srv/ssd", NULL, NULL));
    g_assert_true(storage_may_land("/var/lib/libvirt/images", NULL, NULL));
    g_assert_false(storage_may_land("/var/lib", NULL, NULL));
    g_assert_false(storage_may_land("/var/lib/libvirtx", NULL, NULL));
    g_assert_false(storage_may_land("/etc", NULL, NULL));
    g_assert_false(storage_may_land("/", NULL, NULL));
    g_assert_false(storage_may_land("/home/vms", NULL, NULL));
    g_assert_true(storage_may_land("/home/vms/a", NULL, pools));
    g_assert_true(storage_may_land("/srv/vms/a", roots, NULL));
    g_assert_true(storage_may_land("/srv/vms", roots, NULL));
    g_assert_false(storage_may_land("/srv/vms2", roots, NULL));
    g_assert_false(storage_may_land("/var/lib/libvirt/images", roots, NULL));
    g_assert_true(storage_may_read("/usr/share/OVMF/OVMF_CODE.fd"));
    g_assert_false(storage_may_read("/var/lib/libvirt/secrets/x.base64"));
    g_assert_false(storage_may_read("/var/lib/libvirt/qemu/nvram/other.fd"));
    g_assert_false(storage_may_read("/dev/sda"));
    g_assert_false(storage_may_read("/etc/shadow"));
    g_assert_false(storage_may_read("/proc/self/environ"));
}

/* By UUID means by UUID, even where another VM is called like it. */
static void test_find(fixture *f, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(virt_domain) first = virt_domain_find(&f->host, "test", &error);
    g_autofree char *xml = NULL;
    virDomainPtr liar;

    g_assert_no_error(error);
    xml = g_strdup_printf("<domain type='test'><name>%s</name><memory>1024</memory>"
                          "<os><type arch='i686'>hvm</type></os></domain>",
                          virt_domain_uuid(first));
    liar = virDomainDefineXML(f->host.conn, xml);
    g_assert_nonnull(liar);
    g_autoptr(virt_domain) found = virt_domain_find_uuid(&f->host, virt_domain_uuid(first), &error);
    g_assert_no_error(error);
    g_assert_cmpstr(virt_domain_name(found), ==, "test");
    g_assert_null(virt_domain_find_uuid(&f->host, "5d0c7b1e-0000-4000-8000-000000000001", &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
    virDomainUndefine(liar);
    virDomainFree(liar);
}

#define DEFINITION(name, uuid, more)                                                               \
    "<domain type='test'><name>" name "</name><uuid>" uuid "</uuid><memory>1024</memory>"          \
    "<os><type arch='i686'>hvm</type></os>" more "</domain>"
#define OTHER "5d0c7b1e-0000-4000-8000-000000000002"

static void put(const fixture *f, const char *name, const char *content, gssize length)
{
    g_autofree char *path = at(f, name);

    g_assert_true(g_file_set_contents(path, content, length, NULL));
}

/* The live VM with one device's XML and the stored one with another's, looked at together; @ is the
 * fixture's directory. */
static void compare(fixture *f, const char *live_device, const char *stored_device)
{
    static const char format[] = SMALL("%s");
    g_auto(GStrv) a = g_strsplit(live_device, "@", -1);
    g_auto(GStrv) b = g_strsplit(stored_device ? stored_device : "", "@", -1);
    g_autofree char *prefix = g_strconcat(f->dir, "/", NULL);
    g_autofree char *one = g_strjoinv(prefix, a), *two = g_strjoinv(prefix, b);
    g_autofree char *live_xml = g_strdup_printf(format, one);
    g_autofree char *stored_xml = g_strdup_printf(format, two);
    g_autoptr(GError) error = NULL;
    g_autoptr(vm) live = vm_parse(live_xml, &error);
    g_autoptr(vm) stored = vm_parse(stored_xml, &error);
    plan_rules rules = {.storage_roots = f->roots[0] ? f->roots : NULL};
    survey s = {&f->host, live, &rules, f->found, "zulu"};

    g_assert_no_error(error);
    for (guint i = 0; i < live->disks->len; i++)
        ((vm_disk *)live->disks->pdata[i])->capacity = MIB;
    g_ptr_array_set_size(f->found, 0);
    g_assert_true(disks_plan(&s, stored_device ? stored : NULL, f->made->disks, f->media,
                             f->ejected, &error));
    g_assert_no_error(error);
    g_assert_true(devices_check(&s, stored_device ? stored : NULL, &error));
    g_assert_no_error(error);
}

static void expect_reason(const fixture *f, int code, const char *words)
{
    expect_codes(f, CODES(code));
    if (!strstr(((finding *)f->found->pdata[0])->text, words))
        g_error("lacks \"%s\": %s", words, ((finding *)f->found->pdata[0])->text);
}

#define READ_ONLY(path, more)                                                                      \
    "<disk type='file'><source file='" path "'/>" more "<target dev='vda'/><readonly/></disk>"
#define CDROM(path)                                                                                \
    "<disk type='file' device='cdrom'><source file='" path "'/><target dev='vda'/></disk>"

/* What the guest only reads must not become writable at its next start. */
static void test_stored_writable(fixture *f, gconstpointer unused)
{
    put(f, "new/a.raw", "x", 1);
    compare(f, READ_ONLY("@new/a.raw", END), READ_ONLY("@new/a.raw", ""));
    expect_codes(f, NONE);
    compare(f, READ_ONLY("@new/a.raw", END),
            "<disk type='file'><source file='@new/a.raw'/><target dev='vda'/></disk>");
    expect_codes(f, CODES(3018));
}

/* A peer names files of this host to read: none outside the places for disks, none kept for another
 * VM, none with others below it, and nothing but a file. */
static void test_readable_places(fixture *f, gconstpointer unused)
{
    g_autofree char *link = at(f, "new/link.iso"), *socket = at(f, "new/pipe");

    put(f, "new/a.raw", "x", 1);
    put(f, "new/a.raw.ferry-landed", "x", 1);
    put(f, "new/a.raw.ferry-0a1b2c3d", "x", 1);
    g_assert_cmpint(symlink("/usr/bin/env", link), ==, 0);
    g_assert_cmpint(mkfifo(socket, 0600), ==, 0);
    compare(f, READ_ONLY("@new/a.raw", END), NULL);
    expect_codes(f, NONE);
    compare(f, READ_ONLY("/usr/bin/env", END), NULL);
    expect_reason(f, 3021, "no place for disks");
    compare(f, CDROM("@new/link.iso"), NULL);
    expect_reason(f, 3013, "no place for disks");
    compare(f, CDROM("@new/pipe"), NULL);
    expect_reason(f, 3013, "not there");
    compare(f, CDROM("@new/a.raw.ferry-landed"), NULL);
    expect_reason(f, 3013, "kept for another VM");
    compare(f, CDROM("@new/a.raw.ferry-0a1b2c3d"), NULL);
    expect_reason(f, 3013, "kept for another VM");
    f->roots[0] = NULL; /* without roots: anywhere but the system's places */
    compare(f, READ_ONLY("@new/a.raw", END), NULL);
    expect_codes(f, NONE);
    compare(f, READ_ONLY("/usr/bin/env", END), NULL);
    expect_reason(f, 3021, "no place for disks");
}

static void test_readable_chains(fixture *f, gconstpointer unused)
{
#define QCOW2(path)                                                                                \
    "<disk type='file'><driver type='qcow2'/><source file='" path "'/>" END                        \
    "<target dev='vda'/><readonly/></disk>"
    char head[80] = "QFI\xfb\0\0\0\3";

    put(f, "new/a.raw", "x", 1);
    compare(f,
            READ_ONLY("@new/a.raw", "<backingStore type='file'><format type='raw'/>"
                                    "<source file='/etc/shadow'/></backingStore>"),
            NULL);
    expect_reason(f, 3021, "other images");
    compare(f, READ_ONLY("@new/a.raw", "<mirror type='file'><source file='/srv/b'/></mirror>"),
            NULL);
    expect_reason(f, 3021, "other images");
    compare(f, READ_ONLY("@new/a.raw", END),
            READ_ONLY("@new/a.raw", "<backingStore type='file'><source file='/etc/shadow'/>"
                                    "</backingStore>"));
    expect_reason(f, 3021, "other images");
    compare(f, QCOW2("@new/a.raw"), NULL);
    expect_reason(f, 3021, "not one qcow2 image");
    put(f, "new/a.qcow2", head, sizeof(head));
    compare(f, QCOW2("@new/a.qcow2"), NULL);
    expect_codes(f, NONE);
    head[79] = 4; /* an external data file */
    put(f, "new/a.qcow2", head, sizeof(head));
    compare(f, QCOW2("@new/a.qcow2"), NULL);
    expect_reason(f, 3021, "not one qcow2 image");
    head[79] = 0;
    head[14] = 1; /* a backing file, whose name is at 256 */
    put(f, "new/a.qcow2", head, sizeof(head));
    compare(f, QCOW2("@new/a.qcow2"), NULL);
    expect_reason(f, 3021, "not one qcow2 image");
    /* The running VM has it raw; at its next start it would be more than that. */
    compare(f, READ_ONLY("@new/a.qcow2", END), QCOW2("@new/a.qcow2"));
    expect_reason(f, 3021, "not one qcow2 image");
    compare(f,
            "<disk type='file'><driver type='vmdk'/><source file='@new/a.raw'/>" END
            "<target dev='vda'/><readonly/></disk>",
            NULL);
    expect_reason(f, 3021, "neither raw nor qcow2");
}

/* What another VM of this host writes to is not given to a guest: by no name, from neither of its
 * definitions, as no kind of file. */
static void test_readable_in_use(fixture *f, gconstpointer unused)
{
    g_autofree char *b = at(f, "new/b.raw"), *link = at(f, "new/link.raw");
    g_autofree char *xml = NULL;
    virDomainPtr other;

    put(f, "new/a.raw", "x", 1);
    put(f, "new/b.raw", "x", 1);
    put(f, "new/c.raw", "x", 1);
    g_assert_cmpint(symlink("b.raw", link), ==, 0);
    xml = g_strdup_printf(DEFINITION("other", OTHER,
                                     "<devices><disk type='file'><source file='%s'/>"
                                     "<target dev='vda'/></disk><disk type='file'>"
                                     "<source file='%s/new/c.raw'/><target dev='vdb'/><readonly/>"
                                     "</disk></devices>"),
                          b, f->dir);
    other = virDomainDefineXML(f->host.conn, xml);
    g_assert_nonnull(other);
    compare(f, READ_ONLY("@new/a.raw", END), NULL);
    expect_codes(f, NONE);
    compare(f, READ_ONLY("@new/c.raw", END), NULL); /* the other only reads it, too */
    expect_codes(f, NONE);
    compare(f, READ_ONLY("@new/b.raw", END), NULL);
    expect_reason(f, 3021, "used by another VM");
    compare(f, CDROM("@new/link.raw"), NULL);
    expect_reason(f, 3013, "used by another VM");
    compare(f, READ_ONLY("@new/a.raw", END), READ_ONLY("@new/b.raw", ""));
    expect_reason(f, 3021, "used by another VM");
    compare(f,
            "<interface type='user'><mac address='52:54:00:00:00:05'/><rom file='@new/b.raw'/>"
            "</interface>",
            NULL);
    expect_reason(f, 4009, "used by another VM");
    map(f, 0, "@old", "@new");
    g_ptr_array_set_size(f->found, 0);
    plan_them(f, MIB, disk(f, "vda", "@old/b.raw", "raw", END "<readonly/>"), NULL);
    expect_codes(f, CODES(3021));
    g_assert_cmpuint(f->media->len, ==, 0);
    virDomainUndefine(other);
    virDomainFree(other);
}

/* Drives whose medium is not a file at all are not empty. */
static void test_drives(fixture *f, gconstpointer unused)
{
#define FLOPPY(type, source)                                                                       \
    "<disk type='" type "' device='floppy'>" source "<target dev='fda'/></disk>"
    compare(f, FLOPPY("file", ""), FLOPPY("file", ""));
    expect_codes(f, NONE);
    compare(f, FLOPPY("dir", "<source dir='/srv'/>"), NULL);
    expect_codes(f, CODES(3010, 5006));
    compare(f, FLOPPY("network", "<source protocol='http' name='x'/>"), NULL);
    expect_codes(f, CODES(3010));
    compare(f, FLOPPY("file", ""), FLOPPY("network", "<source protocol='http' name='x'/>"));
    expect_codes(f, CODES(3018));
}

/* Told once, though both definitions have it; what only the stored one has is told as well. */
static void test_unknown(fixture *f, gconstpointer unused)
{
    compare(f, "<newdevice/>", "<newdevice/>");
    expect_reason(f, 5006, "<newdevice> in <devices>");
    compare(f, "", "<hub type='usb'><x:y xmlns:x='x'/></hub>");
    expect_reason(f, 5006, "<x:y> in <hub>");
    compare(f, "<audio type='oss'/>", "<audio type='oss'/>");
    expect_codes(f, CODES(5001));
}

/* What libvirt gives the VM at its next start is looked at like what it has now. */
static void suit(fixture *f, const char *live_more, const char *stored_more)
{
    static const char format[] =
        "<domain type='test'><name>s</name><uuid>ebab134f-7609-4580-b43d-5ae59ea22778</uuid>"
        "<os><type arch='i686'>hvm</type></os>%s</domain>";
    g_autofree char *live_xml = g_strdup_printf(format, live_more);
    g_autofree char *stored_xml = g_strdup_printf(format, stored_more);
    g_autoptr(GError) error = NULL;
    g_autoptr(vm) live = vm_parse(live_xml, &error);
    g_autoptr(vm) stored = vm_parse(stored_xml, &error);
    plan_rules rules = {0};
    survey s = {&f->host, live, &rules, f->found, "zulu"};
    g_autofree char *emulator = NULL;
    g_auto(GStrv) security = NULL;

    g_assert_no_error(error);
    g_ptr_array_set_size(f->found, 0);
    g_assert_true(suit_check(&s, stored, &emulator, &security, &error));
    g_assert_no_error(error);
    for (guint i = 0; i < f->found->len; i++)
        g_test_message("%s", ((finding *)f->found->pdata[i])->text);
}

static void expect_code(const fixture *f, int code, const char *words)
{
    for (guint i = 0; i < f->found->len; i++) {
        const finding *one = f->found->pdata[i];
        if (one->code == code && strstr(one->text, words))
            return;
    }
    g_error("no FERRY-%d with \"%s\"", code, words);
}

static void test_suit_stored(fixture *f, gconstpointer unused)
{
    guint before;

    suit(f, "<memory>1024</memory>", "<memory>1024</memory>");
    before = f->found->len;
    suit(f, "<memory>1024</memory>", "<memory unit='TiB'>900</memory>");
    expect_code(f, 4001, "stored definition");
    suit(f, "<memory>1024</memory>",
         "<memory>1024</memory><cpu><numa><cell id='0' memory='900' unit='TiB'/></numa></cpu>");
    expect_code(f, 4001, "stored definition");
    suit(f, "<memory>1024</memory>",
         "<memory unit='TiB'>900</memory><memoryBacking><hugepages/></memoryBacking>");
    expect_code(f, 4010, "stored definition");
    suit(
        f, "<memory>1024</memory>",
        "<memory>1024</memory><seclabel type='static' model='dac'><label>+0:+0</label></seclabel>");
    expect_code(f, 4014, "label");
    suit(f, "<memory>1024</memory>",
         "<memory>1024</memory><seclabel type='dynamic' model='nosuch'/>");
    expect_code(f, 4011, "nosuch");
    suit(f, "<memory>1024</memory>", "<memory>1024</memory><seclabel type='dynamic' model='dac'/>");
    g_assert_cmpuint(f->found->len, ==, before);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, test) g_test_add("/virt/disks/" path, fixture, NULL, set_up, test, tear_down)
    ADD("same-place", test_same_place);
    ADD("precedence", test_precedence);
    ADD("whole-names", test_whole_names);
    ADD("formats", test_formats);
    ADD("names", test_names);
    ADD("formats-ferry-cannot-make", test_bad_formats);
    ADD("directory-missing", test_missing_directory);
    ADD("file-exists", test_file_exists);
    ADD("two-disks-one-name", test_collision);
    ADD("space-is-added-up", test_space);
    ADD("kinds-that-stay", test_kinds);
    ADD("encrypted-and-chained", test_more_kinds);
    ADD("size-not-known", test_no_size);
    ADD("unknown-pool", test_pools);
    ADD("system-directories", test_system_places);
    ADD("roots", test_roots);
    ADD("media", test_media);
    ADD("qemu's-reach", test_reach);
    g_test_add_func("/virt/disks/places", test_places);
    ADD("find-by-uuid", test_find);
    ADD("stored-writable", test_stored_writable);
    ADD("readable/places", test_readable_places);
    ADD("readable/chains", test_readable_chains);
    ADD("readable/in-use", test_readable_in_use);
    ADD("drives-that-are-not-empty", test_drives);
    ADD("unknown-elements", test_unknown);
    ADD("stored-memory-and-labels", test_suit_stored);
    ADD("prepare", test_prepare);
    ADD("prepare-takes-back", test_prepare_fails);
    ADD("abandon-untouched", test_abandon_untouched);
    ADD("abandon-landed", test_abandon_landed);
    ADD("abandon-beside-an-earlier-try", test_abandon_beside_an_earlier_try);
    ADD("abandon-keeps-nothing", test_abandon_keeps_nothing);
    ADD("prepare-gives-up", test_prepare_gives_up);
    ADD("abandon-leaves-strangers", test_abandon_stranger);
    ADD("abandon-after-a-crash", test_abandon_by_mark);
    return g_test_run();
}
