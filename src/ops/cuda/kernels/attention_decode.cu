// Attention of new rows over their cached keys and values, each row by itself: memory-bound, f32 arithmetic on rows of bf16
// (or of f32, to be compared with the processor).
//
// Cached rows lie in a pool, `key_rows` says which belong to a sequence (shared prefixes are listed by several). Lengths are
// read from memory, so that a recorded launch (CUDA graph) serves every step. The keys of a sequence are cut into `splits`
// equal parts, a block each, so that one long sequence fills the card; a second kernel joins the parts in their order.
//
// A block has one key head and all query heads of its group (at most 8): keys are read once for the group. 4 warps take four
// keys in turn. One sequence of 4096, 8 key heads of 128, bf16: 16.8 MB a layer: floor 5 µs on an H100, expected 8 µs.

// Lanes own head_dim / 32 neighbours each, read as wide as they are.
template <int EACH> __device__ __forceinline__ void load_each(const bf16* p, float (&to)[EACH]) {
    if (EACH % 2 == 0) {
#pragma unroll
        for (int i = 0; i < EACH / 2; i++) {
            u32 word;
            if (EACH % 4 == 0) {
                const uint2 raw = *reinterpret_cast<const uint2*>(p + i / 2 * 4);
                word = i % 2 ? raw.y : raw.x;
            } else {
                word = *reinterpret_cast<const u32*>(p + 2 * i);
            }
            to[2 * i] = __uint_as_float(word << 16);
            to[2 * i + 1] = __uint_as_float(word & 0xffff0000u);
        }
    } else {
#pragma unroll
        for (int i = 0; i < EACH; i++) to[i] = to_float(p[i]);
    }
}

template <int EACH> __device__ __forceinline__ void load_each(const float* p, float (&to)[EACH]) {
#pragma unroll
    for (int i = 0; i < EACH; i++) to[i] = p[i];
}

// Keys that a warp has under way at a time: their loads hide each other's way from memory.
const int KEYS = 4;

template <class T, int D, int GROUP>
__device__ void decode_part(const float* q, const T* k, const T* v, float* part_out, float* part_max, float* part_sum,
                            const u32* k_starts, const u32* lengths, const u32* key_rows, u32 heads, u32 group, u32 kv_stride,
                            float scale) {
    const int EACH = D / 32;
    __shared__ float outs[4][GROUP][D];
    __shared__ float maxima[4][GROUP], sums[4][GROUP];
    const u32 split = blockIdx.x, splits = gridDim.x, kv_head = blockIdx.y, sequence = blockIdx.z;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const u32 length = lengths[sequence], each = (length + splits - 1) / splits;
    const u32 first = split * each, end = min(first + each, length);
    const u32* rows = key_rows + k_starts[sequence];

    float query[GROUP][EACH], out[GROUP][EACH], most[GROUP], sum[GROUP];
#pragma unroll
    for (int h = 0; h < GROUP; h++) {
        most[h] = -INFINITY;
        sum[h] = 0.0f;
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            const bool present = h < group;
            query[h][i] = present ? q[(u64(sequence) * heads + kv_head * group + h) * D + lane * EACH + i] * scale : 0.0f;
            out[h][i] = 0.0f;
        }
    }
    for (u32 key = first + warp * KEYS; key < end; key += 4 * KEYS) {
        float keys[KEYS][EACH], values[KEYS][EACH];
#pragma unroll
        for (int u = 0; u < KEYS; u++) {
            const u64 at = u64(rows[min(key + u, end - 1)]) * kv_stride + u64(kv_head) * D + lane * EACH;
            load_each<EACH>(k + at, keys[u]);
            load_each<EACH>(v + at, values[u]);
        }
#pragma unroll
        for (int h = 0; h < GROUP; h++) {
            if (h >= group) break;
            float score[KEYS], m = most[h];
#pragma unroll
            for (int u = 0; u < KEYS; u++) {
                score[u] = 0.0f;
#pragma unroll
                for (int i = 0; i < EACH; i++) score[u] += query[h][i] * keys[u][i];
                score[u] = warp_sum(score[u]);
                // The last key stands in for those beyond the end.
                if (key + u >= end) score[u] = -INFINITY;
                m = fmaxf(m, score[u]);
            }
            const float factor = __expf(most[h] - m);
            most[h] = m;
            sum[h] *= factor;
#pragma unroll
            for (int i = 0; i < EACH; i++) out[h][i] *= factor;
#pragma unroll
            for (int u = 0; u < KEYS; u++) {
                const float p = __expf(score[u] - m);
                sum[h] += p;
#pragma unroll
                for (int i = 0; i < EACH; i++) out[h][i] += p * values[u][i];
            }
        }
    }
