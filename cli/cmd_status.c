/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* `syncline status`: who runs the engine, what its stages do, and how far each member is behind.
 * It never runs the engine itself, and asks the process that does. */

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/devices.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/stop.h"

#define WATCH_MS 1000 /* between two looks */
#define STAGE_COUNT_MAX 16u

/* One look. */
struct look {
    struct syncline_info info;
    struct cli_devices devices; /* ours */
    struct syncline_stage stages[STAGE_COUNT_MAX];
    size_t stages_count;
    uint64_t at_ns;
    int64_t now_ms;
};

static int take_look(struct cli_session *session, struct look *look)
{
    int code = cli_session_info(session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    look->now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    look->at_ns = cli_now_ns();
    look->info = session->info;
    cli_devices_drop(&look->devices);
    code = cli_devices_of_members(&look->devices, session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    look->stages_count = 0;
    while (look->stages_count < STAGE_COUNT_MAX) {
        struct syncline_stage *stage = &look->stages[look->stages_count];
        *stage = (struct syncline_stage)SYNCLINE_STAGE_INIT;
        if (syncline_stage_get(session->lib, look->stages_count, stage) != SYNCLINE_OK) {
            break;
        }
        look->stages_count++;
    }
    return CLI_EXIT_OK;
}

/* Changes of the stage per second since the look before; else since the engine was started. */
static double per_second(const struct look *look, const struct look *before, size_t index)
{
    const struct syncline_stage *stage = &look->stages[index];
    if (before != NULL && index < before->stages_count &&
        before->stages[index].changes <= stage->changes && look->at_ns > before->at_ns) {
        return (double)(stage->changes - before->stages[index].changes) * 1e9 /
               (double)(look->at_ns - before->at_ns);
    }
    return 0.0;
}

/* ---- For people ---- */

static void print_bytes(uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024.0 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024.0;
        unit++;
    }
    printf(unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

static void print_age(int64_t ms)
{
    char age[CLI_AGE_SIZE];
    cli_age_text(ms, age);
    fputs(age, stdout);
}

static void print_engine(const struct syncline_info *info)
{
    if (info->engine_pid == 0) {
        puts("engine     is not running, or does not answer; start `syncline serve`");
        return;
    }
    printf("engine     runs in process %" PRId64, info->engine_pid);
    if (info->listen[0] != '\0') {
        fputs(", serves ", stdout);
        cli_print_name(stdout, info->listen, strlen(info->listen));
    }
    printf("; %" PRIu32 " of %" PRIu32 " members connected%s\n", info->links, info->members,
           info->paused ? "; paused" : "");
    if (info->degraded) {
        puts("degraded   a sync of the disk failed; what needs it waits: see `syncline events`");
    }
    if (info->clock_ahead_ms > 0) {
        printf("clock      changes of this device are stamped %" PRIu64
               " s ahead of its clock: set the clocks right\n",
               info->clock_ahead_ms / 1000);
    }
    if (info->notice[0] != '\0') {
        fputs("notice     ", stdout);
        cli_print_name(stdout, info->notice, strlen(info->notice));
        putchar('\n');
    }
}

static void print_device(const struct look *look, const struct syncline_uuid *id, const char *name)
{
    char label[CLI_DEVICE_LABEL_SIZE];
    cli_device_label(&look->devices, id, name, label);
    cli_print_name(stdout, label, strlen(label));
}

static void print_member(const struct look *look, const struct syncline_member *member)
{
    int64_t now_ms = look->now_ms;
    fputs("member     ", stdout);
    print_device(look, &member->device_id, member->name);
    fputs(member->linked ? ": connected, " : ": away, ", stdout);
    if (member->behind == 0) {
        fputs("has everything", stdout);
    } else {
        printf("behind by %" PRIu64 " changes, ", member->behind);
        print_bytes(member->behind_bytes);
        fputs(", for ", stdout);
        print_age(now_ms - member->behind_since_ms);
    }
    uint64_t to_come = cli_missing(member->own_seq, member->held_seq);
    if (to_come > 0) {
        printf("; %" PRIu64 " of its changes are not here", to_come);
    }
    if (member->away_since_ms != 0) {
        fputs("; nothing is kept for it since ", stdout);
        cli_print_time(member->away_since_ms);
    } else if (member->absent_days > 0) {
        printf("; not heard of for %" PRIu32 " days in contact, of %" PRIu32, member->absent_days,
               member->absent_days + member->days_left);
    }
    cli_device_print_origin(&look->devices, member);
    putchar('\n');
}

/* What is kept of one device's log, and for whom. */
static void print_kept(const struct look *look, const struct syncline_kept *kept)
{
    static const struct syncline_uuid nobody;
    char name[CLI_DEVICE_NAME_SIZE];
    fputs("log        of ", stdout);
    cli_device_name(&look->devices, &kept->device_id, name);
    print_device(look, &kept->device_id, name);
    printf(": %" PRIu64 " changes kept, in %" PRIu64 " segments, ",
           kept->held_seq - kept->floor_seq, kept->segments);
    print_bytes(kept->bytes);
    if (kept->floor_seq > 0) {
        printf("; %" PRIu64 " pruned", kept->floor_seq);
    }
    if (kept->kept_for_seq < kept->held_seq &&
        memcmp(&kept->kept_for, &nobody, sizeof(nobody)) != 0) {
        fputs("; kept for ", stdout);
        cli_device_name(&look->devices, &kept->kept_for, name);
        print_device(look, &kept->kept_for, name);
        printf(", which has %" PRIu64, kept->kept_for_seq);
    }
    putchar('\n');
}

static void print_stages(const struct look *look, const struct look *before)
{
    if (look->stages_count == 0) {
        return;
    }
    printf("stages     %-12s %12s %12s %9s %9s %7s\n", "", "changes", before != NULL ? "per s" : "",
           "waiting", "busy ms", "errors");
    for (size_t i = 0; i < look->stages_count; i++) {
        const struct syncline_stage *stage = &look->stages[i];
        char fill[24] = "";
        char rate[24] = "";
        if (stage->capacity > 0) {
            snprintf(fill, sizeof(fill), "%" PRIu32 "/%" PRIu32, stage->fill, stage->capacity);
        }
        if (before != NULL) {
            snprintf(rate, sizeof(rate), "%.0f", per_second(look, before, i));
        }
        printf("           %-12s %12" PRIu64 " %12s %9s %9" PRIu64 " %7" PRIu64 "\n", stage->name,
               stage->changes, rate, fill, stage->busy_ns / 1000000, stage->errors);
    }
}

/* How long the oldest record has waited for another one. */
static int64_t waiting_ms(const struct look *look)
{
    int64_t since_ms = look->info.waiting_since_ms;
    return since_ms == 0 || look->now_ms < since_ms ? 0 : look->now_ms - since_ms;
}

static int print_people(struct cli_session *session, const struct look *look,
                        const struct look *before)
{
    const struct syncline_info *info = &look->info;
    fputs("library    ", stdout);
    cli_print_name(stdout, info->library_name, strlen(info->library_name));
    fputs(", on device ", stdout);
    print_device(look, &info->device_id, info->device_name);
    putchar('\n');
    print_engine(info);
    printf("here       %" PRIu64 " changes of this device in the log, %" PRIu64 " on their way "
           "into it\n",
           info->own_seq, info->outbox);
    if (info->unscanned > 0) {
        printf("rows       %" PRIu64 " that nobody captured are not looked at yet\n",
               info->unscanned);
    }
    printf("received   %" PRIu64 " changes of others, %" PRIu64 " applied, %" PRIu64
           " to come; %" PRIu64 " records set aside\n",
           info->received, info->received_applied, cli_missing(info->announced, info->received),
           info->set_aside);
    if (info->waiting > 0) {
        printf("waiting    %" PRIu64 " records wait for others that have not come, %" PRIu64
               " bytes, the oldest for %" PRId64 " s\n",
               info->waiting, info->waiting_bytes, waiting_ms(look) / 1000);
    }
    for (size_t i = 0;; i++) {
        struct syncline_member member = SYNCLINE_MEMBER_INIT;
        if (syncline_member_get(session->lib, i, &member) != SYNCLINE_OK) {
            break;
        }
        print_member(look, &member);
    }
    for (size_t i = 0;; i++) {
        struct syncline_kept kept = SYNCLINE_KEPT_INIT;
        if (syncline_kept_get(session->lib, i, &kept) != SYNCLINE_OK) {
            break;
        }
        if (kept.held_seq > 0) {
            print_kept(look, &kept);
        }
    }
    print_stages(look, before);
    return cli_output_end();
}

/* ---- As JSON ---- */

static json_t *member_json(const struct syncline_member *member, int64_t now_ms)
{
    char device_id[33];
    cli_hex(member->device_id.bytes, sizeof(member->device_id.bytes), device_id);
    int64_t behind_ms = member->behind_since_ms == 0 ? 0 : now_ms - member->behind_since_ms;
    json_t *object = json_pack(
        "{s:s, s:o, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "device_id", device_id,
        "device_name", cli_json_name(member->name, strlen(member->name)), "linked", member->linked,
        "behind", (json_int_t)member->behind, "behind_bytes", (json_int_t)member->behind_bytes,
        "behind_ms", (json_int_t)(behind_ms < 0 ? 0 : behind_ms), "own_seq",
        (json_int_t)member->own_seq, "held_seq", (json_int_t)member->held_seq, "absent_days",
        (json_int_t)member->absent_days, "days_left", (json_int_t)member->days_left,
        "away_since_ms", (json_int_t)member->away_since_ms);
    return cli_device_add_origin(object, member);
}

static json_t *kept_json(const struct syncline_kept *kept)
{
    static const struct syncline_uuid nobody;
    char device_id[33];
    char kept_for[33];
    bool any = memcmp(&kept->kept_for, &nobody, sizeof(nobody)) != 0;
    cli_hex(kept->device_id.bytes, sizeof(kept->device_id.bytes), device_id);
    cli_hex(kept->kept_for.bytes, sizeof(kept->kept_for.bytes), kept_for);
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:I}", "device_id", device_id, "epoch",
                     (json_int_t)kept->epoch, "floor_seq", (json_int_t)kept->floor_seq, "held_seq",
                     (json_int_t)kept->held_seq, "segments", (json_int_t)kept->segments, "bytes",
                     (json_int_t)kept->bytes, "kept_for", any ? json_string(kept_for) : json_null(),
                     "kept_for_seq", (json_int_t)kept->kept_for_seq);
}

static json_t *stage_json(const struct look *look, const struct look *before, size_t index)
{
    const struct syncline_stage *stage = &look->stages[index];
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "name", stage->name,
                     "runs", (json_int_t)stage->runs, "batches", (json_int_t)stage->batches,
                     "changes", (json_int_t)stage->changes, "bytes", (json_int_t)stage->bytes,
                     "errors", (json_int_t)stage->errors, "busy_ns", (json_int_t)stage->busy_ns,
                     "fill", (json_int_t)stage->fill, "capacity", (json_int_t)stage->capacity,
                     "changes_per_s", per_second(look, before, index));
}

