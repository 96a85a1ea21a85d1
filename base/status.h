/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Error texts: one line, kept by whoever failed, prefixed on the way up. */

#ifndef SL_STATUS_H
#define SL_STATUS_H

#include "base/limits.h"
#include "include/syncline.h"

/* How many there are: their numbers are dense from 0. */
#define X(name, value, text) +1
enum { SL_STATUS_COUNT = SYNCLINE_STATUS_MAP(X) };
#undef X

struct sl_error {
    char text[SL_ERROR_SIZE]; /* one line, NUL-terminated; "" when nothing failed */
};

/* Writes the text and returns `status`, so that a failing path is one line. err may be NULL. */
enum syncline_status sl_fail(struct sl_error *err, enum syncline_status status, const char *format,
                             ...) __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " in front of the text that is there; returns `status`. err may be NULL. */
enum syncline_status sl_fail_prefix(struct sl_error *err, enum syncline_status status,
                                    const char *format, ...) __attribute__((format(printf, 3, 4)));

#ifdef __clang_analyzer__
/* The analyzer sees one file at a time; this tells it that the status is handed through. */
#define sl_fail(err, status, ...) (sl_fail(err, status, __VA_ARGS__), (status))
#define sl_fail_prefix(err, status, ...) (sl_fail_prefix(err, status, __VA_ARGS__), (status))
#endif

#endif
