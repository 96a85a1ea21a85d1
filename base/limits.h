/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Every limit of the project, in one place. Each has a test on both sides of it. */

#ifndef SL_LIMITS_H
#define SL_LIMITS_H

#define SL_RECORD_SIZE_MAX (1024u * 1024u)       /* bytes of one record's values */
#define SL_BATCH_LEN_DEFAULT 1000u               /* changes per segment */
#define SL_BATCH_LEN_MAX 65536u                  /* changes per segment, at most */
#define SL_BATCH_SIZE_SOFT (1024u * 1024u)       /* bytes of values after which a batch is cut */
#define SL_SEGMENT_SIZE_MAX (3u * 1024u * 1024u) /* bytes of a segment, as stored and sent */
#define SL_SEGMENT_RAW_MAX (16u * 1024u * 1024u) /* bytes of its body, not compressed */
#define SL_FRAME_SIZE_MAX (4u * 1024u * 1024u)   /* bytes of a frame's payload */
#define SL_FRAME_HANDSHAKE_MAX (64u * 1024u)     /* the same, before the handshake is done */
#define SL_NAME_SIZE_MAX 127u                    /* bytes of a library, device or model name */
#define SL_MODEL_COUNT_MAX 256u                  /* models of one library */
#define SL_FIELD_COUNT_MAX 200u                  /* columns that sync, of one model */
#define SL_CHANGE_BIRTHS_MAX 16u                 /* births that one change names */
#define SL_VECTOR_LEN_MAX 4096u                  /* origins in a vector */
#define SL_MEMBER_COUNT_MAX 64u                  /* devices of one library */
#define SL_LINK_COUNT_MAX 64u                    /* connections of one library */
#define SL_ADDRESS_SIZE_MAX 63u                  /* bytes of "host:port" */
#define SL_PEERS_SIZE 4096u            /* bytes of all addresses to dial, with their NUL */
#define SL_CONF_SIZE_MAX (64u * 1024u) /* bytes of syncline.conf */
#define SL_ZSTD_LEVEL 3                /* of segments */
#define SL_STAGED_LEN_MAX 64u          /* captured batches waiting in memory */
#define SL_ATTACHED_COUNT_MAX 64u      /* connections attached to one handle */
#define SL_STUCK_AFTER_MS 10000u       /* after which what a running engine has not taken is told */
#define SL_CALLS_MADE 8u               /* captures at once that have memory from the start */
#define SL_CALLS_KEPT_MAX 32u          /* captures at once whose memory is kept */
#define SL_ARENA_KEPT_MAX (4u * 1024u * 1024u) /* bytes that an arena keeps for its next use */
#define SL_BATCH_MEMORY (512u * 1024u)         /* bytes that a batch should be able to keep */
#define SL_BATCH_MEMORY_MIN (64u * 1024u)      /* bytes that it gets when the first is used */
#define SL_STAGED_LEN_MIN 4u                   /* fewest of them, however small the budget */
#define SL_REREAD_LEN 64u                      /* small batches that were not staged */
#define SL_BULK_MEMORY (256u * 1024u)          /* bytes that a large one should be able to keep */
#define SL_BULK_LEN_MIN 2u                     /* fewest of those, however small the budget */
#define SL_BULK_LEN_MAX 16u                    /* and most */
#define SL_MEMORY_BUDGET_DEFAULT (32u * 1024u * 1024u) /* bytes of one library's memory */
#define SL_MEMORY_BUDGET_MIN (4u * 1024u * 1024u)      /* least that may be asked for */
#define SL_LINK_QUEUE_SIZE_MAX (1024u * 1024u)   /* bytes queued to one link before it must drain */
#define SL_LINK_BACKLOG_MAX (8u * 1024u * 1024u) /* bytes queued after which a link is given up */
#define SL_BEHIND_CALLS_MAX 1024 /* outbox rows waiting before callers are held back */
#define SL_DRAINED_KEPT 32768u   /* drained outbox rows that are remembered */
#define SL_SCAN_LEN 1000u        /* older rows that one slice of the scan looks at */
#define SL_SCAN_MORE_LEN 4096u   /* and parents of theirs that it takes along */
#define SL_SCAN_INTERVAL_MS (60u * 60u * 1000u) /* between two looks for what bypassed captures */
#define SL_SCAN_DESCENTS_MAX 64u                /* slices in a row that look for a first parent */
#define SL_PRUNE_LEN 32u                        /* segments that leave the log at a time */
#define SL_PRUNE_SIZE (256u * 1024u)            /* or so many bytes of them */
#define SL_PRUNE_PAGES 64u                      /* of sync.db that are given back at a time */
#define SL_PRUNE_SLACK_PAGES 256u               /* of them that stay free for what comes */
#define SL_PRUNE_IDLE_MS 500u                   /* the log is in use for so long after an append */
#define SL_PRUNE_PAUSE_MS 50u                   /* between two slices then, */
#define SL_PRUNE_PART_MS 100u                   /* and before one that is not full */
#define SL_PRUNE_WAIT_MS 5u                     /* and when it is not */
#define SL_LOG_SIZE_LIMIT                                                                          \
    (1024u * 1024u * 1024u)                 /* bytes of sync.db before nobody is waited for        \
                                             */
