/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A question at the terminal; see question.h. */
#include "cli/question.h"

#include <glib-unix.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define LINE_MAX_BYTES 256 /* a terminal's line; what is longer is no answer */

struct question {
    out *to;
    char *text, *letters;
    void (*answered)(char letter, void *user);
    void *user;
    guint source;
};

gboolean question_possible(void)
{
    return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

static void ask(question *self)
{
    out_text(self->to, OUT_BOLD, "%s", self->text);
    out_text(self->to, OUT_PLAIN, " ");
    (void)out_flush(self->to);
}

/* The terminal hands over whole lines. */
static gboolean on_input(gint fd, GIOCondition condition, gpointer user)
{
    question *self = user;
    char line[LINE_MAX_BYTES];
    ssize_t length = read(fd, line, sizeof line);
    char letter;

    if (length < 0)
        return G_SOURCE_CONTINUE;
    letter = length ? g_ascii_tolower(line[0]) : 0;
    if (letter && !strchr(self->letters, letter)) {
        ask(self);
        return G_SOURCE_CONTINUE;
    }
    self->source = 0;
    self->answered(letter, self->user); /* frees self */
    return G_SOURCE_REMOVE;
}

question *question_new(out *to, const char *text, const char *letters,
                       void (*answered)(char letter, void *user), void *user)
{
    question *self = g_new0(question, 1);

    self->to = to;
    self->text = g_strdup(text);
    self->letters = g_strdup(letters);
    self->answered = answered;
    self->user = user;
    tcflush(STDIN_FILENO, TCIFLUSH);
    self->source = g_unix_fd_add(STDIN_FILENO, G_IO_IN | G_IO_HUP | G_IO_ERR, on_input, self);
    ask(self);
    return self;
}

void question_free(question *self)
{
    if (!self)
        return;
    if (self->source)
        g_source_remove(self->source);
    g_free(self->text);
    g_free(self->letters);
    g_free(self);
}
