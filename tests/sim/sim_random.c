/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/sim/sim_random.h"

#include <string.h>

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t rotate(uint64_t value, int bits)
{
    return (value << bits) | (value >> (64 - bits));
}

void sl_sim_random_init(struct sl_sim_random *random, uint64_t seed, uint64_t stream)
{
    uint64_t state = seed;
    state = splitmix(&state) ^ (stream * 0xd1342543de82ef95u);
    for (size_t i = 0; i < 4; i++) {
        random->state[i] = splitmix(&state);
    }
}

uint64_t sl_sim_random_next(struct sl_sim_random *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

/* By remainder: the bias is below 2^-32 for every limit used here, and a draw is always one step.
 */
uint64_t sl_sim_random_below(struct sl_sim_random *random, uint64_t limit)
{
    return sl_sim_random_next(random) % limit;
}

uint64_t sl_sim_random_range(struct sl_sim_random *random, uint64_t low, uint64_t high)
{
    return low + sl_sim_random_below(random, high - low + 1);
}

uint64_t sl_sim_random_scale(struct sl_sim_random *random, uint64_t low, uint64_t high)
{
    unsigned doublings = 0;
    while (doublings < 63 && (low << (doublings + 1)) <= high) {
        doublings++;
    }
    uint64_t from = low << sl_sim_random_below(random, doublings + 1u);
    uint64_t to = from * 2 - 1 < high ? from * 2 - 1 : high;
    return sl_sim_random_range(random, from, to);
}

bool sl_sim_random_percent(struct sl_sim_random *random, unsigned percent)
{
    return sl_sim_random_below(random, 100) < percent;
}

void sl_sim_random_fill(struct sl_sim_random *random, void *out, size_t size)
{
    uint8_t *at = out;
    while (size > 0) {
        uint64_t bits = sl_sim_random_next(random);
        size_t some = size < sizeof(bits) ? size : sizeof(bits);
        memcpy(at, &bits, some);
        at += some;
        size -= some;
    }
}
