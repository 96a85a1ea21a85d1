/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/merge/merge_history.h"

#include <stdio.h>
#include <string.h>

#define CHANGES_MAX 6u
#define ORDERS_MAX 24u /* in which changes of two origins, 6 together, can come: 20 at most */
#define EVENTS_MAX (2 * CHANGES_MAX)

/* What a device does, in order: 0 to 2: the next change of that origin comes; else it writes. */
#define EVENT_WRITE 8 /* + enum merge_kind */

/* What one change is in the log, whatever the order in which it got there. */
struct logged {
    enum merge_kind kind;
    uint64_t hlc;    /* above that of the beginning */
    uint32_t births; /* bits: by origin and seq */
};

struct planned {
    uint32_t author;
    enum merge_kind kind;
    uint32_t view[MERGE_DEVICES]; /* changes of each origin that its author has */
    uint32_t births;              /* bits: places of the inserts that it names */
};

struct plan {
    struct merge_world *world;
    const struct merge_options *options;
    uint32_t n;
    uint32_t job;
    uint32_t jobs;
    uint64_t number; /* of the history */
    uint64_t *histories;
    uint64_t *diverged;
    struct planned changes[CHANGES_MAX];
    uint32_t len;
    uint8_t orders[MERGE_DEVICES][ORDERS_MAX][EVENTS_MAX];
    uint32_t order_count[MERGE_DEVICES];
    uint32_t event_count[MERGE_DEVICES];
    struct logged logged[MERGE_DEVICES][CHANGES_MAX]; /* by the first run of its kind */
    bool has_logged;
};

/* ---- Which histories there are ---- */

static uint32_t made_by(const struct plan *plan, uint32_t author)
{
    uint32_t made = 0;
    for (uint32_t i = 0; i < plan->len; i++) {
        made += plan->changes[i].author == author ? 1 : 0;
    }
    return made;
}

/* The place of an origin's change in the list. */
static uint32_t place_of(const struct plan *plan, uint32_t origin, uint32_t seq)
{
    uint32_t at = 0;
    while (plan->changes[at].author != origin || --seq > 0) {
        at++;
    }
    return at;
}

static uint32_t seen_in(const struct plan *plan, const uint32_t view[MERGE_DEVICES])
{
    uint32_t seen = 0;
    for (uint32_t origin = 0; origin < MERGE_DEVICES; origin++) {
        for (uint32_t seq = 1; seq <= view[origin]; seq++) {
            seen |= 1u << place_of(plan, origin, seq);
        }
    }
    return seen;
}

static uint32_t living_in(const struct plan *plan, uint32_t seen)
{
    uint32_t living = 0;
    for (uint32_t i = 0; i < plan->len; i++) {
        living |= (seen >> i & 1) != 0 && plan->changes[i].kind == MERGE_INSERT ? 1u << i : 0;
    }
    for (uint32_t i = 0; i < plan->len; i++) {
        if ((seen >> i & 1) != 0 && plan->changes[i].kind == MERGE_DELETE) {
            living &= ~plan->changes[i].births;
        }
    }
    return living;
}

/* Are the births that these changes name among them? */
static bool is_closed(const struct plan *plan, uint32_t seen)
{
    for (uint32_t i = 0; i < plan->len; i++) {
        if ((seen >> i & 1) != 0 && (plan->changes[i].births & ~seen) != 0) {
            return false;
        }
    }
    return true;
}

/* ---- The orders in which changes come to a device ---- */

struct arriving {
    uint32_t device;
    uint32_t has[MERGE_DEVICES]; /* of each origin, its own too */
    uint8_t events[EVENTS_MAX];
    uint32_t len;
};