static int print_json(struct cli_session *session, const struct look *look,
                      const struct look *before)
{
    const struct syncline_info *info = &look->info;
    char library_id[33];
    char device_id[33];
    cli_hex(info->library_id.bytes, sizeof(info->library_id.bytes), library_id);
    cli_hex(info->device_id.bytes, sizeof(info->device_id.bytes), device_id);
    json_t *members = json_array();
    json_t *logs = json_array();
    json_t *stages = json_array();
    for (size_t i = 0;; i++) {
        struct syncline_member member = SYNCLINE_MEMBER_INIT;
        if (syncline_member_get(session->lib, i, &member) != SYNCLINE_OK) {
            break;
        }
        json_array_append_new(members, member_json(&member, look->now_ms));
    }
    for (size_t i = 0;; i++) {
        struct syncline_kept kept = SYNCLINE_KEPT_INIT;
        if (syncline_kept_get(session->lib, i, &kept) != SYNCLINE_OK) {
            break;
        }
        json_array_append_new(logs, kept_json(&kept));
    }
    for (size_t i = 0; i < look->stages_count; i++) {
        json_array_append_new(stages, stage_json(look, before, i));
    }
    return cli_print_json(json_pack(
        "{s:s, s:o, s:s, s:o, s:I, s:o, s:o, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
        "s:I, s:I, s:I, s:I, "
        "s:I, s:o, s:o, "
        "s:o}",
        "library_id", library_id, "library_name",
        cli_json_name(info->library_name, strlen(info->library_name)), "device_id", device_id,
        "device_name", cli_json_name(info->device_name, strlen(info->device_name)), "engine_pid",
        (json_int_t)info->engine_pid, "listen", cli_json_name(info->listen, strlen(info->listen)),
        "notice", cli_json_name(info->notice, strlen(info->notice)), "paused", info->paused,
        "degraded", info->degraded, "clock_ahead_ms", (json_int_t)info->clock_ahead_ms, "links",
        (json_int_t)info->links, "outbox", (json_int_t)info->outbox, "unscanned",
        (json_int_t)info->unscanned, "own_seq", (json_int_t)info->own_seq, "received",
        (json_int_t)info->received, "received_applied", (json_int_t)info->received_applied,
        "announced", (json_int_t)info->announced, "set_aside", (json_int_t)info->set_aside,
        "waiting", (json_int_t)info->waiting, "waiting_bytes", (json_int_t)info->waiting_bytes,
        "waiting_ms", (json_int_t)waiting_ms(look), "wire_bytes_sent",
        (json_int_t)info->wire_bytes_sent, "members", members, "logs", logs, "stages", stages));
}

