/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/sim/sim_shorten.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ACTIONS_MOST 160u /* more than a device's application is ever given */
#define TAIL_LEN 30u      /* lines of the trace that are shown */
#define LINE_SIZE 200u    /* of each */

struct shorter {
    uint64_t seed;
    unsigned failures;            /* that it must have one of */
    struct sl_sim_options best;   /* smallest that had */
    struct sl_sim_result outcome; /* of that */
};

static bool still_fails(struct shorter *shorter, const struct sl_sim_options *smaller)
{
    struct sl_sim_result result;
    sl_sim_run(shorter->seed, smaller, &result);
    if ((result.failures & shorter->failures) == 0) {
        return false;
    }
    shorter->best = *smaller;
    shorter->outcome = result;
    return true;
}

/* The same schedule, but that what was drawn for it is said. */
static struct sl_sim_options as_drawn(uint64_t seed, const struct sl_sim_options *options,
                                      const struct sl_sim_result *result)
{
    struct sl_sim_options drawn = *options;
    struct sl_sim_faults faults;
    sl_sim_faults_draw(&faults, seed, &options->faults);
    drawn.faults.is_swarm = false;
    for (unsigned i = 0; i < SL_SIM_FAULTS_LEN; i++) {
        drawn.faults.allowed[i] = faults.is_on[i];
    }
    drawn.devices_min = result->devices;
    drawn.devices_max = result->devices;
    drawn.trace_out = NULL;
    drawn.keep = NULL;
    drawn.uuid_maps = NULL;
    return drawn;
}

static void try_without_faults(struct shorter *shorter)
{
    for (unsigned i = 0; i < SL_SIM_FAULTS_LEN; i++) {
        struct sl_sim_options smaller = shorter->best;
        smaller.faults.allowed[i] = false;
        if (shorter->best.faults.allowed[i]) {
            (void)still_fails(shorter, &smaller);
        }
    }
}

static void try_without_cases(struct shorter *shorter)
{
#define X(name, default_)                                                                          \
    if (shorter->best.allowed.name) {                                                              \
        struct sl_sim_options smaller = shorter->best;                                             \
        smaller.allowed.name = false;                                                              \
        (void)still_fails(shorter, &smaller);                                                      \
    }
    SL_SIM_SWITCHES_MAP(X)
#undef X
}

static void try_fewer_devices(struct shorter *shorter)
{
    for (unsigned devices = 2; devices < shorter->best.devices_min; devices++) {
        struct sl_sim_options smaller = shorter->best;
        smaller.devices_min = devices;
        smaller.devices_max = devices;
        if (still_fails(shorter, &smaller)) {
            return;
        }
    }
}

static void try_fewer_actions(struct shorter *shorter)
{
    unsigned low = 0;
    unsigned high = ACTIONS_MOST;
    while (high - low > 1) {
        struct sl_sim_options smaller = shorter->best;
        smaller.actions_max = low + (high - low) / 2;
        if (still_fails(shorter, &smaller)) {
            high = smaller.actions_max;
        } else {
            low = smaller.actions_max;
        }
    }
}

/* ---- Telling ------------------------------------------------------------------------------ */

static void print_command(const struct shorter *shorter, FILE *out)
{
    const struct sl_sim_options *best = &shorter->best;
    const char *separator = " --faults ";
    fprintf(out, "  shortened: sl-sim --seeds %" PRIu64 "+1 --devices %u", shorter->seed,
            best->devices_min);
    for (unsigned i = 0; i < SL_SIM_FAULTS_LEN; i++) {
        if (best->faults.allowed[i]) {
            fprintf(out, "%s%s", separator, sl_sim_fault_name((enum sl_sim_fault)i));
            separator = ",";
        }
    }
#define X(name, default_)                                                                          \
    if (best->allowed.name != default_) {                                                          \
        fprintf(out, " --%s " #name, best->allowed.name ? "with" : "without");                     \
    }
    SL_SIM_SWITCHES_MAP(X)
#undef X
    if (best->actions_max > 0) {
        fprintf(out, " --actions %u", best->actions_max);
    }
    fprintf(out, " --trace\n    %s\n", shorter->outcome.text);
}

/* The last lines that were kept. */
struct tail {
    char lines[TAIL_LEN][LINE_SIZE];
    size_t len; /* ever */
};

static void keep(struct tail *tail, const char *line)
{
    char *slot = tail->lines[tail->len++ % TAIL_LEN];
    snprintf(slot, LINE_SIZE, "%s", line);
    slot[strcspn(slot, "\n")] = '\0';
}

/* Does the line say what something did? A stage that did nothing ends with two zeroes. */
static bool is_of_note(const char *line)
{
    return strstr(line, " 0 0  #") == NULL && strstr(line, " -- /d") == NULL &&
           strstr(line, " disk ") == NULL;
}

/* Of a trace what is about the record, with the calls that named it and the ends of devices; or all
 * that happened, if there is no record. */
static void read_tail(FILE *trace, uint32_t blamed, struct tail *tail)
{
    char line[LINE_SIZE];
    char call[LINE_SIZE] = "";
    char mark[16];
    snprintf(mark, sizeof(mark), " %08x", blamed - 1);
    while (fgets(line, sizeof(line), trace) != NULL) {
        if (blamed == 0 && strncmp(line, "failure: ", 9) == 0) {
            return; /* what follows is the end of the program */
        }
        if (strstr(line, " capture ") != NULL) {
            memcpy(call, line, sizeof(call));
        }
        bool is_end = strstr(line, " power cut ") != NULL || strstr(line, " kill ") != NULL;
        if (blamed == 0 ? is_of_note(line) : is_end) {
            keep(tail, line);
        } else if (blamed != 0 && line[0] == ' ' && strstr(line, mark) != NULL) {
            if (call[0] != '\0') {
                keep(tail, call);
                call[0] = '\0';
            }
            keep(tail, line);
        }
    }
}

static void print_tail(const struct shorter *shorter, FILE *out)
{
    FILE *trace = tmpfile();
    struct tail *tail = sl_sim_alloc(sizeof(*tail));
    if (trace != NULL) {
        struct sl_sim_options traced = shorter->best;
        struct sl_sim_result result;
        traced.trace_out = trace;
        sl_sim_run(shorter->seed, &traced, &result);
        rewind(trace);
        read_tail(trace, result.blamed, tail);
        (void)fclose(trace);
    }
    size_t from = tail->len > TAIL_LEN ? tail->len - TAIL_LEN : 0;
    for (size_t i = from; i < tail->len; i++) {
        fprintf(out, "    | %s\n", tail->lines[i % TAIL_LEN]);
    }
    free(tail);
}

void sl_sim_shorten(uint64_t seed, const struct sl_sim_options *options,
                    const struct sl_sim_result *result, FILE *out)
{
    struct shorter shorter = {.seed = seed, .failures = result->failures};
    struct sl_sim_options drawn = as_drawn(seed, options, result);
    if (!still_fails(&shorter, &drawn)) {
        return; /* it needs the UUID maps, or is no failure of a run by itself */
    }
    try_without_faults(&shorter);
    try_without_cases(&shorter);
    try_fewer_devices(&shorter);
    try_fewer_actions(&shorter);
    try_without_faults(&shorter); /* fewer devices and actions may need fewer of them */
    print_command(&shorter, out);
    print_tail(&shorter, out);
}
