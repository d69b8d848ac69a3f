// Gradients of attention_forward.cu without atomics: one kernel owns tiles of keys and one owns tiles of queries. The
// scores are made twice (seven products where five would do with atomics), and the result repeats to the bit.
//
// With P = e^(scale·S − lse) and inner = ⟨dO, O⟩ of a row: dV = Pᵀ·dO, dS = P ⊙ (dO·Vᵀ − inner), dQ = scale·dS·K,
// dK = scale·dSᵀ·Q. The query heads of a group are summed in the block of their key head, in their order.
//
// Shared memory: 2 × (D + 8) × (64 + 64 + OTHERS × STAGES × 2) bytes with OTHERS = 32: D 64: 36,864 · 96: 53,248 ·
// 128: 69,632 (two stages) · 256: 101,376 (one stage).
//
// Two sequences of 4096, 32 heads of 128: 7/2 × the forward's 275 GFLOP = 962 GFLOP (687 of them necessary): floor 0.7 ms on an
// H100 for the necessary ones, expected 2.6–3.2 ms at 35% of the tensor cores.

template <int D> struct Shape {
    static const int OWN = 64;
    static const int OTHERS = 32;
    static const int STAGES = D > 128 ? 1 : 2;
    static const int STRIDE = Tile<D>::STRIDE;
    // Columns of dK and dV that a block accumulates: all 256 would not fit in registers, so that two blocks share them.
    static const int COLUMNS = D > 128 ? 128 : D;
};

template <int D, int ROWS>
__device__ __forceinline__ void fetch_rows(bf16* to, const bf16* from, u64 base, u32 first, u32 count, u32 stride) {
    const int chunks = D / 8;
    for (int c = threadIdx.x; c < ROWS * chunks; c += 128) {
        const int row = c / chunks, column = c % chunks * 8;
        const bool present = first + row < count;
        copy_async(to + row * Tile<D>::STRIDE + column, from + (present ? (base + first + row) * stride + column : 0), present);
    }
}

template <int N, int M> __device__ __forceinline__ void clear(float (&x)[N][M]) {
#pragma unroll
    for (int i = 0; i < N; i++)
#pragma unroll
        for (int j = 0; j < M; j++) x[i][j] = 0.0f;
}

// c[16 × 32] = rows first..first+15 of `left` times rows of `right`, transposed.
template <int D>
__device__ __forceinline__ void scores(float (&c)[4][4], const bf16* left, int first, const bf16* right) {
    clear(c);
#pragma unroll
    for (int d = 0; d < D; d += 16) {
        u32 a[4];
        Tile<D>::a(a, left, first, d);
#pragma unroll
        for (int n = 0; n < 32; n += 16) {
            u32 b[4];
            Tile<D>::b_rows(b, right, n, d);
            mma(c[n / 8], a, b[0], b[1]);
            mma(c[n / 8 + 1], a, b[2], b[3]);
        }
    }
}

// sum += p[16 × 32] · `right`[32 rows, columns column..column+8N].
template <int D, int N>
__device__ __forceinline__ void accumulate(float (&sum)[N][4], const float (&p)[4][4], const bf16* right, int column) {
#pragma unroll
    for (int n = 0; n < 32; n += 16) {
        const u32 a[4] = {pack_bf16(p[n / 8][0], p[n / 8][1]), pack_bf16(p[n / 8][2], p[n / 8][3]),
                          pack_bf16(p[n / 8 + 1][0], p[n / 8 + 1][1]), pack_bf16(p[n / 8 + 1][2], p[n / 8 + 1][3])};
#pragma unroll
        for (int d = 0; d < 8 * N; d += 16) {
            u32 b[4];
            Tile<D>::b_columns(b, right, n, column + d);
            mma(sum[d / 8], a, b[0], b[1]);
            mma(sum[d / 8 + 1], a, b[2], b[3]);
        }
    }
}

