/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The mark of a device's log (base/log_mark.h) in a file outside its library, where no backup of
 * the library takes it along:
 *
 *     $XDG_STATE_HOME/syncline/<device id>.mark      else in $HOME/.local/state/syncline
 *
 *     offset  size  field
 *     0       6     `SLMARK`
 *     6       2     version: 1
 *     8       16    device id
 *     24      8     epoch of the device
 *     32      8     seq of its last change in the log
 *     40      32    hash of the segment that ends there
 *     72      2     bytes of the path, at most 4095
 *     74      n     path of the library's directory, absolute, without links
 *     74 + n  32    SHA-256 of all before
 *
 * Written whole (pipeline/whole_file.h), so it is as it was or as it is to be. Without either
 * variable there is no file, and no mark: a restored library is then told by what the other devices
 * hold. So it is where the file is lost, which harms nothing.
 *
 * It also tells a copy from the original: who finds another directory named in it, in which the
 * same device is at home, is the second of two. */

#ifndef SL_MARK_FILE_H
#define SL_MARK_FILE_H

#include "base/log_mark.h"

#define SL_MARK_PATH_SIZE 4096u /* bytes of a path, its NUL included */

struct sl_mark_file {
    char path[SL_MARK_PATH_SIZE]; /* "": there is none */
    char dir[SL_MARK_PATH_SIZE];  /* the library's */
    struct syncline_uuid device;
};

/* The file for the device whose library is in `dir`. It makes nothing yet. Errors: ETOOBIG, EIO
 * (dir is not to be found). */
enum syncline_status sl_mark_file_init(struct sl_mark_file *file, const char *dir,
                                       const struct syncline_uuid *device, struct sl_error *err);
/* Does the mark name another directory that is there? Who finds the same device at home in it has
 * found the original of this copy. */
bool sl_mark_file_original(const struct sl_mark_file *file, char dir[SL_MARK_PATH_SIZE]);
/* What keeps marks in it; NULL without a file. `file` is borrowed for as long. */
struct sl_mark_keeper *sl_mark_file_keeper(struct sl_mark_file *file, struct sl_mark_keeper *out);
/* The library is gone. */
void sl_mark_file_remove(struct sl_mark_file *file);

/* A text by which this directory is told from a copy of it: inode and time of birth. */
enum syncline_status sl_place_of(const char *dir, char place[SL_PLACE_SIZE], struct sl_error *err);

#endif
