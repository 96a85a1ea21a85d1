/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "cli/output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/options.h"

#define MESSAGE_SIZE 1024u
#define PROGRESS_NS 100000000u /* between two lines of progress */

static bool progress_shown;       /* a line of progress stands on the terminal */
static uint64_t progress_last_ns; /* when it was written */

/* The length of the UTF-8 character at data[0..len) and its code point, or 0 if there is none:
 * overlong forms, surrogates and what is beyond U+10FFFF are not characters. */
static size_t utf8_next(const uint8_t *data, size_t len, uint32_t *out)
{
    uint8_t first = data[0];
    if (first < 0x80) {
        *out = first;
        return 1;
    }
    size_t need = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || need > len) {
        return 0;
    }
    uint32_t point = first & (0x7fu >> need);
    for (size_t i = 1; i < need; i++) {
        if ((data[i] & 0xc0) != 0x80) {
            return 0;
        }
        point = point << 6 | (data[i] & 0x3fu);
    }
    static const uint32_t point_min[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < point_min[need] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) {
        return 0;
    }
    *out = point;
    return need;
}

/* Controls, line and paragraph separators, and marks that change the direction of what follows. */
static bool is_harmful(uint32_t point)
{
    return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x200e || point == 0x200f ||
           (point >= 0x2028 && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
}

static void print_escaped(FILE *out, const uint8_t *data, size_t len, bool double_backslash)
{
    for (size_t i = 0; i < len;) {
        uint32_t point = 0;
        size_t used = utf8_next(data + i, len - i, &point);
        if (used == 0 || is_harmful(point)) {
            for (size_t end = i + (used == 0 ? 1 : used); i < end; i++) {
                fprintf(out, "\\x%02x", data[i]);
            }
            continue;
        }
        if (point == '\\' && double_backslash) {
            fputc('\\', out);
        }
        (void)fwrite(data + i, 1, used, out); /* cli_output_end looks for failures */
        i += used;
    }
}

void cli_print_name(FILE *out, const void *data, size_t len)
{
    print_escaped(out, data, len, true);
}

void cli_time_text(int64_t ms, char out[CLI_TIME_SIZE])
{
    char when[32] = "";
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) != NULL) {
        (void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &utc);
    }
    snprintf(out, CLI_TIME_SIZE, "%s.%03dZ", when, (int)(ms % 1000));
}

void cli_age_text(int64_t ms, char out[CLI_AGE_SIZE])
{
    int64_t s = ms < 0 ? 0 : ms / 1000;
    if (s < 60) {
        snprintf(out, CLI_AGE_SIZE, "%" PRId64 " s", s);
    } else if (s < 3600) {
        snprintf(out, CLI_AGE_SIZE, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
    } else if (s < 86400) {
        snprintf(out, CLI_AGE_SIZE, "%" PRId64 " h %" PRId64 " min", s / 3600, s % 3600 / 60);
    } else {
        snprintf(out, CLI_AGE_SIZE, "%" PRId64 " days %" PRId64 " h", s / 86400, s % 86400 / 3600);
    }
}

void cli_print_time(int64_t ms)
{
    char when[CLI_TIME_SIZE];
    cli_time_text(ms, when);
    fputs(when, stdout);
}

json_t *cli_json_name(const void *data, size_t len)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (stream == NULL) {
        return NULL;
    }
    cli_print_name(stream, data, len);
    bool failed = ferror(stream) != 0;
    failed = fclose(stream) != 0 || failed;
    json_t *string = failed ? NULL : json_stringn(text, size);
    free(text);
    return string;
}

void cli_hex(const uint8_t *data, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[data[i] >> 4];
        out[2 * i + 1] = digits[data[i] & 15];
    }
    out[2 * len] = '\0';
}

static bool find_colours(FILE *out)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return (no_color == NULL || no_color[0] == '\0') && term != NULL && strcmp(term, "dumb") != 0 &&
           isatty(fileno(out)) != 0;
}

/* Asked for each cell of a table, so the answer is kept. */
static bool has_colours(FILE *out)
{
    static signed char answers[2]; /* stdout, stderr; 0: not asked yet */
    signed char *answer = &answers[out == stderr ? 1 : 0];
    if (*answer == 0) {
        *answer = find_colours(out) ? 1 : -1;
    }
    return *answer > 0;
}

void cli_style_begin(FILE *out, enum cli_style style)
{
    static const char *const codes[] = {[CLI_STYLE_HEADING] = "1",
                                        [CLI_STYLE_QUIET] = "2",
                                        [CLI_STYLE_NAME] = "1",
                                        [CLI_STYLE_FOLDER] = "1;34",
                                        [CLI_STYLE_ERROR] = "1;31"};
    if (style != CLI_STYLE_PLAIN && has_colours(out)) {
        fprintf(out, "\033[%sm", codes[style]);
    }
}

