/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* device.key: the private key of a device.
 *
 *     "SLKEY\0" version(u16 = 1, little-endian) private key (32 bytes) SHA-256 of all before (32)
 *
 * 72 bytes, mode 0600, written to a new file, synced, renamed, and its directory synced. A damaged
 * file is an error and is never replaced: a device has one identity for life. */

#ifndef SL_KEY_FILE_H
#define SL_KEY_FILE_H

#include "net/identity.h"

/* Errors: EEXIST, EIO, ENOSPC. */
enum syncline_status sl_key_file_write(const char *path, const struct sl_identity *identity,
                                       struct sl_error *err);
/* Errors: ENOTFOUND, EFORMAT (not a key file, damaged, or a newer version), EREFUSED (others may
 * read it), EIO. */
enum syncline_status sl_key_file_read(const char *path, struct sl_identity *identity,
                                      struct sl_error *err);

#endif
