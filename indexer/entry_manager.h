/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Looking at entries: listing them, and finding one by its UUID or its path. Nothing is written.
 *
 * The calls take a connection from indexer_db_open, read-only or not. Any thread; they block on the
 * disk. */

#ifndef INDEXER_ENTRY_MANAGER_H
#define INDEXER_ENTRY_MANAGER_H

#include "indexer/error.h"
#include "indexer/models.h"

struct sqlite3;

/* An entry and where it is. The pointers die when the callback returns. */
struct indexer_entry {
    struct entry_row row;
    struct syncline_bytes path;  /* absolute, on its device; NULL: its location is not known here */
    struct syncline_uuid parent; /* of its folder; zeros: a location's root */
    struct syncline_uuid location; /* in whose tree it is; zeros: not known here */
    struct syncline_uuid device;   /* whose it is; the same */
    const char *device_name;       /* the same: "" */
};

typedef void (*indexer_entry_fn)(void *ctx, const struct indexer_entry *entry);

/* Tells the entries of all locations, or of those with this path (any device's; NULL: all), at most
 * `limit` of them: each location's as a tree, folders before what is in them, names in the order of
 * their bytes. Memory does not grow with the tree, but with its widest folder.
 * Errors: ENOTFOUND (no location has the path), EDB, EIO, EBUSY, ENOMEM. */
SYNCLINE_MUST_USE enum syncline_status indexer_entry_list(struct sqlite3 *db,
                                                          const char *location_path, uint64_t limit,
                                                          indexer_entry_fn each, void *ctx,
                                                          struct indexer_error *err);

/* Tells the entry with this UUID. Errors: ENOTFOUND, EDB, EIO, EBUSY, ENOMEM. */
SYNCLINE_MUST_USE enum syncline_status indexer_entry_by_uuid(struct sqlite3 *db,
                                                             const struct syncline_uuid *uuid,
                                                             indexer_entry_fn each, void *ctx,
                                                             struct indexer_error *err);

/* Tells the entry at a path: this device's, or if it has none the only other device's. The path is
 * taken as it is, and if that is not known, with the links on the way to its last part followed.
 * Errors: ENOTFOUND, EINVAL (several other devices have one), EDB, EIO, EBUSY, ENOMEM. */
SYNCLINE_MUST_USE enum syncline_status indexer_entry_by_path(struct sqlite3 *db, const char *path,
                                                             const struct syncline_uuid *device,
                                                             indexer_entry_fn each, void *ctx,
                                                             struct indexer_error *err);

#endif
