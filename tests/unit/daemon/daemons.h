/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Real ferryd processes for tests, on 127.0.0.1, with the fake worker. */
#pragma once
#include "support.h"

typedef struct {
    test_host *host;
    char *conf, *socket, *run_dir, *state_dir, *log;
    guint16 control, data;
    GPid pid;   /* 0: it does not run */
    int status; /* of its last end, as from waitpid */
    client *local;
} test_daemon;

/* With a configuration of its own; `extra` is added to it. Not started. */
test_daemon *test_daemon_new(const char *scratch, const char *name, const char *extra);
/* Ends it, and every worker it has left. */
void test_daemon_free(test_daemon *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(test_daemon, test_daemon_free)

/* Returns when it has told the service manager that it is ready. */
void test_daemon_start(test_daemon *self);
/* Sends a signal and waits for its end. */
void test_daemon_stop(test_daemon *self, int number);
/* The same that is in the file now, with other additions. */
void test_daemon_configure(test_daemon *self, const char *extra);
/* Runs ferryd to its end: what it said on standard error; *status as from waitpid. */
char *test_daemon_run(test_daemon *self, const char *argument, int *status);

/* One call over the local socket; the answer must have this status. Caller unrefs. */
JsonObject *local_call(test_daemon *self, const char *method, const char *path, const char *body,
                       int status);
/* And this code of an error. */
void local_refused(test_daemon *self, const char *method, const char *path, const char *body,
                   const char *expected);
/* And with these words in its text. */
void local_refused_saying(test_daemon *self, const char *method, const char *path,
                          const char *body, const char *expected, const char *what);
/* One member of GET /v1/migrations/ID; caller frees. Numbers as text. "" if there is no such
 * migration or member. */
char *move_member(test_daemon *self, const char *id, const char *member);
gboolean move_is(test_daemon *self, const char *id, const char *member, const char *value);
/* Signals the worker of this migration. */
void move_signal(test_daemon *self, const char *id, int number);
