// Segmented causal attention written as its definition says, forward and backward: for f32 (the parity path, in which every
// operation is compared with the CPU) and for head sizes that the tiled kernels do not have. No tensor cores, no tiles.
//
// A warp has one row and one head; lane l has features l, l + 32, … of at most 256. `begins` and `ends` say for every row
// where its sequence begins and ends. O(n²·d) reads from the caches: about 30 times slower than attention_forward.cu.

const int EACH = 8;

template <class T> __device__ __forceinline__ void load_row(const T* at, u32 width, float (&to)[EACH]) {
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        const u32 f = threadIdx.x % 32 + 32 * i;
        to[i] = f < width ? to_float(at[f]) : 0.0f;
    }
}

template <class T> __device__ __forceinline__ void store_row(T* at, u32 width, const float (&from)[EACH]) {
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        const u32 f = threadIdx.x % 32 + 32 * i;
        if (f < width) at[f] = from_float<T>(from[i]);
    }
}

__device__ __forceinline__ float dot(const float (&a)[EACH], const float (&b)[EACH]) {
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < EACH; i++) sum += a[i] * b[i];
    return warp_sum(sum);
}

template <class T>
__device__ void plain(const T* q, const T* k, const T* v, T* out, float* lse, const u32* begins, u32 rows, u32 heads, u32 group,
                      u32 width, u32 q_stride, u32 kv_stride, u32 out_stride, float scale) {
    const u32 index = blockIdx.x * 8 + threadIdx.x / 32, row = index / heads, head = index % heads;
    // The whole warp leaves together.
    if (row >= rows) return;
    float query[EACH], sum[EACH], other[EACH];
    load_row(q + u64(row) * q_stride + u64(head) * width, width, query);
#pragma unroll
    for (int i = 0; i < EACH; i++) sum[i] = 0.0f;
    float most = -INFINITY, total = 0.0f;
    for (u32 key = begins[row]; key <= row; key++) {
        const u64 at = u64(key) * kv_stride + u64(head / group) * width;
        load_row(k + at, width, other);
        const float score = dot(query, other) * scale, m = fmaxf(most, score);
        const float factor = expf(most - m), p = expf(score - m);
        load_row(v + at, width, other);
#pragma unroll
        for (int i = 0; i < EACH; i++) sum[i] = sum[i] * factor + p * other[i];
        total = total * factor + p;
        most = m;
    }
#pragma unroll
    for (int i = 0; i < EACH; i++) sum[i] /= total;
    store_row(out + u64(row) * out_stride + u64(head) * width, width, sum);
    if (lse && threadIdx.x % 32 == 0) lse[u64(row) * heads + head] = most + logf(total);
}

// The same for rows of a cache: row r sees the `lengths[r]` keys whose places in the pool are listed from `starts[r]` on.
template <class T>
__device__ void pooled(const float* q, const T* k, const T* v, float* out, const u32* starts, const u32* lengths,
                       const u32* key_rows, u32 rows, u32 heads, u32 group, u32 width, u32 kv_stride, float scale) {
    const u32 index = blockIdx.x * 8 + threadIdx.x / 32, row = index / heads, head = index % heads;
    if (row >= rows) return;
    float query[EACH], sum[EACH], other[EACH];
    load_row(q + u64(index) * width, width, query);
#pragma unroll
    for (int i = 0; i < EACH; i++) sum[i] = 0.0f;
    float most = -INFINITY, total = 0.0f;
    const u32* list = key_rows + starts[row];
    const u32 length = lengths[row];
    for (u32 key = 0; key < length; key++) {
        const u64 at = u64(list[key]) * kv_stride + u64(head / group) * width;
        load_row(k + at, width, other);
        const float score = dot(query, other) * scale, m = fmaxf(most, score);
        const float factor = expf(most - m), p = expf(score - m);
        load_row(v + at, width, other);
#pragma unroll
        for (int i = 0; i < EACH; i++) sum[i] = sum[i] * factor + p * other[i];
        total = total * factor + p;
        most = m;
    }
#pragma unroll
    for (int i = 0; i < EACH; i++) sum[i] /= total;
    store_row(out + u64(index) * width, width, sum);
}