/* ---- Behind ---- */

static int say_behind(const char *name, uint64_t changes)
{
    return cli_no("%s is behind by %" PRIu64 " changes, more than --max-lag allows", name, changes);
}

/* Exit code 1, and who it is, if a member lacks more than allowed, or this device does. */
static int check_lag(struct cli_session *session, const struct cli_options *options,
                     const struct look *look)
{
    const struct cli_lag *most = &options->max_lag;
    uint64_t here =
        look->info.outbox + cli_missing(look->info.announced, look->info.received_applied);
    if (most->changes >= 0 && here > (uint64_t)most->changes) {
        return say_behind("this device", here);
    }
    for (size_t i = 0;; i++) {
        struct syncline_member member = SYNCLINE_MEMBER_INIT;
        if (syncline_member_get(session->lib, i, &member) != SYNCLINE_OK) {
            return CLI_EXIT_OK;
        }
        char label[CLI_DEVICE_LABEL_SIZE];
        cli_device_label(&look->devices, &member.device_id, member.name, label);
        if (most->changes >= 0 && member.behind > (uint64_t)most->changes) {
            return say_behind(label, member.behind);
        }
        int64_t age_ms = member.behind_since_ms == 0 ? 0 : look->now_ms - member.behind_since_ms;
        if (most->ms >= 0 && age_ms > most->ms) {
            return cli_no("%s has been behind for %" PRId64 " s, longer than --max-lag allows",
                          label, age_ms / 1000);
        }
    }
}

