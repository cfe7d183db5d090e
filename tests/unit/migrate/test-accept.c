/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The target's commit when libvirt does not answer as it should. libvirt is a script here: what each look at the guest
 * sees, and what each resume says. (The linker puts these functions in the place of src/virt's.) */
#include "migrate/target-inside.h"

#include <glib/gstdio.h>
#include <string.h>

#define ID   "5d0f0000-0000-4000-8000-000000000001"
#define UUID "5d0f0000-0000-4000-8000-000000000002"
#define XML                                                                                         \
    "<domain type='kvm'><name>web01</name><uuid>" UUID "</uuid><memory unit='KiB'>65536</memory>"  \
    "<vcpu>1</vcpu><os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os></domain>"
#define LANDING "{\"id\":\"" ID "\",\"host_uuid\":\"" UUID "\",\"live_xml\":\"" XML "\",\"disks\":[]}"

/* One letter a look: p paused, r running, s shut off, g gone, x no connection; the last one stays.
 * One letter a resume: o it works, e an error. */
static const char *looks, *resumes;
static int opened, destroyed, resumed;
static char seen;

virt_host *__wrap_virt_host_open(const char *socket, GError **error);
void __wrap_virt_host_close(virt_host *host);
virt_domain *__wrap_virt_domain_find_uuid(virt_host *host, const char *uuid, GError **error);
gboolean __wrap_virt_domain_state(virt_domain *self, virt_state *state, GError **error);
gboolean __wrap_virt_domain_resume(virt_domain *self, GError **error);
gboolean __wrap_virt_domain_destroy(virt_domain *self, GError **error);
const char *__wrap_virt_domain_name(const virt_domain *self);
void __wrap_virt_domain_free(virt_domain *self);
void __wrap_g_usleep(gulong microseconds);

virt_host *__wrap_virt_host_open(const char *socket, GError **error)
{
    opened++;
    return (virt_host *)&opened;
}

void __wrap_virt_host_close(virt_host *host)
{
}

virt_domain *__wrap_virt_domain_find_uuid(virt_host *host, const char *uuid, GError **error)
{
    g_assert_cmpstr(uuid, ==, UUID);
    seen = looks[0];
    if (looks[1])
        looks++;
    if (seen != 'g' && seen != 'x')
        return (virt_domain *)&seen;
    g_set_error_literal(error, G_IO_ERROR, seen == 'g' ? G_IO_ERROR_NOT_FOUND : G_IO_ERROR_FAILED,
                        "no guest to be seen");
    return NULL;
}

gboolean __wrap_virt_domain_state(virt_domain *self, virt_state *state, GError **error)
{
    *state = seen == 'p' ? VIRT_PAUSED : seen == 'r' ? VIRT_RUNNING : VIRT_SHUT_OFF;
    return TRUE;
}

gboolean __wrap_virt_domain_resume(virt_domain *self, GError **error)
{
    gboolean ok = *resumes == 'o';

    resumed++;
    if (resumes[1])
        resumes++;
    if (!ok)
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_FAILED, "the connection was reset");
    return ok;
}

gboolean __wrap_virt_domain_destroy(virt_domain *self, GError **error)
{
    g_assert_cmpint(seen, ==, 'p');
    destroyed++;
    return TRUE;
}

const char *__wrap_virt_domain_name(const virt_domain *self)
{
    return "web01";
}

void __wrap_virt_domain_free(virt_domain *self)
{
}

void __wrap_g_usleep(gulong microseconds)
{
}

static void nobody(void *user)
{
}

typedef struct {
    const char *looks, *resumes;
    phase at;
    gboolean loaded, ours;
    int opened, resumed, destroyed;
} trial;

