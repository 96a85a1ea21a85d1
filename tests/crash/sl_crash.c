/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* sl-crash: two devices, one of which dies at a crash point again and again. What their
 * applications committed, and what they said to each other, must have stayed true. See usage(). */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/crash/crash_power.h"

static void usage(FILE *out)
{
    (void)fputs(
        "usage: sl-crash --mode kill|power [OPTION]...\n"
        "\n"
        "  --mode kill        processes that are killed, and started again\n"
        "  --mode power       devices on a simulated disk whose power goes: at each sync, and at\n"
        "                     each crash point\n"
        "  --points all|LIST  crash points, like S1,S8,R3; default all\n"
        "  --iterations N     kills, or states; default 200; each: one kill at each point, before "
        "and\n"
        "                     after\n"
        "  --part K/N         only the Kth Nth of them, K from 0\n"
        "  --seed S           default 1\n"
        "  --list             the crash points, and what each is\n"
        "  --verbose          a line for each iteration\n"
        "\n"
        "The last line is: points_hit=HIT/OF lost=L dup=D ack_violations=A. A run fails, with the\n"
        "exit code 1, when anything is lost, there twice or untrue, or a point was not hit.\n",
        out);
}

static bool take_points(const char *text, struct crash_run *run)
{
    bool all = strcmp(text, "all") == 0;
    bool any = false;
    char list[256];
    if (strlen(text) >= sizeof(list)) {
        return false;
    }
    for (int p = 0; p < SL_CRASHPOINT_COUNT; p++) {
        run->points[p] = all;
    }
    (void)snprintf(list, sizeof(list), "%s", text);
    char *rest = list;
    for (const char *name = strsep(&rest, ","); name != NULL && !all; name = strsep(&rest, ",")) {
        bool known = false;
        for (int p = 0; p < SL_CRASHPOINT_COUNT; p++) {
            if (strcmp(name, sl_crashpoint_name((enum sl_crashpoint)p)) == 0) {
                run->points[p] = true;
                known = true;
            }
        }
        if (!known) {
            return false;
        }
        any = true;
    }
    return all || any;
}

static uint64_t count_points(const struct crash_run *run)
{
    uint64_t count = 0;
    for (int p = 0; p < SL_CRASHPOINT_COUNT; p++) {
        count += run->points[p] ? 1 : 0;
    }
    return count;
}

static bool take_number(const char *text, uint64_t *number, char until, const char **rest)
{
    char *end = NULL;
    errno = 0;
    *number = strtoull(text, &end, 10);
    if (rest != NULL) {
        *rest = end + 1;
    }
    return errno == 0 && end != text && *end == until && text[0] != '-';
}

static bool take_part(const char *text, uint64_t *part, uint64_t *parts)
{
    const char *rest = NULL;
    return take_number(text, part, '/', &rest) && take_number(rest, parts, '\0', NULL) &&
           *part < *parts;
}

static void list_points(void)
{
    for (int p = 0; p < SL_CRASHPOINT_COUNT; p++) {
        (void)printf("%-4s %s\n", sl_crashpoint_name((enum sl_crashpoint)p),
                     sl_crashpoint_text((enum sl_crashpoint)p));
    }
}

/* Points that were hit on both sides; names the others. */
static uint32_t count_hit(const struct crash_run *run, const struct crash_result *result,
                          uint32_t *of)
{
    uint32_t hit = 0;
    *of = 0;
    for (int p = 0; p < SL_CRASHPOINT_COUNT; p++) {
        if (!run->points[p]) {
            continue;
        }
        ++*of;
        bool both = true;
        for (int s = 0; s < SL_CRASH_SIDE_COUNT; s++) {
            if (result->hit[p][s] == 0) {
                (void)printf("not hit: %s, %s: %s\n", sl_crashpoint_name((enum sl_crashpoint)p),
                             s == SL_CRASH_BEFORE ? "before" : "after",
                             sl_crashpoint_text((enum sl_crashpoint)p));
                both = false;
            }
        }
        hit += both ? 1u : 0u;
    }
    return hit;
}

/* Whether a process comes past its point before it is given up is a matter of timing: what was not
 * hit is tried again, a few times. */