#define SL_MEMBER_STALE_DAYS 30u            /* in contact, until nothing is kept for a member */
#define SL_CONTACT_BACK_DAYS 2u             /* a clock set back further was wrong before */
#define SL_STATEMENT_MS 20u                 /* between two statements of a device */
#define SL_LINGER_MS 10u                    /* between two commits of the log */
#define SL_SETTLE_ALONG_LEN 256u            /* durable batches that a capture settles along */
#define SL_SETTLE_ALONG_CHANGES 4096u       /* or so many changes in fewer batches */
#define SL_APPLY_HOLD_MS 25u                /* how long an apply slice holds the write lock */
#define SL_APPLY_HOLD_SHARED_MS 5u          /* the same, while others write */
#define SL_APPLY_PAUSE_MS 10u               /* lock left free after it, if others write */
#define SL_WAITING_LEN_MAX 1000000u         /* received records waiting for others */
#define SL_AUTHOR_WAIT_MS 1000u             /* before what points at a deleted record is deleted */
#define SL_WAITING_TIDY_LEN 256u            /* of them looked at in one slice when idle */
#define SL_BUSY_TIMEOUT_MS 5000u            /* wait for SQLite's write lock */
#define SL_REDIAL_MS_MIN 50u                /* first pause before dialling again */
#define SL_REDIAL_MS_MAX 5000u              /* longest pause before dialling again */
#define SL_HANDSHAKE_MS_MAX 5000u           /* a link that has not said hello by then is closed */
#define SL_JOIN_MS_MAX 10000u               /* how long a join waits for its answer */
#define SL_MAX_DRIFT_MS (10u * 60u * 1000u) /* a clock further ahead than this is not believed */
#define SL_INCOMING_SIZE_MAX (16u * 1024u * 1024u) /* bytes of segments waiting for the log */
#define SL_UUID_MAP_SIZE_MAX (8u * 1024u * 1024u)  /* bytes of the UUID map; then it is emptied */
#define SL_UUID_MAP_TTL_MS (60u * 1000u)           /* how long its entries are used */
#define SL_UUID_MAP_PUTS_MAX 256u                  /* entries gathered for one write of it */
#define SL_UUID_MAP_WRITE_MS_MIN 100u              /* between two writes of it */
#define SL_POLL_MS_MAX 50u                         /* longest sleep of an idle engine */
#define SL_LOG_AGAIN_MS 60000u                     /* before the same failure is logged again */
#define SL_EVENTS_KEPT 1000u                       /* of the event log, the newest */
#define SL_EVENTS_PENDING_MAX 32u                  /* of them waiting in memory to be written */
#define SL_RANGE_PARTS_MAX 64u                     /* parts that a range of records is told in */
#define SL_RANGE_ASK_LEN_MAX 64u                   /* ranges that one question is about */
#define SL_RANGES_LEN_MAX 65536u             /* ranges that a comparison has still to ask about */
#define SL_COMPARE_LEN 256u                  /* records that a slice of compare reads */
#define SL_COMPARE_SIZE (256u * 1024u)       /* or so many bytes of them */
#define SL_SNAPSHOT_PAGE_LEN 1000u           /* records that a page of a snapshot has at most */
#define SL_SNAPSHOT_PAGE_SIZE (256u * 1024u) /* or so many bytes of them, and one more record */
#define SL_SNAPSHOT_PAGES_MAX 2u             /* pages that have come and wait to be applied */
#define SL_SNAPSHOT_RETRY_MS 200u            /* before another member is asked for a snapshot */
#define SL_ERROR_SIZE 512u                   /* bytes of an error text */
#define SL_MARK_MS 60000u /* between two marks of the log's end, while it grows */
#define SL_PLACE_SIZE 64u /* bytes of a text that tells a directory from its copy */

/* The membership log: who needs an ADMIT, a REVOKE and a WITNESS of each device has made 192. */
#define SL_MEMBERSHIP_LEN_MAX 4096u                 /* entries */
#define SL_MEMBERSHIP_AUTHOR_MAX 256u               /* of them by one device */
#define SL_MEMBERSHIP_SIZE_MAX (3u * 1024u * 1024u) /* bytes of all of them */
#define SL_MEMBERS_ASK_MS 10000u                    /* how long a revocation waits for the engine */

#endif