static void try_commit(gconstpointer data)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    const trial *t = data;
    g_autofree char *dir = g_dir_make_tmp("accept-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "journal.db", NULL);
    g_autoptr(GError) error = NULL;
    journal *book = journal_open(path, FALSE, &error);
    journal_entry e = {.id = (char *)ID,
                       .role = (char *)"target",
                       .vm = (char *)"web01",
                       .vm_uuid = (char *)UUID,
                       .peer = (char *)"alpha",
                       .phase = (char *)"queued"};
    settings conf = {.channels = 1};
    job work = {.conf = &conf, .journal = book, .id = ID, .changed = nobody};
    g_autoptr(JsonObject) object = json_parse(LANDING, -1, &error);
    landing_request *asked = landing_request_from_json(object, &error);
    g_autoptr(journal_entry) now = NULL;
    target *landed;

    g_assert_no_error(error);
    looks = t->looks;
    resumes = t->resumes;
    opened = destroyed = resumed = 0;
    g_assert_true(journal_begin(book, &e, &error));
    landed = target_new(&work, "alpha", asked);
    landed->loaded = t->loaded;
    landed->token = g_strdup("t");
    landed->host = (virt_host *)&opened;
    g_assert_true(status_enter(landed->status, PHASE_LANDING, &error));
    g_assert_true(status_advance(landed->status, t->at, &error));

    g_assert_true(accept_commit(landed) == t->ours);
    g_assert_true(landed->settled);
    g_assert_true(landed->accepted == t->ours);
    g_assert_cmpint(opened, ==, t->opened);
    g_assert_cmpint(resumed, ==, t->resumed);
    g_assert_cmpint(destroyed, ==, t->destroyed);
    now = journal_find(book, ID, &error);
    g_assert_cmpint(now->decision, ==, t->ours ? DECISION_ACCEPTED : DECISION_REFUSED);
    landed->host = NULL;
    target_free(landed);
    journal_close(book);
    for (guint i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        g_autofree char *file = g_strconcat(path, suffixes[i], NULL);
        g_unlink(file);
    }
    g_rmdir(dir);
}

int main(int argc, char **argv)
{
    /* The first look is the one before the decision. */
    static const trial plain = {"pp", "o", PHASE_SWITCHING, TRUE, TRUE, 0, 1, 0},
                       lost_answer = {"ppxxxxxxxxxxr", "e", PHASE_SWITCHING, TRUE, TRUE, 11, 1, 0},
                       lost_call = {"ppxxp", "eo", PHASE_SWITCHING, TRUE, TRUE, 3, 2, 0},
                       never = {"p", "e", PHASE_SWITCHING, TRUE, FALSE, 5, 5, 1},
                       gone_before = {"pg", "o", PHASE_SWITCHING, TRUE, FALSE, 0, 0, 0},
                       gone_after = {"ppxg", "e", PHASE_SWITCHING, TRUE, TRUE, 2, 1, 0},
                       off_after = {"ppxs", "e", PHASE_SWITCHING, TRUE, TRUE, 2, 1, 0},
                       not_loaded = {"p", "o", PHASE_SYNCHRONIZING, FALSE, FALSE, 0, 0, 1},
                       not_prepared = {"p", "o", PHASE_LANDING, FALSE, FALSE, 0, 0, 0};

    g_test_init(&argc, &argv, NULL);
    g_log_set_always_fatal(G_LOG_LEVEL_ERROR | G_LOG_FATAL_MASK);
#define ADD(name, trial) g_test_add_data_func("/accept/" name, trial, try_commit)
    ADD("it runs", &plain);
    ADD("libvirtd dies after the guest was told to run", &lost_answer);
    ADD("libvirtd dies before the guest was told to run", &lost_call);
    ADD("it is seen not to run, again and again", &never);
    ADD("it was gone before it could run", &gone_before);
    ADD("it may have run and is gone", &gone_after);
    ADD("it may have run and is shut off", &off_after);
    ADD("a token too early", &not_loaded);
    ADD("what this landing has not brought is left alone", &not_prepared);
    return g_test_run();
}