#pragma unroll
    for (int h = 0; h < GROUP; h++) {
#pragma unroll
        for (int i = 0; i < EACH; i++) outs[warp][h][lane * EACH + i] = out[h][i];
        if (lane == 0) {
            maxima[warp][h] = most[h];
            sums[warp][h] = sum[h];
        }
    }
    __syncthreads();
    // Warps join the heads in turn, from their four parts.
    for (u32 h = warp; h < group; h += 4) {
        float m = -INFINITY, total = 0.0f, joined[EACH];
#pragma unroll
        for (int i = 0; i < EACH; i++) joined[i] = 0.0f;
        for (int w = 0; w < 4; w++) m = fmaxf(m, maxima[w][h]);
        for (int w = 0; w < 4; w++) {
            const float factor = maxima[w][h] == -INFINITY ? 0.0f : __expf(maxima[w][h] - m);
            total += sums[w][h] * factor;
#pragma unroll
            for (int i = 0; i < EACH; i++) joined[i] += outs[w][h][lane * EACH + i] * factor;
        }
        const u64 at = (u64(sequence) * heads + kv_head * group + h) * splits + split;
#pragma unroll
        for (int i = 0; i < EACH; i++) part_out[at * D + lane * EACH + i] = joined[i];
        if (lane == 0) {
            part_max[at] = m;
            part_sum[at] = total;
        }
    }
}

// out [sequences, heads × head_dim] from the parts: a block for each head of each sequence.
KERNEL attention_decode_join(const float* part_out, const float* part_max, const float* part_sum, float* out, u32 splits,
                             u32 head_dim) {
    const u64 head = blockIdx.x;
    float most = -INFINITY, total = 0.0f;
    for (u32 s = 0; s < splits; s++) most = fmaxf(most, part_max[head * splits + s]);
    for (u32 s = 0; s < splits; s++) {
        const float m = part_max[head * splits + s];
        if (m != -INFINITY) total += part_sum[head * splits + s] * __expf(m - most);
    }
    for (u32 i = threadIdx.x; i < head_dim; i += blockDim.x) {
        float sum = 0.0f;
        for (u32 s = 0; s < splits; s++) {
            const float m = part_max[head * splits + s];
            if (m != -INFINITY) sum += part_out[(head * splits + s) * head_dim + i] * __expf(m - most);
        }
        out[head * head_dim + i] = sum / total;
    }
}

#define DECODE(T, D, GROUP)                                                                                                \
    KERNEL __launch_bounds__(128) attention_decode_##T##_##D##_##GROUP(                                                   \
        const float* q, const T* k, const T* v, float* part_out, float* part_max, float* part_sum, const u32* k_starts,   \
        const u32* lengths, const u32* key_rows, u32 heads, u32 group, u32 kv_stride, float scale) {                      \
        decode_part<T, D, GROUP>(q, k, v, part_out, part_max, part_sum, k_starts, lengths, key_rows, heads, group,        \
                                 kv_stride, scale);                                                                       \
    }
#define DECODE_SIZES(T)                                                                                                    \
    DECODE(T, 64, 4) DECODE(T, 64, 8) DECODE(T, 96, 4) DECODE(T, 96, 8) DECODE(T, 128, 4) DECODE(T, 128, 8) DECODE(T, 256, 4)
DECODE_SIZES(float)
DECODE_SIZES(bf16)
