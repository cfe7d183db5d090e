/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one-time token of pairing, on the side that made it. In memory only: gone with ferryd, after
 * its first use, after TOKEN_LIFE_S, and after TOKEN_ATTEMPTS wrong attempts. Pure: time is handed
 * in (monotonic µs). One thread. */
#pragma once
#include <glib.h>

#define TOKEN_LIFE_S   600
#define TOKEN_ATTEMPTS 5

typedef struct token token;

token *token_new(void);
void token_free(token *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(token, token_free)

/* A new one, in the form people see; an older one is void. Borrowed. */
const char *token_make(token *self, gint64 now);

typedef enum { TOKEN_RIGHT, TOKEN_WRONG, TOKEN_NONE } token_verdict;
/* Is this the proof of somebody who knows the token, given these two certificates? TOKEN_RIGHT uses
 * it up and gives our own proof (caller frees). */
token_verdict token_try(token *self, const char *proof, GBytes *dialler, GBytes *listener,
                        gint64 now, char **answer);
