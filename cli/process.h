/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Child processes that run this same program: started, listened to, and ended by their id.
 *
 * A child is in a process group of its own, so that Ctrl-C reaches only the parent, which then ends
 * it in order; should the parent die, the kernel ends the child.
 *
 * Thread: the main one, of a process that has no other. */

#ifndef SL_CLI_PROCESS_H
#define SL_CLI_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CLI_PROCESS_ARG_COUNT_MAX 24u     /* words of a child's command line */
#define CLI_PROCESS_OUT_SIZE_MAX 1048576u /* bytes of a child's standard output that are kept */
#define CLI_PROCESS_LINE_SIZE 1024u       /* bytes of a line of its standard error */
#define CLI_PROCESS_REPORT_FD 3           /* the descriptor of `report` in the child */

enum cli_process_stream { CLI_STREAM_OUT, CLI_STREAM_ERROR, CLI_STREAM_REPORT, CLI_STREAM_COUNT };

struct cli_process {
    pid_t pid;                         /* 0: not running */
    int fds[CLI_STREAM_COUNT];         /* read ends; -1 when closed */
    char *out;                         /* ours; all of its standard output, NUL-terminated */
    size_t out_len;                    /* bytes in out */
    char report[128];                  /* its first report, NUL-terminated */
    size_t report_len;                 /* bytes in report */
    char error[CLI_PROCESS_LINE_SIZE]; /* the last whole line of its standard error */
    char line[CLI_PROCESS_LINE_SIZE];  /* the line that is being read */
    size_t line_len;                   /* bytes in line */
    int exit_code;                     /* once it has ended; 128 + n when signal n ended it */
};

/* To be called before anything else; a struct in this state needs no stop. */
void cli_process_init(struct cli_process *process);

/* Runs this program with args[0..), ended by NULL; args[0] is the first argument, not the name.
 * Returns the exit code and has said on stderr what failed. */
int cli_process_start(struct cli_process *process, const char *const args[]);

/* Waits for timeout_ms, or less when there is something: reads what the processes say, and notices
 * those that have ended. Entries may be NULL. */
void cli_process_poll(struct cli_process *const *processes, size_t count, int timeout_ms);

bool cli_process_is_running(const struct cli_process *process);

/* Asks it to end, waits, and after 10 s ends it the hard way. Frees what is ours. A process that is
 * not running is only freed. */
void cli_process_stop(struct cli_process *process);

#endif
