/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Walks a folder: every entry once, parents before children, all entries of a folder together.
 *
 * Names are bytes. Links are reported, not followed; other file systems are reported as the folder
 * they are mounted on and not entered. Paths may be of any length: the walk goes by folder
 * descriptors, of which it keeps at most `open_max`. What cannot be read is told, and what can be
 * known of it is reported; what vanishes meanwhile is left out. One thread; blocks on the disk;
 * uses no globals. */

#ifndef INDEXER_WALKER_H
#define INDEXER_WALKER_H

#include "indexer/error.h"
#include "indexer/models.h"

#include <stdatomic.h>

#define INDEXER_WALK_OPEN_MAX 64u /* folder descriptors kept open, by default */

/* What a callback wants next. */
enum indexer_walk_next {
    INDEXER_WALK_ON = 0,
    INDEXER_WALK_STOP = 1 /* end the walk at once; indexer_walk returns OK */
};

/* One entry. The pointers die when the callback returns. */
struct indexer_walk_entry {
    struct syncline_bytes name;        /* one part of a path; of the root: its last part, or "/" */
    enum indexer_kind kind;            /* what it is */
    bool is_root;                      /* the folder that is walked */
    bool is_skipped;                   /* a folder that will not be entered: mount point, `skip` */
    int64_t size;                      /* bytes of a file, else 0 */
    struct syncline_bytes link_target; /* of a link; else NULL */
    int64_t modified_at;               /* ms since 1970 UTC, rounded down */
    int64_t file_key;                  /* device, inode and time of birth, mixed into 63 bits: the
                                          same wherever the entry is moved on its file system, and
                                          for its hard links; never 0 */
    bool is_key_certain;               /* with a time of birth; else the inode of something that was
                                          removed may have been given to something new */
    uint64_t folder_tag;               /* what `entry` gave for the folder it is in; root: 0 */
    uint32_t depth;                    /* 0: the root */
};

struct indexer_walk_options {
    void *ctx; /* first argument of the callbacks */

    /* An entry. For a folder, *tag may be set: it comes back as folder_tag of what is in it. */
    enum indexer_walk_next (*entry)(void *ctx, const struct indexer_walk_entry *entry,
                                    uint64_t *tag);
    /* Entries of the folder with this tag follow, in the order of their names' bytes; then `leave`,
     * before anything of its subfolders. Not called for a folder that cannot be read. is_whole:
     * everything in it was told, so that what was not told is not there. May be NULL. */
    enum indexer_walk_next (*enter)(void *ctx, uint64_t folder_tag);
    enum indexer_walk_next (*leave)(void *ctx, uint64_t folder_tag, bool is_whole);
    /* Something that cannot be read; the path has no NUL and any length. May be NULL. */
    void (*unreadable)(void *ctx, struct syncline_bytes path, int error_number);

    const char *const *skip; /* paths of folders that are reported but not entered */
    size_t skip_count;
    const atomic_int *stop; /* not 0: end as with INDEXER_WALK_STOP; may be NULL */
    uint32_t open_max;      /* folder descriptors kept; 0: the default; at least 3 */
};

struct indexer_walk_stats {
    uint64_t files; /* entries told, by kind; folders include the root */
    uint64_t folders;
    uint64_t links;
    uint64_t others;
    uint64_t unreadable; /* told through `unreadable` */
    uint64_t vanished;   /* was in a folder's list and gone when looked at */
    uint64_t skipped;    /* folders not entered: other file systems and `skip` */
    bool stopped;        /* the walk did not reach its end */
};

/* Walks the folder `path` (a link to a folder is followed here, and only here). Fills *stats, also
 * on failure. Errors: ENOTFOUND (no such folder), EINVAL (not a folder), EIO (it cannot be read),
 * ENOMEM. */
SYNCLINE_MUST_USE enum syncline_status indexer_walk(const char *path,
                                                    const struct indexer_walk_options *options,
                                                    struct indexer_walk_stats *stats,
                                                    struct indexer_error *err);

/* The absolute path without links by which a folder is known in locations.path. The caller frees
 * it. Errors: ENOTFOUND, EINVAL (part of it is not a folder), EIO, ENOMEM. */
SYNCLINE_MUST_USE enum syncline_status indexer_walk_resolve(const char *path, char **resolved,
                                                            struct indexer_error *err);

#endif
