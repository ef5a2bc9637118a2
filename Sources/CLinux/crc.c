// CRC-32 (ISO 3309) by carry-less multiplication, as in Gopal and others, "Fast CRC Computation for Generic Polynomials
// Using PCLMULQDQ Instruction" (Intel, 2009): 64 octets a round are folded into 128 bits, and these are reduced. The
// compiler is told of the instructions for one function only, which runs where the processor has them.
#include "clinux.h"

#if defined(__x86_64__)
#include <immintrin.h>

/* x^n mod P, bit-reflected, for the distances that are folded: 512 and 576 bits, 128 and 192 bits, 64 bits; then P and
 * its inverse for the reduction. */
static const uint64_t fold_512[2] __attribute__((aligned(16))) = {0x0154442bd4, 0x01c6e41596};
static const uint64_t fold_128[2] __attribute__((aligned(16))) = {0x01751997d0, 0x00ccaa009e};
static const uint64_t fold_64[2] __attribute__((aligned(16))) = {0x0163cd6124, 0};
static const uint64_t barrett[2] __attribute__((aligned(16))) = {0x01db710641, 0x01f7011641};

#define WITH_CLMUL __attribute__((target("pclmul,sse4.1")))

static inline WITH_CLMUL __m128i load(const unsigned char *from) { return _mm_loadu_si128((const __m128i *)from); }

static inline WITH_CLMUL __m128i fold(__m128i value, __m128i by, __m128i next)
{
    __m128i low = _mm_clmulepi64_si128(value, by, 0x00);
    __m128i high = _mm_clmulepi64_si128(value, by, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

/* `state` is the inverted sum so far; `length` is a multiple of 16, 64 at least. */
static WITH_CLMUL uint32_t crc_blocks(uint32_t state, const unsigned char *data, size_t length)
{
    __m128i by = _mm_load_si128((const __m128i *)fold_512);
    __m128i a = _mm_xor_si128(load(data), _mm_cvtsi32_si128((int)state));
    __m128i b = load(data + 16), c = load(data + 32), d = load(data + 48);
    for (data += 64, length -= 64; length >= 64; data += 64, length -= 64) {
        a = fold(a, by, load(data));
        b = fold(b, by, load(data + 16));
        c = fold(c, by, load(data + 32));
        d = fold(d, by, load(data + 48));
    }
    by = _mm_load_si128((const __m128i *)fold_128);
    a = fold(fold(fold(a, by, b), by, c), by, d);
    for (; length >= 16; data += 16, length -= 16) a = fold(a, by, load(data));

    const __m128i low_halves = _mm_setr_epi32(~0, 0, ~0, 0);
    a = _mm_xor_si128(_mm_srli_si128(a, 8), _mm_clmulepi64_si128(a, by, 0x10));
    by = _mm_load_si128((const __m128i *)fold_64);
    a = _mm_xor_si128(_mm_srli_si128(a, 4), _mm_clmulepi64_si128(_mm_and_si128(a, low_halves), by, 0x00));
    by = _mm_load_si128((const __m128i *)barrett);
    b = _mm_clmulepi64_si128(_mm_and_si128(a, low_halves), by, 0x10);
    b = _mm_clmulepi64_si128(_mm_and_si128(b, low_halves), by, 0x00);
    return (uint32_t)_mm_extract_epi32(_mm_xor_si128(a, b), 1);
}

size_t pouch_crc32_blocks(uint32_t *sum, const void *data, size_t length)
{
    size_t whole = length & ~(size_t)15;
    if (whole < 64 || !__builtin_cpu_supports("pclmul") || !__builtin_cpu_supports("sse4.1")) return 0;
    *sum = ~crc_blocks(~*sum, data, whole);
    return whole;
}
#else
size_t pouch_crc32_blocks(uint32_t *sum, const void *data, size_t length)
{
    (void)sum, (void)data, (void)length;
    return 0;
}
#endif
