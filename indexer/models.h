/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The reference application's rows and what Syncline is told about their tables. */

#ifndef INDEXER_MODELS_H
#define INDEXER_MODELS_H

#include "include/syncline.h"

enum indexer_kind { /* entries.kind */
                    INDEXER_FILE = 0,
                    INDEXER_FOLDER = 1,
                    INDEXER_LINK = 2, /* a symbolic link; recorded, never followed */
                    INDEXER_OTHER = 3 /* pipe, socket, device node */
};

/* A device of the library. Its UUID is the device id of Syncline. */
struct device_row {
    int64_t id;
    struct syncline_uuid uuid;
    const char *name;   /* for people to read */
    int64_t created_at; /* when the row was made */
};

/* A folder that a device indexes. */
struct location_row {
    int64_t id;
    struct syncline_uuid uuid;
    int64_t device_id;          /* devices.id: whose folder it is */
    int64_t entry_id;           /* entries.id: the folder itself */
    struct syncline_bytes path; /* absolute, without links, byte for byte */
    const char *name;           /* last part of the path, as text */
};

/* A thing in a folder. */
struct entry_row {
    int64_t id;
    struct syncline_uuid uuid;
    struct syncline_opt_int64 parent_id; /* entries.id of its folder; NULL: a location's root */
    struct syncline_bytes name;          /* byte for byte */
    int64_t kind;                        /* enum indexer_kind */
    int64_t size;                        /* bytes of a file; 0 for everything else */
    struct syncline_bytes link_target;   /* of a link, byte for byte; else NULL */
    int64_t created_at;                  /* when the row was made */
    int64_t modified_at;                 /* st_mtim, rounded down to ms */
    int64_t file_key; /* of this device's entries, and never synced: what the file
                         system knows it by, see walker.h; 0: not known */
};

/* A label that people make. */
struct tag_row {
    int64_t id;
    struct syncline_uuid uuid;
    const char *name;
    const char *color; /* "#rrggbb" or NULL */
};

extern const struct syncline_model indexer_device_model;   /* "device", device-owned */
extern const struct syncline_model indexer_location_model; /* "location", device-owned */
extern const struct syncline_model indexer_entry_model;    /* "entry", device-owned */
extern const struct syncline_model indexer_tag_model;      /* "tag", shared */

/* All of them, parents first, for struct syncline_options. */
#define INDEXER_MODELS_COUNT 4u
extern const struct syncline_model *const indexer_models[INDEXER_MODELS_COUNT];

#endif
