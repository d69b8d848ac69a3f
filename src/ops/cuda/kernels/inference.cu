// What a forward of inference does between its products: small beside them, so that what counts is the number of launches.

// x = rows of the embedding, widened: the residual stream is f32. A thread has eight numbers.
template <class T> __device__ void embed(const T* table, const u32* ids, float* x, u32 rows, u32 width) {
    const u64 index = u64(blockIdx.x) * blockDim.x + threadIdx.x;
    const u32 row = u32(index / (width / 8)), i = u32(index % (width / 8)) * 8;
    if (row >= rows) return;
    store8(x + u64(row) * width + i, load8(table + u64(ids[row]) * width + i));
}

// y = x / rms(x) ⊙ weight, from f32 to what a product reads. A block has one row.
template <class T> __device__ void norm_rows(const float* x, const float* weight, float eps, T* y, u32 width) {
    x += u64(blockIdx.x) * width;
    y += u64(blockIdx.x) * width;
    float squares = 0.0f;
    for (u32 i = threadIdx.x * 8; i < width; i += blockDim.x * 8) {
        const Eight e = load8(x + i);
#pragma unroll
        for (int j = 0; j < 8; j++) squares += e.v[j] * e.v[j];
    }
    const float inverse = 1.0f / sqrtf(block_sum(squares) / float(width) + eps);
    for (u32 i = threadIdx.x * 8; i < width; i += blockDim.x * 8) {
        Eight e = load8(x + i);
        const Eight w = load8(weight + i);
#pragma unroll
        for (int j = 0; j < 8; j++) e.v[j] = e.v[j] * inverse * w.v[j];
        store8(y + i, e);
    }
}

// From the product of q, k and v to queries, and to rows of the cache: bias, norms of heads and rotary positions in one pass;
// what a model has not is null. Row r goes to row `places[r]` of the pool. A warp has one head of a row; a lane turns eight
// pairs (feature i with i + half).
template <class Q, class T>
__device__ void cache_heads(const float* qkv, const float* bias, const float* q_norm, const float* k_norm, float eps,
                            const float* cosines, const float* sines, const u32* positions, const u32* places, Q* q, T* keys,
                            T* values, u32 rows, u32 heads, u32 kv_heads, u32 half) {
    const u32 all = heads + 2 * kv_heads, index = blockIdx.x * 8 + threadIdx.x / 32, i = threadIdx.x % 32 * 8;
    const u32 row = index / all, head = index % all, width = 2 * half;
    // The whole warp leaves together.
    if (row >= rows) return;
    const bool present = i < half, turns = head < heads + kv_heads;
    Eight a, b;
    float squares = 0.0f;
    if (present) {
        const float* from = qkv + u64(index) * width + i;
        a = load8(from);
        b = load8(from + half);
        if (bias) {
            const Eight c = load8(bias + head * width + i), d = load8(bias + head * width + half + i);
#pragma unroll
            for (int j = 0; j < 8; j++) {
                a.v[j] += c.v[j];
                b.v[j] += d.v[j];
            }
        }
#pragma unroll
        for (int j = 0; j < 8; j++) squares += a.v[j] * a.v[j] + b.v[j] * b.v[j];
    }
    if (q_norm) squares = warp_sum(squares);
    if (!present) return;
    if (q_norm && turns) {
        const float* weight = (head < heads ? q_norm : k_norm) + i;
        const float inverse = 1.0f / sqrtf(squares / float(width) + eps);
        const Eight c = load8(weight), d = load8(weight + half);
#pragma unroll
        for (int j = 0; j < 8; j++) {
            a.v[j] = a.v[j] * inverse * c.v[j];
            b.v[j] = b.v[j] * inverse * d.v[j];
        }
    }
    if (turns) {
        const u64 at = u64(positions[row]) * half + i;
        const Eight cosine = load8(cosines + at), sine = load8(sines + at);
#pragma unroll
        for (int j = 0; j < 8; j++) {
            const float first = a.v[j], second = b.v[j];
            a.v[j] = first * cosine.v[j] - second * sine.v[j];
            b.v[j] = second * cosine.v[j] + first * sine.v[j];
        }
    }
    if (head < heads) {
        Q* to = q + (u64(row) * heads + head) * width + i;
        store8(to, a);
        store8(to + half, b);
        return;
    }
    const u32 kv_head = turns ? head - heads : head - heads - kv_heads;
    T* to = (turns ? keys : values) + (u64(places[row]) * kv_heads + kv_head) * width + i;
    store8(to, a);
    store8(to + half, b);
}

// y = start + scale ⊙ x, column by column (DoRA); `start` may be null, and y may be x or start. A thread has eight numbers.
template <class T>
__device__ void scale_all(const T* x, const float* scale, const T* start, T* y, u32 rows, u32 width) {
    const u64 index = u64(blockIdx.x) * blockDim.x + threadIdx.x;
    const u32 row = u32(index / (width / 8)), i = u32(index % (width / 8)) * 8;
    if (row >= rows) return;
    const u64 at = u64(row) * width + i;
    Eight e = load8(x + at), s;
    const Eight f = load8(scale + i);
    if (start) s = load8(start + at);
#pragma unroll
    for (int j = 0; j < 8; j++) e.v[j] = start ? s.v[j] + e.v[j] * f.v[j] : e.v[j] * f.v[j];
    store8(y + at, e);
}

#define OF_TYPE(T)                                                                                                          \
    KERNEL embed_rows_##T(const T* table, const u32* ids, float* x, u32 rows, u32 width) {                                  \
        embed<T>(table, ids, x, rows, width);                                                                              \
    }                                                                                                                       \
    KERNEL norm_rows_##T(const float* x, const float* weight, float eps, T* y, u32 width) {                                 \
        norm_rows<T>(x, weight, eps, y, width);                                                                            \
    }                                                                                                                       \
    KERNEL scale_columns_##T(const T* x, const float* scale, const T* start, T* y, u32 rows, u32 width) {                   \
        scale_all<T>(x, scale, start, y, rows, width);                                                                  \
    }
OF_TYPE(float)
OF_TYPE(bf16)

#define CACHE(Q, T)                                                                                                         \
    KERNEL cache_rows_##Q##_##T(const float* qkv, const float* bias, const float* q_norm, const float* k_norm, float eps,   \
                                const float* cosines, const float* sines, const u32* positions, const u32* places, Q* q,   \
                                T* keys, T* values, u32 rows, u32 heads, u32 kv_heads, u32 half) {                         \
        cache_heads<Q, T>(qkv, bias, q_norm, k_norm, eps, cosines, sines, positions, places, q, keys, values, rows, heads, \
                          kv_heads, half);                                                                                 \
    }
CACHE(float, float)
CACHE(float, bf16)
CACHE(bf16, bf16)

// ln p of token ids[i] in row rows[i] of logits, a block for each.
KERNEL token_logprobs(const float* logits, const u32* rows, const u32* ids, float* out, u32 vocabulary, u32 stride) {
    const float* row = logits + u64(rows[blockIdx.x]) * stride;
    float most = -INFINITY, sum = 0.0f;
    for (u32 i = threadIdx.x; i < vocabulary; i += blockDim.x) most = fmaxf(most, row[i]);
    most = block_max(most);
    for (u32 i = threadIdx.x; i < vocabulary; i += blockDim.x) sum += __expf(row[i] - most);
    sum = block_sum(sum);
    if (threadIdx.x == 0) out[blockIdx.x] = row[ids[blockIdx.x]] - most - logf(sum);
}