// A block owns 64 keys of one key head and walks over the queries that see them. Scores are made transposed, keys as
// rows: Pᵀ and dSᵀ are then left operands as they come out. blockIdx.z: which columns of dK and dV.
template <int D>
__device__ void keys_backward(const bf16* q, const bf16* k, const bf16* v, const bf16* d_out, const float* lse,
                              const float* inner, bf16* dk, bf16* dv, const u32* tiles, const u32* starts, u32 heads, u32 group,
                              u32 q_stride, u32 kv_stride, u32 d_out_stride, u32 d_kv_stride, float scale) {
    const int OWN = Shape<D>::OWN, OTHERS = Shape<D>::OTHERS, STRIDE = Shape<D>::STRIDE, COLUMNS = Shape<D>::COLUMNS;
    const int STAGES = Shape<D>::STAGES;
    DYNAMIC_SHARED(bf16, shared);
    bf16* k_tile = shared;
    bf16* v_tile = shared + OWN * STRIDE;
    bf16* stages = shared + 2 * OWN * STRIDE;

    const u32 kv_head = blockIdx.y, sequence = tiles[2 * blockIdx.x], first = tiles[2 * blockIdx.x + 1];
    const u32 start = starts[sequence], length = starts[sequence + 1] - start;
    const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    const int column = blockIdx.z * COLUMNS;
    const float to_log2 = scale * 1.4426950408889634f;

    fetch_rows<D, 64>(k_tile, k + u64(kv_head) * D, start, first, length, kv_stride);
    fetch_rows<D, 64>(v_tile, v + u64(kv_head) * D, start, first, length, kv_stride);
    float sum_k[COLUMNS / 8][4], sum_v[COLUMNS / 8][4];
    clear(sum_k);
    clear(sum_v);

    // Queries before the first key do not see it. Steps run over (head of the group, tile of queries).
    const u32 from = first / OTHERS, steps_of_head = (length + OTHERS - 1) / OTHERS - from, steps = steps_of_head * group;
    for (u32 step = 0; step < steps + STAGES - 1; step++) {
        // With two stages a tile is fetched one step before it is used, with one at the step itself.
        if (step < steps) {
            const u32 head = kv_head * group + step / steps_of_head, row = (from + step % steps_of_head) * OTHERS;
            bf16* stage = stages + step % STAGES * 2 * OTHERS * STRIDE;
            fetch_rows<D, 32>(stage, q + u64(head) * D, start, row, length, q_stride);
            fetch_rows<D, 32>(stage + OTHERS * STRIDE, d_out + u64(head) * D, start, row, length, d_out_stride);
        }
        close_copies();
        if (step + 1 < STAGES) continue;
        const u32 now = step + 1 - STAGES;
        const u32 head = kv_head * group + now / steps_of_head, row = (from + now % steps_of_head) * OTHERS;
        const bf16* q_tile = stages + now % STAGES * 2 * OTHERS * STRIDE;
        const bf16* d_tile = q_tile + OTHERS * STRIDE;
        wait_copies<STAGES - 1>();
        __syncthreads();

        // Queries are columns here: a lane has columns 8i + 2t and the next.
        float p[4][4], ds[4][4];
        scores<D>(p, k_tile, warp * 16, q_tile);
        scores<D>(ds, v_tile, warp * 16, d_tile);
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int j = 0; j < 2; j++) {
                const u32 query = row + i * 8 + 2 * t + j;
                const bool present = query < length;
                const u64 at = present ? u64(start + query) * heads + head : 0;
                const float sum = present ? lse[at] * 1.4426950408889634f : 0.0f, mean = present ? inner[at] : 0.0f;
#pragma unroll
                for (int half = 0; half < 2; half++) {
                    const u32 key = first + warp * 16 + g + half * 8;
                    float& score = p[i][2 * half + j];
                    score = present && key <= query ? exp2f(score * to_log2 - sum) : 0.0f;
                    ds[i][2 * half + j] = score * (ds[i][2 * half + j] - mean);
                }
            }
        accumulate<D>(sum_v, p, d_tile, column);
        accumulate<D>(sum_k, ds, q_tile, column);
        // The stage is fetched into again only when every warp has read it.
        __syncthreads();
    }
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const u32 key = first + warp * 16 + g + half * 8;
        if (key >= length) continue;
        const u64 at = u64(start + key) * d_kv_stride + u64(kv_head) * D + column + 2 * t;
#pragma unroll
        for (int i = 0; i < COLUMNS / 8; i++) {
            *reinterpret_cast<u32*>(dk + at + i * 8) = pack_bf16(sum_k[i][2 * half] * scale, sum_k[i][2 * half + 1] * scale);
            *reinterpret_cast<u32*>(dv + at + i * 8) = pack_bf16(sum_v[i][2 * half], sum_v[i][2 * half + 1]);
        }
    }
}

