/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every subcommand of ferry(1) is given, and how it says how it ended. */
#pragma once
#include "api/client.h"
#include "cli/out.h"

#define CLI_SOCKET "/run/ferry/api.sock"

/* Exit statuses, as in ferry(1). */
enum {
    CLI_OK = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_BLOCKED = 3,     /* findings say no: nothing was changed */
    CLI_UNREACHABLE = 4, /* this host's ferryd does not answer */
    CLI_CANCELLED = 5,
    CLI_SIGNAL = 128 /* + the signal's number: only watching has ended, the move goes on */
};

/* Of a VM and a target, behind the findings that say why. */
#define CLI_BLOCKED_TEXT "%s cannot move to %s as asked: fix what blocks it."

typedef struct cli cli;

typedef struct {
    const char *name;
    int (*run)(cli *self, GStrv *args); /* (*args)[0] is the name; returns an exit status */
    const char *arguments;              /* "VM TARGET" */
    const char *help;                   /* one line */
} cli_command;

struct cli {
    const cli_command *commands; /* the table, ended by a NULL name */
    const cli_command *command;  /* the one that runs */
    char *socket;                /* NULL: the usual one */
    char *color;                 /* NULL: auto */
    gboolean json;
    out *out, *err; /* standard output and standard error */
    client *api;    /* NULL until cli_parse */
};

/* `color` NULL: auto. FALSE: there is no such colour (out and err are made all the same). */
gboolean cli_open(cli *self, const char *color);
void cli_close(cli *self);

/* Splits a command's arguments into options (`own`, and those every command has) and operands,
 * which are what stays in *args behind the name. `own` and `about`, the last paragraph of the help,
 * may be NULL. Returns -1: go on; else an exit status: help was given, or a usage error explained.
 */
int cli_parse(cli *self, GStrv *args, const GOptionEntry *own, const char *about, guint minimum,
              guint maximum);

/* "ferry: TEXT" on standard error; with --json {"error": {"code", "text", "findings"}} on standard
 * output (`found` may be NULL). Returns `status`. */
int cli_fail(cli *self, int status, const char *code, JsonArray *found, const char *format, ...)
    G_GNUC_PRINTF(5, 6);
/* The same for a wrong command line: points to --help, has the code "usage", and returns CLI_USAGE. */
int cli_usage(cli *self, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* One call of the API. NULL: why was explained to the user, and *status is the exit status. */
JsonObject *cli_call(cli *self, const char *method, const char *path, JsonObject *body,
                     int *status);
/* Explains why the last call on `api` failed; returns the exit status. */
int cli_explain(cli *self, const client *api, const GError *error);
/* "/v1/migrations/", the escaped `part`, `suffix`. Caller frees. */
char *cli_path(const char *prefix, const char *part, const char *suffix);
/* With --json: prints the object as one line and is TRUE. */
gboolean cli_print_json(cli *self, JsonObject *object);

/* One file each, but for return, which is in migrate.c. */
int compare_command(cli *self, GStrv *args);
int explain_command(cli *self, GStrv *args);
int migrate_command(cli *self, GStrv *args);
int return_command(cli *self, GStrv *args);
int commit_command(cli *self, GStrv *args);
int status_command(cli *self, GStrv *args);
int list_command(cli *self, GStrv *args);
int cutover_command(cli *self, GStrv *args);
int history_command(cli *self, GStrv *args);
int cancel_command(cli *self, GStrv *args);
int resolve_command(cli *self, GStrv *args);
int set_command(cli *self, GStrv *args);
int pair_command(cli *self, GStrv *args);
int peers_command(cli *self, GStrv *args);
int unpair_command(cli *self, GStrv *args);
int version_command(cli *self, GStrv *args);
int help_command(cli *self, GStrv *args);
