/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Lines for the host's log. The library itself prints nothing, ever.
 *
 * Called with no lock of the library's held, so that the host's function may look at the library
 * (include/syncline.h says which calls). Any thread. */

#ifndef SL_HOST_LOG_H
#define SL_HOST_LOG_H

#include "base/status.h"

struct sl_host_log {
    struct syncline_log to;        /* the host's; fn NULL: nowhere */
    enum syncline_log_level level; /* the least that it wants */
};

/* Would a line of this level be wanted? For lines that cost something to make. */
static inline bool sl_host_log_wants(const struct sl_host_log *log, enum syncline_log_level level)
{
    return log->to.fn != NULL && level <= log->level;
}

/* One line, cut to SL_ERROR_SIZE; control characters become question marks. */
void sl_host_log_say(const struct sl_host_log *log, enum syncline_log_level level,
                     const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
