// Quantised rows as they lie on the card: the numbers of all blocks first, their factors after them, so that a thread reads
// aligned words. (GGUF puts a factor before each block, which leaves nothing aligned.) The host repacks once.
//
// Q8_0: 32 signed bytes; half d: x = q·d.                                                             34 bytes a block
// Q4_0: 16 bytes, low halves first; half d: (q−8)·d.                                                  18 bytes
// Q4_1: 16 bytes; halves d, m: q·d + m.                                                               20 bytes
// Q4_K: 128 bytes for 256 numbers; halves d, dmin and eight pairs (scale, min) of a byte each, which a file packs into
//       six bits: q·(d·scale) − dmin·min.                                                            148 bytes (144 in a file)
// Q6_K: 128 bytes of low halves and 64 of two high bits; half d, 16 signed scales: (q−32)·(d·scale). 210 bytes
//
// A warp reads 256 neighbours at a time. A lane has eight of them, four and four, wherever its words put them: the words of
// a warp are neighbours, and so are (nearly) the inputs that they are multiplied by. Numbers come without their factors,
// which are multiplied into sums; an integer becomes a float in the fraction of 2^23, as the card converts slowly.

enum Format { Q8_0 = 0, Q4_0 = 1, Q4_1 = 2, Q4_K = 3, Q6_K = 4 };

// Number i of a lane is q[i]·d[i / 4] + m[i / 4].
struct LaneNumbers {
    float q[8], d[2], m[2];
};

__device__ __forceinline__ float small_integer(u32 bits, float offset) {
    return __uint_as_float(0x4b000000u | bits) - (8388608.0f + offset);
}

template <int F> struct Blocks {
    // Whether there is an m.
    static const bool OFFSET = F == Q4_1 || F == Q4_K;
    // From a lane's first four numbers to its others.
    static const u32 SECOND = F == Q8_0 ? 4 : F == Q4_K ? 32 : F == Q6_K ? 64 : 16;

    // Where a lane's first four numbers stand among the 256.
    static __device__ __forceinline__ u32 first(u32 lane) {
        if (F == Q8_0) return lane * 8;
        if (F == Q4_K) return lane / 8 * 64 + lane % 8 * 4;
        if (F == Q6_K) return lane / 16 * 128 + lane % 16 * 4;
        return lane / 4 * 32 + lane % 4 * 4;
    }

    // The lane's numbers of the 256 that begin at number `at` of the whole matrix.
    static __device__ __forceinline__ LaneNumbers read(const u8* numbers, const u16* factors, u64 at, u32 lane) {
        LaneNumbers n;
        if (F == Q8_0) {
            const uint2 raw = *reinterpret_cast<const uint2*>(numbers + at + lane * 8);
            const u32 words[2] = {raw.x ^ 0x80808080u, raw.y ^ 0x80808080u};
#pragma unroll
            for (int i = 0; i < 8; i++) n.q[i] = small_integer(words[i / 4] >> (i % 4 * 8) & 255, 128.0f);
            n.d[0] = n.d[1] = half_to_float(factors[at / 32 + lane / 4]);
            n.m[0] = n.m[1] = 0.0f;
            return n;
        }
        if (F == Q6_K) {
            const u64 block = at / 256;
            const u8* from = numbers + block * 192;
            const u32 half = lane / 16, j = lane % 16;
            const u32 low = *reinterpret_cast<const u32*>(from + half * 64 + j * 4);
            const u32 high = *reinterpret_cast<const u32*>(from + 128 + half * 32 + j % 8 * 4) >> (j / 8 * 2);
#pragma unroll
            for (int i = 0; i < 4; i++) {
                n.q[i] = small_integer((low >> (8 * i) & 15) | (high >> (8 * i) & 3) << 4, 32.0f);
                n.q[4 + i] = small_integer((low >> (8 * i + 4) & 15) | (high >> (8 * i + 4) & 3) << 4, 32.0f);
            }
            const float d = half_to_float(factors[block * 9]);
            const u8* scales = reinterpret_cast<const u8*>(factors + block * 9 + 1) + half * 8 + j % 8 / 4 + j / 8 * 2;
            n.d[0] = d * small_integer(scales[0] ^ 128u, 128.0f);
            n.d[1] = d * small_integer(scales[4] ^ 128u, 128.0f);
            n.m[0] = n.m[1] = 0.0f;
            return n;
        }
        // Halves of bytes: those of the low halves come first.
        const u32 word = *reinterpret_cast<const u32*>(numbers + at / 2 + lane * 4);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            n.q[i] = small_integer(word >> (8 * i) & 15, F == Q4_0 ? 8.0f : 0.0f);
            n.q[4 + i] = small_integer(word >> (8 * i + 4) & 15, F == Q4_0 ? 8.0f : 0.0f);
        }
        if (F == Q4_K) {
            const u32* of_block = reinterpret_cast<const u32*>(factors + at / 256 * 10);
            const float d = half_to_float(u16(of_block[0])), least = half_to_float(u16(of_block[0] >> 16));
            const u32 pair = of_block[1 + lane / 8];
            n.d[0] = d * small_integer(pair & 255, 0.0f);
            n.d[1] = d * small_integer(pair >> 8 & 255, 0.0f);
            n.m[0] = -(least * small_integer(pair >> 16 & 255, 0.0f));
            n.m[1] = -(least * small_integer(pair >> 24, 0.0f));
            return n;
        }
        const u64 block = at / 32 + lane / 4;
        n.d[0] = n.d[1] = half_to_float(factors[F == Q4_1 ? 2 * block : block]);
        n.m[0] = n.m[1] = F == Q4_1 ? half_to_float(factors[2 * block + 1]) : 0.0f;
        return n;
    }
};
