/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* `syncline verify`: the tables of this device against those of the others. */

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/devices.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/stop.h"
#include "cli/table.h"

#define LIMIT_DEFAULT 1000u
#define LINK_MS_MAX 10000 /* how long a member may take to connect, at most */
#define POLL_MS 20        /* between two looks at what goes on */

static const char *const kind_names[] = {[SYNCLINE_DIFFERENCE_ONLY_HERE] = "only here",
                                         [SYNCLINE_DIFFERENCE_ONLY_THERE] = "only there",
                                         [SYNCLINE_DIFFERENCE_CONTENT] = "different",
                                         [SYNCLINE_DIFFERENCE_MODEL] = "not known there"};

/* One comparison, which a thread of its own makes, so that a signal can end it. */
struct verify {
    struct cli_session *session;
    const struct cli_options *options;
    struct cli_device member;
    const char *label; /* what people call it */
    int64_t timeout_ms;
    uint64_t limit;         /* differences that are listed */
    struct cli_table table; /* for people */
    json_t *listed;         /* for programs; NULL: for people */
    enum syncline_status status;
    char text[512]; /* why it failed */
    struct syncline_verified verified;
    atomic_bool done;
};

static json_t *difference_json(const struct syncline_difference *difference)
{
    char hex[33];
    cli_hex(difference->uuid.bytes, sizeof(difference->uuid.bytes), hex);
    bool is_record = difference->kind != SYNCLINE_DIFFERENCE_MODEL;
    return json_pack("{s:s, s:o, s:s}", "model", difference->model, "uuid",
                     is_record ? json_string(hex) : json_null(), "difference",
                     kind_names[difference->kind]);
}

static void add_row(struct cli_table *table, const struct syncline_difference *difference)
{
    char hex[33] = "-";
    if (difference->kind != SYNCLINE_DIFFERENCE_MODEL) {
        cli_hex(difference->uuid.bytes, sizeof(difference->uuid.bytes), hex);
    }
    cli_table_text(table, difference->model);
    cli_table_text(table, hex);
    cli_table_text(table, kind_names[difference->kind]);
}

/* All are counted; some are listed. */
static bool take(void *ctx, const struct syncline_difference *difference)
{
    struct verify *verify = ctx;
    if (verify->limit > 0) {
        verify->limit--;
        if (verify->listed != NULL) {
            json_array_append_new(verify->listed, difference_json(difference));
        } else {
            add_row(&verify->table, difference);
        }
    }
    return true;
}

static void *run(void *arg)
{
    struct verify *verify = arg;
    struct syncline *lib = verify->session->lib;
    verify->verified = (struct syncline_verified)SYNCLINE_VERIFIED_INIT;
    verify->status = syncline_verify(lib, &verify->member.id, verify->timeout_ms, take, verify,
                                     &verify->verified);
    if (verify->status != SYNCLINE_OK) {
        syncline_error(lib, verify->text, sizeof(verify->text));
    }
    atomic_store(&verify->done, true);
    return NULL;
}

/* Waits for it; after a signal it ends at once, and with it the handle. */
static int compare(struct verify *verify)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, verify) != 0) {
        return cli_fail("no thread could be made; free some memory and try again");
    }
    bool stopped = false;
    cli_progress("comparing with %s", verify->label);
    while (!atomic_load(&verify->done) && !stopped) {
        stopped = cli_stop_wait(POLL_MS);
    }
    if (stopped) {
        syncline_close_drained(verify->session->lib, SYNCLINE_LEVEL_QUEUED, 0, NULL);
        verify->session->lib = NULL;
    }
    (void)pthread_join(thread, NULL);
    cli_progress_end();
    return stopped ? cli_stopped("interrupted while comparing; nothing was changed") : CLI_EXIT_OK;
}

/* Who has opened the engine just now is connected a little later. */
static int wait_linked(struct verify *verify)
{
    int64_t wait_ms = !verify->session->info.runs_engine ? 0 : LINK_MS_MAX;
    uint64_t start_ns = cli_now_ns();
    if (verify->timeout_ms >= 0 && verify->timeout_ms < wait_ms) {
        wait_ms = verify->timeout_ms;
    }
    for (;;) {
        struct syncline_member member = SYNCLINE_MEMBER_INIT;
        for (size_t i = 0; syncline_member_get(verify->session->lib, i, &member) == SYNCLINE_OK;
             i++) {
            if (member.linked &&
                memcmp(&member.device_id, &verify->member.id, sizeof(member.device_id)) == 0) {
                return CLI_EXIT_OK;
            }
        }
        if (cli_now_ns() - start_ns >= (uint64_t)wait_ms * 1000000u) {
            return CLI_EXIT_OK; /* the call says it in its own words */
        }
        if (cli_stop_wait(POLL_MS)) {
            return cli_stopped("interrupted while %s connects; nothing was changed", verify->label);
        }
    }
}

static json_t *member_json(const struct verify *verify)
{
    char device_id[33];
    const struct syncline_verified *verified = &verify->verified;
    cli_hex(verify->member.id.bytes, sizeof(verify->member.id.bytes), device_id);
    return json_pack(
        "{s:s, s:o, s:s, s:b, s:I, s:I, s:I, s:O, s:b, s:b, s:b, s:b, s:I, s:I, s:I}", "device_id",
        device_id, "device_name", cli_json_name(verify->member.name, strlen(verify->member.name)),
        "status", syncline_status_name(verify->status), "complete", verified->complete, "models",
        (json_int_t)verified->models, "records", (json_int_t)verified->records, "differences",
        (json_int_t)verified->differences, "listed", verify->listed, "set_aside_here",
        verified->set_aside_here, "set_aside_there", verified->set_aside_there, "waiting_here",
        verified->waiting_here, "waiting_there", verified->waiting_there, "round_trips",
        (json_int_t)verified->round_trips, "bytes_sent", (json_int_t)verified->bytes_sent,
        "bytes_received", (json_int_t)verified->bytes_received);
}

