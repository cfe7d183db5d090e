/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A fuzz target without libFuzzer: every file of its corpus once, and then so many mutations of them,
 * the same ones each time.
 *
 *   fuzz-NAME FOLDER COUNT CRASH
 *
 * The input that ends it is written to the file CRASH, and belongs into the corpus with the fix.
 *
 *   fuzz-NAME FILE
 *
 * does one input. */
#include "fuzz.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define INPUT_MAX (64 * 1024)

/* The sanitizers' runtime, where it is linked in. */
extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));
const char *__asan_default_options(void);

/* No parser has a reason to ask for more at once, whatever a peer announces. */
const char *__asan_default_options(void)
{
    return "max_allocation_size_mb=16";
}

static GPtrArray *names, *files; /* of char, of GBytes */
static const uint8_t *input;     /* at hand */
static size_t input_length;
static char *crash;

static void save(void)
{
    if (crash && input && g_file_set_contents(crash, (const char *)input, (gssize)input_length, NULL))
        g_printerr("the input is in %s\n", crash);
    input = NULL;
}

static void on_signal(int number)
{
    signal(number, SIG_DFL);
    save();
    raise(number);
}

/* A copy of exactly that length: the sanitizer sees the first byte beyond. */
static void do_input(const uint8_t *bytes, size_t length)
{
    uint8_t *copy = g_malloc(MAX(length, 1));

    if (length)
        memcpy(copy, bytes, length);
    input = copy;
    input_length = length;
    LLVMFuzzerTestOneInput(copy, length);
    input = NULL;
    g_free(copy);
}

static void test_file(gconstpointer data)
{
    gsize length;
    const uint8_t *bytes = g_bytes_get_data((GBytes *)data, &length);

    do_input(bytes, length);
}

/* Numbers at which lengths and counters break. */
static guint64 odd_number(GRand *random)
{
    guint64 power = 1ULL << g_rand_int_range(random, 0, 64);

    return power + (guint64)g_rand_int_range(random, -2, 3);
}

static void put_number(GRand *random, GByteArray *bytes, guint at)
{
    guint width = 1U << g_rand_int_range(random, 0, 4);
    guint64 number = odd_number(random);

    for (guint i = 0; i < width && at + i < bytes->len; i++)
        bytes->data[at + i] = (uint8_t)(number >> 8 * (width - 1 - i));
}

static void insert(GByteArray *bytes, guint at, const uint8_t *what, guint length)
{
    guint behind = bytes->len - at;

    if (bytes->len + length > INPUT_MAX)
        return;
    g_autofree uint8_t *copy = g_memdup2(what, length); /* it may be a part of `bytes` */
    g_byte_array_set_size(bytes, bytes->len + length);
    memmove(bytes->data + at + length, bytes->data + at, behind);
    if (length)
        memcpy(bytes->data + at, copy, length);
}

static void mutate(GRand *random, GByteArray *bytes)
{
    guint at = (guint)g_rand_int_range(random, 0, (gint32)bytes->len + 1), left = bytes->len - at;
    guint n = (guint)g_rand_int_range(random, 1, 65);
    uint8_t fresh[16];

    n = MIN(n, left);
    switch (g_rand_int_range(random, 0, 8)) {
    case 0:
    case 1:
        if (left)
            bytes->data[at] ^= (uint8_t)(1U << g_rand_int_range(random, 0, 8));
        break;
    case 2:
    case 3:
        put_number(random, bytes, at);
        break;
    case 4:
        for (guint i = 0; i < G_N_ELEMENTS(fresh); i++)
            fresh[i] = (uint8_t)g_rand_int(random);
        insert(bytes, at, fresh, (guint)g_rand_int_range(random, 1, G_N_ELEMENTS(fresh) + 1));
        break;
    case 5:
        insert(bytes, at, bytes->data + at, n);
        break;
    case 6:
        if (n)
            g_byte_array_remove_range(bytes, at, n);
        break;
    case 7: { /* goes on like another file */
        GBytes *other = files->pdata[g_rand_int_range(random, 0, (gint32)files->len)];
        gsize size;
        const uint8_t *theirs = g_bytes_get_data(other, &size);
        if (at < size && size <= INPUT_MAX) {
            g_byte_array_set_size(bytes, at);
            g_byte_array_append(bytes, theirs + at, (guint)size - at);
        }
        break;
    }
    }
}

static void test_mutations(gconstpointer data)
{
    GRand *random = g_rand_new_with_seed(20);
    guint count = GPOINTER_TO_UINT(data);

    for (guint i = 0; i < count; i++) {
        g_autoptr(GByteArray) bytes = g_byte_array_new();
        gsize size;
        const uint8_t *start = g_bytes_get_data(files->pdata[i % files->len], &size);
        g_byte_array_append(bytes, start, (guint)size);
        for (gint32 edits = g_rand_int_range(random, 1, 6); edits > 0; edits--)
            mutate(random, bytes);
        do_input(bytes->data, bytes->len);
    }
    g_rand_free(random);
}

static GBytes *read_file(const char *path)
{
    g_autoptr(GError) error = NULL;
    char *text;
    gsize length;

    if (!g_file_get_contents(path, &text, &length, &error))
        g_error("%s", error->message);
    return g_bytes_new_take(text, length);
}

static int by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void read_corpus(const char *folder)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) directory = g_dir_open(folder, 0, &error);
    const char *name;

    if (!directory)
        g_error("%s", error->message);
    while ((name = g_dir_read_name(directory)))
        g_ptr_array_add(names, g_strdup(name));
    g_ptr_array_sort(names, by_name); /* so that mutations are the same everywhere */
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *path = g_build_filename(folder, names->pdata[i], NULL);
        g_ptr_array_add(files, read_file(path));
    }
}

int main(int argc, char **argv)
{
    static const int deadly[] = {SIGABRT, SIGTRAP, SIGALRM, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    int status;

    g_test_init(&argc, &argv, NULL);
    if (argc == 2) {
        g_autoptr(GBytes) one = read_file(argv[1]);
        test_file(one);
        return 0;
    }
    if (argc != 4)
        g_error("usage: %s FOLDER COUNT CRASH, or %s FILE", argv[0], argv[0]);
    names = g_ptr_array_new_with_free_func(g_free);
    files = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    read_corpus(argv[1]);
    crash = argv[3];
    unlink(crash);
    for (guint i = 0; i < G_N_ELEMENTS(deadly); i++)
        if (i < 3 || !__sanitizer_set_death_callback) /* those it does not report itself */
            signal(deadly[i], on_signal);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(save);
    for (guint i = 0; i < files->len; i++) {
        g_autofree char *path = g_strdup_printf("/corpus/%s", (char *)names->pdata[i]);
        g_test_add_data_func(path, files->pdata[i], test_file);
    }
    g_test_add_data_func("/mutations", GUINT_TO_POINTER((guint)atoi(argv[2])), test_mutations);
    status = g_test_run();
    g_ptr_array_unref(names);
    g_ptr_array_unref(files);
    return status;
}