static void add_orders(struct plan *plan, struct arriving *arriving)
{
    uint32_t device = arriving->device;
    uint32_t upto[MERGE_DEVICES];
    const struct planned *next = NULL;
    uint32_t own = made_by(plan, device);
    for (uint32_t i = 0; i < MERGE_DEVICES; i++) {
        upto[i] = made_by(plan, i);
    }
    if (arriving->has[device] < own) {
        next = &plan->changes[place_of(plan, device, arriving->has[device] + 1)];
        memcpy(upto, next->view, sizeof(upto));
    }
    bool came = false;
    for (uint32_t i = 0; i < MERGE_DEVICES; i++) {
        if (i == device || arriving->has[i] >= upto[i]) {
            continue;
        }
        came = true;
        arriving->has[i]++;
        arriving->events[arriving->len++] = (uint8_t)i;
        add_orders(plan, arriving);
        arriving->len--;
        arriving->has[i]--;
    }
    if (!came && next != NULL) {
        arriving->has[device]++;
        arriving->events[arriving->len++] = (uint8_t)(EVENT_WRITE + next->kind);
        add_orders(plan, arriving);
        arriving->len--;
        arriving->has[device]--;
    } else if (!came && plan->order_count[device] < ORDERS_MAX) {
        memcpy(plan->orders[device][plan->order_count[device]++], arriving->events, arriving->len);
        plan->event_count[device] = arriving->len;
    }
}

/* ---- One run ---- */

struct run {
    struct plan *plan;
    bool late; /* changes reach the log as late as can be */
    uint32_t order[MERGE_DEVICES];
    uint32_t at[MERGE_DEVICES];
    const uint8_t *events[MERGE_DEVICES];
    uint32_t written[MERGE_DEVICES];             /* changes */
    bool vanished[MERGE_DEVICES][CHANGES_MAX];   /* superseded before they were in the log */
    uint32_t came[MERGE_DEVICES][MERGE_DEVICES]; /* [device][origin], vanished ones too */
    uint32_t logged[MERGE_DEVICES];              /* changes, vanished ones too */
};

static void fail(const struct run *run, const char *what)
{
    struct merge_world *world = run->plan->world;
    world->failure = world->failure == NULL ? what : world->failure;
}

static void check(const struct run *run, struct merge_device *device)
{
    if (!device->pending && !merge_device_check(device)) {
        fail(run, "a device shows what the fold does not");
    }
}

static void log_now(struct run *run, struct merge_device *device)
{
    uint32_t d = device->number;
    size_t before = run->plan->world->changes_len;
    if (run->logged[d] == run->written[d]) {
        return;
    }
    merge_device_log(device);
    run->vanished[d][run->logged[d]] = run->plan->world->changes_len == before;
    run->logged[d]++;
    check(run, device);
}

static void write_now(struct run *run, struct merge_device *device, enum merge_kind kind)
{
    uint32_t d = device->number;
    log_now(run, device);
    if (merge_device_write(device, kind)) {
        run->written[d]++;
        if (!run->late) {
            log_now(run, device);
        }
        return;
    }
    if (!run->late && !device->world->owned) {
        fail(run, "an application cannot make the change that was to come");
    }
    run->vanished[d][run->written[d]++] = true;
    run->logged[d]++;
}

/* The next event of a device, if it can be. */
static bool advance(struct run *run, struct merge_device *device)
{
    uint32_t d = device->number;
    if (run->at[d] == run->plan->event_count[d]) {
        return false;
    }
    uint8_t event = run->events[d][run->at[d]];
    if (event >= EVENT_WRITE) {
        write_now(run, device, (enum merge_kind)(event - EVENT_WRITE));
        run->at[d]++;
        return true;
    }
    if (run->came[d][event] == run->logged[event]) {
        return false;
    }
    if (!run->vanished[event][run->came[d][event]]) {
        merge_device_take(device, event);
        merge_device_apply(device); /* and nothing more is there to do */
        check(run, device);
    }
    run->came[d][event]++;
    run->at[d]++;
    return true;
}

/* As bits of origin and seq: places in the list depend on the order. */
static uint32_t births_of(const struct merge_record *record, const struct merge_change *change)
{
    uint32_t births = 0;
    for (size_t i = 0; i < record->changes_len; i++) {
        if ((change->births >> i & 1) != 0) {
            births |= 1u << (record->changes[i].origin * CHANGES_MAX + record->changes[i].seq - 1);
        }
    }
    return births;
}

static uint32_t planned_births(const struct plan *plan, const struct planned *change)
{
    uint32_t births = 0;
    uint32_t made[MERGE_DEVICES] = {0};
    for (uint32_t i = 0; i < plan->len; i++) {
        uint32_t author = plan->changes[i].author;
        uint32_t bit = 1u << (author * CHANGES_MAX + made[author]++);
        births |= (change->births >> i & 1) != 0 && change->kind != MERGE_INSERT ? bit : 0;
    }
    return births;
}

