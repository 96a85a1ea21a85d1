/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The command line of `syncline`: the table of commands, and what one call of it asked for.
 *
 * Thread: the main one. */

#ifndef SL_CLI_OPTIONS_H
#define SL_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Exit codes of the command, the same for all of them. */
#define CLI_EXIT_OK 0      /* done; what was asked is so */
#define CLI_EXIT_NO 1      /* what was asked is not so: not applied in time, not equal, behind */
#define CLI_EXIT_USAGE 2   /* the command line is wrong; nothing was done */
#define CLI_EXIT_FAIL 3    /* it could not be done, or not to its end */
#define CLI_EXIT_STOPPED 4 /* a signal came; what was done until then stays */

#define CLI_PEER_COUNT_MAX 64u /* --peer options of one call */
#define CLI_WORD_COUNT_MAX 4u  /* command words and arguments of one call */

/* Bits of struct cli_command.options, one per option that not every command takes. */
#define CLI_OPT_LISTEN (1u << 0)
#define CLI_OPT_PEER (1u << 1)
#define CLI_OPT_INSECURE (1u << 2)
#define CLI_OPT_BATCH (1u << 3)
#define CLI_OPT_PLAIN (1u << 4)
#define CLI_OPT_WAIT (1u << 5)
#define CLI_OPT_TIMEOUT (1u << 6)
#define CLI_OPT_COLOR (1u << 7)
#define CLI_OPT_PAIRS (1u << 8)
#define CLI_OPT_KEEP (1u << 9)
#define CLI_OPT_REPORT_FD (1u << 10)
#define CLI_OPT_DEVICE_NAME (1u << 11)
#define CLI_OPT_WATCH (1u << 12)
#define CLI_OPT_MAX_LAG (1u << 13)
#define CLI_OPT_MARKDOWN (1u << 14)
#define CLI_OPT_LOCATION (1u << 15)
#define CLI_OPT_LIMIT (1u << 16)
#define CLI_OPT_FOLLOW (1u << 17)
#define CLI_OPT_MEMBER (1u << 18)

struct cli_options;

/* How far behind a member may be: so many changes, or for so long; -1: that does not matter. */
struct cli_lag {
    int64_t changes;
    int64_t ms;
};

/* One command. Static data. */
struct cli_command {
    const char *group;     /* first word, or NULL where the name stands alone */
    const char *name;      /* second word, or the only one */
    const char *args;      /* what follows, for people; "" if nothing does */
    size_t args_count_min; /* words after the command, at least */
    size_t args_count_max; /* and at most */
    uint32_t options;      /* CLI_OPT_ bits it takes */
    uint32_t required;     /* of these, the ones it cannot do without */
    const char *summary;   /* one line */
    const char *details;   /* further lines for --help, each ended by a newline; "" if none */
    int (*run)(const struct cli_options *options); /* returns the exit code */
    const char *surplus;      /* how to say it, where words after the command are wrong; or NULL */
    bool network_by_settings; /* listens and dials as the settings say where no option does */
    void (*more_help)(FILE *out); /* further help, made from a table; NULL: none */
};

/* What was asked for. Strings point into argv or the environment. */
struct cli_options {
    const struct cli_command *command;     /* NULL with `help` or `version` and no command */
    const char *library;                   /* -L: directory */
    bool json;                             /* --json */
    bool help;                             /* --help */
    bool version;                          /* --version */
    const char *listen;                    /* --listen, or NULL */
    const char *peers[CLI_PEER_COUNT_MAX]; /* --peer, each time it was given */
    size_t peers_count;                    /* of them */
    bool insecure_loopback;                /* --insecure-loopback */
    bool plain;                            /* --plain */
    bool keep;                             /* --keep */
    bool markdown;                         /* --markdown */
    const char *color;                     /* --color, or NULL */
    const char *device_name;               /* --device-name, or NULL */
    const char *location;                  /* --location, or NULL */
    const char *member;                    /* --member, or NULL */
    uint64_t limit;                        /* --limit; UINT64_MAX: none */
    uint32_t batch_len;                    /* --batch: rows per transaction; 0: as is usual */
    uint32_t pairs;                        /* --pairs */
    int64_t wait_ms;                       /* --wait */
    int64_t timeout_ms;                    /* --timeout; -1: for ever */
    bool follow;                           /* --follow */
    bool watch;                            /* --watch */
    bool has_max_lag;                      /* --max-lag was given */
    struct cli_lag max_lag;                /* it */
    int report_fd;                         /* --report-fd, or -1 */
    const char *args[CLI_WORD_COUNT_MAX];  /* words after the command */
    size_t args_count;                     /* of them */
};

/* Reads argv. Returns CLI_EXIT_OK, or CLI_EXIT_USAGE with one line on stderr. `commands` ends with
 * a run of NULL; `group` of a help call that named only a group goes to *help_group. */
int cli_options_parse(int argc, char *const argv[], const struct cli_command *commands,
                      struct cli_options *options, const char **help_group);

/* Help for everything, or for one group of commands (group != NULL), or for one command. */
void cli_help_all(FILE *out, const struct cli_command *commands, const char *group);
void cli_help_command(FILE *out, const struct cli_command *command);

#endif