static int print_text(struct verify *verify)
{
    const struct syncline_verified *verified = &verify->verified;
    int code = cli_table_print(&verify->table);
    if (verify->status != SYNCLINE_OK) {
        return code;
    }
    cli_print_name(stdout, verify->label, strlen(verify->label));
    if (verified->differences == 0) {
        printf(": equal, %" PRIu64 " records of %" PRIu64 " models\n", verified->records,
               verified->models);
    } else {
        printf(": %" PRIu64 " difference%s, among %" PRIu64 " records of %" PRIu64 " models\n",
               verified->differences, verified->differences == 1 ? "" : "s", verified->records,
               verified->models);
    }
    bool is_here = verified->set_aside_here || verified->waiting_here;
    bool is_there = verified->set_aside_there || verified->waiting_there;
    if (verified->differences > 0 && (is_here || is_there)) {
        printf("records are set aside or wait %s, which may be why; `syncline status` there counts "
               "them\n",
               !is_there  ? "here"
               : !is_here ? "on that device"
                          : "on both");
    }
    return code;
}

/* What became of it, for people or into the list. Returns the exit code. */
static int tell(struct verify *verify, struct cli_json_list *list)
{
    int code = CLI_EXIT_OK;
    if (verify->listed != NULL) {
        cli_json_list_item(list, member_json(verify));
    } else {
        code = print_text(verify);
    }
    if (code != CLI_EXIT_OK) {
        return code;
    }
    if (verify->status != SYNCLINE_OK) {
        return cli_fail("%s: %s", verify->label, verify->text);
    }
    return verify->verified.differences > 0 ? CLI_EXIT_NO : CLI_EXIT_OK;
}

/* Compares with one member. */
static int verify_one(struct cli_session *session, const struct cli_options *options,
                      const struct cli_devices *devices, const struct cli_device *member,
                      int64_t timeout_ms, struct cli_json_list *list)
{
    char label[CLI_DEVICE_LABEL_SIZE];
    struct verify verify = {.session = session,
                            .options = options,
                            .member = *member,
                            .timeout_ms = timeout_ms,
                            .limit = options->limit != UINT64_MAX ? options->limit : LIMIT_DEFAULT,
                            .listed = options->json ? json_array() : NULL};
    verify.label = cli_device_label(devices, &member->id, member->name, label);
    cli_table_column(&verify.table, "MODEL", CLI_STYLE_NAME);
    cli_table_column(&verify.table, "UUID", CLI_STYLE_QUIET);
    cli_table_column(&verify.table, "RECORD", CLI_STYLE_PLAIN);
    int code = wait_linked(&verify);
    if (code == CLI_EXIT_OK) {
        code = compare(&verify);
    }
    if (code == CLI_EXIT_OK) {
        code = tell(&verify, list);
    } else {
        cli_table_drop(&verify.table);
    }
    json_decref(verify.listed);
    return code;
}

/* Who cannot be compared weighs more than who differs. */
static int worse(int code, int other)
{
    return other > code ? other : code;
}

static int64_t time_left(int64_t timeout_ms, uint64_t start_ns)
{
    int64_t spent_ms = (int64_t)((cli_now_ns() - start_ns) / 1000000u);
    return timeout_ms < 0 ? timeout_ms : timeout_ms > spent_ms ? timeout_ms - spent_ms : 0;
}

static int verify_all(struct cli_session *session, const struct cli_options *options,
                      const struct cli_devices *devices)
{
    struct syncline_uuid wanted;
    struct cli_json_list list;
    uint64_t start_ns = cli_now_ns();
    int code = CLI_EXIT_OK;
    if (options->member != NULL) {
        code = cli_devices_find(devices, &session->info.device_id, options->member, &wanted);
    }
    if (code != CLI_EXIT_OK) {
        return code;
    }
    cli_json_list_begin(&list, "members");
    for (size_t i = 0; i < devices->count && code != CLI_EXIT_STOPPED; i++) {
        const struct cli_device *device = &devices->items[i];
        bool is_wanted = options->member != NULL ? memcmp(&device->id, &wanted, sizeof(wanted)) == 0
                                                 : memcmp(&device->id, &session->info.device_id,
                                                          sizeof(device->id)) != 0;
        if (is_wanted) {
            code = worse(code, verify_one(session, options, devices, device,
                                          time_left(options->timeout_ms, start_ns), &list));
        }
    }
    if (code == CLI_EXIT_STOPPED) {
        return code;
    }
    if (!options->json && session->info.members == 0) {
        puts("no other members");
    }
    return worse(code, options->json ? cli_json_list_end(&list) : cli_output_end());
}

int cmd_verify(const struct cli_options *options)
{
    struct cli_session session;
    struct cli_devices devices;
    bool has_network = options->listen != NULL || options->peers_count > 0;
    /* Beside a process that serves it is that one's connections that are used. */
    enum syncline_role role = has_network                        ? SYNCLINE_ROLE_ENGINE
                              : cli_session_engine(options) != 0 ? SYNCLINE_ROLE_CAPTURE
                                                                 : SYNCLINE_ROLE_AUTO;
    int code = cli_session_open(options, role, &session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    code = cli_devices_of_members(&devices, &session);
    if (code == CLI_EXIT_OK) {
        code = verify_all(&session, options, &devices);
        cli_devices_drop(&devices);
    }
    cli_session_close(&session);
    return code;
}
