/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#undef sl_fail
#undef sl_fail_prefix

const char *syncline_status_name(enum syncline_status status)
{
    switch (status) {
#define X(name, value, text)                                                                       \
    case SYNCLINE_##name:                                                                          \
        return "SYNCLINE_" #name;
        SYNCLINE_STATUS_MAP(X)
#undef X
    }
    return "SYNCLINE_UNKNOWN";
}

const char *syncline_status_text(enum syncline_status status)
{
    switch (status) {
#define X(name, value, text)                                                                       \
    case SYNCLINE_##name:                                                                          \
        return text;
        SYNCLINE_STATUS_MAP(X)
#undef X
    }
    return "a status that this version does not know";
}

const char *syncline_version(void)
{
    return SYNCLINE_VERSION;
}

/* File names and texts of a peer may hold anything; an error text stays one line of a terminal. */
static void set_text(struct sl_error *err, const char *text)
{
    size_t i = 0;
    for (; text[i] != '\0' && i < sizeof(err->text) - 1; i++) {
        unsigned char c = (unsigned char)text[i];
        err->text[i] = (c < 0x20 || c == 0x7f) ? '?' : text[i];
    }
    err->text[i] = '\0';
}

enum syncline_status sl_fail(struct sl_error *err, enum syncline_status status, const char *format,
                             ...)
{
    if (err == NULL)
        return status;
    char text[SL_ERROR_SIZE]; /* not straight into err: an argument may be the old text */
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    set_text(err, len < 0 ? syncline_status_text(status) : text);
    return status;
}

enum syncline_status sl_fail_prefix(struct sl_error *err, enum syncline_status status,
                                    const char *format, ...)
{
    if (err == NULL)
        return status;
    char text[2 * SL_ERROR_SIZE];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, SL_ERROR_SIZE, format, args);
    va_end(args);
    if (len < 0)
        return status;
    const char *rest = err->text[0] != '\0' ? err->text : syncline_status_text(status);
    size_t used = strlen(text);
    (void)snprintf(text + used, sizeof(text) - used, ": %s", rest);
    set_text(err, text);
    return status;
}
