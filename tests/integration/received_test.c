/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What a member may send, and what is refused: segments and vectors are handed to the stages that
 * take them, as they came from A's log or changed on the way, at B. */

#include "tests/integration/stepped.h"

#include "stages/acknowledge.h"
#include "stages/verify.h"

#define SEGMENTS 3

/* Segment 1 and 2 of A's log are held by B, 3 is not. */
static struct stepped_device *a;
static struct stepped_device *b;
static uint8_t segments[SEGMENTS + 1][4096]; /* by number, from 1 */
static size_t sizes[SEGMENTS + 1];
static struct sl_core *core; /* of B */
static struct sl_member_state *member;
static struct sl_verify verify;

static void read_segments(void)
{
    struct sl_core *of_a = sl_library_core(a->library);
    struct sl_log_head head = sl_core_head(of_a, of_a->origins[0]);
    for (uint64_t seq = 1; seq <= SEGMENTS; seq++) {
        bool found = false;
        const uint8_t *data = NULL;
        cr_assert_eq(sl_peer_log_segment(&of_a->net_log, head.number, seq, &found, &data,
                                         &sizes[seq], &stepped.err),
                     SYNCLINE_OK);
        cr_assert(found && sizes[seq] <= sizeof(segments[seq]));
        memcpy(segments[seq], data, sizes[seq]);
        sl_peer_log_done(&of_a->net_log);
    }
}

static void begin(void)
{
    stepped_begin();
    a = stepped_make("a");
    b = stepped_make("b");
    for (uint64_t seq = 1; seq <= SEGMENTS; seq++) {
        struct stepped_note note = {.text = "a note"};
        if (seq == SEGMENTS) {
            stepped_close(b);
        }
        stepped_save(a, &note, SYNCLINE_INSERT);
        STEPPED_UNTIL(stepped_info(a).own_seq == seq);
        if (seq < SEGMENTS) {
            STEPPED_UNTIL(stepped_info(b).received_applied == seq);
        }
    }
    read_segments();
    stepped_close(a);
    stepped_open(b);
    core = sl_library_core(b->library);
    member = &core->members[0];
    sl_verify_init(&verify, core);
}

static void end(void)
{
    sl_verify_fini(&verify);
    stepped_end();
}

TestSuite(received, .init = begin, .fini = end);

/* A's signature over what the segment holds now. */
static void sign_again(uint8_t *data, size_t size)
{
    uint8_t hash[SL_HASH_SIZE];
    struct sl_segment parsed;
    struct sl_signer *signer = NULL;
    cr_assert_eq(sl_segment_parse(&parsed, data, size, &stepped.err), SYNCLINE_OK);
    cr_assert_eq(sl_segment_hash(core->net_hasher, data, parsed.body, parsed.body_size, hash),
                 SYNCLINE_OK);
    cr_assert_eq(sl_signer_new(&sl_allocator_libc, &a->identity, &signer), SYNCLINE_OK);
    cr_assert_eq(sl_sign(signer, hash, sizeof(hash), data + SL_SEGMENT_HASHED_SIZE), SYNCLINE_OK);
    sl_signer_free(signer);
}

static enum syncline_status take(size_t number)
{
    return sl_verify_segment(&verify, member, segments[number], sizes[number], &stepped.err);
}

static void refuse(size_t number, enum syncline_status status, const char *part)
{
    cr_expect_eq(take(number), status, "%s", stepped.err.text);
    cr_expect_not_null(strstr(stepped.err.text, part), "%s", stepped.err.text);
    cr_expect_null(verify.first);
}

/* The next one is taken as it came, and can be taken once. */
Test(received, next)
{
    cr_assert_eq(take(3), SYNCLINE_OK, "%s", stepped.err.text);
    cr_assert_not_null(verify.first);
    cr_expect_eq(verify.first->head.held_seq, 3);
    cr_expect_eq(memcmp(verify.first->data, segments[3], sizes[3]), 0);
    cr_assert_eq(take(3), SYNCLINE_OK, "%s", stepped.err.text);
    cr_expect_null(verify.first->next);
}

