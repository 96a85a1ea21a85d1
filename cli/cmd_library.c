/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* `syncline library`: create, join, info, remove. */

#include <inttypes.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/devices.h"
#include "cli/output.h"
#include "cli/session.h"
#include "indexer/schema.h"

#define SET_ASIDE_SHOWN 20u /* records set aside that `info` names */

/* Two devices of one name are allowed, and told apart by what stands behind the name. */
static int warn_of_namesake(struct cli_session *session)
{
    char label[CLI_DEVICE_LABEL_SIZE];
    struct cli_devices devices;
    const struct syncline_info *info = &session->info;
    int code = cli_devices_of_members(&devices, session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    if (cli_devices_namesake(&devices, &info->device_id, info->device_name) != NULL) {
        cli_warn("a member is called %s already, so this one is shown as %s; --device-name would "
                 "give it a name of its own",
                 info->device_name,
                 cli_device_label(&devices, &info->device_id, info->device_name, label));
    }
    cli_devices_drop(&devices);
    return CLI_EXIT_OK;
}

/* After create or join: tables, the row of this device, and both in the log. */
static int finish_new(const struct cli_options *options, struct cli_session *session)
{
    int code = cli_session_open(options, SYNCLINE_ROLE_AUTO, session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    code = cli_session_register(session);
    if (code == CLI_EXIT_OK) {
        code = cli_session_flush(session);
    }
    if (code == CLI_EXIT_OK) {
        code = cli_session_info(session);
    }
    if (code == CLI_EXIT_OK) {
        code = warn_of_namesake(session);
    }
    cli_session_close(session);
    return code;
}

static void print_identity(const struct syncline_info *info)
{
    char library_id[33];
    char device_id[33];
    cli_hex(info->library_id.bytes, sizeof(info->library_id.bytes), library_id);
    cli_hex(info->device_id.bytes, sizeof(info->device_id.bytes), device_id);
    fputs("library    ", stdout);
    cli_print_name(stdout, info->library_name, strlen(info->library_name));
    printf(" (%s)\ndevice     ", library_id);
    cli_print_name(stdout, info->device_name, strlen(info->device_name));
    printf(" (%s)\n", device_id);
}

static int print_new(const struct cli_options *options, const struct syncline_info *info)
{
    if (!options->json) {
        print_identity(info);
        return cli_output_end();
    }
    char library_id[33];
    char device_id[33];
    cli_hex(info->library_id.bytes, sizeof(info->library_id.bytes), library_id);
    cli_hex(info->device_id.bytes, sizeof(info->device_id.bytes), device_id);
    return cli_print_json(json_pack(
        "{s:o, s:s, s:o, s:s, s:o}", "library",
        cli_json_name(options->library, strlen(options->library)), "library_id", library_id,
        "library_name", cli_json_name(info->library_name, strlen(info->library_name)), "device_id",
        device_id, "device_name", cli_json_name(info->device_name, strlen(info->device_name))));
}

int cmd_library_create(const struct cli_options *options)
{
    char text[512];
    struct cli_session session;
    struct syncline_options create_options = cli_session_options(options, text, sizeof(text));
    enum syncline_status status =
        syncline_create(options->library, options->args[0], &create_options);
    if (status != SYNCLINE_OK) {
        return cli_fail("%s", text[0] != '\0' ? text : syncline_status_text(status));
    }
    int code = finish_new(options, &session);
    return code != CLI_EXIT_OK ? code : print_new(options, &session.info);
}

int cmd_library_join(const struct cli_options *options)
{
    char text[512];
    struct cli_session session;
    struct syncline_options join_options = cli_session_options(options, text, sizeof(text));
    cli_progress("asking %s", options->args[0]);
    enum syncline_status status = syncline_join(options->library, options->args[0], &join_options);
    if (status != SYNCLINE_OK) {
        return cli_fail("%s", text[0] != '\0' ? text : syncline_status_text(status));
    }
    int code = finish_new(options, &session);
    return code != CLI_EXIT_OK ? code : print_new(options, &session.info);
}

static json_t *member_json(const struct syncline_member *member)
{
    char device_id[33];
    cli_hex(member->device_id.bytes, sizeof(member->device_id.bytes), device_id);
    json_t *object = json_pack(
        "{s:s, s:o, s:b, s:I, s:I, s:I, s:I}", "device_id", device_id, "device_name",
        cli_json_name(member->name, strlen(member->name)), "linked", member->linked, "acked_seq",
        (json_int_t)member->acked_seq, "applied_seq", (json_int_t)member->applied_seq, "held_seq",
        (json_int_t)member->held_seq, "own_seq", (json_int_t)member->own_seq);
    return cli_device_add_origin(object, member);
}

static json_t *set_aside_json(const struct syncline_set_aside *record)
{
    char uuid[33];
    cli_hex(record->uuid.bytes, sizeof(record->uuid.bytes), uuid);
    return json_pack("{s:o, s:s, s:o}", "model",
                     cli_json_name(record->model, strlen(record->model)), "uuid", uuid, "reason",
                     cli_json_name(record->reason, strlen(record->reason)));
}

static int print_info_json(struct cli_session *session)
{
    const struct syncline_info *info = &session->info;
    char library_id[33];
    char device_id[33];
    cli_hex(info->library_id.bytes, sizeof(info->library_id.bytes), library_id);
    cli_hex(info->device_id.bytes, sizeof(info->device_id.bytes), device_id);
    json_t *members = json_array();
    json_t *set_aside = json_array();
    for (size_t i = 0;; i++) {
        struct syncline_member member = SYNCLINE_MEMBER_INIT;
        if (syncline_member_get(session->lib, i, &member) != SYNCLINE_OK) {
            break;
        }
        json_array_append_new(members, member_json(&member));
    }
    for (size_t i = 0; i < SET_ASIDE_SHOWN; i++) {
        struct syncline_set_aside record = SYNCLINE_SET_ASIDE_INIT;
        if (syncline_set_aside_get(session->lib, i, &record) != SYNCLINE_OK) {
            break;
        }
        json_array_append_new(set_aside, set_aside_json(&record));
    }
    return cli_print_json(json_pack(
        "{s:s, s:o, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "library_id",
        library_id, "library_name", cli_json_name(info->library_name, strlen(info->library_name)),
        "device_id", device_id, "device_name",
        cli_json_name(info->device_name, strlen(info->device_name)), "outbox",
        (json_int_t)info->outbox, "own_seq", (json_int_t)info->own_seq, "acked_seq",
        (json_int_t)info->acked_seq, "applied_seq", (json_int_t)info->applied_seq, "received",
        (json_int_t)info->received, "received_applied", (json_int_t)info->received_applied,
        "announced", (json_int_t)info->announced, "set_aside", (json_int_t)info->set_aside,
        "members", members, "records_set_aside", set_aside));
}

static void print_member(const struct cli_devices *devices, const struct syncline_member *member)
{
    char device_id[33];
    cli_hex(member->device_id.bytes, sizeof(member->device_id.bytes), device_id);
    fputs("member     ", stdout);
    cli_print_name(stdout, member->name, strlen(member->name));
    printf(" (%s): holds %" PRIu64 " and has applied %" PRIu64 " of this device's changes; %" PRIu64
           " of its %" PRIu64 " are held here",
           device_id, member->acked_seq, member->applied_seq, member->held_seq, member->own_seq);
    cli_device_print_origin(devices, member);
    putchar('\n');
}

static int print_info_text(struct cli_session *session)
{
    const struct syncline_info *info = &session->info;
    struct cli_devices devices = {0};
    int code = cli_devices_of_members(&devices, session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    print_identity(info);
    printf("outbox     %" PRIu64 " changes on the way to the log\n", info->outbox);
    printf("own        %" PRIu64 " changes in the log, %" PRIu64 " held and %" PRIu64
           " applied by every other member\n",
           info->own_seq, info->acked_seq, info->applied_seq);
    printf("received   %" PRIu64 " of %" PRIu64 " changes of others, %" PRIu64 " applied\n",
           info->received, info->announced, info->received_applied);
    for (size_t i = 0;; i++) {
        struct syncline_member member = SYNCLINE_MEMBER_INIT;
        if (syncline_member_get(session->lib, i, &member) != SYNCLINE_OK) {
            break;
        }
        print_member(&devices, &member);
    }
    cli_devices_drop(&devices);
    if (info->set_aside > 0) {
        printf("set aside  %" PRIu64 " records\n", info->set_aside);
    }
    for (size_t i = 0; i < SET_ASIDE_SHOWN; i++) {
        struct syncline_set_aside record = SYNCLINE_SET_ASIDE_INIT;
        if (syncline_set_aside_get(session->lib, i, &record) != SYNCLINE_OK) {
            break;
        }
        char uuid[33];
        cli_hex(record.uuid.bytes, sizeof(record.uuid.bytes), uuid);
        fputs("           ", stdout);
        cli_print_name(stdout, record.model, strlen(record.model));
        printf(" %s: ", uuid);
        cli_print_name(stdout, record.reason, strlen(record.reason));
        fputc('\n', stdout);
    }
    return cli_output_end();
}

int cmd_library_info(const struct cli_options *options)
{
    struct cli_session session;
    int code = cli_session_open(options, SYNCLINE_ROLE_CAPTURE, &session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    code = options->json ? print_info_json(&session) : print_info_text(&session);
    cli_session_close(&session);
    return code;
}

int cmd_library_remove(const struct cli_options *options)
{
    char text[512] = "";
    struct syncline_options remove_options = SYNCLINE_OPTIONS_INIT;
    remove_options.error = text;
    remove_options.error_size = sizeof(text);
    enum syncline_status status = syncline_remove(options->library, &remove_options);
    if (status != SYNCLINE_OK) {
        return cli_fail("%s", text[0] != '\0' ? text : syncline_status_text(status));
    }
    if (options->json) {
        return cli_print_json(json_pack("{s:o}", "removed",
                                        cli_json_name(options->library, strlen(options->library))));
    }
    fputs("removed from ", stdout);
    cli_print_name(stdout, options->library, strlen(options->library));
    puts("; library.db is left");
    return cli_output_end();
}