void cli_style_end(FILE *out, enum cli_style style)
{
    if (style != CLI_STYLE_PLAIN && has_colours(out)) {
        fputs("\033[0m", out);
    }
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = c != '\0' ? strchr(digits, c) : NULL;
    return found != NULL ? (int)(found - digits) & 15 : -1;
}

bool cli_parse_uuid(const char *text, uint8_t out[16])
{
    bool has_dashes = strlen(text) == 36;
    uint8_t bytes[16];
    for (size_t i = 0; i < 16; i++) {
        if (has_dashes && (i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-') {
            return false;
        }
        int high = hex_digit(text[0]);
        int low = high < 0 ? -1 : hex_digit(text[1]);
        if (low < 0) {
            return false;
        }
        bytes[i] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    if (*text != '\0') {
        return false;
    }
    memcpy(out, bytes, sizeof(bytes));
    return true;
}

/* One line, whatever the text holds; what is too long for it is cut off. */
static void print_line(const char *format, va_list args)
{
    char text[MESSAGE_SIZE];
    int len = vsnprintf(text, sizeof(text), format, args);
    if (len < 0) {
        len = 0;
    }
    size_t used = (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;
    cli_progress_end();
    flockfile(stderr);
    cli_style_begin(stderr, CLI_STYLE_ERROR);
    fputs("syncline:", stderr);
    cli_style_end(stderr, CLI_STYLE_ERROR);
    fputc(' ', stderr);
    print_escaped(stderr, (const uint8_t *)text, used, false);
    fputc('\n', stderr);
    funlockfile(stderr);
}

int cli_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_line(format, args);
    va_end(args);
    return CLI_EXIT_FAIL;
}

int cli_usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_line(format, args);
    va_end(args);
    return CLI_EXIT_USAGE;
}

int cli_no(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_line(format, args);
    va_end(args);
    return CLI_EXIT_NO;
}

int cli_stopped(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_line(format, args);
    va_end(args);
    return CLI_EXIT_STOPPED;
}

void cli_warn(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_line(format, args);
    va_end(args);
}

bool cli_progress_is_seen(void)
{
    return isatty(STDERR_FILENO) != 0;
}

void cli_progress(const char *format, ...)
{
    uint64_t now_ns = cli_now_ns();
    if (!cli_progress_is_seen() || (progress_shown && now_ns - progress_last_ns < PROGRESS_NS)) {
        return;
    }
    char text[MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len < 0) {
        return;
    }
    fputc('\r', stderr);
    print_escaped(stderr, (const uint8_t *)text, strlen(text), false);
    fputs("\033[K", stderr);
    fflush(stderr);
    progress_shown = true;
    progress_last_ns = now_ns;
}

void cli_progress_end(void)
{
    if (!progress_shown) {
        return;
    }
    fputs("\r\033[K", stderr);
    fflush(stderr);
    progress_shown = false;
}

int cli_print_json(json_t *object)
{
    if (object == NULL) {
        return cli_fail("no memory for the answer; free some and try again");
    }
    int failed = json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(object);
    if (failed != 0) {
        return cli_fail("the answer cannot be written to standard output (%s); look at the disk "
                        "or pipe behind it",
                        strerror(errno));
    }
    fputc('\n', stdout);
    return cli_output_end();
}

void cli_json_list_begin(struct cli_json_list *list, const char *key)
{
    *list = (struct cli_json_list){.key = key};
}

void cli_json_list_item(struct cli_json_list *list, json_t *item)
{
    if (item == NULL) {
        list->failed = true;
        return;
    }
    if (list->is_any) {
        fputc(',', stdout);
    } else {
        printf("{\"%s\":[", list->key);
    }
    list->is_any = true;
    if (json_dumpf(item, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9)) != 0) {
        list->failed = true;
    }
    json_decref(item);
}

int cli_json_list_end(struct cli_json_list *list)
{
    if (!list->is_any) {
        printf("{\"%s\":[", list->key);
    }
    fputs("]}\n", stdout);
    int code = cli_output_end();
    if (code == CLI_EXIT_OK && list->failed) {
        return cli_fail("no memory for the answer; free some and try again");
    }
    return code;
}

int cli_output_end(void)
{
    cli_progress_end();
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        return cli_fail("the answer cannot be written to standard output (%s); look at the disk "
                        "or pipe behind it",
                        strerror(errno));
    }
    return CLI_EXIT_OK;
}

uint64_t cli_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
