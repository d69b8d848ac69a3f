// Causal grouped-query attention of sequences that lie one after another (Dao 2023's order of work): a block has 64 query
// rows of one head, walks over the keys that they see, and keeps a running maximum and sum; no score reaches memory.
//
// Tiles never cross a sequence's border: `tiles` lists (sequence, first row in it), the longest work first. Keys are found
// through `key_rows`, so that a sequence may see cached rows of a pool before its own (shared prefixes), or lie as the
// queries do (`key_rows` null). Query i of a sequence with Q queries and K keys sees keys 0..=K−Q+i.
//
// 4 warps of 16 rows; Q stays in shared memory, keys and values come in two stages while the last ones are multiplied.
// Shared memory (2 × (D + 8) × (64 + 4 × KEYS) bytes): D 64: 46,080 · 96: 66,560 · 128: 87,040 · 256 (32 keys): 101,376.
//
// Two sequences of 4096, 32 heads of 128, 8 key heads: 2·2·4096²/2·128·32·2 = 275 GFLOP, 168 MB: floor 0.28 ms at the H100's
// 989 TFLOP/s; mma.sync reaches about 40% of it (Hopper's warp-group products are another kernel): expected 0.7–0.9 ms.

template <int D> struct Shape {
    static const int ROWS = 64;
    static const int KEYS = D > 128 ? 32 : 64;
    static const int STRIDE = Tile<D>::STRIDE;
};

// Rows first..first+ROWS of one head into shared memory; zeros beyond `count`. All threads of the block take part.
template <int D, int ROWS>
__device__ __forceinline__ void fetch_rows(bf16* to, const bf16* from, const u32* row_of, u64 base, u32 first, u32 count,
                                           u32 stride) {
    const int chunks = D / 8;
    for (int c = threadIdx.x; c < ROWS * chunks; c += 128) {
        const int row = c / chunks, column = c % chunks * 8;
        const bool present = first + row < count;
        const u64 index = present ? base + first + row : base;
        const u64 at = row_of ? row_of[index] : index;
        copy_async(to + row * Tile<D>::STRIDE + column, from + (present ? at * stride + column : 0), present);
    }
}

