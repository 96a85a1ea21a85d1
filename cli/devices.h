/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The devices of a library by their names, which need not differ: where two have the same name, the
 * beginning of the id stands behind it, so that people can tell them apart and name one of them.
 *
 * Thread: any; a struct is used by one at a time. */

#ifndef SL_CLI_DEVICES_H
#define SL_CLI_DEVICES_H

#include <jansson.h>
#include <stddef.h>

#include "cli/session.h"

#define CLI_DEVICE_NAME_SIZE 128u  /* of a name, as struct syncline_member has it */
#define CLI_DEVICE_LABEL_SIZE 160u /* of a name with an id behind it */

struct cli_device {
    struct syncline_uuid id;
    char name[CLI_DEVICE_NAME_SIZE];
};

struct cli_devices {
    struct cli_device *items; /* ours */
    size_t count;             /* there */
    size_t capacity;          /* there is room for */
};

/* This device and all members; the same with those that were; or all that have a row in the table
 * of devices. Return the exit code and have said what failed; then there is nothing to drop. */
int cli_devices_of_library(struct cli_devices *devices, struct cli_session *session);
int cli_devices_of_members(struct cli_devices *devices, struct cli_session *session);
int cli_devices_of_table(struct cli_devices *devices, struct sqlite3 *db);
void cli_devices_drop(struct cli_devices *devices);

/* The name of a device; of who is none of them, the beginning of its id. Returns `out`. */
const char *cli_device_name(const struct cli_devices *devices, const struct syncline_uuid *id,
                            char out[CLI_DEVICE_NAME_SIZE]);

/* The name, and if another device has it, too, "name (01234567)". Returns `out`. */
const char *cli_device_label(const struct cli_devices *devices, const struct syncline_uuid *id,
                             const char *name, char out[CLI_DEVICE_LABEL_SIZE]);

/* Who introduced a member, and since when its log has split: "; introduced by phone; ..." on stdout
 * for people, and two members more of its object for programs. */
void cli_device_print_origin(const struct cli_devices *devices,
                             const struct syncline_member *member);
json_t *cli_device_add_origin(json_t *object, const struct syncline_member *member);

/* The other device with this name; NULL: there is none. */
const struct cli_device *cli_devices_namesake(const struct cli_devices *devices,
                                              const struct syncline_uuid *id, const char *name);

/* The member that `word` means: its name, its id, or the beginning of that, at least as much as a
 * label shows. Returns the exit code and has said it if there is none, or more than one. */
int cli_devices_find(const struct cli_devices *devices, const struct syncline_uuid *self,
                     const char *word, struct syncline_uuid *id);

#endif