// A block owns 64 queries of one head and walks over the keys that they see.
template <int D>
__device__ void queries_backward(const bf16* q, const bf16* k, const bf16* v, const bf16* d_out, const float* lse,
                                 const float* inner, bf16* dq, const u32* tiles, const u32* starts, u32 heads, u32 group,
                                 u32 q_stride, u32 kv_stride, u32 d_out_stride, u32 dq_stride, float scale) {
    const int OWN = Shape<D>::OWN, OTHERS = Shape<D>::OTHERS, STRIDE = Shape<D>::STRIDE, STAGES = Shape<D>::STAGES;
    DYNAMIC_SHARED(bf16, shared);
    bf16* q_tile = shared;
    bf16* d_tile = shared + OWN * STRIDE;
    bf16* stages = shared + 2 * OWN * STRIDE;

    const u32 head = blockIdx.y, sequence = tiles[2 * blockIdx.x], first = tiles[2 * blockIdx.x + 1];
    const u32 start = starts[sequence], length = starts[sequence + 1] - start;
    const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    const float to_log2 = scale * 1.4426950408889634f;
    const bf16* k_head = k + u64(head / group) * D;
    const bf16* v_head = v + u64(head / group) * D;

    fetch_rows<D, 64>(q_tile, q + u64(head) * D, start, first, length, q_stride);
    fetch_rows<D, 64>(d_tile, d_out + u64(head) * D, start, first, length, d_out_stride);
    float sum[D / 8][4];
    clear(sum);
    float row_lse[2], row_inner[2];
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const u32 row = first + warp * 16 + g + half * 8;
        const u64 at = row < length ? u64(start + row) * heads + head : 0;
        row_lse[half] = row < length ? lse[at] * 1.4426950408889634f : 0.0f;
        row_inner[half] = row < length ? inner[at] : 0.0f;
    }

    const u32 steps = (min(first + OWN, length) + OTHERS - 1) / OTHERS;
    for (u32 step = 0; step < steps + STAGES - 1; step++) {
        if (step < steps) {
            bf16* stage = stages + step % STAGES * 2 * OTHERS * STRIDE;
            fetch_rows<D, 32>(stage, k_head, start, step * OTHERS, length, kv_stride);
            fetch_rows<D, 32>(stage + OTHERS * STRIDE, v_head, start, step * OTHERS, length, kv_stride);
        }
        close_copies();
        if (step + 1 < STAGES) continue;
        const u32 now = step + 1 - STAGES;
        const bf16* k_tile = stages + now % STAGES * 2 * OTHERS * STRIDE;
        const bf16* v_tile = k_tile + OTHERS * STRIDE;
        wait_copies<STAGES - 1>();
        __syncthreads();

        float p[4][4], ds[4][4];
        scores<D>(p, q_tile, warp * 16, k_tile);
        scores<D>(ds, d_tile, warp * 16, v_tile);
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int j = 0; j < 4; j++) {
                const u32 key = now * OTHERS + i * 8 + 2 * t + j % 2, row = first + warp * 16 + g + j / 2 * 8;
                const float weight = row < length && key <= row ? exp2f(p[i][j] * to_log2 - row_lse[j / 2]) : 0.0f;
                ds[i][j] = weight * (ds[i][j] - row_inner[j / 2]);
            }
        accumulate<D>(sum, ds, k_tile, 0);
        __syncthreads();
    }
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const u32 row = first + warp * 16 + g + half * 8;
        if (row >= length) continue;
        bf16* to = dq + u64(start + row) * dq_stride + u64(head) * D + 2 * t;
#pragma unroll
        for (int i = 0; i < D / 8; i++)
            *reinterpret_cast<u32*>(to + i * 8) = pack_bf16(sum[i][2 * half] * scale, sum[i][2 * half + 1] * scale);
    }
}

// inner [rows, heads] = ⟨dO, O⟩ of every head: a warp for each.
KERNEL attention_inner(const bf16* out, const bf16* d_out, float* inner, u32 rows, u32 heads, u32 head_dim, u32 out_stride,
                       u32 d_out_stride) {
    const u32 index = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (index >= rows * heads) return;
    const u64 row = index / heads, head = index % heads;
    float sum = 0.0f;
    for (u32 i = lane * 8; i < head_dim; i += 256) {
        Eight a = load8(out + row * out_stride + head * head_dim + i), b = load8(d_out + row * d_out_stride + head * head_dim + i);
#pragma unroll
        for (int j = 0; j < 8; j++) sum += a.v[j] * b.v[j];
    }
    sum = warp_sum(sum);
    if (lane == 0) inner[index] = sum;
}

#define ATTENTION_BACKWARD(D)                                                                                             \
    KERNEL __launch_bounds__(128) attention_keys_backward_##D(                                                           \
        const bf16* q, const bf16* k, const bf16* v, const bf16* d_out, const float* lse, const float* inner, bf16* dk,    \
        bf16* dv, const u32* tiles, const u32* starts, u32 heads, u32 group, u32 q_stride, u32 kv_stride,                 \
        u32 d_out_stride, u32 d_kv_stride, float scale) {                                                                 \
        keys_backward<D>(q, k, v, d_out, lse, inner, dk, dv, tiles, starts, heads, group, q_stride, kv_stride,            \
                         d_out_stride, d_kv_stride, scale);                                                               \
    }                                                                                                                     \
    KERNEL __launch_bounds__(128) attention_queries_backward_##D(                                                        \
        const bf16* q, const bf16* k, const bf16* v, const bf16* d_out, const float* lse, const float* inner, bf16* dq,    \
        const u32* tiles, const u32* starts, u32 heads, u32 group, u32 q_stride, u32 kv_stride, u32 d_out_stride,         \
        u32 dq_stride, float scale) {                                                                                     \
        queries_backward<D>(q, k, v, d_out, lse, inner, dq, tiles, starts, heads, group, q_stride, kv_stride,             \
                            d_out_stride, dq_stride, scale);                                                              \
    }
ATTENTION_BACKWARD(64)
ATTENTION_BACKWARD(96)
ATTENTION_BACKWARD(128)
ATTENTION_BACKWARD(256)