/* What is held already is no fault: the member is told what is. */
Test(received, again)
{
    member->vector_due = false;
    cr_assert_eq(take(2), SYNCLINE_OK, "%s", stepped.err.text);
    cr_expect_null(verify.first);
    cr_expect(member->vector_due);
}

/* Not with a bit changed, wherever it is. */
Test(received, signature)
{
    size_t places[] = {SL_SEGMENT_HASHED_SIZE, SL_SEGMENT_HEADER_SIZE + 3, sizes[3] - 1};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        segments[3][places[i]] ^= 1;
        refuse(3, SYNCLINE_EPROTO, "signature");
        segments[3][places[i]] ^= 1;
    }
    cr_expect_eq(take(3), SYNCLINE_OK, "%s", stepped.err.text);
}

/* Not of another library, and not of a device that nobody has introduced. */
Test(received, strangers)
{
    segments[3][8] ^= 1;
    refuse(3, SYNCLINE_EPROTO, "another library");
    segments[3][8] ^= 1;
    segments[3][24] ^= 1;
    cr_expect_eq(take(3), SYNCLINE_OK, "%s", stepped.err.text);
    cr_expect_null(verify.first);
}

/* Not while too much waits for the log already. */
Test(received, too_much)
{
    core->budget.incoming = sizes[3] - 1;
    cr_assert_eq(take(3), SYNCLINE_OK, "%s", stepped.err.text);
    segments[3][48]++;
    memcpy(segments[3] + 80, verify.first->head.held_hash, SL_HASH_SIZE);
    sign_again(segments[3], sizes[3]);
    cr_expect_eq(take(3), SYNCLINE_EBUSY, "%s", stepped.err.text);
    sl_verify_fini(&verify);
}

/* B's own change that B does not have says that B was restored. */
Test(received, own_unknown)
{
    memcpy(segments[3] + 24, b->identity.device_id.bytes, 16);
    sl_put_u64(segments[3] + 40, core->self.epoch);
    refuse(3, SYNCLINE_ERESTORED,
           "change 3 of this device came, which its own log, up to 0, has not");
}

/* So does a member that holds more of it than there is, or something else. */
Test(received, vectors)
{
    struct stepped_note note = {.text = "of b"};
    stepped_save(b, &note, SYNCLINE_INSERT);
    STEPPED_UNTIL(stepped_info(b).own_seq == 1);
    struct sl_log_head head = sl_core_head(core, core->origins[0]);
    struct sl_vector_entry entry = {.origin = core->self, .held_seq = 1, .applied_seq = 1};
    memcpy(entry.held_hash, head.held_hash, SL_HASH_SIZE);
    cr_expect_eq(sl_acknowledge_vector(core, member, &entry, 1, &stepped.err), SYNCLINE_OK);
    cr_expect_eq(member->known.acked_seq, 1);
    entry.held_seq = 2;
    cr_expect_eq(sl_acknowledge_vector(core, member, &entry, 1, &stepped.err), SYNCLINE_ERESTORED);
    cr_expect_not_null(strstr(stepped.err.text, "it holds 2 changes of this device"), "%s",
                       stepped.err.text);
    entry.held_seq = 1;
    entry.held_hash[0] ^= 1;
    cr_expect_eq(sl_acknowledge_vector(core, member, &entry, 1, &stepped.err), SYNCLINE_ERESTORED);
    cr_expect_not_null(strstr(stepped.err.text, "another one"), "%s", stepped.err.text);
    entry.held_hash[0] ^= 1;
    entry.applied_seq = 2;
    cr_expect_eq(sl_acknowledge_vector(core, member, &entry, 1, &stepped.err), SYNCLINE_EPROTO);
    cr_expect_eq(member->known.acked_seq, 1);
    cr_expect_eq(member->known.applied_seq, 1);
}
