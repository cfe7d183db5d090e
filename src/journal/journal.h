/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The journal: what this host knows of every migration, on disk before anybody else can see its effect.
 *
 * One SQLite database a host (default /var/lib/ferry/journal.db), WAL, synchronous=FULL: when a writing
 * function returns TRUE the row survives a power cut. ferryd and all workers of a host write to it, each
 * through its own handle; a handle belongs to one thread at a time. Waits at most 10 s for another
 * writer. Errors are G_IO_ERROR_* with the path and what to do (full disk, read-only, newer schema).
 */
#pragma once
#include <gio/gio.h>

typedef struct journal journal;

/* Creates it (mode 0600) with its schema if need be. */
journal *journal_open(const char *path, gboolean read_only, GError **error);
/* Can a migration begin: is there a journal, is it writable, and is there room for what one writes? Tries it, durably. */
gboolean journal_probe(const char *path, GError **error);
void journal_close(journal *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(journal, journal_close)

/* What was decided about who owns the guest (I1). Only these steps are legal:
 * source: NONE -> GIVEN_UP -> TAKEN_BACK; target: NONE -> ACCEPTED, NONE or ACCEPTED -> REFUSED (accepted,
 * but the guest could not be started, and is known not to have run). */
typedef enum {
    DECISION_NONE,
    DECISION_GIVEN_UP,   /* source: never resumes the guest again … */
    DECISION_TAKEN_BACK, /* … unless the target has durably refused */
    DECISION_ACCEPTED,   /* target: the guest is ours, start it */
    DECISION_REFUSED     /* target: we shall never start it */
} journal_decision;
const char *journal_decision_name(journal_decision decision);

typedef struct {
    char *id;      /* UUID of the migration, the same on both hosts */
    char *role;    /* source, target */
    char *vm, *vm_uuid, *peer;
    char *phase;   /* a name of migrate/phase.h */
    journal_decision decision;
    char *token;   /* commit token, hex; NULL before the decision */
    char *details; /* JSON: request or landing as it began, plan once made */
    char *status;  /* JSON: the last status object */
    gint64 began, changed, ended; /* Unix time, µs; ended 0: not yet */
} journal_entry;
void journal_entry_free(journal_entry *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(journal_entry, journal_entry_free)

/* Durable, each in one transaction. An id that exists already (begin) or does not (the others) is an error. A landing of
 * a VM (by UUID) that is landing here already is G_IO_ERROR_BUSY, whoever the peers are. */
gboolean journal_begin(journal *self, const journal_entry *entry, GError **error);
gboolean journal_set_phase(journal *self, const char *id, const char *phase, const char *status,
                           GError **error);
gboolean journal_set_details(journal *self, const char *id, const char *details, GError **error);
/* A source begins with what it was asked for; this is the VM it found. */
gboolean journal_set_vm(journal *self, const char *id, const char *vm, const char *vm_uuid,
                        GError **error);
/* An illegal step is G_IO_ERROR_INVALID_ARGUMENT and changes nothing; repeating the same decision with the same token succeeds. */
gboolean journal_decide(journal *self, const char *id, journal_decision decision, const char *token,
                        GError **error);
/* The last phase and status; the entry counts as ended from now on. */
gboolean journal_end(journal *self, const char *id, const char *phase, const char *status, GError **error);

/* One that has ended goes on, in this phase and with these details: somebody has ordered something. Not ended yet: no error. */
gboolean journal_reopen(journal *self, const char *id, const char *phase, const char *details,
                        GError **error);

/* NULL without error: no such entry. */
journal_entry *journal_find(journal *self, const char *id, GError **error);
/* Newest first; unfinished ones only, or the last `most`. Elements are owned by the array. */
GPtrArray *journal_list(journal *self, gboolean unfinished_only, guint most, GError **error);
/* Of a VM (name or UUID) or one by its id (a prefix of at least 4 digits; NULL: all), begun at `since` (Unix µs) or later;
 * newest first, at most `most`. */
GPtrArray *journal_history(journal *self, const char *what, gint64 since, guint most, GError **error);
/* Each step of one that was written down, in order. */
typedef struct {
    gint64 at;  /* Unix time, µs */
    char *step; /* a phase or a decision */
} journal_step;
GPtrArray *journal_steps(journal *self, const char *id, GError **error);
/* The latest migration that changed whose this VM (name or UUID) is: given up here, or accepted. It may not have ended
 * yet. NULL without error: there is none. */
journal_entry *journal_last_handover(journal *self, const char *vm, GError **error);

/* Files kept for a time: the source's disks as the way back, landed data for the next try. Of their absolute paths
 * the directory is resolved when they are kept and forgotten: rows hold no symbolic link on the way, so that whoever
 * deletes a file later need not follow any. */
typedef struct {
    char *path;     /* where it lies now, or is about to */
    char *original; /* what it was called */
    char *kind;     /* way-back, landed */
    char *id;       /* migration */
    char *vm_uuid;
    gint64 until;   /* Unix time, seconds: may be deleted from then on */
} journal_kept;
void journal_kept_free(journal_kept *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(journal_kept, journal_kept_free)
gboolean journal_keep(journal *self, const journal_kept *file, GError **error); /* replaces a row of the same path */
gboolean journal_forget(journal *self, const char *path, GError **error);
/* NULL without error: no such row. */
journal_kept *journal_kept_find(journal *self, const char *path, GError **error);
GPtrArray *journal_kept_list(journal *self, gint64 expired_at /* 0: all */, GError **error);
/* Deletes a kept file for good: `drop` does, FALSE with an error if it cannot, and then the row goes, in one transaction.
 * Not while the VM it is of is landing on this host, which may be reading it: then *in_use is TRUE, and so is what is
 * returned. No landing can begin in between. Whoever wants to write waits for `drop`: keep the file
 * open until this returns, and its blocks are freed without the lock. */
gboolean journal_drop(journal *self, const journal_kept *file,
                      gboolean (*drop)(const char *path, void *user, GError **error), void *user,
                      gboolean *in_use, GError **error);

/* The cutover of a group: several moves from this host, of which all guests are given up or none. Open until the last member has
 * joined, in whose transaction all are given up; or until anybody withdraws. */
typedef enum { CUTOVER_NONE, CUTOVER_OPEN, CUTOVER_DECIDED, CUTOVER_WITHDRAWN } cutover_state;

/* With these migrations (NULL-terminated), which must be unfinished and undecided, and in no cutover yet. */
gboolean journal_cutover_begin(journal *self, const char *group, const char *const *ids, GError **error);
/* Here and below: of the cutover that `id` is in. *why, which the caller frees, as it does what it was before: why it was
 * withdrawn, else NULL. */
gboolean journal_cutover_look(journal *self, const char *id, cutover_state *state, char **why,
                              GError **error);
/* The guest of `id` is loaded; `phase` is what all are in when the last one is. */
gboolean journal_cutover_join(journal *self, const char *id, const char *token, const char *phase,
                              cutover_state *state, char **why, GError **error);
/* An open one is withdrawn; *state is what it is now, whoever was first. */
gboolean journal_cutover_withdraw(journal *self, const char *id, const char *because,
                                  cutover_state *state, char **why, GError **error);