static int show(struct cli_session *session, const struct cli_options *options,
                const struct look *look, const struct look *before)
{
    if (options->json) {
        return print_json(session, look, before);
    }
    if (options->watch && isatty(STDOUT_FILENO)) {
        fputs("\033[H\033[J", stdout);
    }
    return print_people(session, look, before);
}

int cmd_status(const struct cli_options *options)
{
    struct cli_session session;
    struct look looks[2] = {0};
    /* Never the engine: one that is started meanwhile must not find it taken. */
    int code = cli_session_open(options, SYNCLINE_ROLE_CAPTURE, &session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    size_t now = 0;
    code = take_look(&session, &looks[now]);
    if (code == CLI_EXIT_OK) {
        code = show(&session, options, &looks[now], NULL);
    }
    while (code == CLI_EXIT_OK && options->watch && !cli_stop_wait(WATCH_MS)) {
        now = 1 - now;
        code = take_look(&session, &looks[now]);
        if (code == CLI_EXIT_OK) {
            code = show(&session, options, &looks[now], &looks[1 - now]);
        }
    }
    if (code == CLI_EXIT_OK && options->has_max_lag) {
        code = check_lag(&session, options, &looks[now]);
    }
    cli_devices_drop(&looks[0].devices);
    cli_devices_drop(&looks[1].devices);
    cli_session_close(&session);
    return code;
}
