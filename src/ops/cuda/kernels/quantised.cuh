// Quantised rows as they lie on the card: the numbers of all blocks of 32 first, their factors after them, so that a thread
// reads 16 bytes at a time. (GGUF puts a factor before each block, which leaves nothing aligned.) The host repacks once.
//
// Q8_0: 32 signed bytes; half d: x = q·d.            34 bytes a block
// Q4_0: 16 bytes, low halves first; half d: (q−8)·d. 18 bytes
// Q4_1: 16 bytes; halves d, m: q·d + m.              20 bytes

enum Format { Q8_0 = 0, Q4_0 = 1, Q4_1 = 2 };

template <int F> struct Blocks {
    static const int BYTES = F == Q8_0 ? 32 : 16;

    // The 32 numbers of a block: `eights[i]` are numbers 8i to 8i+7.
    static __device__ __forceinline__ void read(const u8* numbers, const u16* factors, u64 block, Eight (&eights)[4]) {
        const uint4* from = reinterpret_cast<const uint4*>(numbers + block * BYTES);
        if (F == Q8_0) {
            const float d = half_to_float(factors[block]);
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const uint4 raw = from[half];
                const u32 words[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
                for (int i = 0; i < 16; i++)
                    eights[2 * half + i / 8].v[i % 8] = float(int(words[i / 4] << (24 - i % 4 * 8)) >> 24) * d;
            }
            return;
        }
        const uint4 raw = from[0];
        const u32 words[4] = {raw.x, raw.y, raw.z, raw.w};
        const float d = half_to_float(factors[F == Q4_1 ? 2 * block : block]);
        const float m = F == Q4_1 ? half_to_float(factors[2 * block + 1]) : 0.0f;
#pragma unroll
        for (int i = 0; i < 16; i++) {
            const u32 byte = words[i / 4] >> (i % 4 * 8);
            const int low = int(byte & 15), high = int(byte >> 4 & 15);
            // The factor first and the offset after, unfused: bit for bit what ops/quantised.rs gives.
            eights[i / 8].v[i % 8] = F == Q4_1 ? __fadd_rn(__fmul_rn(float(low), d), m) : float(low - 8) * d;
            eights[2 + i / 8].v[i % 8] = F == Q4_1 ? __fadd_rn(__fmul_rn(float(high), d), m) : float(high - 8) * d;
        }
    }
};
