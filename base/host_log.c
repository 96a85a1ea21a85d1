/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/host_log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

void sl_host_log_say(const struct sl_host_log *log, enum syncline_log_level level,
                     const char *format, ...)
{
    if (!sl_host_log_wants(log, level)) {
        return;
    }
    char text[SL_ERROR_SIZE];
    struct sl_error line; /* a text of ours is one line, whatever others put into it */
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)sl_fail(&line, SYNCLINE_OK, "%s", text);
    sl_utf8_mend(line.text, strlen(line.text)); /* paths may be any bytes */
    log->to.fn(log->to.ctx, level, line.text);
}
