/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Output on a terminal or into a pipe; see out.h. */
#include "cli/out.h"

#include "cli/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH_DEFAULT 80

struct out {
    FILE *stream;
    gboolean terminal, color;
    guint pretended;
    gboolean live; /* a live line is shown */
    int lost;      /* errno of the first output that could not be written */
};

static const char *const styles[] = {
    [OUT_PLAIN] = "",        [OUT_BOLD] = "\033[1m", [OUT_DIM] = "\033[2m",
    [OUT_GOOD] = "\033[32m", [OUT_BAD] = "\033[31m", [OUT_CHANGE] = "\033[33m",
};

out *out_new(FILE *stream, out_color color)
{
    out *self = g_new0(out, 1);
    int fd = fileno(stream);
    const char *term = g_getenv("TERM"), *no_color = g_getenv("NO_COLOR");

    self->stream = stream;
    self->terminal = fd >= 0 && isatty(fd) && term && *term && strcmp(term, "dumb") != 0;
    self->color = color == OUT_COLOR_ALWAYS ||
                  (color == OUT_COLOR_AUTO && self->terminal && !(no_color && *no_color));
    return self;
}

void out_free(out *self)
{
    if (!self)
        return;
    (void)out_flush(self);
    g_free(self);
}

gboolean out_is_terminal(const out *self)
{
    return self->terminal;
}

guint out_width(const out *self)
{
    struct winsize size;

    if (!self->terminal)
        return 0;
    if (self->pretended)
        return self->pretended;
    if (ioctl(fileno(self->stream), TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return WIDTH_DEFAULT;
    return size.ws_col;
}

void out_pretend_width(out *self, guint columns)
{
    self->terminal = TRUE;
    self->pretended = columns;
}

static gboolean write_out(out *self)
{
    errno = 0;
    if ((fflush(self->stream) != 0 || ferror(self->stream)) && !self->lost)
        self->lost = errno ? errno : EIO;
    return !self->lost;
}

static void put(out *self, out_style style, const char *text)
{
    gboolean color = self->color && style != OUT_PLAIN && *text;

    out_wipe(self);
    if (color)
        fputs(styles[style], self->stream);
    fputs(text, self->stream);
    if (color)
        fputs("\033[0m", self->stream);
}

static void put_format(out *self, out_style style, const char *format, va_list args)
    G_GNUC_PRINTF(3, 0);
static void put_format(out *self, out_style style, const char *format, va_list args)
{
    g_autofree char *text = g_strdup_vprintf(format, args);
    g_autofree char *safe = text_safe(text);

    put(self, style, safe);
}

void out_text(out *self, out_style style, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    put_format(self, style, format, args);
    va_end(args);
}

void out_line(out *self, out_style style, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    put_format(self, style, format, args);
    va_end(args);
    fputc('\n', self->stream);
    (void)out_flush(self);
}

void out_json(out *self, const char *json)
{
    g_autofree char *safe = text_safe_json(json);

    out_wipe(self);
    fputs(safe, self->stream);
    fputc('\n', self->stream);
    (void)out_flush(self);
}

void out_live(out *self, const char *line)
{
    g_autofree char *safe = NULL, *cut = NULL;

    if (!self->terminal)
        return;
    safe = text_safe(line);
    /* The last column stays free: a character there makes some terminals begin a new line. */
    cut = text_cut(safe, out_width(self) - 1);
    fprintf(self->stream, "\r%s\033[K", cut);
    (void)write_out(self);
    self->live = TRUE;
}

void out_wipe(out *self)
{
    if (!self->live)
        return;
    fputs("\r\033[K", self->stream);
    self->live = FALSE;
}

gboolean out_flush(out *self)
{
    out_wipe(self);
    return write_out(self);
}

gboolean out_abandoned(const out *self)
{
    return self->lost == EPIPE;
}