/* The log has what was planned, each change with the births that its author saw; and it has the
 * same in every run of the history, but for what is late. So what a device makes of one order does
 * not depend on the orders on the others, and all combinations of orders are covered by all orders
 * on each. */
static void check_log(const struct run *run, uint64_t start_ms)
{
    struct plan *plan = run->plan;
    const struct merge_record *record = &plan->world->records[0];
    for (size_t i = 0; i < record->changes_len; i++) {
        const struct merge_change *change = &record->changes[i];
        struct logged *first = &plan->logged[change->origin][change->seq - 1];
        struct logged here = {.kind = change->kind,
                              .hlc = change->hlc - (start_ms << 16),
                              .births = births_of(record, change)};
        if (!plan->has_logged) {
            *first = here;
        }
        const struct planned *planned = &plan->changes[place_of(plan, change->origin, change->seq)];
        if (here.kind != planned->kind || here.births != planned_births(plan, planned)) {
            fail(run, "a change in the log is not what its author made");
        } else if (here.hlc != first->hlc) {
            fail(run, "what is in the log depends on the order in which others came");
        }
    }
    plan->has_logged = true;
}

static void print_failure(const struct run *run)
{
    const struct plan *plan = run->plan;
    printf("history %llu of %u changes, orders %u %u %u, %s: %s\n  ",
           (unsigned long long)plan->number, plan->n, run->order[0], run->order[1], run->order[2],
           run->late ? "late" : "at once", plan->world->failure);
    for (uint32_t i = 0; i < plan->len; i++) {
        const struct planned *change = &plan->changes[i];
        printf("%c:%s(%u%u%u) ", (char)('A' + (int)change->author),
               change->kind == MERGE_INSERT   ? "ins"
               : change->kind == MERGE_UPDATE ? "upd"
                                              : "del",
               change->view[0], change->view[1], change->view[2]);
    }
    for (uint32_t d = 0; d < MERGE_DEVICES; d++) {
        printf("\n  %c:", (char)('A' + (int)d));
        for (uint32_t i = 0; i < plan->event_count[d]; i++) {
            uint8_t event = run->events[d][i];
            printf(" %s%c%s", event < EVENT_WRITE ? "<-" : "",
                   event < EVENT_WRITE ? (char)('A' + event) : "?iud"[event - EVENT_WRITE],
                   i == run->at[d] ? "!" : "");
        }
    }
    printf("\n");
}

static void run_one(struct plan *plan, const uint32_t order[MERGE_DEVICES], bool late,
                    const uint32_t ahead_ms[MERGE_DEVICES])
{
    struct merge_world *world = plan->world;
    struct run run = {.plan = plan, .late = late};
    merge_world_begin(world, ahead_ms, false, 1);
    uint64_t start_ms = world->devices[0].wall_ms;
    memcpy(run.order, order, sizeof(run.order));
    for (uint32_t d = 0; d < MERGE_DEVICES; d++) {
        run.events[d] = plan->orders[d][order[d] % plan->order_count[d]];
    }
    bool moved = true;
    while (moved && world->failure == NULL) {
        moved = false;
        for (uint32_t d = 0; d < MERGE_DEVICES && world->failure == NULL; d++) {
            while (world->failure == NULL && advance(&run, &world->devices[d])) {
                moved = true;
            }
        }
        for (uint32_t d = 0; d < MERGE_DEVICES && !moved; d++) {
            moved = run.logged[d] < run.written[d];
            log_now(&run, &world->devices[d]);
        }
    }
    for (uint32_t d = 0; d < MERGE_DEVICES && world->failure == NULL; d++) {
        if (run.at[d] != plan->event_count[d]) {
            fail(&run, "a device waits for ever");
        }
        merge_device_settle(&world->devices[d]);
        check(&run, &world->devices[d]);
        if (!merge_device_is_at_rest(&world->devices[d])) {
            fail(&run, "a change waits for ever");
        }
    }
    if (!late && world->failure == NULL) {
        check_log(&run, start_ms);
    }
    (*plan->histories)++;
    if (world->failure != NULL) {
        (*plan->diverged)++;
        if (*plan->diverged <= 3) {
            print_failure(&run);
        }
    }
}

