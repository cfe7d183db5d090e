/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Recovery from a journal that cannot be understood: it is said so, and nothing is touched. There is no libvirt here:
 * whatever went on to look for one would wait for ever. */
#include "migrate/source.h"
#include "migrate/target.h"

#include <glib/gstdio.h>
#include <string.h>

#define ID   "5d0f0000-0000-4000-8000-000000000001"
#define UUID "5d0f0000-0000-4000-8000-000000000002"
#define XML                                                                                         \
    "<domain type='kvm'><name>web01</name><uuid>" UUID "</uuid><memory unit='KiB'>65536</memory>"  \
    "<vcpu>1</vcpu><os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os></domain>"
#define LANDING                                                                                     \
    "{\"id\":\"" ID "\",\"host_uuid\":\"" UUID "\",\"live_xml\":\"" XML "\",\"disks\":[]}"

typedef struct {
    char *dir, *path;
    settings conf;
    job work;
    journal *book;
} fixture;

static void nobody(void *user)
{
}

static void set_up(fixture *f, gconstpointer data)
{
    f->dir = g_dir_make_tmp("recover-XXXXXX", NULL);
    f->path = g_build_filename(f->dir, "journal.db", NULL);
    f->book = journal_open(f->path, FALSE, NULL);
    f->conf = (settings){.libvirt_socket = (char *)"/nonexistent/libvirt-sock", .channels = 1};
    f->work = (job){.conf = &f->conf, .journal = f->book, .id = ID, .changed = nobody};
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

static journal_entry *begun(fixture *f, const char *role, const char *at, journal_decision decision,
                            const char *details)
{
    journal_entry e = {.id = (char *)ID,
                       .role = (char *)role,
                       .vm = (char *)"web01",
                       .vm_uuid = (char *)UUID,
                       .peer = (char *)"zulu",
                       .phase = (char *)at,
                       .details = (char *)details};
    journal_entry *found;
    g_autoptr(GError) error = NULL;

    g_assert_true(journal_begin(f->book, &e, &error));
    g_assert_true(decision == DECISION_NONE || journal_decide(f->book, ID, decision, "t", &error));
    found = journal_find(f->book, ID, &error);
    g_assert_no_error(error);
    return found;
}

static void assert_untouched(fixture *f, const char *at, journal_decision decision)
{
    g_autoptr(journal_entry) now = journal_find(f->book, ID, NULL);

    g_assert_cmpint(now->ended, ==, 0);
    g_assert_cmpstr(now->phase, ==, at);
    g_assert_cmpint(now->decision, ==, decision);
}

typedef struct {
    const char *phase;
    journal_decision decision;
    const char *details, *about; /* what the error speaks of */
} trial;

static void try_source(fixture *f, gconstpointer data)
{
    const trial *t = data;
    g_autoptr(journal_entry) entry = begun(f, "source", t->phase, t->decision, t->details);
    request asked = {.vm = (char *)"web01", .target = (char *)"zulu"};
    g_autoptr(source) s = source_new(&f->work, &asked, FALSE);
    g_autoptr(GError) error = NULL;

    g_assert_false(source_recover(s, entry, &error));
    g_assert_nonnull(error);
    if (!strstr(error->message, t->about))
        g_error("\"%s\" does not speak of %s", error->message, t->about);
    assert_untouched(f, t->phase, t->decision);
}

static void try_target(fixture *f, gconstpointer data)
{
    const trial *t = data;
    g_autoptr(journal_entry) entry = begun(f, "target", t->phase, t->decision, t->details);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) object = json_parse(LANDING, -1, &error);
    landing_request *asked = object ? landing_request_from_json(object, &error) : NULL;
    g_autoptr(target) recovered = NULL;

    g_assert_no_error(error);
    recovered = target_new(&f->work, "alpha", asked);
    g_assert_false(target_recover(recovered, entry, &error));
    g_assert_nonnull(error);
    if (!strstr(error->message, t->about))
        g_error("\"%s\" does not speak of %s", error->message, t->about);
    assert_untouched(f, t->phase, t->decision);
}

/* Died before it had looked: there is nothing to find, and that is the end. */
static void try_early(fixture *f, gconstpointer data)
{
    g_autoptr(journal_entry) entry = begun(f, "source", "comparing", DECISION_NONE, "{}"), now = NULL;
    request asked = {.vm = (char *)"web01", .target = (char *)"zulu"};
    g_autoptr(source) s = NULL;
    g_autoptr(GError) error = NULL;

    f->work.qemu_dir = f->work.rpc_socket = (char *)"/nonexistent/ferry";
    s = source_new(&f->work, &asked, FALSE);
    g_assert_true(source_recover(s, entry, &error));
    g_assert_no_error(error);
    now = journal_find(f->book, ID, NULL);
    g_assert_cmpstr(now->phase, ==, "failed");
    g_assert_cmpint(now->ended, >, 0);
}

int main(int argc, char **argv)
{
    static const trial unknown_phase = {"dancing", DECISION_GIVEN_UP, "{\"landing\":" LANDING ",\"paths\":{}}",
                                        "dancing"},
                       damaged = {"mirroring", DECISION_NONE, "{\"landing\":{\"id\":\"x\"},\"paths\":{}}",
                                  "host_uuid"},
                       torn = {"mirroring", DECISION_NONE, "{\"landing\":", "JSON"},
                       given_up_blind = {"committing", DECISION_GIVEN_UP, "{}", "landing"},
                       no_plan = {"committing", DECISION_ACCEPTED, "{\"landing\":" LANDING "}", "plan"};

    g_test_init(&argc, &argv, NULL);
#define ADD(name, function, trial) g_test_add("/recover/" name, fixture, trial, set_up, function, tear_down)
    ADD("source: a phase of another version", try_source, &unknown_phase);
    ADD("source: a VM nobody understands", try_source, &damaged);
    ADD("source: half an entry", try_source, &torn);
    ADD("source: given up, and no VM known", try_source, &given_up_blind);
    ADD("source: before it had looked", try_early, NULL);
    ADD("target: no plan", try_target, &no_plan);
    return g_test_run();
}
