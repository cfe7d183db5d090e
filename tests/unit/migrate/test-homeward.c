/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way back: which rules put a VM's disks and NICs back to where they were, and when what was kept of it has
 * had its time. */
#include "migrate/homeward.h"
#include "migrate/wayback.h"

#include <glib/gstdio.h>
#include <string.h>

#define ID    "5d0f0000-0000-4000-8000-000000000001"
#define OTHER "5d0f0000-0000-4000-8000-000000000003"
#define UUID  "5d0f0000-0000-4000-8000-000000000002"

#define FILE_DISK(target, format, file)                                                            \
    "<disk type='file' device='disk'><driver name='qemu' type='" format "'/><source file='" file   \
    "'/><target dev='" target "'/></disk>"
#define VOLUME(target, pool, volume)                                                               \
    "<disk type='volume' device='disk'><driver name='qemu' type='qcow2'/><source pool='" pool      \
    "' volume='" volume "'/><target dev='" target "'/></disk>"
#define MEDIUM(target, file)                                                                       \
    "<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='" file         \
    "'/><target dev='" target "'/><readonly/></disk>"
#define NIC(mac, type, name, more)                                                                 \
    "<interface type='" type "'><mac address='52:54:00:00:00:" mac "'/><source " type "='" name    \
    "'/>" more "</interface>"
#define VLAN "<virtualport type='openvswitch'/><vlan><tag id='500'/></vlan>"
#define TRUNK                                                                                      \
    "<virtualport type='openvswitch'/><vlan trunk='yes'><tag id='7'/><tag id='9'/></vlan>"

static char *domain(const char *devices)
{
    return g_strconcat("<domain type='kvm'><name>web01</name><uuid>" UUID "</uuid>"
                       "<memory unit='KiB'>65536</memory><vcpu>1</vcpu>"
                       "<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os><devices>",
                       devices, "</devices></domain>", NULL);
}

/* `stored` NULL: transient. */
static landing_request *described(const char *devices, const char *stored)
{
    landing_request *asked = g_new0(landing_request, 1);
    g_autoptr(GError) error = NULL;

    asked->id = g_strdup(ID);
    asked->host_uuid = g_strdup(OTHER);
    asked->live_xml = domain(devices);
    asked->stored_xml = stored ? domain(stored) : NULL;
    asked->machine = vm_parse(asked->live_xml, &error);
    g_assert_no_error(error);
    for (guint i = 0; i < asked->machine->disks->len; i++)
        ((vm_disk *)asked->machine->disks->pdata[i])->capacity = 1 << 20;
    return asked;
}

static void assert_map(GStrv keys, GStrv values, const char *expected)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; keys && keys[i]; i++)
        g_string_append_printf(text, "%s%s=%s", i ? " " : "", keys[i], values[i]);
    g_assert_cmpstr(text->str, ==, expected);
}

static void recall(const landing_request *came, landing_request *home)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(homeward_rules(came, home, &error));
    g_assert_no_error(error);
}

static void every_part_goes_where_it_was(void)
{
    g_autoptr(landing_request) came =
        described(FILE_DISK("vda", "qcow2", "/images/a=b/web.img") VOLUME("vdb", "fast", "data.x")
                      MEDIUM("sda", "/isos/cd.iso") MEDIUM("sdb", "/isos/old.iso")
                          NIC("01", "bridge", "vSwitch:1", VLAN) NIC("02", "network", "default", "")
                              NIC("03", "bridge", "br0", TRUNK),
                  NULL);
    g_autoptr(landing_request) home =
        described(FILE_DISK("vda", "raw", "/srv/ssd/web.img") FILE_DISK("vdb", "qcow2", "/srv/y")
                      MEDIUM("sda", "/srv/cd.iso") MEDIUM("sdb", "/srv/new.iso")
                          NIC("01", "bridge", "Converged", VLAN) NIC("02", "bridge", "Converged", VLAN)
                              NIC("03", "bridge", "Converged", ""),
                  NULL);

    recall(came, home);
    assert_map(home->switch_keys, home->switch_values,
               "52:54:00:00:00:01=bridge:vSwitch:1:500 52:54:00:00:00:02=network:default:untagged "
               "52:54:00:00:00:03=bridge:br0:7,9");
    assert_map(home->storage_keys, home->storage_values,
               "vda=/images/a=b vdb=pool:fast sda=/isos");
    assert_map(home->name_keys, home->name_values, "vda=web.img vdb=data.x");
    assert_map(home->format_keys, home->format_values, "vda=qcow2 vdb=qcow2");
}

