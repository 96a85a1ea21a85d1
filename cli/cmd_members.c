/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* `syncline library members` and `library leave`, `syncline network devices` and `network revoke`:
 * who belongs to the library. */

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "cli/commands.h"
#include "cli/devices.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/stop.h"
#include "cli/table.h"

#define LEAVE_MS_DEFAULT 60000 /* until another member holds everything */
#define TOLD_MS_MAX 5000       /* until a member that is connected has taken the word */
#define POLL_NS 10000000L

static const char *standing_name(enum syncline_standing standing)
{
    return standing == SYNCLINE_STANDING_LEFT      ? "left"
           : standing == SYNCLINE_STANDING_REVOKED ? "revoked"
                                                   : "member";
}

static bool is_set(const struct syncline_uuid *id)
{
    static const struct syncline_uuid none;
    return memcmp(id, &none, sizeof(none)) != 0;
}

/* ---- library members ---- */

static json_t *id_json(const struct syncline_uuid *id)
{
    char hex[33];
    cli_hex(id->bytes, sizeof(id->bytes), hex);
    return is_set(id) ? json_string(hex) : json_null();
}

static json_t *device_json(const struct syncline_device *device)
{
    return json_pack("{s:o, s:o, s:b, s:s, s:o, s:I, s:o, s:I, s:I}", "device_id",
                     id_json(&device->device_id), "device_name",
                     cli_json_name(device->name, strlen(device->name)), "this_device",
                     device->is_self, "standing", standing_name(device->standing), "let_in_by",
                     id_json(&device->let_in_by), "since_ms", (json_int_t)device->since_ms,
                     "out_by", id_json(&device->out_by), "out_ms", (json_int_t)device->out_ms,
                     "kept_seq", (json_int_t)device->kept_seq);
}

static void cell_time(struct cli_table *table, int64_t ms)
{
    char text[CLI_TIME_SIZE] = "-";
    if (ms != 0) {
        cli_time_text(ms, text);
    }
    cli_table_text(table, text);
}

static void cell_device(struct cli_table *table, const struct cli_devices *devices,
                        const struct syncline_uuid *id)
{
    char name[CLI_DEVICE_NAME_SIZE];
    char label[CLI_DEVICE_LABEL_SIZE] = "-";
    if (is_set(id)) {
        cli_device_name(devices, id, name);
        cli_device_label(devices, id, name, label);
    }
    cli_table_text(table, label);
}

static void device_row(struct cli_table *table, const struct cli_devices *devices,
                       const struct syncline_device *device)
{
    char hex[33];
    char standing[64];
    cli_hex(device->device_id.bytes, sizeof(device->device_id.bytes), hex);
    cli_table_text(table, hex);
    cli_table_text(table, device->name);
    if (device->standing == SYNCLINE_STANDING_MEMBER) {
        (void)snprintf(standing, sizeof(standing), "%s",
                       device->is_self ? "this device" : "member");
    } else {
        (void)snprintf(standing, sizeof(standing), "%s, %" PRIu64 " changes stay",
                       standing_name(device->standing), device->kept_seq);
    }
    cli_table_text(table, standing);
    cell_time(table, device->since_ms);
    cell_device(table, devices, &device->let_in_by);
    cell_time(table, device->out_ms);
    cell_device(table, devices, &device->out_by);
}

static int print_members_json(struct cli_session *session)
{
    struct cli_json_list list;
    cli_json_list_begin(&list, "members");
    for (size_t i = 0;; i++) {
        struct syncline_device device = SYNCLINE_DEVICE_INIT;
        if (syncline_device_get(session->lib, i, &device) != SYNCLINE_OK) {
            return cli_json_list_end(&list);
        }
        cli_json_list_item(&list, device_json(&device));
    }
}

