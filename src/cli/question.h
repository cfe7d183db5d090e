/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A question at the terminal that does not stop the main loop: asked on standard error, answered by
 * one line on standard input. */
#pragma once
#include "cli/out.h"

typedef struct question question;

/* `letters`: the first letters answers may have; others ask again. `answered` is told one of them,
 * in lower case, or 0 when the input has ended (Ctrl-D). What was typed before is thrown away: it
 * was not meant for this. */
question *question_new(out *to, const char *text, const char *letters,
                       void (*answered)(char letter, void *user), void *user);
/* May be called from `answered`. */
void question_free(question *self);
/* Can a person be asked? (Input and standard error are terminals.) */
gboolean question_possible(void);