template <int D>
__device__ void attend(const bf16* q, const bf16* k, const bf16* v, bf16* out, float* lse, const u32* tiles,
                       const u32* q_starts, const u32* k_starts, const u32* key_rows, u32 heads, u32 group, u32 q_stride,
                       u32 kv_stride, u32 out_stride, float scale) {
    const int KEYS = Shape<D>::KEYS, ROWS = Shape<D>::ROWS, STRIDE = Shape<D>::STRIDE;
    DYNAMIC_SHARED(bf16, shared);
    bf16* q_tile = shared;
    bf16* stages = shared + ROWS * STRIDE;

    const u32 head = blockIdx.y, sequence = tiles[2 * blockIdx.x], first = tiles[2 * blockIdx.x + 1];
    const u32 q_start = q_starts[sequence], queries = q_starts[sequence + 1] - q_start;
    const u32 k_start = k_starts[sequence], keys = k_starts[sequence + 1] - k_start;
    const u32 before = keys - queries;
    const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    const bf16* k_head = k + u64(head / group) * D;
    const bf16* v_head = v + u64(head / group) * D;

    // The last key that the tile's last row sees, and the tiles up to it.
    const u32 last = before + min(first + ROWS, queries);
    const u32 steps = (last + KEYS - 1) / KEYS;

    fetch_rows<D, ROWS>(q_tile, q + u64(head) * D, nullptr, q_start, first, queries, q_stride);
    fetch_rows<D, KEYS>(stages, k_head, key_rows, k_start, 0, keys, kv_stride);
    fetch_rows<D, KEYS>(stages + KEYS * STRIDE, v_head, key_rows, k_start, 0, keys, kv_stride);
    close_copies();

    float o[D / 8][4];
#pragma unroll
    for (int i = 0; i < D / 8; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) o[i][j] = 0.0f;
    // Of rows g and g+8. Scores are in units of log2, where the exponential is one instruction.
    float most[2] = {-INFINITY, -INFINITY}, sum[2] = {0.0f, 0.0f};
    const float to_log2 = scale * 1.4426950408889634f;

    for (u32 step = 0; step < steps; step++) {
        bf16* k_tile = stages + (step & 1) * 2 * KEYS * STRIDE;
        bf16* v_tile = k_tile + KEYS * STRIDE;
        wait_copies<0>();
        // Everyone's copies have landed, and nobody reads the other stage any more.
        __syncthreads();
        if (step + 1 < steps) {
            bf16* next = stages + ((step + 1) & 1) * 2 * KEYS * STRIDE;
            fetch_rows<D, KEYS>(next, k_head, key_rows, k_start, (step + 1) * KEYS, keys, kv_stride);
            fetch_rows<D, KEYS>(next + KEYS * STRIDE, v_head, key_rows, k_start, (step + 1) * KEYS, keys, kv_stride);
        }
        close_copies();

        float s[KEYS / 8][4];
#pragma unroll
        for (int i = 0; i < KEYS / 8; i++)
#pragma unroll
            for (int j = 0; j < 4; j++) s[i][j] = 0.0f;
#pragma unroll
        for (int d = 0; d < D; d += 16) {
            u32 a[4];
            Tile<D>::a(a, q_tile, warp * 16, d);
#pragma unroll
            for (int n = 0; n < KEYS; n += 16) {
                u32 b[4];
                Tile<D>::b_rows(b, k_tile, n, d);
                mma(s[n / 8], a, b[0], b[1]);
                mma(s[n / 8 + 1], a, b[2], b[3]);
            }
        }
        // Only tiles that reach past what the warp's first row sees hold anything to hide.
        if ((step + 1) * KEYS > before + first + warp * 16 + 1) {
#pragma unroll
            for (int i = 0; i < KEYS / 8; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    const u32 key = step * KEYS + i * 8 + 2 * t + j % 2, row = first + warp * 16 + g + j / 2 * 8;
                    if (key > before + row) s[i][j] = -INFINITY;
                }
        }
        float factor[2];
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float m = -INFINITY;
#pragma unroll
            for (int i = 0; i < KEYS / 8; i++) m = fmaxf(m, fmaxf(s[i][2 * half], s[i][2 * half + 1]));
            // The four lanes of a row are neighbours.
            m = fmaxf(m, __shfl_xor_sync(0xffffffffu, m, 1));
            m = fmaxf(m, __shfl_xor_sync(0xffffffffu, m, 2));
            m = fmaxf(most[half], m * to_log2);
            // A row that sees nothing yet: the difference of two infinities is not a number.
            const float base = m == -INFINITY ? 0.0f : m;
            factor[half] = exp2f(most[half] - base);
            most[half] = m;
            float part = 0.0f;
#pragma unroll
            for (int i = 0; i < KEYS / 8; i++)
#pragma unroll
                for (int j = 0; j < 2; j++) {
                    const float p = exp2f(s[i][2 * half + j] * to_log2 - base);
                    s[i][2 * half + j] = p;
                    part += p;
                }
            sum[half] = sum[half] * factor[half] + part;
        }
#pragma unroll
        for (int i = 0; i < D / 8; i++) {
            o[i][0] *= factor[0];
            o[i][1] *= factor[0];
            o[i][2] *= factor[1];
            o[i][3] *= factor[1];
        }
#pragma unroll
        for (int n = 0; n < KEYS; n += 16) {
            const u32 a[4] = {pack_bf16(s[n / 8][0], s[n / 8][1]), pack_bf16(s[n / 8][2], s[n / 8][3]),
                              pack_bf16(s[n / 8 + 1][0], s[n / 8 + 1][1]), pack_bf16(s[n / 8 + 1][2], s[n / 8 + 1][3])};
#pragma unroll
            for (int d = 0; d < D; d += 16) {
                u32 b[4];
                Tile<D>::b_columns(b, v_tile, n, d);
                mma(o[d / 8], a, b[0], b[1]);
                mma(o[d / 8 + 1], a, b[2], b[3]);
            }
        }
    }

#pragma unroll
    for (int half = 0; half < 2; half++) {
        sum[half] += __shfl_xor_sync(0xffffffffu, sum[half], 1);
        sum[half] += __shfl_xor_sync(0xffffffffu, sum[half], 2);
        const u32 row = first + warp * 16 + g + half * 8;
        if (row >= queries) continue;
        const float inverse = 1.0f / sum[half];
        bf16* to = out + u64(q_start + row) * out_stride + u64(head) * D;
#pragma unroll
        for (int i = 0; i < D / 8; i++)
            *reinterpret_cast<u32*>(to + i * 8 + 2 * t) =
                pack_bf16(o[i][2 * half] * inverse, o[i][2 * half + 1] * inverse);
        // lse [rows, heads], in nats, of the scaled scores.
        if (lse && t == 0) lse[u64(q_start + row) * heads + head] = most[half] * 0.6931471805599453f + logf(sum[half]);
    }
}

#define ATTENTION(D)                                                                                                     \
    KERNEL __launch_bounds__(128) attention_##D(                                                                        \
        const bf16* q, const bf16* k, const bf16* v, bf16* out, float* lse, const u32* tiles, const u32* q_starts,       \
        const u32* k_starts, const u32* key_rows, u32 heads, u32 group, u32 q_stride, u32 kv_stride, u32 out_stride,     \
        float scale) {                                                                                                   \
        attend<D>(q, k, v, out, lse, tiles, q_starts, k_starts, key_rows, heads, group, q_stride, kv_stride, out_stride, \
                  scale);                                                                                                \
    }
ATTENTION(64)
ATTENTION(96)
ATTENTION(128)
ATTENTION(256)