// dq, and inner = ⟨d_out, out⟩, which the keys' gradient needs of every row.
template <class T>
__device__ void plain_queries(const T* q, const T* k, const T* v, const T* out, const T* d_out, const float* lse, float* inner,
                              T* dq, const u32* begins, u32 rows, u32 heads, u32 group, u32 width, u32 q_stride, u32 kv_stride,
                              u32 out_stride, u32 d_out_stride, u32 dq_stride, float scale) {
    const u32 index = blockIdx.x * 8 + threadIdx.x / 32, row = index / heads, head = index % heads;
    if (row >= rows) return;
    float query[EACH], d[EACH], sum[EACH], other[EACH];
    load_row(q + u64(row) * q_stride + u64(head) * width, width, query);
    load_row(d_out + u64(row) * d_out_stride + u64(head) * width, width, d);
    load_row(out + u64(row) * out_stride + u64(head) * width, width, other);
    const float within = dot(d, other), l = lse[u64(row) * heads + head];
    if (threadIdx.x % 32 == 0) inner[u64(row) * heads + head] = within;
#pragma unroll
    for (int i = 0; i < EACH; i++) sum[i] = 0.0f;
    for (u32 key = begins[row]; key <= row; key++) {
        const u64 at = u64(key) * kv_stride + u64(head / group) * width;
        load_row(v + at, width, other);
        const float dp = dot(d, other);
        load_row(k + at, width, other);
        const float ds = expf(dot(query, other) * scale - l) * (dp - within) * scale;
#pragma unroll
        for (int i = 0; i < EACH; i++) sum[i] += ds * other[i];
    }
    store_row(dq + u64(row) * dq_stride + u64(head) * width, width, sum);
}

// dk and dv: a warp has one row of keys and sums over the heads of its group and the rows after it.
template <class T>
__device__ void plain_keys(const T* q, const T* k, const T* v, const T* d_out, const float* lse, const float* inner, T* dk, T* dv,
                           const u32* ends, u32 rows, u32 heads, u32 group, u32 width, u32 q_stride, u32 kv_stride,
                           u32 d_out_stride, u32 dk_stride, float scale) {
    const u32 kv_heads = heads / group;
    const u32 index = blockIdx.x * 8 + threadIdx.x / 32, row = index / kv_heads, head = index % kv_heads;
    if (row >= rows) return;
    float key[EACH], value[EACH], key_sum[EACH], value_sum[EACH], query[EACH], d[EACH];
    load_row(k + u64(row) * kv_stride + u64(head) * width, width, key);
    load_row(v + u64(row) * kv_stride + u64(head) * width, width, value);
#pragma unroll
    for (int i = 0; i < EACH; i++) key_sum[i] = value_sum[i] = 0.0f;
    for (u32 h = head * group; h < (head + 1) * group; h++) {
        for (u32 at = row; at < ends[row]; at++) {
            load_row(q + u64(at) * q_stride + u64(h) * width, width, query);
            load_row(d_out + u64(at) * d_out_stride + u64(h) * width, width, d);
            const u64 sums = u64(at) * heads + h;
            const float p = expf(dot(query, key) * scale - lse[sums]), ds = p * (dot(d, value) - inner[sums]) * scale;
#pragma unroll
            for (int i = 0; i < EACH; i++) {
                key_sum[i] += ds * query[i];
                value_sum[i] += p * d[i];
            }
        }
    }
    store_row(dk + u64(row) * dk_stride + u64(head) * width, width, key_sum);
    store_row(dv + u64(row) * dk_stride + u64(head) * width, width, value_sum);
}

#define PLAIN(T)                                                                                                          \
    KERNEL attention_plain_##T(const T* q, const T* k, const T* v, T* out, float* lse, const u32* begins, u32 rows, u32 heads, \
                               u32 group, u32 width, u32 q_stride, u32 kv_stride, u32 out_stride, float scale) {          \
        plain<T>(q, k, v, out, lse, begins, rows, heads, group, width, q_stride, kv_stride, out_stride, scale);           \
    }                                                                                                                     \
    KERNEL attention_pooled_##T(const float* q, const T* k, const T* v, float* out, const u32* starts, const u32* lengths, \
                                const u32* key_rows, u32 rows, u32 heads, u32 group, u32 width, u32 kv_stride, float scale) { \
        pooled<T>(q, k, v, out, starts, lengths, key_rows, rows, heads, group, width, kv_stride, scale);                  \
    }                                                                                                                     \
    KERNEL attention_plain_queries_##T(const T* q, const T* k, const T* v, const T* out, const T* d_out, const float* lse, \
                                       float* inner, T* dq, const u32* begins, u32 rows, u32 heads, u32 group, u32 width, \
                                       u32 q_stride, u32 kv_stride, u32 out_stride, u32 d_out_stride, u32 dq_stride,      \
                                       float scale) {                                                                     \
        plain_queries<T>(q, k, v, out, d_out, lse, inner, dq, begins, rows, heads, group, width, q_stride, kv_stride,     \
                         out_stride, d_out_stride, dq_stride, scale);                                                     \
    }                                                                                                                     \
    KERNEL attention_plain_keys_##T(const T* q, const T* k, const T* v, const T* d_out, const float* lse, const float* inner, \
                                    T* dk, T* dv, const u32* ends, u32 rows, u32 heads, u32 group, u32 width, u32 q_stride, \
                                    u32 kv_stride, u32 d_out_stride, u32 dk_stride, float scale) {                        \
        plain_keys<T>(q, k, v, d_out, lse, inner, dk, dv, ends, rows, heads, group, width, q_stride, kv_stride,           \
                      d_out_stride, dk_stride, scale);                                                                    \
    }
PLAIN(float)
PLAIN(bf16)
