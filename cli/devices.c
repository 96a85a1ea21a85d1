/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "cli/devices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/output.h"
#include "indexer/device_manager.h"

#define SHORT_LEN 8u     /* digits of an id in a label */
#define LISTED_SIZE 256u /* of the ids in a message; more devices of one name are left out */

static bool add(struct cli_devices *devices, const struct syncline_uuid *id, const char *name)
{
    if (devices->count == devices->capacity) {
        size_t capacity = devices->capacity == 0 ? 8 : devices->capacity * 2;
        struct cli_device *grown = reallocarray(devices->items, capacity, sizeof(*devices->items));
        if (grown == NULL) {
            return false;
        }
        devices->items = grown;
        devices->capacity = capacity;
    }
    struct cli_device *device = &devices->items[devices->count++];
    device->id = *id;
    (void)snprintf(device->name, sizeof(device->name), "%s", name);
    return true;
}

static int no_memory(struct cli_devices *devices)
{
    cli_devices_drop(devices);
    return cli_fail("no memory for the names of the devices; free some and try again");
}

int cli_devices_of_members(struct cli_devices *devices, struct cli_session *session)
{
    *devices = (struct cli_devices){0};
    bool ok = add(devices, &session->info.device_id, session->info.device_name);
    for (size_t i = 0; ok; i++) {
        struct syncline_member member = SYNCLINE_MEMBER_INIT;
        if (syncline_member_get(session->lib, i, &member) != SYNCLINE_OK) {
            break;
        }
        ok = add(devices, &member.device_id, member.name);
    }
    return ok ? CLI_EXIT_OK : no_memory(devices);
}

int cli_devices_of_library(struct cli_devices *devices, struct cli_session *session)
{
    *devices = (struct cli_devices){0};
    bool ok = true;
    for (size_t i = 0; ok; i++) {
        struct syncline_device device = SYNCLINE_DEVICE_INIT;
        if (syncline_device_get(session->lib, i, &device) != SYNCLINE_OK) {
            break;
        }
        ok = add(devices, &device.device_id, device.name);
    }
    return ok ? CLI_EXIT_OK : no_memory(devices);
}

/* What the rows of the table are collected into. */
struct collected {
    struct cli_devices *devices;
    bool failed;
};

static void add_row(void *ctx, const struct device_row *row)
{
    struct collected *collected = ctx;
    collected->failed = collected->failed || !add(collected->devices, &row->uuid, row->name);
}

int cli_devices_of_table(struct cli_devices *devices, struct sqlite3 *db)
{
    struct collected collected = {.devices = devices};
    struct indexer_error err = {{0}};
    *devices = (struct cli_devices){0};
    if (indexer_device_list(db, add_row, &collected, &err) != SYNCLINE_OK) {
        cli_devices_drop(devices);
        return cli_fail("%s", err.text);
    }
    return collected.failed ? no_memory(devices) : CLI_EXIT_OK;
}

void cli_devices_drop(struct cli_devices *devices)
{
    free(devices->items);
    *devices = (struct cli_devices){0};
}

static bool is_it(const struct cli_device *device, const struct syncline_uuid *id)
{
    return memcmp(&device->id, id, sizeof(*id)) == 0;
}

static bool is_introduced(const struct syncline_member *member)
{
    static const struct syncline_uuid none;
    return memcmp(&member->introduced_by, &none, sizeof(none)) != 0;
}

void cli_device_print_origin(const struct cli_devices *devices,
                             const struct syncline_member *member)
{
    char name[CLI_DEVICE_NAME_SIZE];
    char label[CLI_DEVICE_LABEL_SIZE];
    if (is_introduced(member)) {
        cli_device_name(devices, &member->introduced_by, name);
        cli_device_label(devices, &member->introduced_by, name, label);
        fputs("; introduced by ", stdout);
        cli_print_name(stdout, label, strlen(label));
    }
    if (member->split_since_ms != 0) {
        fputs("; its log has split, seen ", stdout);
        cli_print_time(member->split_since_ms);
        fputs(": nothing more of it is taken", stdout);
    }
}

json_t *cli_device_add_origin(json_t *object, const struct syncline_member *member)
{
    char hex[33];
    cli_hex(member->introduced_by.bytes, sizeof(member->introduced_by.bytes), hex);
    json_t *by = is_introduced(member) ? json_string(hex) : json_null();
    if (json_object_set_new(object, "introduced_by", by) != 0 ||
        json_object_set_new(object, "split_since_ms", json_integer(member->split_since_ms)) != 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

const struct cli_device *cli_devices_namesake(const struct cli_devices *devices,
                                              const struct syncline_uuid *id, const char *name)
{
    for (size_t i = 0; i < devices->count; i++) {
        if (!is_it(&devices->items[i], id) && strcmp(devices->items[i].name, name) == 0) {
            return &devices->items[i];
        }
    }
    return NULL;
}

const char *cli_device_name(const struct cli_devices *devices, const struct syncline_uuid *id,
                            char out[CLI_DEVICE_NAME_SIZE])
{
    cli_hex(id->bytes, SHORT_LEN / 2, out);
    for (size_t i = 0; i < devices->count; i++) {
        if (is_it(&devices->items[i], id)) {
            (void)snprintf(out, CLI_DEVICE_NAME_SIZE, "%s", devices->items[i].name);
        }
    }
    return out;
}

const char *cli_device_label(const struct cli_devices *devices, const struct syncline_uuid *id,
                             const char *name, char out[CLI_DEVICE_LABEL_SIZE])
{
    char hex[33];
    cli_hex(id->bytes, sizeof(id->bytes), hex);
    bool is_told = cli_devices_namesake(devices, id, name) != NULL;
    (void)snprintf(out, CLI_DEVICE_LABEL_SIZE, is_told ? "%.*s (%.*s)" : "%.*s",
                   (int)CLI_DEVICE_NAME_SIZE, name, (int)SHORT_LEN, hex);
    return out;
}

/* Whether the id begins with the word, dashes aside. */
static bool begins_with(const struct syncline_uuid *id, const char *word)
{
    char hex[33];
    size_t at = 0;
    cli_hex(id->bytes, sizeof(id->bytes), hex);
    for (; *word != '\0'; word++) {
        if (*word != '-' && (at == 32 || strncasecmp(&hex[at++], word, 1) != 0)) {
            return false;
        }
    }
    return at >= SHORT_LEN;
}

int cli_devices_find(const struct cli_devices *devices, const struct syncline_uuid *self,
                     const char *word, struct syncline_uuid *id)
{
    char listed[LISTED_SIZE] = "";
    size_t found = 0;
    for (size_t by = 0; by < 2 && found == 0; by++) {
        for (size_t i = 0; i < devices->count; i++) {
            const struct cli_device *device = &devices->items[i];
            char hex[33];
            if (is_it(device, self) ||
                !(by == 0 ? strcmp(device->name, word) == 0 : begins_with(&device->id, word))) {
                continue;
            }
            size_t used = strlen(listed);
            cli_hex(device->id.bytes, sizeof(device->id.bytes), hex);
            (void)snprintf(listed + used, sizeof(listed) - used, "%s%s", found++ > 0 ? ", " : "",
                           hex);
            *id = device->id;
        }
    }
    if (found == 0) {
        return cli_fail("no other member is called %s, and none has that id; `syncline library "
                        "members` lists them",
                        word);
    }
    return found == 1
               ? CLI_EXIT_OK
               : cli_fail("%zu members are called %s; name one by its id: %s", found, word, listed);
}