/* What was taken off the VM here is not asked for; what it has got goes by the rules over there. */
static void a_vm_that_has_changed(void)
{
    g_autoptr(landing_request) came =
        described(FILE_DISK("vda", "vmdk", "/images/a") FILE_DISK("vdb", "raw", "/images/b")
                      NIC("01", "bridge", "br0", "") NIC("02", "bridge", "br0", ""),
                  NIC("01", "bridge", "br9", "") NIC("04", "bridge", "br4", "") NIC("05", "bridge", "x", ""));
    g_autoptr(landing_request) home =
        described(FILE_DISK("vda", "qcow2", "/srv/a") FILE_DISK("vdc", "raw", "/srv/c")
                      NIC("02", "bridge", "br1", "") NIC("03", "bridge", "br1", ""),
                  NIC("04", "bridge", "br1", ""));

    recall(came, home);
    assert_map(home->switch_keys, home->switch_values,
               "52:54:00:00:00:02=bridge:br0:untagged 52:54:00:00:00:04=bridge:br4:untagged");
    assert_map(home->storage_keys, home->storage_values, "vda=/images");
    assert_map(home->name_keys, home->name_values, "vda=a");
    /* Ferry makes no vmdk: it stays what it became. */
    assert_map(home->format_keys, home->format_values, "");
}

static void refused(const char *then, const char *now, const char *about)
{
    g_autoptr(landing_request) came = described(then, NULL), home = described(now, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_false(homeward_rules(came, home, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED);
    g_assert_nonnull(strstr(error->message, about));
}

static void what_has_no_rule_is_refused(void)
{
    g_autoptr(landing_request) came = described(NIC("01", "direct", "x", ""), NULL);
    g_autoptr(landing_request) home = described(NIC("01", "direct", "x", ""), NULL);

    refused(NIC("01", "direct", "x", ""), NIC("01", "bridge", "br0", ""), "52:54:00:00:00:01");
    refused(NIC("01", "bridge", "a", "") NIC("01", "bridge", "b", ""),
            NIC("01", "bridge", "c", "") NIC("01", "bridge", "c", ""), "52:54:00:00:00:01");
    recall(came, home); /* it stays as it is */
    assert_map(home->switch_keys, home->switch_values, "");
}

typedef struct {
    char *dir, *path;
    journal *book;
    settings conf;
    job work;
} fixture;

static void set_up(fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    f->dir = g_dir_make_tmp("homeward-XXXXXX", NULL);
    f->conf.state_dir = f->dir;
    f->path = settings_journal(&f->conf);
    f->book = journal_open(f->path, FALSE, &error);
    g_assert_no_error(error);
    f->work = (job){.conf = &f->conf, .id = ID};
}

static void tear_down(fixture *f, gconstpointer data)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};

    journal_close(f->book);
    for (guint i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        g_autofree char *path = g_strconcat(f->path, suffixes[i], NULL);
        g_unlink(path);
    }
    g_rmdir(f->dir);
    g_free(f->dir);
    g_free(f->path);
}