/* With one combination of orders after the other, or the i-th of each in the i-th run. */
static void run_orders(struct plan *plan, bool late, const uint32_t ahead_ms[MERGE_DEVICES])
{
    const uint32_t *count = plan->order_count;
    uint32_t runs = plan->options->product ? count[0] * count[1] * count[2] : 1;
    for (uint32_t d = 0; d < MERGE_DEVICES && !plan->options->product; d++) {
        runs = count[d] > runs ? count[d] : runs;
    }
    plan->has_logged = false;
    for (uint32_t i = 0; i < runs; i++) {
        const uint32_t product[MERGE_DEVICES] = {i % count[0], i / count[0] % count[1],
                                                 i / count[0] / count[1]};
        const uint32_t each[MERGE_DEVICES] = {i, i, i};
        run_one(plan, plan->options->product ? product : each, late, ahead_ms);
    }
}

static void run_all(struct plan *plan)
{
    static const uint32_t clocks[2][MERGE_DEVICES] = {{0, 0, 0}, {0, 60, 30}};
    if (plan->number++ % plan->jobs != plan->job || *plan->diverged >= MERGE_FAILURES_MAX) {
        return;
    }
    for (uint32_t d = 0; d < MERGE_DEVICES; d++) {
        struct arriving arriving = {.device = d};
        plan->order_count[d] = 0;
        add_orders(plan, &arriving);
    }
    for (uint32_t how = 0; how < 4; how++) {
        run_orders(plan, (how & 1) != 0, clocks[how >> 1]);
    }
}

static void extend(struct plan *plan, uint32_t views[MERGE_DEVICES][MERGE_DEVICES]);

static void add_change(struct plan *plan, uint32_t views[MERGE_DEVICES][MERGE_DEVICES],
                       uint32_t author, const uint32_t view[MERGE_DEVICES])
{
    uint32_t living = living_in(plan, seen_in(plan, view));
    for (int kind = MERGE_INSERT; kind <= MERGE_DELETE; kind++) {
        if ((kind == MERGE_INSERT) != (living == 0)) {
            continue;
        }
        struct planned *change = &plan->changes[plan->len];
        *change = (struct planned){.author = author, .kind = (enum merge_kind)kind};
        change->births = living;
        memcpy(change->view, view, sizeof(change->view));
        uint32_t after[MERGE_DEVICES][MERGE_DEVICES];
        memcpy(after, views, sizeof(after));
        memcpy(after[author], view, sizeof(after[author]));
        after[author][author]++;
        plan->len++;
        extend(plan, after);
        plan->len--;
    }
}

/* Does the change come next in the one order that stands for all that are the same? Of two that
 * know nothing of each other, that of the lower device comes first. */
static bool is_in_order(const struct plan *plan, uint32_t author,
                        const uint32_t view[MERGE_DEVICES])
{
    if (plan->len == 0) {
        return true;
    }
    uint32_t last = plan->changes[plan->len - 1].author;
    return author >= last || view[last] == made_by(plan, last);
}

/* Every change that may come next. */
static void extend(struct plan *plan, uint32_t views[MERGE_DEVICES][MERGE_DEVICES])
{
    if (plan->len == plan->n) {
        run_all(plan);
        return;
    }
    for (uint32_t author = 0; author < MERGE_DEVICES; author++) {
        uint32_t a = (author + 1) % MERGE_DEVICES;
        uint32_t b = (author + 2) % MERGE_DEVICES;
        uint32_t view[MERGE_DEVICES];
        view[author] = views[author][author];
        for (view[a] = views[author][a]; view[a] <= made_by(plan, a); view[a]++) {
            for (view[b] = views[author][b]; view[b] <= made_by(plan, b); view[b]++) {
                if (is_closed(plan, seen_in(plan, view)) && is_in_order(plan, author, view)) {
                    add_change(plan, views, author, view);
                }
            }
        }
    }
}

void merge_history_all(struct merge_world *world, const struct merge_options *options, uint32_t n,
                       uint32_t job, uint32_t jobs, uint64_t *histories, uint64_t *diverged)
{
    struct plan plan = {.world = world,
                        .options = options,
                        .n = n < CHANGES_MAX ? n : CHANGES_MAX,
                        .job = job,
                        .jobs = jobs,
                        .histories = histories,
                        .diverged = diverged};
    uint32_t views[MERGE_DEVICES][MERGE_DEVICES] = {{0}};
    extend(&plan, views);
}