static void kill_at_the_missed(const struct crash_run *run, struct crash_result *result)
{
    struct crash_run more = *run;
    for (int tries = 0; tries < 5 && result->verdict.text[0] == '\0'; tries++) {
        for (int p = 0; p < SL_CRASHPOINT_COUNT; p++) {
            more.points[p] = run->points[p] && (result->hit[p][SL_CRASH_BEFORE] == 0 ||
                                                result->hit[p][SL_CRASH_AFTER] == 0);
        }
        more.first += more.count;
        more.count = (uint64_t)count_points(&more) * SL_CRASH_SIDE_COUNT * 2;
        if (more.count == 0) {
            return;
        }
        crash_kill(&more, result);
    }
}

static int finish(const struct crash_run *run, const struct crash_result *result)
{
    const struct crash_verdict *verdict = &result->verdict;
    uint32_t of = 0;
    uint32_t hit = count_hit(run, result, &of);
    if (verdict->text[0] != '\0') {
        (void)printf("first: %s\n", verdict->text);
    }
    (void)printf("points_hit=%u/%u lost=%" PRIu64 " dup=%" PRIu64 " ack_violations=%" PRIu64 "\n",
                 hit, of, verdict->lost, verdict->dup, verdict->ack_violations);
    return hit == of && verdict->lost == 0 && verdict->dup == 0 && verdict->ack_violations == 0 ? 0
                                                                                                : 1;
}

int main(int argc, char **argv)
{
    enum { MODE = 256, POINTS, ITERATIONS, PART, SEED, LIST, VERBOSE, HELP };
    static const struct option options[] = {{"mode", required_argument, NULL, MODE},
                                            {"points", required_argument, NULL, POINTS},
                                            {"iterations", required_argument, NULL, ITERATIONS},
                                            {"part", required_argument, NULL, PART},
                                            {"seed", required_argument, NULL, SEED},
                                            {"list", no_argument, NULL, LIST},
                                            {"verbose", no_argument, NULL, VERBOSE},
                                            {"help", no_argument, NULL, HELP},
                                            {NULL, 0, NULL, 0}};
    struct crash_run run = {.seed = 1, .count = 200};
    uint64_t part = 0;
    uint64_t parts = 1;
    const char *mode = "";
    const char *points = "all";
    bool each = false;
    bool ok = take_points("all", &run);
    for (int option = 0; ok && (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case MODE:
            mode = optarg;
            break;
        case POINTS:
            points = optarg;
            ok = take_points(points, &run);
            break;
        case ITERATIONS:
            each = strcmp(optarg, "each") == 0;
            ok = each || (take_number(optarg, &run.count, '\0', NULL) && run.count > 0);
            break;
        case PART:
            ok = take_part(optarg, &part, &parts);
            break;
        case SEED:
            ok = take_number(optarg, &run.seed, '\0', NULL);
            break;
        case LIST:
            list_points();
            return 0;
        case VERBOSE:
            run.verbose = true;
            break;
        case HELP:
            usage(stdout);
            return 0;
        default:
            ok = false;
        }
    }
    bool power = strcmp(mode, "power") == 0;
    run.count = each ? count_points(&run) * SL_CRASH_SIDE_COUNT : run.count;
    if (!ok || optind < argc || (!power && strcmp(mode, "kill") != 0) || run.count < parts) {
        usage(stderr);
        return 2;
    }
    run.count /= parts;
    run.first = part * run.count;
    (void)printf("sl-crash --mode %s --points %s --iterations %" PRIu64 " --part %" PRIu64
                 "/%" PRIu64 " --seed %" PRIu64 "\n",
                 mode, points, run.count * parts, part, parts, run.seed);
    (void)fflush(stdout);
    static struct crash_result result;
    if (power) {
        uint64_t syncs = 0;
        crash_power(&run, &result, &syncs);
        (void)printf("%" PRIu64 " states, %" PRIu64 " cuts, at %" PRIu64 " different syncs\n",
                     run.count, result.deaths, syncs);
    } else {
        crash_kill(&run, &result);
        kill_at_the_missed(&run, &result);
        (void)printf("%" PRIu64 " iterations, %" PRIu64 " kills\n", run.count, result.deaths);
    }
    return finish(&run, &result);
}
