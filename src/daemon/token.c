/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The token's life; see token.h. */
#include "daemon/token.h"

#include "net/pairing.h"

#include <string.h>

struct token {
    char *text; /* NULL: there is none */
    gint64 until;
    guint wrong;
};

token *token_new(void)
{
    return g_new0(token, 1);
}

static void forget(token *self)
{
    if (self->text)
        explicit_bzero(self->text, strlen(self->text));
    g_clear_pointer(&self->text, g_free);
}

void token_free(token *self)
{
    if (!self)
        return;
    forget(self);
    g_free(self);
}

const char *token_make(token *self, gint64 now)
{
    forget(self);
    self->text = pairing_token();
    self->until = now + TOKEN_LIFE_S * G_USEC_PER_SEC;
    self->wrong = 0;
    return self->text;
}

token_verdict token_try(token *self, const char *proof, GBytes *dialler, GBytes *listener,
                        gint64 now, char **answer)
{
    g_autofree char *expected = NULL;

    if (self->text && now >= self->until)
        forget(self);
    if (!self->text)
        return TOKEN_NONE;
    expected = pairing_proof(self->text, PAIRING_DIALLER, dialler, listener);
    if (!pairing_proof_ok(expected, proof)) {
        if (++self->wrong >= TOKEN_ATTEMPTS)
            forget(self);
        return TOKEN_WRONG;
    }
    *answer = pairing_proof(self->text, PAIRING_LISTENER, dialler, listener);
    forget(self);
    return TOKEN_RIGHT;
}
