/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What the command says: errors as one line on stderr, results on stdout, progress on a terminal.
 * Whatever comes from a file's name or another device goes through the escaping here.
 *
 * Thread: the main one. */

#ifndef SL_CLI_OUTPUT_H
#define SL_CLI_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Print "syncline: " and the text as one line on stderr, escaped, after removing a line of
 * progress. The text says what is wrong and how to mend it. Return CLI_EXIT_FAIL, CLI_EXIT_USAGE,
 * CLI_EXIT_NO and CLI_EXIT_STOPPED. */
int cli_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int cli_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
int cli_no(const char *format, ...) __attribute__((format(printf, 1, 2)));
int cli_stopped(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same for what does not end the command. */
void cli_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Writes bytes as text that is safe on a terminal and in JSON: what is not UTF-8, control
 * characters and characters that reorder text become \xNN for each byte, a backslash becomes two.
 * Two different inputs never give the same text. */
void cli_print_name(FILE *out, const void *data, size_t len);
/* The same as a JSON string; NULL without memory. */
json_t *cli_json_name(const void *data, size_t len);
/* A UUID or any other bytes in hex. `out` has room for 2 * len + 1. */
void cli_hex(const uint8_t *data, size_t len, char *out);

/* Writes a time, ms since 1970, as people read it: 2026-01-17T09:30:00.123Z. */
void cli_print_time(int64_t ms);
/* The same as text. */
#define CLI_TIME_SIZE 48u
void cli_time_text(int64_t ms, char out[CLI_TIME_SIZE]);

#define CLI_AGE_SIZE 48
/* How long something has lasted, in ms, as people say it: 3 min 20 s. */
void cli_age_text(int64_t ms, char out[CLI_AGE_SIZE]);

/* Colours and weights, for people: only if the stream is a terminal that has them, and the
 * environment variable NO_COLOR is not set or empty. */
enum cli_style {
    CLI_STYLE_PLAIN,
    CLI_STYLE_HEADING,
    CLI_STYLE_QUIET,  /* what is there to be copied more than read: UUIDs */
    CLI_STYLE_NAME,   /* what a row is about */
    CLI_STYLE_FOLDER, /* a name that others are below */
    CLI_STYLE_ERROR
};
void cli_style_begin(FILE *out, enum cli_style style);
void cli_style_end(FILE *out, enum cli_style style);

/* Reads a UUID as people write it, 32 digits in hex with or without the four dashes. */
bool cli_parse_uuid(const char *text, uint8_t out[16]);

/* True if a line of progress would be seen. */
bool cli_progress_is_seen(void);
/* A line that is overwritten by the next: only if stderr is a terminal, at most ten a second. */
void cli_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_progress_end(void); /* removes the line */

/* An object with one list that may be too long for memory: {"key":[...]}. `begin`, then `item` for
 * each, which releases it, then `end`, which returns the exit code. Nothing is printed before the
 * first item or the end: a command that fails before them has said nothing on stdout. */
struct cli_json_list {
    const char *key; /* static */
    bool is_any;     /* printed */
    bool failed;     /* an item could not be made */
};
void cli_json_list_begin(struct cli_json_list *list, const char *key);
void cli_json_list_item(struct cli_json_list *list, json_t *item);
int cli_json_list_end(struct cli_json_list *list);

/* Prints the object as one line on stdout, flushes, and releases it. NULL means that building it
 * failed. Returns the exit code. */
int cli_print_json(json_t *object);
/* Flushes stdout. Returns CLI_EXIT_FAIL, with a message, if something could not be written. */
int cli_output_end(void);

/* Now by CLOCK_MONOTONIC, which all processes share. */
uint64_t cli_now_ns(void);

#endif