static int print_members(struct cli_session *session)
{
    static const char *const headings[] = {"DEVICE",    "NAME", "STANDING",  "SINCE",
                                           "LET IN BY", "OUT",  "REVOKED BY"};
    struct cli_devices devices;
    struct cli_table table = {0};
    int code = cli_devices_of_library(&devices, session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    for (size_t i = 0; i < sizeof(headings) / sizeof(headings[0]); i++) {
        cli_table_column(&table, headings[i],
                         i == 0   ? CLI_STYLE_QUIET
                         : i == 1 ? CLI_STYLE_NAME
                                  : CLI_STYLE_PLAIN);
    }
    for (size_t i = 0;; i++) {
        struct syncline_device device = SYNCLINE_DEVICE_INIT;
        if (syncline_device_get(session->lib, i, &device) != SYNCLINE_OK) {
            break;
        }
        device_row(&table, &devices, &device);
    }
    cli_devices_drop(&devices);
    return cli_table_print(&table);
}

int cmd_library_members(const struct cli_options *options)
{
    struct cli_session session;
    int code = cli_session_open(options, SYNCLINE_ROLE_CAPTURE, &session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    code = options->json ? print_members_json(&session) : print_members(&session);
    cli_session_close(&session);
    return code;
}

/* ---- network devices ---- */

static int print_network_json(struct cli_session *session)
{
    struct cli_json_list list;
    cli_json_list_begin(&list, "devices");
    for (size_t i = 0;; i++) {
        struct syncline_member member = SYNCLINE_MEMBER_INIT;
        if (syncline_member_get(session->lib, i, &member) != SYNCLINE_OK) {
            return cli_json_list_end(&list);
        }
        cli_json_list_item(
            &list, json_pack("{s:o, s:o, s:b, s:I}", "device_id", id_json(&member.device_id),
                             "device_name", cli_json_name(member.name, strlen(member.name)),
                             "linked", member.linked, "behind", (json_int_t)member.behind));
    }
}

static int print_network(struct cli_session *session)
{
    struct cli_table table = {0};
    cli_table_column(&table, "DEVICE", CLI_STYLE_QUIET);
    cli_table_column(&table, "NAME", CLI_STYLE_NAME);
    cli_table_column(&table, "LINK", CLI_STYLE_PLAIN);
    cli_table_column(&table, ">BEHIND", CLI_STYLE_PLAIN);
    for (size_t i = 0;; i++) {
        struct syncline_member member = SYNCLINE_MEMBER_INIT;
        char hex[33];
        if (syncline_member_get(session->lib, i, &member) != SYNCLINE_OK) {
            return cli_table_print(&table);
        }
        cli_hex(member.device_id.bytes, sizeof(member.device_id.bytes), hex);
        cli_table_text(&table, hex);
        cli_table_text(&table, member.name);
        cli_table_text(&table, member.linked ? "connected" : "away");
        cli_table_number(&table, member.behind);
    }
}

int cmd_network_devices(const struct cli_options *options)
{
    struct cli_session session;
    int code = cli_session_open(options, SYNCLINE_ROLE_CAPTURE, &session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    code = options->json ? print_network_json(&session) : print_network(&session);
    if (code == CLI_EXIT_OK && !options->json && session.info.members == 0) {
        puts("no other members");
        code = cli_output_end();
    }
    cli_session_close(&session);
    return code;
}

/* ---- network revoke ---- */

static enum syncline_status find_device(struct syncline *lib, const struct syncline_uuid *id,
                                        struct syncline_device *device)
{
    enum syncline_status status = SYNCLINE_OK;
    for (size_t i = 0; status == SYNCLINE_OK; i++) {
        status = syncline_device_get(lib, i, device);
        if (status == SYNCLINE_OK && memcmp(&device->device_id, id, sizeof(*id)) == 0) {
            break;
        }
    }
    return status;
}

static int fail_by(struct cli_session *session, enum syncline_status status)
{
    char text[512] = "";
    (void)syncline_error(session->lib, text, sizeof(text));
    return cli_fail("%s", text[0] != '\0' ? text : syncline_status_text(status));
}

static int revoke(struct cli_session *session, const struct cli_options *options,
                  const struct syncline_uuid *id)
{
    struct syncline_device device = SYNCLINE_DEVICE_INIT;
    char hex[33];
    enum syncline_status status = syncline_revoke(session->lib, id);
    if (status == SYNCLINE_OK) {
        status = find_device(session->lib, id, &device);
    }
    if (status != SYNCLINE_OK) {
        return fail_by(session, status);
    }
    if (options->json) {
        return cli_print_json(device_json(&device));
    }
    cli_hex(id->bytes, sizeof(id->bytes), hex);
    fputs("revoked ", stdout);
    cli_print_name(stdout, device.name, strlen(device.name));
    printf(" (%s); %" PRIu64 " of its changes stay\n", hex, device.kept_seq);
    return cli_output_end();
}

int cmd_network_revoke(const struct cli_options *options)
{
    struct cli_session session;
    struct cli_devices devices;
    struct syncline_uuid id;
    int code = cli_session_open(options, SYNCLINE_ROLE_AUTO, &session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    code = cli_devices_of_library(&devices, &session);
    if (code == CLI_EXIT_OK) {
        code = cli_devices_find(&devices, &session.info.device_id, options->args[0], &id);
        cli_devices_drop(&devices);
    }
    if (code == CLI_EXIT_OK) {
        code = revoke(&session, options, &id);
    }
    cli_session_close(&session);
    return code;
}

/* ---- library leave ---- */

/* Members close the link when they have taken the word. false: there is none, or it lasts. */
static bool wait_told(struct cli_session *session)
{
    int code = cli_session_info(session);
    uint64_t end_ns = cli_now_ns() + (uint64_t)TOLD_MS_MAX * 1000000u;
    bool was_linked = code == CLI_EXIT_OK && session->info.links > 0;
    while (code == CLI_EXIT_OK && session->info.links > 0 && cli_now_ns() < end_ns &&
           !cli_stop_asked()) {
        (void)nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
        code = cli_session_info(session);
    }
    return was_linked && code == CLI_EXIT_OK && session->info.links == 0;
}

static int leave(struct cli_session *session, const struct cli_options *options)
{
    int64_t timeout_ms = options->timeout_ms >= 0 ? options->timeout_ms : LEAVE_MS_DEFAULT;
    cli_progress("waiting until another member has everything");
    enum syncline_status status = syncline_leave(session->lib, timeout_ms);
    cli_progress_end();
    if (status == SYNCLINE_TIMEOUT) {
        char text[512] = "";
        (void)syncline_error(session->lib, text, sizeof(text));
        return cli_no("%s; this device is still a member", text);
    }
    if (status != SYNCLINE_OK) {
        return fail_by(session, status);
    }
    bool told = wait_told(session);
    if (options->json) {
        return cli_print_json(json_pack("{s:b, s:b}", "left", 1, "told", told));
    }
    puts(told
             ? "left; the members that are connected know it"
             : "left; nobody is connected: the members hear of it when `syncline serve` runs here");
    return cli_output_end();
}

int cmd_library_leave(const struct cli_options *options)
{
    struct cli_session session;
    bool has_network = options->listen != NULL || options->peers_count > 0;
    /* Beside a process that serves it is that one's connections that are used. */
    enum syncline_role role = has_network                        ? SYNCLINE_ROLE_ENGINE
                              : cli_session_engine(options) != 0 ? SYNCLINE_ROLE_CAPTURE
                                                                 : SYNCLINE_ROLE_AUTO;
    int code = cli_session_open(options, role, &session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    code = leave(&session, options);
    cli_session_close(&session);
    return code;
}