static void handed_over(fixture *f, const char *id, const char *role, const char *peer,
                        landing_request *asked)
{
    g_autoptr(JsonObject) details = json_object_new();
    g_autofree char *text = NULL;
    journal_entry entry = {.id = (char *)id,
                           .role = (char *)role,
                           .vm = (char *)"web01",
                           .vm_uuid = (char *)UUID,
                           .peer = (char *)peer,
                           .phase = (char *)"queued"};
    g_autoptr(GError) error = NULL;

    if (asked)
        json_object_set_object_member(details, "landing", landing_request_to_json(asked));
    entry.details = text = json_text(details);
    g_assert_true(journal_begin(f->book, &entry, &error));
    g_assert_true(journal_decide(f->book, id,
                                 strcmp(role, "source") ? DECISION_ACCEPTED : DECISION_GIVEN_UP,
                                 "t", &error));
    g_assert_true(journal_end(f->book, id, "completed", "{}", &error));
    g_assert_no_error(error);
}

static gboolean recalled(fixture *f, const char *id, const char *peer, landing_request *home)
{
    g_autoptr(GError) error = NULL;
    gboolean ok = homeward_recall(f->book, id, peer, home, &error);

    g_assert_true(ok == !error);
    return ok;
}

static void only_the_move_that_brought_it(fixture *f, gconstpointer data)
{
    g_autoptr(landing_request) came = described(FILE_DISK("vda", "raw", "/images/a"), NULL);
    g_autoptr(landing_request) home = described(FILE_DISK("vda", "raw", "/srv/a"), NULL);

    g_assert_false(recalled(f, ID, "alpha", home));
    handed_over(f, ID, "target", "alpha", came);
    g_assert_false(recalled(f, OTHER, "alpha", home));
    g_assert_false(recalled(f, ID, "yankee", home));
    g_assert_true(recalled(f, ID, "alpha", home));
    assert_map(home->storage_keys, home->storage_values, "vda=/images");
    /* It has gone on, and come again without a word of where from. */
    g_usleep(1);
    handed_over(f, OTHER, "target", "alpha", NULL);
    g_assert_false(recalled(f, ID, "alpha", home));
    g_assert_false(recalled(f, OTHER, "alpha", home));
}

static void keep(fixture *f, const char *path, const char *kind, const char *id, const char *uuid)
{
    journal_kept row = {.path = (char *)path,
                        .original = (char *)"/x",
                        .kind = (char *)kind,
                        .id = (char *)id,
                        .vm_uuid = (char *)uuid,
                        .until = g_get_real_time() / G_USEC_PER_SEC + 3600};

    g_assert_true(journal_keep(f->book, &row, NULL));
}

static guint expired(fixture *f)
{
    g_autoptr(GPtrArray) all =
        journal_kept_list(f->book, g_get_real_time() / G_USEC_PER_SEC, NULL);

    return all->len;
}

static void what_came_home_is_not_kept(fixture *f, gconstpointer data)
{
    handed_over(f, ID, "source", "zulu", NULL);
    keep(f, "/a.ferry-1", "way-back", ID, UUID);
    keep(f, "/b.ferry-1", "way-back", ID, UUID);
    keep(f, "/c.ferry-1", "way-back", ID, OTHER);          /* another VM's */
    keep(f, "/d.ferry-landed", "landed", ID, UUID);        /* not a way back */
    keep(f, "/e.ferry-1", "way-back", OTHER, UUID);        /* of a move nobody knows */
    wayback_supersede(&f->work, UUID, "yankee");           /* it was never given to that one */
    g_assert_cmpuint(expired(f), ==, 0);
    wayback_supersede(&f->work, UUID, "Zulu");
    g_assert_cmpuint(expired(f), ==, 2);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/homeward/every part goes where it was", every_part_goes_where_it_was);
    g_test_add_func("/homeward/a VM that has changed", a_vm_that_has_changed);
    g_test_add_func("/homeward/what has no rule is refused", what_has_no_rule_is_refused);
    g_test_add("/homeward/only the move that brought it here", fixture, NULL, set_up,
               only_the_move_that_brought_it, tear_down);
    g_test_add("/homeward/what came home is not kept", fixture, NULL, set_up,
               what_came_home_is_not_kept, tear_down);
    return g_test_run();
}
