/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* syncline.conf: lines "key = value", read by inih.
 *
 *     # a comment, as is what begins with a semicolon
 *     linger_ms = 20ms   ; and what follows a blank and a semicolon
 *
 * inih joins an indented line to the key above it, and goes on with the rest of a line that is too
 * long for it as with a new one: both would be settings that nobody wrote, and are refused, as are
 * sections, and lines without a "=".
 *
 * Writing replaces one setting and nothing else. The new file is written beside the old one, synced
 * and renamed over it, so that at any moment, and after a power cut, there is the one or the other.
 * Writers take turns by a lock on the directory.
 *
 * Any thread; blocks on the disk, and writing on other writers. */

#ifndef SL_CONF_FILE_H
#define SL_CONF_FILE_H

#include "base/alloc.h"
#include "base/status.h"

#define SL_CONF_NAME "syncline.conf"

/* Told of one setting in the file; both strings end with the call. Not OK ends the reading. */
typedef enum syncline_status (*sl_conf_fn)(void *ctx, const char *key, const char *value,
                                           uint32_t line, struct sl_error *err);

/* Tells `take` of every setting in dir's file; there is none if there is no file. Errors: EINVAL (a
 * line is no setting), EIO, ENOMEM, and what `take` gives; the text begins with file and line. */
enum syncline_status sl_conf_read(const struct sl_allocator *alloc, const char *dir,
                                  sl_conf_fn take, void *ctx, struct sl_error *err);

/* Sets a key to a value, or removes it (value NULL). Further lines of the same key are removed.
 * Errors: EINVAL (the file, or what it would be, cannot be read back), EREFUSED (the file is a
 * symbolic link), EIO, ENOSPC, ENOMEM; the file is as it was. */
enum syncline_status sl_conf_set(const struct sl_allocator *alloc, const char *dir, const char *key,
                                 const char *value, struct sl_error *err);

#endif
