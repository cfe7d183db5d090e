/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which files of this host belong to VMs, with what is below their disks. */
#include "virt/images.h"
#include "virt/qcow2.h"

#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    char *dir;
    GHashTable *set;
    GPtrArray *made;
} fixture;

static void set_up(fixture *f, gconstpointer unused)
{
    g_autofree char *dir = g_dir_make_tmp("ferry-images-XXXXXX", NULL);

    f->dir = realpath(dir, NULL);
    f->set = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    f->made = g_ptr_array_new_with_free_func(g_free);
}

static void tear_down(fixture *f, gconstpointer unused)
{
    for (guint i = 0; i < f->made->len; i++)
        (void)g_unlink(f->made->pdata[i]);
    g_assert_cmpint(g_rmdir(f->dir), ==, 0);
    g_ptr_array_unref(f->made);
    g_hash_table_unref(f->set);
    free(f->dir);
}

static const char *path_of(fixture *f, const char *name)
{
    char *path = g_build_filename(f->dir, name, NULL);

    g_ptr_array_add(f->made, path);
    return path;
}

/* backing NULL: none; format NULL: the header does not tell it. */
static void make(fixture *f, const char *name, const char *backing, const char *format)
{
    const char *path = path_of(f, name);
    const char *argv[] = {"qemu-img", "create", "-q",   "-u",   "-f", "qcow2", path, "1M",
                          NULL,       NULL,     NULL,   NULL,   NULL};
    guint n = 8;
    int status;

    if (backing) {
        argv[n++] = "-b";
        argv[n++] = backing;
        argv[n++] = "-F";
        argv[n++] = format;
    }
    g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL,
                               NULL, &status, NULL));
    g_assert_true(g_spawn_check_wait_status(status, NULL));
}

static void define(fixture *f, const char *disk)
{
    g_autofree char *text =
        g_strdup_printf("<domain><devices>%s</devices></domain>", disk);
    g_autoptr(GError) error = NULL;

    g_assert_true(images_of_definition(f->set, NULL, text, &error));
    g_assert_no_error(error);
}

static images_use use_of(fixture *f, const char *name)
{
    return (images_use)GPOINTER_TO_INT(g_hash_table_lookup(f->set, path_of(f, name)));
}

static void disk_of(fixture *f, const char *name, const char *format)
{
    g_autofree char *disk =
        g_strdup_printf("<disk type='file'><driver name='qemu' type='%s'/><source file='%s/%s'/>"
                        "</disk>", format, f->dir, name);

    define(f, disk);
}

static void stored_definitions_have_their_chains_too(fixture *f, gconstpointer unused)
{
    g_autofree char *json = g_strdup_printf(
        "json:{\"driver\":\"qcow2\",\"file\":{\"driver\":\"file\",\"filename\":\"%s/base\"}}",
        f->dir);

    make(f, "base", "lowest", "raw");
    make(f, "lowest", "not-asked", "qcow2"); /* raw, its guest could have written that */
    make(f, "middle", json, "qcow2");
    make(f, "top", "middle", "qcow2");
    disk_of(f, "top", "qcow2");
    g_assert_cmpint(use_of(f, "top"), ==, IMAGES_DISK);
    g_assert_cmpint(use_of(f, "middle"), ==, IMAGES_BELOW);
    g_assert_cmpint(use_of(f, "base"), ==, IMAGES_BELOW);
    g_assert_cmpint(use_of(f, "lowest"), ==, IMAGES_BELOW);
    g_assert_cmpint(use_of(f, "not-asked"), ==, IMAGES_NONE);
    /* Whatever order they come in, it is a disk as soon as it is one of any VM. */
    disk_of(f, "middle", "qcow2");
    disk_of(f, "top", "qcow2");
    g_assert_cmpint(use_of(f, "middle"), ==, IMAGES_DISK);
    g_assert_cmpint(use_of(f, "base"), ==, IMAGES_BELOW);
}

static void what_a_guest_wrote_is_no_header(fixture *f, gconstpointer unused)
{
    make(f, "disk", "victim", "qcow2");
    disk_of(f, "disk", "raw");
    g_assert_cmpint(use_of(f, "disk"), ==, IMAGES_DISK);
    g_assert_cmpint(use_of(f, "victim"), ==, IMAGES_NONE);
}

static void chains_without_an_end_end(fixture *f, gconstpointer unused)
{
    make(f, "a", "b", "qcow2");
    make(f, "b", "a", "qcow2");
    make(f, "far", "nbd:localhost:10809", "raw");
    disk_of(f, "a", "qcow2");
    disk_of(f, "far", "qcow2");
    disk_of(f, "gone", "qcow2");
    g_assert_cmpint(use_of(f, "a"), ==, IMAGES_DISK);
    g_assert_cmpint(use_of(f, "b"), ==, IMAGES_BELOW);
    g_assert_cmpuint(g_hash_table_size(f->set), ==, 4);
}

static void running_definitions_tell_more(fixture *f, gconstpointer unused)
{
    define(f, "<disk><source file='/1'><dataStore type='file'><source file='/2'/></dataStore></source>"
              "<backingStore><source file='/3'/><backingStore><source file='/4'/></backingStore>"
              "</backingStore><mirror><source file='/5'/><backingStore><source file='/6'/>"
              "</backingStore></mirror></disk><disk><source file='/7'/><readonly/></disk>");
    for (guint i = 1; i <= 7; i++) {
        const images_use wanted[] = {IMAGES_DISK,  IMAGES_DISK, IMAGES_BELOW, IMAGES_BELOW,
                                     IMAGES_DISK, IMAGES_BELOW, IMAGES_NONE};
        const char name[] = {'/', (char)('0' + i), '\0'};
        g_assert_cmpint(GPOINTER_TO_INT(g_hash_table_lookup(f->set, name)), ==, wanted[i - 1]);
    }
}

/* Any header, cut anywhere. */
static void broken_headers_name_nothing_outside(fixture *f, gconstpointer unused)
{
    g_autofree char *whole = NULL;
    const char *path;
    gsize length;

    make(f, "image", "below", "qcow2");
    path = path_of(f, "image");
    g_assert_true(g_file_get_contents(path, &whole, &length, NULL));
    for (gsize cut = 0; cut < 700; cut++) {
        g_auto(qcow2_names) names = {0};
        g_assert_true(g_file_set_contents(path, whole, (gssize)cut, NULL));
        g_assert_true(qcow2_read_names(path, &names, NULL));
        g_assert_true(!names.backing || g_str_has_prefix(names.backing, f->dir));
    }
    for (gsize at = 4; at < 700; at++) {
        g_auto(qcow2_names) names = {0};
        char was = whole[at];
        whole[at] = (char)0xff;
        g_assert_true(g_file_set_contents(path, whole, (gssize)MIN(length, 4096), NULL));
        g_assert_true(qcow2_read_names(path, &names, NULL));
        whole[at] = was;
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, test) g_test_add("/virt/images/" name, fixture, NULL, set_up, test, tear_down)
    ADD("stored", stored_definitions_have_their_chains_too);
    ADD("raw", what_a_guest_wrote_is_no_header);
    ADD("loops", chains_without_an_end_end);
    ADD("running", running_definitions_tell_more);
    ADD("broken", broken_headers_name_nothing_outside);
    return g_test_run();
}
